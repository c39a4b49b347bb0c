use super::*;
use crate::{Change, Space};

fn batch(changes: Vec<(&[u8], Expect, Write)>) -> Batch {
    let change = |(name, expect, write): (&[u8], Expect, Write)| Change { name: name.to_vec(), expect, write };
    Batch { space: Space::new("web").unwrap(), changes: changes.into_iter().map(change).collect() }
}

fn put(value: &'static [u8]) -> Write {
    Write::Put(value.into(), None)
}

fn head(revision: u64, etag: Option<&str>) -> Head {
    let mark = if revision == 0 { Vec::new() } else { vec![9; 8] };
    Head { revision: Revision(revision), mark, base: Revision(0), etag: etag.map(str::to_owned) }
}

fn etag_of(name: &[u8]) -> String {
    format!("etag of {}", name.escape_ascii())
}

#[test]
fn a_batch_becomes_the_head_the_log_and_a_record_each() {
    let known = Expect::Version(Revision(3));
    let batch = batch(vec![
        (b"new", Expect::Absent, put(b"1")),
        (b"client/old", known, put(b"2")),
        (b"gone", known, Write::Delete),
        (b"believed", known, Write::Nothing),
    ]);
    let draft = Draft::of(&batch, &head(41, Some("W/h")), Revision(7), 16_384, etag_of);
    assert_eq!(draft.head.revision, Revision(42));
    assert_eq!(draft.names, [b"new".to_vec(), b"client/old".to_vec(), b"gone".to_vec()]);
    let rows: Vec<&str> = draft.operations.iter().map(|operation| operation.row.as_str()).collect();
    let record = |name: &[u8]| keys::record(name);
    assert_eq!(rows, ["h", "l-000000000000002a", &record(b"new"), &record(b"client/old"), &record(b"gone")]);
    let does: Vec<_> = draft
        .operations
        .iter()
        .map(|operation| match &operation.does {
            Does::Insert(_) => "insert".to_owned(),
            Does::Replace(_, etag) => format!("replace {etag}"),
            Does::Delete(etag) => format!("delete {etag}"),
        })
        .collect();
    assert_eq!(does, ["replace W/h", "insert", "insert", "replace etag of client/old", "delete etag of gone"]);
}

#[test]
fn the_first_commit_makes_the_head() {
    let draft = Draft::of(&batch(vec![(b"a", Expect::Absent, put(b"1"))]), &head(0, None), Revision(0), 256, etag_of);
    assert!(matches!(draft.operations[0].does, Does::Insert(_)));
    assert_eq!((draft.head.revision, draft.head.base), (Revision(1), Revision(0)));
    assert_eq!(draft.head.mark.len(), 8);
}

#[test]
fn a_space_that_was_rolled_back_goes_on_above_what_was_seen_of_it() {
    let draft =
        Draft::of(&batch(vec![(b"a", Expect::Absent, put(b"1"))]), &head(5, Some("x")), Revision(90), 256, etag_of);
    assert_eq!(draft.head.revision, Revision(91));
}

#[test]
fn the_log_is_cut_now_and_then() {
    let cut = |revision: u64| {
        let before = head(revision - 1, Some("x"));
        Draft::of(&batch(vec![(b"a", Expect::Absent, put(b"1"))]), &before, Revision(0), 256, etag_of).head.base.0
    };
    assert_eq!((cut(64), cut(256), cut(319)), (0, 0, 0));
    assert_eq!((cut(320), cut(6400)), (64, 6144));
}

#[test]
fn changes_come_out_of_the_log_as_they_went_in() {
    let mut packed = Vec::new();
    pack(&mut packed, b"a", Some(b"1"));
    pack(&mut packed, b"", Some(b""));
    pack(&mut packed, b"\xff\0", None);
    let record = |value: &'static [u8]| Some(Record { version: Revision(7), value: value.into() });
    let changes = vec![(b"a".to_vec(), record(b"1")), (Vec::new(), record(b"")), (b"\xff\0".to_vec(), None)];
    assert_eq!(unpack(&packed, Revision(7)), Some(changes));
    for cut in 1..packed.len() {
        let whole = unpack(&packed[..cut], Revision(7));
        assert!(whole.is_none_or(|changes| changes.len() < 3), "cut at {cut}");
    }
    assert_eq!(unpack(b"\0\0\0\x01a\x02", Revision(7)), None, "neither put nor deleted");
    assert_eq!(unpack(b"\xff\xff\xff\xffa", Revision(7)), None, "longer than it is");
}

#[test]
fn a_full_batch_fits_an_entity() {
    let value = vec![b'x'; super::super::LIMITS.bytes - 98 * 10];
    let values: Vec<(Vec<u8>, Write)> = (0..98)
        .map(|n| {
            let name = if n % 2 == 0 { format!("client/{n:03}") } else { format!("other/{n:04}") };
            (name.into_bytes(), Write::Put(value[..value.len() / 98].to_vec().into(), None))
        })
        .collect();
    let changes = values.iter().map(|(name, write)| (&name[..], Expect::Absent, write.clone())).collect();
    let batch = batch(changes);
    assert!(batch.check(super::super::LIMITS).is_ok());
    let draft = Draft::of(&batch, &head(1, Some("x")), Revision(0), 256, etag_of);
    assert_eq!(draft.operations.len(), super::super::batch::OPERATIONS);
    let Does::Insert(log) = &draft.operations[1].does else { panic!("a commit is inserted") };
    // Three quarters of base64, and what is around it.
    assert!(log.json().len() * 3 / 4 < 1 << 20, "{} bytes", log.json().len());
}
