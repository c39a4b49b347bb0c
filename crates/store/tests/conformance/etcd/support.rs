//! What the tests of this engine share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use steadfast_store::conformance::servers::Server;
use steadfast_store::{
    Batch, Change, Cursor, Error, Expect, Key, Notice, Record, Revision, Space, Store, Watch, Write,
};
use tokio::time::{sleep, timeout};

/// How long a call may take that must succeed, on a machine that has much else to do.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// How long a call is given whose time must run out.
pub(super) const SHORT: Duration = Duration::from_millis(300);

/// Has the server forget its history up to now.
pub(super) fn compact(server: &Server) {
    // It forgets nothing twice: that is an error.
    server.etcdctl(&["put", "something", "new"]);
    compact_as(server, &[]);
}

/// Likewise, as the user that these arguments name.
pub(super) fn compact_as(server: &Server, user: &[&str]) {
    let told = server.etcdctl(&[user, &["endpoint", "status", "--write-out=json"]].concat());
    let (_, rest) = told.split_once("\"revision\":").expect("a header");
    let revision = rest.split(|c: char| !c.is_ascii_digit()).next().expect("a revision");
    server.etcdctl(&[user, &["compact", revision]].concat());
}

pub(super) fn space() -> Space {
    Space::new("web").expect("a name for a space")
}

pub(super) fn put(name: &str, expect: Expect, value: impl Into<Bytes>) -> Change {
    Change { name: name.into(), expect, write: Write::Put(value.into(), None) }
}

/// New records of these names.
pub(super) fn new(names: &[&str]) -> Batch {
    let changes = names.iter().map(|name| put(name, Expect::Absent, "x")).collect();
    Batch { space: space(), changes }
}

pub(super) async fn read(store: &Arc<dyn Store>, name: &str) -> Option<Record> {
    let key = Key::new(space(), name);
    patiently(async || store.read(&key, LONG).await).await
}

/// What a look shows once the store can be reached.
pub(super) async fn patiently<T>(mut look: impl AsyncFnMut() -> Result<T, Error>) -> T {
    let trying = async {
        loop {
            match look().await {
                Err(Error::Unavailable(_)) => sleep(Duration::from_millis(10)).await,
                done => return done.unwrap_or_else(|e| panic!("a look: {e}")),
            }
        }
    };
    timeout(LONG, trying).await.expect("the store is there again")
}

/// Commits new records, whatever happens on the way; the revision.
pub(super) async fn settle(store: &Arc<dyn Store>, batch: &Batch, within: Duration) -> Revision {
    let trying = async {
        let mut in_doubt = false;
        loop {
            match store.commit(batch.clone(), within).await {
                Ok(cursor) => return cursor.revision,
                Err(Error::Unavailable(_)) => {}
                Err(Error::OutcomeUnknown(_)) => in_doubt = true,
                Err(Error::Conflict(records)) if in_doubt => {
                    return records[0].1.as_ref().expect("it was made after all").version;
                }
                Err(other) => panic!("commit {batch:?}: {other}"),
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LONG, trying).await.expect("the store is there again")
}

/// All records, and where they stand.
pub(super) async fn scan(store: &Arc<dyn Store>) -> (Cursor, BTreeMap<Vec<u8>, Record>) {
    let mut page = patiently(async || store.scan(&space(), b"", None, 1000, LONG).await).await;
    let (cursor, mut records) = (page.cursor.clone(), BTreeMap::new());
    loop {
        records.extend(std::mem::take(&mut page.records));
        let Some(token) = page.next else { return (cursor, records) };
        page = patiently(async || store.scan(&space(), b"", Some(token.clone()), 1000, LONG).await).await;
    }
}

/// A mirror of a space: scans, then watches, again and again.
pub(super) struct Mirror {
    store: Arc<dyn Store>,
    watch: Option<Box<dyn Watch>>,
    pub(super) at: Cursor,
    pub(super) records: BTreeMap<Vec<u8>, Record>,
    /// How often it was told that what it knew is gone.
    pub(super) compacted: usize,
    /// How often its watch ended otherwise.
    pub(super) cut: usize,
    /// How often its watch said anything.
    pub(super) heard: usize,
}

impl Mirror {
    pub(super) async fn new(store: Arc<dyn Store>) -> Mirror {
        let (at, records) = scan(&store).await;
        Mirror { store, watch: None, at, records, compacted: 0, cut: 0, heard: 0 }
    }

    /// Follows until it knows what `enough` wants.
    pub(super) async fn until(&mut self, enough: impl Fn(&Mirror) -> bool) {
        let following = async {
            while !enough(self) {
                self.step().await;
            }
        };
        timeout(LONG, following).await.expect("the mirror learns of it");
    }

    /// Hears one thing.
    pub(super) async fn step(&mut self) {
        let heard = match &mut self.watch {
            Some(watch) => watch.next().await,
            None => {
                let begun = self.store.watch(&space(), &[b""], self.at.clone(), Duration::from_millis(50)).await;
                match begun {
                    Ok(watch) => {
                        self.watch = Some(watch);
                        return;
                    }
                    Err(error) => Err(error),
                }
            }
        };
        self.heard += usize::from(heard.is_ok());
        match heard {
            Ok(Notice::Committed(commit)) => {
                assert!(commit.cursor.revision >= self.at.revision, "{commit:?} after {}", self.at);
                self.at = commit.cursor;
                for (name, record) in commit.changes {
                    match record {
                        Some(record) => self.records.insert(name, record),
                        None => self.records.remove(&name),
                    };
                }
            }
            Ok(Notice::Progress(at)) => self.at = at,
            Err(Error::Compacted(..)) => {
                self.watch = None;
                self.compacted += 1;
                (self.at, self.records) = scan(&self.store).await;
            }
            Err(Error::Unavailable(_)) => {
                self.watch = None;
                self.cut += 1;
                sleep(Duration::from_millis(10)).await;
            }
            Err(other) => panic!("a watch ended: {other}"),
        }
    }
}
