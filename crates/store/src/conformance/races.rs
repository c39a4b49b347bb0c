//! What holds when many write at once.

use std::collections::{BTreeMap, BTreeSet};

use tokio::task::JoinSet;

use super::{Caller, Fixture, put};
use crate::{Cursor, Error, Named, Record, Revision};

/// 32 writers add to one record; each finds its own additions in it, so that a lost reply is settled by reading.
pub async fn no_increment_is_lost(fixture: Fixture) {
    const WRITERS: usize = 32;
    const ROUNDS: u8 = 4;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let caller = fixture.caller(writer);
        writers.spawn(async move {
            for round in 1..=ROUNDS {
                increment(&caller, writer, round, WRITERS).await;
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.expect("a writer");
    }
    let sums = fixture.caller(0).read(b"sums").await.expect("the record");
    assert_eq!(sums.value, vec![ROUNDS; WRITERS]);
}

/// Brings the writer's own count to `round`.
async fn increment(caller: &Caller, writer: usize, round: u8, writers: usize) {
    let mut current = caller.read(b"sums").await;
    loop {
        let mut sums = current.as_ref().map_or_else(|| vec![0; writers], |record| record.value.to_vec());
        if sums[writer] == round {
            return;
        }
        assert_eq!(sums[writer], round - 1, "an increment was lost or made twice");
        sums[writer] = round;
        let change = put(b"sums", current.map(|record| record.version), &sums);
        let done = |records: &[Named]| {
            records[0].1.as_ref().filter(|record| record.value[writer] == round).map(|record| record.version)
        };
        current = match caller.settle(vec![change], done).await {
            Ok(_) => return,
            Err(Error::Conflict(mut records)) => records.remove(0).1,
            Err(other) => panic!("increment: {other}"),
        };
    }
}

/// 50 candidates for one lease: one has it, and the others know that they have not.
pub async fn one_candidate_wins(fixture: Fixture) {
    const CANDIDATES: usize = 50;
    let mut version = None;
    for epoch in 1..=3 {
        let mut candidates = JoinSet::new();
        for candidate in 0..CANDIDATES {
            let caller = fixture.caller(candidate);
            candidates.spawn(async move {
                let name = format!("{epoch} {candidate}");
                match caller.commit(vec![put(b"lease/web", version, name.as_bytes())]).await {
                    Ok(version) => Some((version, name)),
                    Err(Error::Conflict(_)) => None,
                    Err(other) => panic!("stand for a lease: {other}"),
                }
            });
        }
        let winners: Vec<_> = candidates.join_all().await.into_iter().flatten().collect();
        let [(won, name)] = &winners[..] else { panic!("not one winner: {winners:?}") };
        let record = fixture.caller(0).read(b"lease/web").await.expect("the lease");
        assert_eq!((record.version, &record.value[..]), (*won, name.as_bytes()));
        version = Some(*won);
    }
}

/// Everything committed is told once, in the order of revisions, whoever wrote it and whoever watches.
pub async fn a_watch_tells_every_commit_in_order(fixture: Fixture) {
    const WRITERS: usize = 8;
    const ROUNDS: usize = 20;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let caller = fixture.caller(writer);
        writers.spawn(async move {
            let names = [format!("client/{writer}"), format!("ledger/{writer}")];
            let (mut version, mut versions) = (None, Vec::new());
            for round in 0..ROUNDS {
                let changes = names.iter().map(|name| put(name.as_bytes(), version, &round.to_be_bytes())).collect();
                version = Some(caller.commit(changes).await.expect("nobody else writes here"));
                versions.extend(version);
            }
            versions
        });
    }
    let mut watchers = JoinSet::new();
    for watcher in 0..fixture.stores.len().max(2) {
        let mut follower = fixture.caller(watcher).follow(b"client/", Cursor::START);
        watchers.spawn(async move {
            let mut told = Vec::new();
            while told.len() < WRITERS * ROUNDS {
                told.push(follower.commit().await.cursor.revision);
            }
            told
        });
    }
    let written: BTreeSet<Revision> = writers.join_all().await.into_iter().flatten().collect();
    assert_eq!(written.len(), WRITERS * ROUNDS, "a revision was given twice");
    for told in watchers.join_all().await {
        assert!(told.is_sorted_by(|a, b| a < b));
        assert_eq!(told, written.iter().copied().collect::<Vec<_>>());
    }
}

/// Pages read while others write, brought up to date by the watch from the scan's cursor, are what is there.
pub async fn a_scan_and_its_watch_give_the_final_state(fixture: Fixture) {
    const NAMES: usize = 60;
    const WRITERS: usize = 4;
    let name = |n: usize| format!("client/{n:03}").into_bytes();
    let seeded = (0..NAMES).step_by(2).map(|n| put(&name(n), None, b"seed")).collect();
    fixture.caller(0).commit(seeded).await.expect("an empty store");
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let caller = fixture.caller(writer);
        writers.spawn(async move {
            for round in 0..3 {
                for n in (writer..NAMES).step_by(WRITERS) {
                    match caller.read(&name(n)).await {
                        Some(_) if (n + round) % 3 == 0 => caller.delete(&name(n)).await,
                        _ => drop(caller.put(&name(n), format!("{round} {n}").as_bytes()).await),
                    }
                }
            }
        });
    }
    let caller = fixture.caller(1);
    let (cursor, records) = caller.all(b"client/", 5).await;
    let mut state: BTreeMap<Vec<u8>, Record> = records.into_iter().collect();
    while let Some(ended) = writers.join_next().await {
        ended.expect("a writer");
    }
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
    assert_eq!(state.into_iter().collect::<Vec<_>>(), expected);
}
