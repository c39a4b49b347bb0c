use serde_json::json;
use steadfast_registry::LedgerState;

use super::super::tests::check;
use super::*;

#[test]
fn an_explanation_has_its_form() {
    let candidate = CandidateView {
        instance: Text("rec-2".parse().unwrap()),
        excluded: None,
        capacity: Amount::from_milli(100_000),
        used: Amount::from_milli(34_000),
        fill: Some(0.34),
        fill_after: Some(0.42),
        lacking: 0,
    };
    let full =
        CandidateView { excluded: Some("no-room".to_owned()), fill: None, fill_after: None, ..candidate.clone() };
    let view = ExplainView {
        set: Text("recorder".parse().unwrap()),
        client: Text("cam-7".parse().unwrap()),
        known: None,
        weight: Amount::from_milli(8_000),
        labels: LabelsView::new(),
        instance: Some(Text("rec-2".parse().unwrap())),
        refused: None,
        rule: rule_word(Rule::Emptiest).to_owned(),
        new_would_go_to: Some(Text("rec-2".parse().unwrap())),
        candidates: vec![candidate, full],
        sentence: "It would.".to_owned(),
    };
    check(
        &view,
        json!({
            "set": "recorder", "client": "cam-7", "known": null, "weight": 8, "labels": {}, "instance": "rec-2",
            "refused": null, "rule": "emptiest", "new_would_go_to": "rec-2",
            "candidates": [
                {"instance": "rec-2", "excluded": null, "capacity": 100, "used": 34, "fill": 0.34,
                 "fill_after": 0.42, "lacking": 0},
                {"instance": "rec-2", "excluded": "no-room", "capacity": 100, "used": 34, "fill": null,
                 "fill_after": null, "lacking": 0},
            ],
            "sentence": "It would."
        }),
    );
    let refused = RefusedView { reason: "no-room".to_owned(), detail: "none".to_owned() };
    check(&refused, json!({"reason": "no-room", "detail": "none"}));
    assert_eq!(exclusion_word(Exclusion::State(LedgerState::Draining)), "draining");
}
