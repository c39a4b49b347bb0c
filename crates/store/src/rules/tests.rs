use bytes::Bytes;

use super::*;
use crate::{Hold, Space};

const TIGHT: Limits = Limits { operations: 2, bytes: 16, name_bytes: 8 };

fn put(name: &str, value: &'static str) -> Change {
    Change { name: name.into(), expect: Expect::Absent, write: Write::Put(Bytes::from_static(value.as_bytes()), None) }
}

fn check(changes: Vec<Change>) -> Result<(), String> {
    let batch = Batch { space: Space::new("web").unwrap(), changes };
    batch.check(TIGHT).map_err(|error| error.to_string())
}

#[test]
fn every_rule_names_what_broke_it() {
    assert_eq!(check(vec![put("a", "1"), put("b", "2")]), Ok(()));
    let refused = |changes: Vec<Change>, words: &str| {
        let said = check(changes).unwrap_err();
        assert!(said.contains(words), "`{said}` does not say `{words}`");
    };
    refused(vec![], "one change at least");
    refused(vec![put("a", ""), put("b", ""), put("c", "")], "has 3 changes; the store takes 2");
    refused(vec![put("a", "0123456789abcdef")], "has 17 bytes of names and values; the store takes 16");
    refused(vec![put("", "x")], "name is empty");
    refused(vec![put("123456789", "")], "has 9 bytes; the store takes 8");
    refused(vec![put("a\n", "1"), put("a\n", "2")], "names `a\\n` twice");
    refused(vec![put("lease/a", ""), put("b", "")], "leases and beats are written alone");
    refused(vec![put("b", ""), put("beat/a", "")], "leases and beats are written alone");
    let hold = |name: &str| Change { write: Write::Put(Bytes::new(), Some(Hold::Take)), ..put(name, "") };
    refused(vec![hold("a")], "puts `a` with a hold");
    assert_eq!(check(vec![hold("lease/a")]), Ok(()));
    refused(vec![Change { write: Write::Delete, ..put("a", "") }], "expects to be absent");
}

#[test]
fn limits_are_met_exactly() {
    assert_eq!(check(vec![put("12345678", "12345678")]), Ok(()));
    assert_eq!(check(vec![put("a", "1234567"), put("b", "1234567")]), Ok(()));
}

#[test]
fn a_watch_names_what_it_is_of() {
    let check = |prefixes: &[&[u8]]| check_prefixes(prefixes, TIGHT).map_err(|error| error.to_string());
    assert_eq!(check(&[b""]), Ok(()));
    assert_eq!(check(&[&b"12345678"[..]; WATCH_PREFIXES]), Ok(()));
    assert!(check(&[]).unwrap_err().contains("no prefix"));
    assert!(check(&[b"a", b"123456789"]).unwrap_err().contains("has 9 bytes"));
    assert!(check(&[&b"a"[..]; WATCH_PREFIXES + 1]).unwrap_err().contains("17 prefixes; the store takes 16"));
}
