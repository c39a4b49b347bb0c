//! What a server refuses it refuses whole, whatever a handle believed it would take: nothing of it is there, what was
//! there stays, and the next commit is made by the same handle.

use std::sync::Arc;

use super::reach::caller;
use super::servers::Place;
use super::{Caller, Trim, put};
use crate::{Batch, Change, Error, Revision, Store};

/// A batch that `handle` lets through and its server does not take: of `records` new records of `bytes` each, and a
/// change of one that is there. `place` is the same place, as it is used otherwise.
pub async fn a_batch_past_the_engines_own_limit_is_never_half_applied(
    place: Place,
    handle: Arc<dyn Store>,
    records: usize,
    bytes: usize,
) {
    let usual = caller(&place);
    let beyond = Caller { store: handle, ..usual.clone() };
    beyond.head().await; // A store that asks another for its limits knows them now.
    let there = usual.put(b"client/there", b"before").await;
    let mut changes = vec![put(b"client/there", Some(there), b"after")];
    changes.extend((0..records).map(|n| put(format!("client/{n:06}").as_bytes(), None, &vec![b'x'; bytes])));
    let refused = once(&beyond, changes).await;
    assert!(matches!(refused, Err(Error::Config(_))), "more than the server takes: {refused:?}");
    untouched(&usual, &[(b"client/there", b"before")]).await;
    // No commit was made of it, and the same handle makes the next one.
    let mut follower = usual.follow(b"", usual.head().await);
    let after = beyond.put(b"client/there", b"after").await;
    assert_eq!(follower.commit().await.cursor.revision, after);
}

/// A server without room: what it refuses did not happen, what it is not sure of is there or not, and what it has is
/// shown. With room, all goes on. `make_room` is what an operator does who was told: a history forgotten is room enough.
pub async fn a_store_without_room_refuses_whole_until_it_has_some(place: Place, make_room: Trim) {
    const VALUE_BYTES: usize = 256 << 10;
    const COMMITS: usize = 400;
    let caller = caller(&place);
    let small = |n: usize| format!("ledger/{n}").into_bytes();
    // One that is written over and over, and one that is new.
    let both = |n: usize, before: Option<Revision>| {
        vec![put(b"client/large", before, &vec![b'x'; VALUE_BYTES]), put(&small(n), None, b"x")]
    };
    let (mut taken, mut last) = (0, None);
    let (why, in_doubt) = loop {
        assert!(taken < COMMITS, "a server for this clause holds less");
        match once(&caller, both(taken, last)).await {
            Ok(cursor) => (taken, last) = (taken + 1, Some(cursor.revision)),
            Err(Error::Unavailable(why)) => break (why, false),
            Err(Error::OutcomeUnknown(why)) => break (why, true),
            Err(other) => panic!("a server without room: {other}"),
        }
    };
    assert!(why.contains("out of "), "it is said what there is none of: {why}");
    if in_doubt && caller.read(&small(taken)).await.is_some() {
        let made = caller.read(b"client/large").await.map(|record| record.version);
        assert!(made > last, "it was made by half");
        (taken, last) = (taken + 1, made);
    }
    assert_eq!(caller.read(b"client/large").await.map(|record| record.version), last);
    for n in 0..=taken {
        assert_eq!(caller.read(&small(n)).await.is_some(), n < taken, "commit {n} of {taken} that were taken");
    }
    let head = caller.head().await;
    assert!(caller.first_notice(b"ledger/", &head).await.is_ok(), "a watch goes on without room");
    make_room().await;
    let mut follower = caller.follow(b"", caller.head().await);
    let next = caller.commit(both(taken, last)).await.expect("there is room");
    assert_eq!(follower.commit().await.cursor.revision, next, "what was refused is in the log");
}

/// One try.
async fn once(caller: &Caller, changes: Vec<Change>) -> Result<crate::Cursor, Error> {
    caller.store.commit(Batch { space: caller.space.clone(), changes }, caller.within).await
}

/// These records are there, and no others.
async fn untouched(caller: &Caller, expected: &[(&[u8], &[u8])]) {
    let (_, records) = caller.all(b"", 1000).await;
    let there: Vec<(&[u8], &[u8])> = records.iter().map(|(name, record)| (&name[..], &record.value[..])).collect();
    assert_eq!(there, expected);
}
