use steadfast_registry::Text;

use super::*;
use crate::admin::view::{Amount, LabelsView};

#[test]
fn the_candidates_stand_below_the_answer() {
    let one = |id: &str, used: u64, excluded: Option<&str>| CandidateView {
        instance: Text(id.parse().unwrap()),
        excluded: excluded.map(str::to_owned),
        capacity: Amount::from_milli(100_000),
        used: Amount::from_milli(used * 1_000),
        fill: Some(used as f64 / 100.0),
        fill_after: Some((used + 8) as f64 / 100.0),
        lacking: 0,
    };
    let found = ExplainView {
        set: Text("recorder".parse().unwrap()),
        client: Text("cam-7".parse().unwrap()),
        known: None,
        weight: Amount::from_milli(8_000),
        labels: LabelsView::new(),
        instance: None,
        refused: None,
        rule: "emptiest".to_owned(),
        new_would_go_to: Some(Text("rec-2".parse().unwrap())),
        candidates: vec![one("rec-2", 34, None), one("rec-10", 60, None), one("rec-1", 95, Some("no-room"))],
        sentence: String::new(),
    };
    assert_eq!(
        candidates(Paint::plain(), &found),
        "INSTANCE  USED  OF   FILL  WITH 8\n\
         rec-2     34    100  34 %  42 %    the best for a new one\n\
         rec-10    60    100  60 %  68 %\n\
         rec-1     95    100  95 %  103 %   has no room\n"
    );
}
