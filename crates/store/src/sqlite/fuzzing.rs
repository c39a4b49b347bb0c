//! The rows of the log, and what waits to be folded.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::fold::{FoldBound, Now, Unfolded};
use super::log;
use crate::{Committed, Cursor, Record, Revision};

/// A row that can be read is written as the very same bytes.
pub fn sqlite_log(data: &[u8]) {
    let version = Revision(7);
    if let Some(changes) = log::decode(data, version) {
        assert_eq!(log::encode(&changes), data);
        assert!(changes.iter().flat_map(|(_, record)| record).all(|record| record.version == version));
    }
}

/// Three bytes a step: commits, folding and looking in any order show what a plain map shows.
pub fn sqlite_fold(data: &[u8]) {
    let bound = FoldBound { few: 1, changes: 4, bytes: 64, ..FoldBound::default() };
    let mut unfolded = Unfolded::new(bound);
    let mut truth: BTreeMap<(i64, Vec<u8>), Now> = BTreeMap::new();
    let mut table: BTreeMap<(i64, Vec<u8>), Record> = BTreeMap::new();
    let mut head = 0;
    for step in data.chunks_exact(3) {
        let [what, which, how] = [step[0], step[1], step[2]];
        let (space, name) = (i64::from(which >> 6), name(which));
        match what % 4 {
            0 | 1 => {
                head += 1;
                let revision = Revision(head);
                let value = Bytes::from(vec![how; usize::from(how % 40)]);
                let now = (how % 5 != 0).then_some(Record { version: revision, value });
                let cursor = Cursor { revision, mark: vec![how] };
                unfolded.add(space, &Committed { cursor, changes: vec![(name.clone(), now.clone())] });
                truth.insert((space, name), now);
            }
            2 => {
                let slice = unfolded.next(usize::from(how % 8));
                for (space, name, now, upto) in slice.records {
                    assert!(now.as_ref().is_none_or(|record| record.version <= upto));
                    let place = (space, name.as_slice().to_vec());
                    match now {
                        Some(record) => table.insert(place, record),
                        None => table.remove(&place),
                    };
                }
            }
            _ => unfolded.freeze(),
        }
        check(&unfolded, &table, &truth);
    }
}

fn check(unfolded: &Unfolded, table: &BTreeMap<(i64, Vec<u8>), Record>, truth: &BTreeMap<(i64, Vec<u8>), Now>) {
    for ((space, name), now) in truth {
        let place = (*space, name.clone());
        let seen = unfolded.get(*space, name).cloned().unwrap_or_else(|| table.get(&place).cloned());
        assert_eq!(seen, *now, "{place:?}");
    }
    for space in 0..4 {
        let names: Vec<(&[u8], &Now)> = unfolded.from(space, b"b").collect();
        assert!(names.is_sorted_by(|one, other| one.0 < other.0), "in order, none twice");
        for (name, now) in names {
            assert!(name >= b"b".as_slice());
            assert_eq!(Some(now), truth.get(&(space, name.to_vec())));
        }
    }
}

/// Short names, and some that are longer than what is kept in place.
fn name(which: u8) -> Vec<u8> {
    let letter = b'a' + which % 4;
    vec![letter; if which & 16 == 0 { 1 + usize::from(which % 3) } else { 29 + usize::from(which % 3) }]
}
