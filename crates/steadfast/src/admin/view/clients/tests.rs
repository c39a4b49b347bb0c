use serde_json::json;
use steadfast_core::placement::{Reason, Why};
use steadfast_core::{Epoch, Weight};

use super::super::tests::check;
use super::*;

fn placement() -> Placement {
    Placement {
        home: "rec-2".parse().unwrap(),
        owner_epoch: Epoch(2),
        weight: Weight::from_milli(8_500).unwrap(),
        declared: Weight::from_milli(12_000).unwrap(),
        phase: Phase::Active,
        until: Tick(110),
        labels: [("region".parse().unwrap(), "eu".to_owned())].into(),
        return_to: None,
        why: Why {
            reason: Reason::HomeLost,
            since: "2026-01-02T03:04:05.678Z".to_owned(),
            from: Some("rec-1".parse().unwrap()),
            by: "gateway on alpha".to_owned(),
        },
    }
}

fn golden() -> serde_json::Value {
    json!({
        "client": "cam%2F7", "instance": "rec-2", "phase": "active", "weight": 8.5, "declared": 12,
        "owner_epoch": 2, "reason": "home-lost", "since": "2026-01-02T03:04:05.678Z", "from": "rec-1",
        "by": "gateway on alpha", "expires_in_ms": 50_000, "labels": {"region": "eu"}, "return_to": null
    })
}

fn key() -> ClientKey {
    ClientKey::new(b"cam/7").unwrap()
}

#[test]
fn a_client_has_its_form() {
    let view = ClientView::new(&key(), &placement(), Tick(100));
    check(&view, golden());
    check(
        &Clients { clients: vec![view.clone()], next: Some(Text(key())) },
        json!({"clients": [golden()], "next": "cam%2F7"}),
    );
    let endpoint = Text("http://10.0.0.4:8081".parse::<Endpoint>().unwrap());
    let placed = PlacedView {
        set: Text("recorder".parse().unwrap()),
        client: view,
        changed: true,
        endpoints: [(Text("http".parse().unwrap()), endpoint)].into(),
    };
    let mut json = golden();
    for (name, value) in
        [("set", json!("recorder")), ("changed", json!(true)), ("endpoints", json!({"http": "http://10.0.0.4:8081"}))]
    {
        json[name] = value;
    }
    check(&placed, json);
    let forgotten = ForgottenView { set: Text("recorder".parse().unwrap()), client: Text(key()), changed: false };
    check(&forgotten, json!({"set": "recorder", "client": "cam%2F7", "changed": false}));
}

#[test]
fn a_phase_that_is_over_is_not_over_in_the_past() {
    assert_eq!(left_ms(Tick(110), Tick(100)), Some(50_000));
    assert_eq!(left_ms(Tick(90), Tick(100)), Some(0));
    assert_eq!(left_ms(Tick::NEVER, Tick(100)), None);
}

#[test]
fn orders_may_say_little_and_nothing_else() {
    assert_eq!(serde_json::from_str::<PlaceOrder>("{}").unwrap(), PlaceOrder::default());
    let order: PlaceOrder =
        serde_json::from_str(r#"{"weight": 8, "instance": "rec-1", "labels": {"region": "eu"}}"#).unwrap();
    check(&order, json!({"weight": 8, "instance": "rec-1", "labels": {"region": "eu"}}));
    assert_eq!(labels_view(&labels_of(&order.labels)), order.labels);
    assert!(serde_json::from_str::<PlaceOrder>(r#"{"wieght": 8}"#).is_err(), "a slip must not place it otherwise");
    assert_eq!(serde_json::from_str::<MoveOrder>("{}").unwrap(), MoveOrder { to: None });
    assert!(serde_json::from_str::<MoveOrder>(r#"{"two": "rec-1"}"#).is_err());
}
