use super::*;
use crate::admin::view::LabelsView;

fn client() -> ClientView {
    ClientView {
        client: Text("cam%2F7".parse().unwrap()),
        instance: Text("rec-2".parse().unwrap()),
        phase: Phase::Active,
        weight: Amount::from_milli(8_500),
        declared: Amount::from_milli(8_500),
        owner_epoch: 1,
        reason: "home-lost".to_owned(),
        since: "2026-01-02T10:32:11.678Z".to_owned(),
        from: Some(Text("rec-1".parse().unwrap())),
        by: "gateway on alpha".to_owned(),
        expires_in_ms: Some(86_000_000),
        labels: LabelsView::new(),
        return_to: None,
    }
}

#[test]
fn a_line_answers_who_where_why_and_since_when() {
    let mut columns = Columns::new(&["CLIENT", "HOME", "PHASE", "WEIGHT", "SINCE (UTC)", "ENDS", "WHY"]);
    let idle = ClientView {
        phase: Phase::Idle,
        declared: Amount::from_milli(12_000),
        expires_in_ms: None,
        from: None,
        reason: "placed".to_owned(),
        ..client()
    };
    let text = columns.rows(Paint::plain(), "", &[row(&client())]);
    let more = columns.rows(Paint::plain(), "", &[row(&idle)]);
    assert_eq!(
        text + &more,
        "CLIENT   HOME   PHASE   WEIGHT  SINCE (UTC)          ENDS          WHY\n\
         cam%2F7  rec-2  active  8.5     2026-01-02 10:32:11  idle in 23 h  home-lost from rec-1 (gateway on alpha)\n\
         cam%2F7  rec-2  idle    8.5 (says 12)  2026-01-02 10:32:11  never         placed (gateway on alpha)\n"
    );
}

#[test]
fn who_was_placed_is_told_where_to_go() {
    let endpoint = Text("rtsp://10.0.0.4:554".parse().unwrap());
    let placed = PlacedView {
        set: Text("recorder".parse().unwrap()),
        client: ClientView { phase: Phase::Reserved, expires_in_ms: Some(30_000), ..client() },
        changed: true,
        endpoints: [(Text("stream".parse().unwrap()), endpoint)].into(),
    };
    assert_eq!(details(&placed), " (weight 8.5, reserved, kept for 30 s): stream=rtsp://10.0.0.4:554");
}
