//! What is left of a store whose server is killed, stopped, or brought back from a copy. On a server of the clause's
//! own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use steadfast_host::random;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

use super::reach::{caller, once};
use super::servers::{Place, Server};
use super::{Caller, PATIENCE, PROGRESS_EVERY, in_time, put, space};
use crate::{Batch, Cursor, Error, Key, Notice, Revision, Store};

/// The time-out of commits that may meet with a dead server.
const WITHIN: Duration = Duration::from_secs(5);

/// Whether a space that was rolled back goes on with numbers that nobody alive has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// It does.
    GoOn,
    /// The engine counts by itself: numbers come again. The marks do not.
    ComeAgain,
}

/// What one writer knows of what it wrote: pairs of records, each pair in one commit.
#[derive(Default)]
struct Written {
    acknowledged: BTreeMap<String, Revision>,
    refused: Vec<String>,
    unknown: Vec<String>,
}

/// The names of a pair.
fn pair(id: &str) -> [String; 2] {
    [format!("client/{id}"), format!("ledger/{id}")]
}

/// The server is killed three times while eight write. What was acknowledged is there; what was said not to have
/// happened has not; of what is in doubt all is there or nothing. The log tells the same.
pub async fn kill_nine_loses_nothing_acknowledged(mut server: Server, place: Place) {
    const WRITERS: usize = 8;
    const KILLS: usize = 3;
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let stores = [place.open(), place.open()];
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, stop) = (Arc::clone(&stores[writer % stores.len()]), Arc::clone(&stop));
        writers.spawn(write_until(store, writer, stop, Arc::clone(&acknowledged)));
    }
    for _ in 0..KILLS {
        // Some progress first, then any moment of the next milliseconds.
        let enough = acknowledged.load(Ordering::Relaxed) + 5 * WRITERS;
        let progress = async {
            while acknowledged.load(Ordering::Relaxed) < enough {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(2 * PATIENCE, progress).await.expect("commits go on after a kill");
        sleep(Duration::from_micros(random::u64() % 20_000)).await;
        server = spawn_blocking(move || {
            server.kill9();
            server.start_again();
            server
        })
        .await
        .expect("a server that starts again");
    }
    stop.store(true, Ordering::Relaxed);
    let written = writers.join_all().await;
    compare(&place, &written).await;
}

async fn write_until(
    store: Arc<dyn Store>,
    writer: usize,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
) -> Written {
    let mut written = Written::default();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = format!("{writer}-{n}");
        let changes = pair(&id).iter().map(|name| put(name.as_bytes(), None, id.as_bytes())).collect();
        match store.commit(Batch { space: space("web"), changes }, WITHIN).await {
            Ok(cursor) => {
                acknowledged.fetch_add(1, Ordering::Relaxed);
                written.acknowledged.insert(id, cursor.revision);
            }
            Err(Error::Unavailable(_)) => written.refused.push(id),
            Err(Error::OutcomeUnknown(_)) => written.unknown.push(id),
            Err(other) => panic!("write {id}: {other}"),
        }
        sleep(Duration::from_millis(5)).await;
    }
    written
}

async fn compare(place: &Place, written: &[Written]) {
    let caller = caller(place);
    let (head, records) = caller.all(b"", 1000).await;
    let there: BTreeMap<Vec<u8>, Revision> = records.into_iter().map(|(name, record)| (name, record.version)).collect();
    let both = |id: &str| pair(id).map(|name| there.get(name.as_bytes()).copied());
    for (id, revision) in written.iter().flat_map(|written| &written.acknowledged) {
        assert_eq!(both(id), [Some(*revision); 2], "{id} was acknowledged");
    }
    for id in written.iter().flat_map(|written| &written.refused) {
        assert_eq!(both(id), [None; 2], "{id} was said not to have happened");
    }
    for id in written.iter().flat_map(|written| &written.unknown) {
        let [one, other] = both(id);
        assert_eq!(one, other, "{id} is there by half");
    }
    assert!(there.values().all(|version| *version <= head.revision));
    let mut told = BTreeMap::new();
    let mut follower = caller.follow(b"", Cursor::START);
    while follower.told < head.revision {
        let commit = follower.commit().await;
        assert_eq!(commit.changes.len(), 2, "two records were written at a time: {commit:?}");
        told.extend(commit.changes.into_iter().map(|(name, _)| (name, commit.cursor.revision)));
    }
    assert_eq!(told, there, "the log tells another story than the records");
}

