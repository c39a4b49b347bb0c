//! What holds of a space with very many records.

use std::collections::BTreeMap;

use tokio::task::JoinSet;

use super::{Caller, Fixture, put};
use crate::{Change, Record};

/// Pages of `records` records, read while two write, brought up to date by the watch from the scan's cursor, are what
/// is there.
pub async fn a_large_space_is_scanned_while_written_to(fixture: Fixture, records: usize) {
    const WRITERS: usize = 2;
    const ROUNDS: usize = 60;
    let caller = fixture.patient_caller();
    fill(&caller, records).await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let caller = Caller { within: caller.within, ..fixture.caller(writer) };
        writers.spawn(async move {
            for round in 0..ROUNDS {
                // Before the scan's place in the space, and after it.
                let n = (writer + round * 7919 * WRITERS) % records;
                match round % 5 {
                    0 => caller.delete(&name(n)).await,
                    _ => drop(caller.put(&name(n), format!("{writer} {round}").as_bytes()).await),
                }
            }
        });
    }
    let (cursor, read) = caller.all(b"client/", 1000).await;
    assert!(read.len() + WRITERS * ROUNDS >= records, "{} of {records} were read", read.len());
    let mut state: BTreeMap<Vec<u8>, Record> = read.into_iter().collect();
    writers.join_all().await;
    let end = caller.put(b"client/~end", b"x").await;
    let mut follower = caller.follow(b"client/", cursor);
    while follower.told < end {
        for (name, record) in follower.commit().await.changes {
            match record {
                Some(record) => state.insert(name, record),
                None => state.remove(&name),
            };
        }
    }
    let (_, expected) = caller.all(b"client/", 1000).await;
    assert_eq!(state.len(), expected.len());
    assert!(state.into_iter().eq(expected), "what was read and told is not what is there");
}

fn name(n: usize) -> Vec<u8> {
    format!("client/{n:07}").into_bytes()
}

/// In batches as large as the store takes.
async fn fill(caller: &Caller, records: usize) {
    caller.head().await; // A store that asks another for its limits knows them now.
    let all: Vec<Change> = (0..records).map(|n| put(&name(n), None, b"first")).collect();
    for batch in all.chunks(caller.store.limits().operations.min(1000)) {
        caller.commit(batch.to_vec()).await.expect("a space that is empty");
    }
}
