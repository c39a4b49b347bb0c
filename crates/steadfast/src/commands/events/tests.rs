use super::*;

fn check(kind: &str, said: &str) {
    let kind: EventKind = serde_json::from_str(kind).unwrap();
    assert_eq!(sentence(&kind), said);
}

#[test]
fn what_happens_to_homes_is_told_in_sentences() {
    check(
        r#"{"event": "instance-lost", "instance": "rec-1", "clients": 1214}"#,
        "rec-1 is lost: nobody heard of it; 1 214 clients are at home there",
    );
    check(
        r#"{"event": "instance-lost", "instance": "rec-1", "clients": 0}"#,
        "rec-1 is lost: nobody heard of it, and no client was at home there",
    );
    check(
        r#"{"event": "drain-waits", "instance": "rec-1", "connected": 1, "no_room": 0}"#,
        "rec-1 is past the deadline of its drain: 1 client is connected and cannot be made to leave",
    );
    check(
        r#"{"event": "drain-waits", "instance": "rec-1", "connected": 2, "no_room": 3}"#,
        "rec-1 is past the deadline of its drain: 2 clients are connected and cannot be made to leave, 3 clients are without room elsewhere",
    );
    check(
        r#"{"event": "client-moved", "client": "cam%2F7", "from": "rec-1", "to": "rec-2"}"#,
        "client cam%2F7 was moved by hand from rec-1 to rec-2",
    );
    check(
        r#"{"event": "client-overweight", "client": "cam-7", "declared": "12", "charged": "8.5"}"#,
        "client cam-7 says it weighs 12, which its home has no room for: it stays charged 8.5",
    );
    check(r#"{"event": "of-tomorrow", "what": 1}"#, "something a newer version wrote down");
}
