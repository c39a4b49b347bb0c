use bytes::Bytes;

use super::*;
use crate::{Change, Revision, Space};

fn text(commands: &Commands) -> String {
    String::from_utf8_lossy(commands.bytes()).replace("\r\n", " ")
}

#[test]
fn the_end_of_a_prefix_is_the_next_name_that_has_another() {
    assert_eq!(after_all_under(b"client/"), Some(b"client0".to_vec()));
    assert_eq!(after_all_under(b"a\xff\xff"), Some(b"b".to_vec()));
    assert_eq!(after_all_under(b"\xff"), None);
    assert_eq!(after_all_under(b""), None);
}

#[test]
fn a_commit_says_what_it_believes_and_on_which_history() {
    let space = Space::new("web").expect("a space");
    let change = |name: &str, expect, write| Change { name: name.into(), expect, write };
    let batch = Batch {
        space: space.clone(),
        changes: vec![
            change("a", Expect::Absent, Write::Put(Bytes::from_static(b"x"), None)),
            change("b", Expect::Version(Revision(7)), Write::Delete),
            change("c", Expect::Version(Revision(8)), Write::Nothing),
        ],
    };
    let known = Cursor { revision: Revision(9), mark: b"old".to_vec() };
    let seen = Sight { floor: Revision(11), known: Some(known) };
    let keep = Keep { commits: 16, bytes: 32 };
    let commands = commit(&Script::Known("cafe".to_owned()), &Keys::of("p", &space), &batch, b"new", &seen, keep);
    assert_eq!(
        text(&commands),
        "*28 $7 EVALSHA $4 cafe $1 5 $12 p:{web}:head $15 p:{web}:records $13 p:{web}:names $11 p:{web}:log $12 \
         p:{web}:bulk $3 new $2 11 $1 9 $3 old $1 0 $2 16 $2 32 $7 client/ $1 a $0  $1 p $1 x $1 b $1 7 $1 d $0  $1 c $1 8 $1 n $0  "
    );
    assert_eq!(commands.count(), 1);
    assert!(is_logged(&batch));
    assert!(!is_logged(&Batch { changes: batch.changes[2..].to_vec(), ..batch.clone() }));
    let beat = Batch { changes: vec![change("beat/x", Expect::Absent, batch.changes[0].write.clone())], ..batch };
    assert!(!is_logged(&beat));
}

#[test]
fn a_scan_goes_on_after_the_last_name_and_stays_under_its_prefix() {
    let keys = Keys::of("p", &Space::new("web").expect("a space"));
    let token = |after: &[u8]| PageToken { cursor: Cursor::START, after: after.to_vec() };
    let asked = |prefix: &[u8], token: Option<PageToken>| {
        let commands = scan(&Script::Text("text"), &keys, prefix, token.as_ref(), 10);
        text(&commands).split_once("names ").expect("keys").1.to_owned()
    };
    assert_eq!(asked(b"a/", None), "$3 [a/ $3 (a0 $2 10 $7 1048576 ");
    assert_eq!(asked(b"a/", Some(token(b"a/7"))), "$4 (a/7 $3 (a0 $2 10 $7 1048576 ");
    assert_eq!(asked(b"b/", Some(token(b"a/7"))), "$3 [b/ $3 (b0 $2 10 $7 1048576 ");
    assert_eq!(asked(b"", None), "$1 [ $1 + $2 10 $7 1048576 ");
}
