use super::*;

fn text(text: &'static [u8]) -> Reply {
    Reply::String(Bytes::from_static(text))
}

fn list(parts: &[Reply]) -> Reply {
    Reply::Array(parts.to_vec())
}

fn found(version: u64, value: &'static [u8]) -> Option<Record> {
    Some(Record { version: Revision(version), value: Bytes::from_static(value) })
}

#[test]
fn a_commit_was_made_or_shows_what_differs() {
    let done = list(&[text(b"done"), text(b"12"), text(b"mark"), Reply::Integer(1)]);
    let cursor = Cursor { revision: Revision(12), mark: b"mark".to_vec() };
    assert_eq!(outcome(done), Some(Outcome::Done { cursor, jumped: true }));
    let differ = list(&[text(b"a"), text(b"7:x:y"), text(b"b"), Reply::Nil]);
    let records = vec![(b"a".to_vec(), found(7, b"x:y")), (b"b".to_vec(), None)];
    let differs = list(&[text(b"differs"), Reply::Integer(0), differ]);
    assert_eq!(outcome(differs), Some(Outcome::Differs { records, jumped: false }));
}

#[test]
fn what_is_no_record_of_ours_is_named() {
    for strange in [&b"no colon"[..], b":x", b"x:1", b"-1:x", b"99999999999999999999:x"] {
        let wrong = record(b"a\n", text(strange));
        assert_eq!(wrong, Err(Error::Corrupt("under `a\\n` stands no record that was written here".to_owned())));
        let differ = list(&[text(b"a"), text(strange)]);
        let differs = outcome(list(&[text(b"differs"), Reply::Integer(0), differ]));
        assert!(matches!(differs, Some(Outcome::Damaged(_))), "{differs:?}");
    }
    for strange in [Reply::Nil, Reply::Integer(1), list(&[]), list(&[text(b"done"), text(b"x")])] {
        assert_eq!(outcome(strange), None);
    }
}

#[test]
fn a_page_says_where_the_next_one_goes_on() {
    let of = |more: i64, records: &[Reply]| list(&[text(b"9"), text(b"m"), Reply::Integer(more), list(records)]);
    let cursor = Cursor { revision: Revision(9), mark: b"m".to_vec() };
    let first = page(of(1, &[text(b"a"), text(b"3:x")]), None).expect("a page");
    let next = PageToken { cursor: cursor.clone(), after: b"a".to_vec() };
    let record = Record { version: Revision(3), value: Bytes::from_static(b"x") };
    assert_eq!(first, Page { cursor, records: vec![(b"a".to_vec(), record)], next: Some(next.clone()) });
    // A later page keeps the first one's cursor, whatever happened meanwhile.
    let begun = PageToken { cursor: Cursor::START, ..next };
    let last = page(of(0, &[]), Some(&begun)).expect("a page");
    assert_eq!(last, Page { cursor: Cursor::START, records: Vec::new(), next: None });
    assert!(matches!(page(of(0, &[text(b"a"), Reply::Nil]), None), Err(Error::Corrupt(_))), "a name without a record");
}

#[test]
fn the_log_is_read_with_its_marks_and_the_bulk_beside_it() {
    let fields = ["m", "new", "p", "old", "b", "1", "a", "px", "b", "d"].map(|field| text(field.as_bytes()));
    let log = entries(list(&[list(&[text(b"7-0"), list(&fields)])])).expect("an entry");
    let changes = vec![(b"a".to_vec(), found(7, b"x")), (b"b".to_vec(), None)];
    let (mark, prev) = (b"new".to_vec(), b"old".to_vec());
    assert_eq!(log, [Entry { revision: Revision(7), mark, prev, has_bulk: true, changes: changes.clone() }]);
    let beside = bulk(list(&[list(&[text(b"7-0"), list(&fields[6..])])]));
    assert_eq!(beside, Some(vec![(Revision(7), changes)]));
    for strange in [
        list(&[list(&[text(b"7-1"), list(&fields)])]),
        list(&[list(&[text(b"7-0"), list(&fields[..7])])]),
        list(&[list(&[text(b"7-0"), list(&fields[2..])])]),
    ] {
        assert_eq!(entries(strange), None);
    }
}

#[test]
fn a_space_where_nothing_was_logged_stands_at_the_start() {
    assert_eq!(head(list(&[Reply::Nil, Reply::Nil])), Some(Cursor::START));
    let cursor = Cursor { revision: Revision(3), mark: b"m".to_vec() };
    assert_eq!(head(list(&[text(b"3"), text(b"m")])), Some(cursor));
    assert_eq!(head(list(&[text(b"3"), Reply::Nil])), None);
}
