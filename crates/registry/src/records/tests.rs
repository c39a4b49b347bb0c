//! The records as bytes: what a store written today must still mean tomorrow.

use std::fmt::Debug;

use serde_json::json;
use steadfast_core::placement::{Phase, Placement, Reason, Why};
use steadfast_store::{Key, Space};

use super::*;

/// Encoding gives exactly this document, and decoding the document gives the record again.
fn golden<T: Serialize + DeserializeOwned + PartialEq + Debug>(record: &T, expected: &str) {
    let text = String::from_utf8(encode(record)).unwrap();
    assert_eq!(text, expected);
    assert_eq!(decode::<T>("key", expected.as_bytes()).as_ref(), Ok(record));
}

#[test]
fn lease() {
    let lease = LeaseRecord {
        epoch: Epoch(7),
        holder: "web-1".parse().unwrap(),
        incarnation: Incarnation(0xa1),
        ttl: Span::from_millis(3_000),
        nonce: Nonce(0xb2),
        released: false,
    };
    let stored = StoredLease::new(&lease, Extras::new());
    golden(
        &stored,
        r#"{"v":1,"epoch":7,"holder":"web-1","incarnation":"00000000000000a1","ttl_ms":3000,"nonce":"00000000000000b2","released":false}"#,
    );
    assert_eq!(stored.lease(), lease);
}

#[test]
fn instance() {
    let record = InstanceRecord {
        incarnation: Incarnation(0xa1),
        endpoints: [(Text("http".parse().unwrap()), Text("http://10.0.0.4:8081".parse().unwrap()))].into(),
        probe: Text("http://10.0.0.4:7401".parse().unwrap()),
        gate: false,
        labels: Default::default(),
        host: "vm-4".into(),
        since: "2026-01-02T03:04:05.678Z".into(),
        extras: Extras::new(),
    };
    golden(
        &record,
        r#"{"v":1,"incarnation":"00000000000000a1","endpoints":{"http":"http://10.0.0.4:8081"},"probe":"http://10.0.0.4:7401","gate":false,"host":"vm-4","since":"2026-01-02T03:04:05.678Z"}"#,
    );
}

#[test]
fn ledger() {
    let record = LedgerRecord {
        since: "2026-01-02T03:04:05.678Z".into(),
        ..LedgerRecord::new(Incarnation(0xa1), LedgerState::Draining, "operator")
    };
    golden(
        &record,
        r#"{"v":1,"incarnation":"00000000000000a1","state":"draining","by":"operator","since":"2026-01-02T03:04:05.678Z"}"#,
    );
}

#[test]
fn ledger_of_a_sticky_set() {
    let record = LedgerRecord {
        since: "2026-01-02T03:04:05.678Z".into(),
        capacity: Text("100".parse().unwrap()),
        charged_milli: 8_500,
        clients: 3,
        lost_at: Some(12),
        move_at: Some(13),
        drained: true,
        nonce: Some(Text(Nonce(5))),
        ..LedgerRecord::new(Incarnation(0xa1), LedgerState::Lost, "keeper")
    };
    golden(
        &record,
        r#"{"v":1,"incarnation":"00000000000000a1","state":"lost","capacity":"100","charged_milli":8500,"clients":3,"lost_at":12,"drained":true,"move_at":13,"nonce":"0000000000000005","by":"keeper","since":"2026-01-02T03:04:05.678Z"}"#,
    );
}

