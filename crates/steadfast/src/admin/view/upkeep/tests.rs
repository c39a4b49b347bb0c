use serde_json::json;
use steadfast_store::Revision;

use super::super::tests::check;
use super::*;

#[test]
fn a_drain_has_its_form() {
    let stuck = StuckView {
        client: Text("cam-7".parse().unwrap()),
        reason: "connected".to_owned(),
        detail: "it is connected".to_owned(),
    };
    let view = DrainView {
        set: Text("recorder".parse().unwrap()),
        instance: Text("rec-1".parse().unwrap()),
        state: LedgerState::Draining,
        charged: Amount::from_milli(20_500),
        charged_clients: 3,
        idle_clients: 1,
        moves_in_ms: Some(60_000),
        stuck: [("connected".to_owned(), 2)].into(),
        examples: vec![stuck],
    };
    check(
        &view,
        json!({
            "set": "recorder", "instance": "rec-1", "state": "draining", "charged": 20.5, "charged_clients": 3,
            "idle_clients": 1, "moves_in_ms": 60_000, "stuck": {"connected": 2},
            "examples": [{"client": "cam-7", "reason": "connected", "detail": "it is connected"}]
        }),
    );
    assert_eq!((view.is_empty(), view.stuck_clients()), (false, 2));
    check(&DrainOrder { move_after: Some(Text(Span::from_millis(600_000))) }, json!({"move_after": "10m"}));
    assert!(serde_json::from_str::<DrainOrder>(r#"{"after": "10m"}"#).is_err());
}

#[test]
fn a_verification_has_its_form() {
    let set = "recorder".parse().unwrap();
    let id = || "rec-1".parse::<InstanceId>().unwrap();
    let client = "cam-7".parse::<ClientKey>().unwrap();
    let faults = vec![
        Fault::Charge { instance: id(), ledger_milli: 1_000, clients_milli: 2_000 },
        Fault::Homeless { client, home: id() },
        Fault::Unreadable { key: "client/x".to_owned(), problem: "not JSON".to_owned() },
    ];
    let words: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let found = Verified { revision: Revision(9), clients: 2, instances: 1, faults };
    check(
        &VerifyView::new(&set, &found),
        json!({
            "set": "recorder", "ok": false, "revision": 9, "clients": 2, "instances": 1,
            "faults": [
                {"fault": "charge", "instance": "rec-1", "client": null, "detail": words[0]},
                {"fault": "homeless", "instance": "rec-1", "client": "cam-7", "detail": words[1]},
                {"fault": "unreadable", "instance": null, "client": null, "detail": words[2]},
            ]
        }),
    );
    assert!(VerifyView::new(&set, &Verified { faults: Vec::new(), ..found }).ok);
}
