//! Watches across cuts, compactions and backups.

use std::future::ready;
use std::sync::Arc;

use steadfast_store::conformance::servers::{Kind, Options, Server, shared};
use steadfast_store::conformance::{Later, reach};
use steadfast_store::{Batch, Cursor, Error, Expect, Space};

use super::support::{LONG, Mirror, compact, new, put, settle, space};

#[tokio::test]
async fn a_watch_misses_nothing_across_cuts_and_compactions() {
    let server = Arc::new(Server::etcd(&Options::default()));
    let place = server.fresh_place().with("pace=50ms");
    let trim = move || -> Later<()> {
        compact(&server);
        Box::pin(ready(()))
    };
    reach::a_watch_misses_nothing_across_cuts(place, Some(Box::new(trim))).await;
}

/// Of a space in which nothing happens etcd forgets all history, its last commit, too: who comes then misses nothing.
#[tokio::test]
async fn a_space_that_is_idle_is_watched_whatever_was_compacted() {
    let server = Server::etcd(&Options::default());
    let place = server.fresh_place().with("pace=50ms");
    let store = place.open();
    settle(&store, &new(&["order/1"]), LONG).await;
    let quiet = Mirror::new(Arc::clone(&store)).await;
    for n in 0..3 {
        let busy = Batch { space: Space::new("busy").expect("a space"), ..new(&[&format!("order/{n}")]) };
        settle(&store, &busy, LONG).await;
    }
    compact(&server);
    let mut mirrors = [Mirror::new(place.open()).await, quiet];
    for mirror in &mut mirrors {
        mirror.until(|mirror| mirror.heard > 0).await;
    }
    settle(&store, &new(&["order/2"]), LONG).await;
    for mirror in &mut mirrors {
        mirror.until(|mirror| mirror.records.len() == 2).await;
        // A commit between the proof and the watch that goes on from it has the mirror read anew, once.
        assert!(mirror.compacted <= 1, "{} times", mirror.compacted);
    }
    let gone = store.watch(&space(), &[b""], Cursor::START, LONG).await.map(drop);
    assert!(matches!(gone, Err(Error::Compacted(..))), "{gone:?}");
}

/// Who writes with etcd's own tools is shown, and nobody takes it for a rollback.
#[tokio::test]
async fn what_is_written_by_hand_breaks_nothing() {
    let server = shared(Kind::Etcd);
    let place = server.fresh_place().with("pace=50ms");
    let store = place.open();
    settle(&store, &new(&["order/1"]), LONG).await;
    let mut mirror = Mirror::new(Arc::clone(&store)).await;
    mirror.until(|mirror| mirror.heard > 0).await;
    let prefix = place.url().split('?').next().and_then(|url| url.rsplit('/').next()).expect("a path").to_owned();
    server.etcdctl(&["put", &format!("{prefix}/web/k/order/hand"), "x"]);
    mirror.until(|mirror| mirror.records.len() == 2).await;
    // It is in contact, and stays so.
    let heard = mirror.heard;
    mirror.until(|mirror| mirror.heard > heard + 5).await;
    settle(&store, &new(&["order/2"]), LONG).await;
    mirror.until(|mirror| mirror.records.len() == 3).await;
    // Where its watch was cut, on a machine with much else to do, it reads anew: only then.
    assert!(mirror.compacted <= mirror.cut, "{} times, {} cuts", mirror.compacted, mirror.cut);
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