/// A server that is stopped is silence: a commit is in doubt, a look unavailable, a watch gives no sign of life. Once it
/// goes on, so does all else.
pub async fn a_frozen_server_is_silence(server: Server, place: Place) {
    const SILENCE: Duration = Duration::from_secs(3);
    let caller = caller(&place);
    for n in 0..3u8 {
        caller.put(b"client/warm", &[n]).await;
    }
    let head = caller.head().await;
    let mut watch = caller.watch(&[b""], &head).await.expect("a cursor just read");
    in_time(watch.next()).await.expect("a proof of where it begins");
    server.freeze();
    let ended = once(&caller.store, "client/frozen", SILENCE).await;
    assert!(matches!(ended, Err(Error::OutcomeUnknown(_))), "{ended:?}");
    let looked = caller.store.read(&Key::new(space("web"), &b"client/warm"[..]), SILENCE).await;
    assert!(matches!(looked, Err(Error::Unavailable(_))), "{looked:?}");
    // What was said before may still be on its way; at some time there is no more.
    let quiet = 4 * PROGRESS_EVERY.max(caller.store.describe().pace()) + Duration::from_secs(1);
    let silent = async {
        while let Ok(notice) = timeout(quiet, watch.next()).await {
            match notice {
                Ok(_) => {}
                Err(Error::Unavailable(_)) => return,
                Err(other) => panic!("a watch of a frozen server: {other}"),
            }
        }
    };
    timeout(PATIENCE, silent).await.expect("a watch of a frozen server falls silent");
    server.thaw();
    let version = caller.put(b"client/frozen", b"thawed").await;
    let mut follower = caller.follow(b"client/frozen", head);
    while follower.commit().await.cursor.revision != version {}
}

/// A server brought back from a copy is noticed by who was there before: a watch ends, a cursor of the time since is of
/// no use, whatever the space counts up to, and no version is given twice to one who may remember it.
pub async fn a_rollback_is_noticed(server: Server, place: Place, numbers: Numbers) {
    let caller = caller(&place);
    caller.put(b"client/old", b"1").await;
    let (mut server, snapshot) = spawn_blocking(move || {
        let mut server = server;
        let snapshot = server.save();
        (server, snapshot)
    })
    .await
    .expect("a server that is saved");
    let seen = forgotten(&caller).await;
    let server = spawn_blocking(move || {
        server.restore(&snapshot);
        server
    })
    .await
    .expect("a server that is restored");
    noticed(&caller, &seen, numbers).await;
    drop(server);
}

/// Likewise for an engine that forgets the last of what it acknowledged when it is killed.
pub async fn a_kill_is_noticed(server: Server, place: Place) {
    let caller = caller(&place);
    caller.put(b"client/old", b"1").await;
    let seen = forgotten(&caller).await;
    let server = spawn_blocking(move || {
        let mut server = server;
        server.kill9();
        server.start_again();
        server
    })
    .await
    .expect("a server that starts again");
    let last = caller.read(b"client/new").await.map(|record| record.version);
    if last.is_none_or(|last| last < seen.revision) {
        noticed(&caller, &seen, Numbers::GoOn).await;
    }
    drop(server);
}

/// Writes what will be forgotten, and has it told; the cursor of the last of it.
async fn forgotten(caller: &Caller) -> Cursor {
    let mut last = Revision(0);
    let mut follower = caller.follow(b"client/new", caller.head().await);
    for n in 0..5u8 {
        last = caller.put(b"client/new", &[n]).await;
    }
    loop {
        let commit = follower.commit().await;
        if commit.cursor.revision == last {
            return commit.cursor;
        }
    }
}

async fn noticed(caller: &Caller, seen: &Cursor, numbers: Numbers) {
    let of_no_use = async |when: &str| {
        let ended = in_time(async {
            loop {
                match caller.first_notice(b"client/", seen).await {
                    // As it was before it was noticed.
                    Ok(Notice::Progress(at)) if at == *seen => {}
                    Ok(Notice::Committed(commit)) if commit.cursor == *seen => {}
                    ended => return ended,
                }
                sleep(Duration::from_millis(10)).await;
            }
        });
        let ended = ended.await;
        assert!(matches!(ended, Err(Error::Compacted(at, _)) if at == seen.revision), "{when}: {ended:?}");
    };
    of_no_use("a history that is gone").await;
    let mut version = caller.put(b"client/other", b"0").await;
    if numbers == Numbers::GoOn {
        assert!(version > seen.revision, "{version} may be remembered as another's, as {} is", seen.revision);
    }
    for n in 1..=20u8 {
        version = caller.put(b"client/other", &[n]).await;
    }
    assert!(version > seen.revision);
    of_no_use("a history that has come so far again").await;
}