#[test]
fn clients() {
    let key = Key::new(Space::new("recorder").unwrap(), "client/cam-7");
    let weight = |text: &str| text.parse::<Weight>().unwrap();
    let why =
        Why { reason: Reason::Placed, since: "2026-01-02T03:04:05.678Z".into(), from: None, by: "gateway vm-1".into() };
    let short = Placement {
        home: "rec-1".parse().unwrap(),
        owner_epoch: Epoch(1),
        weight: weight("8"),
        declared: weight("8"),
        phase: Phase::Idle,
        until: Tick::NEVER,
        labels: Labels::new(),
        return_to: None,
        why: why.clone(),
    };
    let long = Placement {
        owner_epoch: Epoch(3),
        declared: weight("8.5"),
        phase: Phase::Active,
        until: Tick(20_000),
        labels: [("region".parse().unwrap(), "eu".to_owned())].into(),
        return_to: Some("rec-2".parse().unwrap()),
        why: Why { reason: Reason::HomeLost, from: Some("rec-2".parse().unwrap()), ..why },
        ..short.clone()
    };
    let extras: Extras = [("ticket".to_owned(), json!({"n": 3}))].into_iter().collect();
    for (placement, extras, expected) in [
        (
            short,
            Extras::new(),
            r#"{"v":1,"home":"rec-1","owner_epoch":1,"weight":"8","phase":"idle","reason":"placed","since":"2026-01-02T03:04:05.678Z","by":"gateway vm-1"}"#,
        ),
        (
            long,
            extras,
            r#"{"v":1,"home":"rec-1","owner_epoch":3,"weight":"8","declared":"8.5","phase":"active","until":20000,"labels":{"region":"eu"},"return_to":"rec-2","reason":"home-lost","since":"2026-01-02T03:04:05.678Z","from":"rec-2","by":"gateway vm-1","ticket":{"n":3}}"#,
        ),
    ] {
        assert_eq!(String::from_utf8(ClientRecord::encode(&placement, &extras)).unwrap(), expected);
        assert_eq!(ClientRecord::decode(&key, expected.as_bytes()), Ok(ClientRecord { placement, extras }));
    }
    for (bytes, expected) in [
        (&b"\xff"[..], "not a JSON object"),
        (br#"{"home":"rec-1"}"#, "no format number"),
        (br#"{"v":2,"house":"rec-1"}"#, "format 2"),
        (br#"{"v":1,"home":"rec-1"}"#, "missing field"),
        (br#"{"v":1,"home":"rec 1","owner_epoch":1}"#, "an instance's id"),
    ] {
        let error = ClientRecord::decode(&key, bytes).unwrap_err().to_string();
        assert!(error.contains("recorder/client/cam-7") && error.contains(expected), "{error}");
    }
}

#[test]
fn a_reason_that_only_a_newer_version_knows_makes_no_client_homeless() {
    let key = Key::new(Space::new("recorder").unwrap(), "client/cam-7");
    let newer = r#"{"v":1,"home":"rec-1","owner_epoch":1,"weight":"8","phase":"idle","reason":"astrology","since":"then","by":"x"}"#;
    assert_eq!(ClientRecord::decode(&key, newer.as_bytes()).unwrap().placement.why.reason, Reason::Placed);
}

#[test]
fn clock() {
    let next = ClockRecord::default().next();
    golden(&next, r#"{"v":1,"tick":1}"#);
    assert_eq!(next.tick(), Tick(1));
}

#[test]
fn beat_and_order() {
    let loaded = BeatRecord { load_milli: Some(1_500), ..BeatRecord::new(Incarnation(0xa1), 12) };
    golden(&loaded, r#"{"v":1,"incarnation":"00000000000000a1","beat":12,"load_milli":1500}"#);
    golden(&BeatRecord::new(Incarnation(0xa1), 12), r#"{"v":1,"incarnation":"00000000000000a1","beat":12}"#);
    let order = OrderRecord {
        id: Nonce(5),
        epoch: 7,
        to: Some(Text("web-2".parse().unwrap())),
        by: "operator".into(),
        at: "2026-01-02T03:04:05.678Z".into(),
        extras: Extras::new(),
    };
    golden(
        &order,
        r#"{"v":1,"id":"0000000000000005","epoch":7,"to":"web-2","by":"operator","at":"2026-01-02T03:04:05.678Z"}"#,
    );
}

#[test]
fn events() {
    let event = |kind| EventRecord { at: "2026-01-02T03:04:05.678Z".into(), kind, by: "web-1".into() };
    let web = |id: &str| Text(id.parse::<InstanceId>().unwrap());
    golden(
        &event(EventKind::Leading {
            instance: web("web-1"),
            epoch: 8,
            from: Some(web("web-2")),
            reason: "released".into(),
        }),
        r#"{"v":1,"at":"2026-01-02T03:04:05.678Z","event":"leading","instance":"web-1","epoch":8,"from":"web-2","reason":"released","by":"web-1"}"#,
    );
    golden(
        &event(EventKind::Stopped { instance: web("web-1"), epoch: 8, reason: "lost".into() }),
        r#"{"v":1,"at":"2026-01-02T03:04:05.678Z","event":"stopped","instance":"web-1","epoch":8,"reason":"lost","by":"web-1"}"#,
    );
    golden(
        &event(EventKind::State { instance: web("web-1"), state: LedgerState::Gone }),
        r#"{"v":1,"at":"2026-01-02T03:04:05.678Z","event":"state","instance":"web-1","state":"gone","by":"web-1"}"#,
    );
    golden(
        &event(EventKind::Switchover { epoch: 8, to: None }),
        r#"{"v":1,"at":"2026-01-02T03:04:05.678Z","event":"switchover","epoch":8,"to":null,"by":"web-1"}"#,
    );
    golden(&event(EventKind::Settings), r#"{"v":1,"at":"2026-01-02T03:04:05.678Z","event":"settings","by":"web-1"}"#);
    let client = || Text("cam%207".parse::<ClientKey>().unwrap());
    let weight = |text: &str| Text(text.parse::<Weight>().unwrap());
    for (kind, expected) in [
        (
            EventKind::InstanceLost { instance: web("rec-1"), clients: 3 },
            r#""event":"instance-lost","instance":"rec-1","clients":3"#,
        ),
        (EventKind::Drained { instance: web("rec-1") }, r#""event":"drained","instance":"rec-1""#),
        (
            EventKind::DrainWaits { instance: web("rec-1"), connected: 2, no_room: 1 },
            r#""event":"drain-waits","instance":"rec-1","connected":2,"no_room":1"#,
        ),
        (
            EventKind::ClientMoved { client: client(), from: Some(web("rec-1")), to: web("rec-2") },
            r#""event":"client-moved","client":"cam%207","from":"rec-1","to":"rec-2""#,
        ),
        (EventKind::ClientForgotten { client: client() }, r#""event":"client-forgotten","client":"cam%207""#),
        (
            EventKind::ClientOverweight { client: client(), declared: weight("9"), charged: weight("8.5") },
            r#""event":"client-overweight","client":"cam%207","declared":"9","charged":"8.5""#,
        ),
        (
            EventKind::ClientOverflow { client: client(), home: web("rec-1") },
            r#""event":"client-overflow","client":"cam%207","home":"rec-1""#,
        ),
    ] {
        golden(&event(kind), &format!(r#"{{"v":1,"at":"2026-01-02T03:04:05.678Z",{expected},"by":"web-1"}}"#));
    }
    let newer = r#"{"v":1,"at":"then","event":"eclipse","darkness":3,"by":"web-1"}"#;
    assert_eq!(decode::<EventRecord>("key", newer.as_bytes()).map(|event| event.kind), Ok(EventKind::Other));
}

#[test]
fn fields_of_a_newer_version_are_kept_when_a_record_is_rewritten() {
    let newer = r#"{"v":1,"epoch":7,"holder":"web-1","incarnation":"00000000000000a1","ttl_ms":3000,"nonce":"00000000000000b2","released":false,"witness":{"n":3}}"#;
    let stored: StoredLease = decode("key", newer.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(encode(&StoredLease::new(&stored.lease(), stored.extras))).unwrap(), newer);
}

#[test]
fn what_cannot_be_used_is_refused_with_the_reason() {
    let newer = decode::<BeatRecord>("web/beat/web-1", br#"{"v":2,"pulse":1}"#);
    assert_eq!(newer, Err(Error::Newer { key: "web/beat/web-1".into(), found: 2, known: 1 }));
    for (bytes, expected) in [
        (&b"\xff\xfe"[..], "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"{}", "no format number"),
        (br#"{"v":"1"}"#, "no format number"),
        (br#"{"v":1}"#, "missing field"),
        (br#"{"v":1,"incarnation":"a1","beat":1}"#, "16 hexadecimal digits"),
        (br#"{"v":1,"incarnation":"00000000000000a1","beat":-1}"#, "invalid value"),
    ] {
        let error = decode::<BeatRecord>("web/beat/web-1", bytes).unwrap_err().to_string();
        assert!(error.contains("web/beat/web-1") && error.contains(expected), "{error}");
    }
}
