use steadfast_core::placement::Phase;
use steadfast_registry::Text;

use super::*;
use crate::admin::view::{Amount, LabelsView, RefusedView};

fn candidate(id: &str, fill: f64, after: f64, excluded: Option<&str>) -> CandidateView {
    CandidateView {
        instance: Text(id.parse().unwrap()),
        excluded: excluded.map(str::to_owned),
        capacity: Amount::from_milli(100_000),
        used: Amount::from_milli((fill * 100_000.0) as u64),
        fill: Some(fill),
        fill_after: Some(after),
        lacking: 0,
    }
}

fn client(reason: Reason, phase: Phase) -> ClientView {
    ClientView {
        client: Text("cam-7".parse().unwrap()),
        instance: Text("rec-2".parse().unwrap()),
        phase,
        weight: Amount::from_milli(8_000),
        declared: Amount::from_milli(8_000),
        owner_epoch: 1,
        reason: reason.to_string(),
        since: "2026-01-02T10:32:11.678Z".to_owned(),
        from: Some(Text("rec-1".parse().unwrap())),
        by: "gateway gw-1".to_owned(),
        expires_in_ms: None,
        labels: LabelsView::new(),
        return_to: None,
    }
}

fn unknown() -> ExplainView {
    ExplainView {
        set: Text("recorder".parse().unwrap()),
        client: Text("cam-7".parse().unwrap()),
        known: None,
        weight: Amount::from_milli(8_000),
        labels: LabelsView::new(),
        instance: Some(Text("rec-3".parse().unwrap())),
        refused: None,
        rule: "emptiest".to_owned(),
        new_would_go_to: Some(Text("rec-3".parse().unwrap())),
        candidates: vec![
            candidate("rec-3", 0.34, 0.42, None),
            candidate("rec-2", 0.5, 0.5, None),
            candidate("rec-1", 0.1, 0.18, Some("draining")),
        ],
        sentence: String::new(),
    }
}

fn known(reason: Reason, phase: Phase) -> ExplainView {
    let known = Some(client(reason, phase));
    ExplainView { known, instance: Some(Text("rec-2".parse().unwrap())), rule: "at-home".to_owned(), ..unknown() }
}

#[test]
fn a_client_nobody_knows_is_told_where_it_would_go() {
    assert_eq!(
        explanation(&unknown(), Policy::Spread),
        "Nobody knows cam-7 yet. If it came now, with a weight of 8, it would go to rec-3, the least full with it (34 % → 42 %)."
    );
}

#[test]
fn a_client_at_home_is_told_why_and_what_else() {
    assert_eq!(
        explanation(&known(Reason::Placed, Phase::Active), Policy::Spread),
        "cam-7 is at home at rec-2 (weight 8, active) since 2026-01-02 10:32:11 UTC: it was new, and gateway gw-1 \
         placed it there. When it comes next it stays there. If it came new, it would go to rec-3, the least full with it \
         (34 % → 42 %)."
    );
    let idle = explanation(&known(Reason::HomeLost, Phase::Idle), Policy::Spread);
    assert!(idle.starts_with("cam-7 is not there now and is remembered at rec-2"), "{idle}");
    assert!(idle.contains("rec-1 was lost, and gateway gw-1 moved it"), "{idle}");
}

#[test]
fn a_weight_that_did_not_fit_is_told() {
    let mut view = known(Reason::Placed, Phase::Active);
    view.known.as_mut().unwrap().declared = Amount::from_milli(12_000);
    let said = explanation(&view, Policy::Spread);
    assert!(said.contains("It says that it weighs 12, which did not fit: it stays at 8."), "{said}");
}

#[test]
fn a_refusal_is_told() {
    let refused = RefusedView { reason: "home-lost".to_owned(), detail: "its home rec-2 is lost".to_owned() };
    let view = ExplainView { instance: None, refused: Some(refused), ..known(Reason::Placed, Phase::Active) };
    let said = explanation(&view, Policy::Spread);
    assert!(said.contains("If it came now it would be refused: its home rec-2 is lost."), "{said}");
    let none = ExplainView {
        instance: None,
        new_would_go_to: None,
        candidates: Vec::new(),
        ..known(Reason::Placed, Phase::Active)
    };
    assert!(explanation(&none, Policy::Spread).contains("not known"));
}

#[test]
fn every_reason_is_a_sentence() {
    for reason in Reason::ALL {
        let said = origin(&client(*reason, Phase::Active));
        assert!(said.contains(' ') && !said.contains(&format!("{reason} (")), "{reason}: {said}");
        assert!(said.contains("gateway gw-1"), "{reason}: {said}");
    }
    let newer = ClientView { reason: "rebalanced".to_owned(), ..client(Reason::Placed, Phase::Active) };
    assert_eq!(origin(&newer), "rebalanced (by gateway gw-1)");
}

#[test]
fn why_the_best_is_the_best_follows_from_the_candidates() {
    let mut view = unknown();
    assert_eq!(best(&view, Policy::Spread), "the least full with it");
    assert_eq!(best(&view, Policy::Pack), "the fullest that has room");
    view.candidates[1].fill_after = view.candidates[0].fill_after;
    assert_eq!(best(&view, Policy::Spread), "which is as good as others, and first by its name");
    view.candidates[1].lacking = 1;
    assert_eq!(best(&view, Policy::Spread), "which has more of what it prefers");
    view.candidates.remove(1);
    assert_eq!(best(&view, Policy::Spread), "the only one that can take it");
}

#[test]
fn parts_are_read_as_people_read_them() {
    assert_eq!([0.0, 0.004, 0.344, 1.0].map(percent), ["0 %", "under 1 %", "34 %", "100 %"]);
}
