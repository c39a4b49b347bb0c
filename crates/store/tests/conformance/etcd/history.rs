//! Watches across cuts, compactions and backups.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use steadfast_store::conformance::servers::{Kind, Options, Server, shared};
use steadfast_store::{Batch, Change, Cursor, Error, Expect, Write};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::support::{LONG, Mirror, compact, new, put, scan, settle, space};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_misses_nothing_across_cuts_and_compactions() {
    const WRITERS: usize = 4;
    let server = Arc::new(Server::etcd(&Options::default()));
    let place = server.fresh_place().with("pace=50ms");
    let (by_proxy, proxy) = place.through_a_proxy();
    let over = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, over) = (place.open(), Arc::clone(&over));
        writers.spawn(async move {
            let mut n = 0u32;
            let mut version = None;
            while !over.load(Ordering::Relaxed) {
                // Each name is there, changed, or gone.
                let name = format!("client/{writer}-{}", n / 3 % 20);
                let expect = version.map_or(Expect::Absent, Expect::Version);
                let write = if n % 3 == 2 { Write::Delete } else { Write::Put(n.to_string().into(), None) };
                let change = Change { name: name.into(), expect, write };
                let cursor = store.commit(Batch { space: space(), changes: vec![change] }, LONG).await;
                let revision = cursor.expect("nobody else writes here").revision;
                version = (n % 3 != 2).then_some(revision);
                n += 1;
            }
        });
    }
    let mut mirror = Mirror::new(by_proxy.open()).await;
    for round in 0..6 {
        let from = mirror.at.revision.0;
        mirror.until(|mirror| mirror.at.revision.0 > from + 200).await;
        proxy.cut();
        if round % 2 == 1 {
            // Meanwhile nobody follows: what it saw last is gone when it comes back.
            sleep(Duration::from_millis(50)).await;
            let server = Arc::clone(&server);
            tokio::task::spawn_blocking(move || compact(&server)).await.expect("it compacts");
        }
    }
    over.store(true, Ordering::Relaxed);
    writers.join_all().await;
    let (head, records) = scan(&place.open()).await;
    mirror.until(|mirror| mirror.at == head).await;
    assert_eq!(mirror.records, records);
    assert!(mirror.cut > 0 && mirror.compacted > 0, "{} cuts, {} compactions", mirror.cut, mirror.compacted);
}

/// A history of more than fits a message comes whole, each commit with all it did.
#[tokio::test]
async fn a_history_larger_than_a_message_is_told_whole() {
    const COMMITS: usize = 12;
    const CHANGES: usize = 20;
    let place = shared(Kind::Etcd).fresh_place();
    let writer = place.open();
    let mut written = Vec::new();
    for commit in 0..COMMITS {
        let name = |n: usize| format!("client/{commit}-{n}");
        let value = vec![b'x'; 50_000];
        let changes = (0..CHANGES).map(|n| put(&name(n), Expect::Absent, value.clone())).collect();
        written.push(settle(&writer, &Batch { space: space(), changes }, LONG).await);
    }
    let reader = place.open();
    let mut watch = reader.watch(&space(), &[b"client/"], Cursor::START, LONG).await.expect("the beginning");
    let mut told = Vec::new();
    while told.len() < COMMITS {
        if let steadfast_store::Notice::Committed(commit) = watch.next().await.expect("a watch") {
            assert_eq!(commit.changes.len(), CHANGES);
            told.push(commit.cursor.revision);
        }
    }
    assert_eq!(told, written);
}

/// A backup brought back under running Steadfasts is another history, also where its revisions are reached again.
#[tokio::test]
async fn a_backup_brought_back_is_another_history() {
    let mut server = Server::etcd(&Options::default());
    let store = server.fresh_place().open();
    for n in 0..3 {
        settle(&store, &new(&[&format!("order/{n}")]), LONG).await;
    }
    let saved = server.save();
    let mut mirror = Mirror::new(Arc::clone(&store)).await;
    for n in 3..6 {
        settle(&store, &new(&[&format!("order/{n}")]), LONG).await;
    }
    mirror.until(|mirror| mirror.records.len() == 6).await;
    let lost = mirror.at.clone();
    server.restore(&saved);
    mirror.until(|mirror| mirror.compacted == 1).await;
    assert_eq!(mirror.records.len(), 3);
    let mut again = lost.revision;
    for n in 10..16 {
        again = settle(&store, &new(&[&format!("order/{n}")]), LONG).await;
    }
    assert!(again > lost.revision);
    let resumed = store.watch(&space(), &[b""], lost.clone(), LONG).await.map(drop);
    assert!(matches!(resumed, Err(Error::Compacted(at, _)) if at == lost.revision), "{resumed:?}");
    mirror.until(|mirror| mirror.records.len() == 9).await;
}
