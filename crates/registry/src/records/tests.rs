//! The records as bytes: what a store written today must still mean tomorrow.

use std::fmt::Debug;

use serde_json::json;

use super::*;

/// Encoding gives exactly this document, and decoding the document gives the record again.
fn golden<T: Serialize + DeserializeOwned + PartialEq + Debug>(record: &T, expected: &str) {
    let text = String::from_utf8(encode(record)).unwrap();
    assert_eq!(text, expected);
    assert_eq!(decode::<T>("key", expected.as_bytes()).as_ref(), Ok(record));
}

fn settings() -> SetSettings {
    let (lease_ttl, park_for) = (Span::from_millis(3_000), Span::from_millis(10_000));
    SetSettings::Single(SingleSettings::new(lease_ttl, 100, Span::ZERO, park_for).unwrap())
}

#[test]
fn set() {
    let record = SetRecord::new(&settings());
    golden(
        &record,
        r#"{"v":1,"kind":"single","lease_ttl":"3s","clock_drift":0.1,"park_for":"10s","release_after":"0s"}"#,
    );
    assert_eq!(record.settings(&"web".parse().unwrap()), Ok(settings()));
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
fn beat_and_order() {
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

#[test]
fn a_set_of_another_kind_or_an_unsafe_one_is_refused() {
    let set = "web".parse().unwrap();
    let record = |change: fn(&mut SetRecord)| {
        let mut record = SetRecord::new(&settings());
        change(&mut record);
        record.settings(&set).unwrap_err().to_string()
    };
    assert!(record(|r| r.kind = "sticky".into()).contains("\"sticky\""));
    assert!(record(|r| r.clock_drift = f64::NAN).contains("clock_drift"));
    assert!(record(|r| r.clock_drift = -1.0).contains("clock_drift"));
    let message = record(|r| r.lease_ttl = Text(Span::from_millis(100)));
    assert!(message.contains("set/web"), "{message}");
}
