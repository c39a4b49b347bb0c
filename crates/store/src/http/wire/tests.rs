use super::*;

fn every_error() -> Vec<Error> {
    let record = Record { version: Revision(7), value: Bytes::from_static(b"\x00\xff") };
    vec![
        Error::Conflict(vec![(b"a\xff".to_vec(), Some(record)), (b"b".to_vec(), None)]),
        Error::Unavailable("u".to_owned()),
        Error::OutcomeUnknown("o".to_owned()),
        Error::Compacted(Revision(9), "c".to_owned()),
        Error::Denied("d".to_owned()),
        Error::Corrupt("k".to_owned()),
        Error::Config("w".to_owned()),
    ]
}

#[test]
fn every_error_comes_out_as_it_went_in() {
    for error in every_error() {
        let text = serde_json::to_string(&Problem::of(error.clone())).unwrap();
        let read: Problem = serde_json::from_str(&text).unwrap();
        assert_eq!(read.error(), Some(error), "{text}");
    }
}

#[test]
fn a_reason_that_is_no_stores_is_no_error_of_one() {
    let read: Problem = serde_json::from_str(r#"{"status":503,"reason":"stopping","detail":"x"}"#).unwrap();
    assert_eq!(read.error(), None);
}

#[test]
fn what_goes_over_the_wire_is_this() {
    let batch = Batch {
        space: Space::new("web").unwrap(),
        changes: vec![
            Change {
                name: b"lease/web".to_vec(),
                expect: Expect::Version(Revision(3)),
                write: Write::Put(Bytes::from_static(b"x"), Some(Hold::Renew)),
            },
            Change { name: b"a".to_vec(), expect: Expect::Absent, write: Write::Put(Bytes::new(), None) },
            Change { name: b"b".to_vec(), expect: Expect::Version(Revision(1)), write: Write::Delete },
            Change { name: b"c".to_vec(), expect: Expect::Absent, write: Write::Nothing },
        ],
    };
    let text = serde_json::to_string(&Commit::of(batch.clone(), 250)).unwrap();
    let golden = concat!(
        r#"{"space":"web","changes":["#,
        r#"{"name":"bGVhc2Uvd2Vi","expect":3,"write":{"put":{"value":"eA==","hold":"renew"}}},"#,
        r#"{"name":"YQ==","expect":null,"write":{"put":{"value":""}}},"#,
        r#"{"name":"Yg==","expect":1,"write":"delete"},"#,
        r#"{"name":"Yw==","expect":null,"write":"nothing"}"#,
        r#"],"within_ms":250}"#
    );
    assert_eq!(text, golden);
    assert_eq!(serde_json::from_str::<Commit>(golden).unwrap().batch(), batch);
}

#[test]
fn a_watch_is_asked_for_like_this() {
    let golden = r#"{"space":"web","prefixes":["bGVkZ2VyLw==",""],"from":"42.9f3c","progress_ms":500}"#;
    let watch: Watch = serde_json::from_str(golden).unwrap();
    assert_eq!(watch.prefixes, [Raw(b"ledger/".to_vec()), Raw(Vec::new())]);
    assert_eq!(serde_json::to_string(&watch).unwrap(), golden);
}

#[test]
fn a_line_of_a_watch_is_this() {
    let cursor = Cursor { revision: Revision(42), mark: vec![0x9f, 0x3c] };
    let record = Record { version: Revision(42), value: Bytes::from_static(b"x") };
    let changes = vec![(b"a".to_vec(), Some(record)), (b"b".to_vec(), None)];
    for (notice, golden) in [
        (Notice::Progress(cursor.clone()), r#"{"progress":"42.9f3c"}"#),
        (
            Notice::Committed(Committed { cursor, changes }),
            r#"{"committed":{"cursor":"42.9f3c","changes":[{"name":"YQ==","record":{"version":42,"value":"eA=="}},{"name":"Yg==","record":null}]}}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&Line::of(notice.clone())).unwrap(), golden);
        assert_eq!(serde_json::from_str::<Line>(golden).unwrap().notice(), Ok(notice));
    }
    for error in every_error() {
        let text = serde_json::to_string(&Line::Ended(Problem::of(error.clone()))).unwrap();
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap().notice(), Err(error));
    }
}

#[test]
fn fields_of_a_later_version_are_passed_over() {
    let read: Read = serde_json::from_str(r#"{"space":"web","name":"YQ==","within_ms":1,"new":true}"#).unwrap();
    assert_eq!(read.name, Raw(b"a".to_vec()));
    for wrong in [r#"{"space":"a/b","name":"YQ==","within_ms":1}"#, r#"{"space":"web","name":"*","within_ms":1}"#] {
        assert!(serde_json::from_str::<Read>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_server_of_an_earlier_version_is_understood() {
    let earlier = concat!(
        r#"{"protocol":1,"limits":{"operations":1024,"bytes":1048576,"name_bytes":512},"#,
        r#""description":{"engine":"sqlite","place":"/state.db","durable":true,"push":true,"one_machine":true,"#,
        r#""may_lose":null}}"#
    );
    let told: Describe = serde_json::from_str(earlier).unwrap();
    let Description { pace_ms, leases_apart, lease_lasts_ms, notes, .. } = told.description;
    assert_eq!((pace_ms, leases_apart, lease_lasts_ms, notes), (0, false, None, vec![]));
}

#[test]
fn a_description_comes_out_as_it_went_in() {
    let description = Description {
        engine: "azure".to_owned(),
        place: "azure://account/container".to_owned(),
        durable: true,
        push: false,
        one_machine: false,
        may_lose: Some("x".to_owned()),
        pace_ms: 1_000,
        leases_apart: true,
        lease_lasts_ms: Some(60_000),
        notes: vec!["polls".to_owned()],
    };
    let text = serde_json::to_string(&description).unwrap();
    assert!(text.contains(r#""pace_ms":1000,"leases_apart":true,"lease_lasts_ms":60000,"notes":["polls"]"#), "{text}");
    assert_eq!(serde_json::from_str::<Description>(&text).unwrap(), description);
}

#[test]
fn no_store_is_waited_for_as_long_as_it_likes() {
    let far = r#"{"engine":"e","place":"p","durable":true,"push":true,"one_machine":true,"may_lose":null,"pace_ms":18446744073709551615}"#;
    let description: Description = serde_json::from_str(far).unwrap();
    assert_eq!(description.pace(), std::time::Duration::from_secs(60));
}
