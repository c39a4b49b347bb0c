use super::*;
use crate::Cursor;

const HOUR: Duration = Duration::from_secs(3600);
const PATIENT: FoldBound = FoldBound { few: 1, changes: 4, bytes: 1 << 20, quiet: HOUR, after: HOUR };

fn commit(revision: u64, changes: &[(&str, Option<&'static str>)]) -> Committed {
    let version = Revision(revision);
    let record = |value: &'static str| Record { version, value: value.into() };
    let changes = changes.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.map(record))).collect();
    Committed { cursor: Cursor { revision: version, mark: Vec::new() }, changes }
}

fn add(unfolded: &mut Unfolded, space: i64, revision: u64, changes: &[(&str, Option<&'static str>)]) {
    unfolded.add(space, &commit(revision, changes));
}

/// A slice as text: `space/name=value`, and up to where spaces are folded.
fn text(slice: &Slice) -> (String, Vec<(i64, u64)>) {
    let records = slice.records.iter().map(|(space, name, now, _)| format!("{space}/{}", shown(name.as_slice(), now)));
    (records.collect::<Vec<_>>().join(" "), slice.folded.iter().map(|(id, upto)| (*id, upto.0)).collect())
}

fn shown(name: &[u8], now: &Now) -> String {
    let value = now.as_ref().map_or("-".into(), |record| String::from_utf8_lossy(&record.value));
    format!("{}={value}", name.escape_ascii())
}

fn from(unfolded: &Unfolded, start: &str) -> String {
    unfolded.from(1, start.as_bytes()).map(|(name, now)| shown(name, now)).collect::<Vec<_>>().join(" ")
}

#[test]
fn few_changes_are_folded_at_once_and_more_wait_for_many() {
    let mut unfolded = Unfolded::new(PATIENT);
    assert_eq!(text(&unfolded.next(10)), (String::new(), vec![]));
    add(&mut unfolded, 1, 1, &[("a", Some("1"))]);
    assert_eq!(text(&unfolded.next(10)), ("1/a=1".to_owned(), vec![(1, 1)]));
    add(&mut unfolded, 1, 2, &[("b", Some("2")), ("a", None)]);
    assert_eq!(text(&unfolded.next(10)), (String::new(), vec![]));
    add(&mut unfolded, 2, 7, &[("b", Some("7"))]);
    add(&mut unfolded, 1, 3, &[("c", Some("3")), ("b", Some("3"))]);
    assert_eq!(text(&unfolded.next(3)), ("1/a=- 1/b=3 1/c=3".to_owned(), vec![]), "in order, each name once");
    assert_eq!(text(&unfolded.next(3)), ("2/b=7".to_owned(), vec![(1, 3), (2, 7)]), "folded when all of it is");
    assert_eq!((unfolded.quiet(), unfolded.is_folding()), (None, false));
}

#[test]
fn bytes_and_age_are_bounds_as_well() {
    let mut unfolded = Unfolded::new(FoldBound { few: 0, bytes: 8, ..PATIENT });
    add(&mut unfolded, 1, 1, &[("a", Some("123456"))]);
    add(&mut unfolded, 1, 2, &[("a", Some("1"))]);
    assert!(unfolded.next(9).records.is_empty(), "what was replaced does not count");
    add(&mut unfolded, 1, 3, &[("b", Some("12345"))]);
    assert_eq!(unfolded.next(9).records.len(), 2);

    assert_eq!(unfolded.share(2), 2);
    add(&mut unfolded, 1, 4, &[("a", Some("1")), ("b", Some("1234567"))]);
    unfolded.freeze();
    add(&mut unfolded, 1, 5, &[("c", Some("1234567"))]);
    assert_eq!(unfolded.share(2), LARGE_SHARE, "what comes does not outgrow its bound");

    let mut unfolded = Unfolded::new(FoldBound { few: 0, after: Duration::ZERO, ..PATIENT });
    add(&mut unfolded, 1, 1, &[("a", Some("1"))]);
    assert_eq!(unfolded.next(9).records.len(), 1);

    let mut unfolded = Unfolded::new(FoldBound { few: 0, ..PATIENT });
    add(&mut unfolded, 1, 1, &[("a", Some("1"))]);
    assert!(unfolded.next(9).records.is_empty());
    assert_eq!((unfolded.quiet(), unfolded.is_folding()), (Some(HOUR), false));
    unfolded.freeze();
    assert_eq!((unfolded.quiet(), unfolded.is_folding()), (None, true));
    assert_eq!(unfolded.next(9).records.len(), 1);
}

#[test]
fn the_newest_is_what_is_known() {
    let mut unfolded = Unfolded::new(FoldBound { few: 0, ..PATIENT });
    add(&mut unfolded, 1, 1, &[("a", Some("1")), ("c", Some("1")), ("e", Some("1")), ("g", Some("1"))]);
    assert_eq!(text(&unfolded.next(1)).0, "1/a=1");
    assert!(unfolded.is_folding());
    add(&mut unfolded, 1, 2, &[("b", Some("2")), ("c", None), ("h", Some("2"))]);
    assert_eq!(from(&unfolded, ""), "b=2 c=- e=1 g=1 h=2");
    assert_eq!(from(&unfolded, "c"), "c=- e=1 g=1 h=2");
    assert_eq!(from(&unfolded, "c\0"), "e=1 g=1 h=2");
    assert_eq!(from(&unfolded, "i"), "");
    let get = |unfolded: &Unfolded, space, name: &str| unfolded.get(space, name.as_bytes()).map(|now| now.is_some());
    assert_eq!(get(&unfolded, 1, "a"), None, "the table has it");
    assert_eq!(get(&unfolded, 1, "c"), Some(false));
    assert_eq!(get(&unfolded, 1, "e"), Some(true));
    assert_eq!(get(&unfolded, 2, "e"), None);
    assert_eq!(text(&unfolded.next(9)), ("1/c=1 1/e=1 1/g=1".to_owned(), vec![(1, 1)]));
    assert_eq!(from(&unfolded, ""), "b=2 c=- h=2");
}

#[test]
fn names_keep_their_order_wherever_they_are_kept() {
    let lengths = [0, 1, SHORT_BYTES - 1, SHORT_BYTES, SHORT_BYTES + 1, 300];
    let names: Vec<Vec<u8>> = lengths.iter().flat_map(|length| [vec![b'a'; *length], vec![0; *length]]).collect();
    for (one, other) in names.iter().flat_map(|one| names.iter().map(move |other| (one, other))) {
        assert_eq!(Name::of(one).as_slice(), one);
        assert_eq!(Name::of(one).cmp(&Name::of(other)), one.cmp(other));
    }
    assert_eq!(size_of::<Name>(), 32);
}
