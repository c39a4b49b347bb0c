//! What the contract says, clause by clause, as tests that any back end can run.
//!
//! The clauses settle unknown outcomes as users of a store must: a commit is made again with the same
//! expectation, and a conflict that shows its own writing was a success. So they hold through
//! [`faulty`](crate::faulty) as well, where replies are lost.
//!
//! ```text
//! steadfast_store::conformance!(memory, || async { Fixture::of(Arc::new(Memory::new())) });
//! ```

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{sleep, timeout};

use crate::faulty::{Faulty, Plan};
use crate::{Batch, Change, Cursor, Error, Expect, Key, Named, Notice, Record, Revision, Space, Store, Watch, Write};

pub mod failures;
pub mod history;
pub mod load;
pub mod races;
pub mod reach;
pub mod records;
pub mod refusals;
pub mod servers;

/// A fresh, empty store to try, and what must be known of it.
pub struct Fixture {
    /// Ways to the same content; the clauses about races spread their callers over them.
    pub stores: Vec<Arc<dyn Store>>,
    /// After so many commits the first of them is in the log no more.
    pub log_commits: usize,
    /// The time-out of each call.
    pub within: Duration,
    /// Names under `beat/` and `lease/` count for themselves: their versions are comparable with no other name's.
    pub counts_apart: bool,
    /// Makes the engine forget its history up to now, where its log has no bound of its own.
    pub trim: Option<Trim>,
    /// Makes a fixture on a server of its own, where that server is shared and [`Fixture::trim`] is felt by all.
    pub alone: Option<Later<Fixture>>,
    /// What must outlive the test: a server, a directory.
    pub keep: Box<dyn Any + Send>,
}

/// What is there later.
pub type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// See [`Fixture::trim`].
pub type Trim = Box<dyn Fn() -> Later<()> + Send + Sync>;

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture").field("stores", &self.stores).finish_non_exhaustive()
    }
}

impl Fixture {
    /// One store whose log is bounded as by default.
    pub fn of(store: Arc<dyn Store>) -> Fixture {
        Fixture::of_all(vec![store], crate::LogBound::default().commits, Duration::from_secs(5))
    }

    /// Ways to one store, whose log holds so many commits, and the time-out of calls to it.
    pub fn of_all(stores: Vec<Arc<dyn Store>>, log_commits: usize, within: Duration) -> Fixture {
        let keep = Box::new(());
        Fixture { stores, log_commits, within, counts_apart: false, trim: None, alone: None, keep }
    }

    /// The same store, seen through faults; what hangs, hangs for `within`.
    pub fn through_faults(mut self, plan: Plan, within: Duration) -> Fixture {
        let faulty = |store: Arc<dyn Store>| Arc::new(Faulty::planned(store, plan)) as Arc<dyn Store>;
        self.stores = self.stores.into_iter().map(faulty).collect();
        self.within = within;
        self.alone = self
            .alone
            .map(|alone| -> Later<Fixture> { Box::pin(async move { alone.await.through_faults(plan, within) }) });
        self
    }

    /// One that nobody else feels what is done to.
    async fn alone(mut self) -> Fixture {
        match self.alone.take() {
            Some(alone) => alone.await,
            None => self,
        }
    }

    /// Has the engine forget, if it must be told.
    async fn trim(&self) {
        if let Some(trim) = &self.trim {
            trim().await;
        }
    }

    /// A caller whose calls are large, and take their time on a slow machine.
    fn patient_caller(&self) -> Caller {
        Caller { within: 10 * self.within, ..self.caller(0) }
    }

    /// A caller of the `n`th way to the store.
    pub fn caller(&self, n: usize) -> Caller {
        let store = Arc::clone(&self.stores[n % self.stores.len()]);
        Caller { store, within: self.within, space: space("web") }
    }
}

/// Uses a store as it must be used: tries again what did not happen, settles what may have.
#[derive(Clone)]
pub struct Caller {
    store: Arc<dyn Store>,
    within: Duration,
    space: Space,
}

/// How long a clause waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a call is made that does not get through.
const TRIES: usize = 200;

/// The interval of progress the watches here ask for.
const PROGRESS_EVERY: Duration = Duration::from_millis(50);

impl Caller {
    /// The same, in another space.
    fn within_space(&self, name: &str) -> Caller {
        Caller { space: space(name), ..self.clone() }
    }

    async fn read(&self, name: &[u8]) -> Option<Record> {
        let key = Key::new(self.space.clone(), name);
        for _ in 0..TRIES {
            match self.store.read(&key, self.within).await {
                Ok(record) => return record,
                Err(Error::Unavailable(_)) => pause().await,
                Err(other) => panic!("read {key:?}: {other}"),
            }
        }
        panic!("read {key:?}: it never got through");
    }

    /// Commits, with `happened` telling from the records of a conflict whether an earlier try was made after all.
    async fn settle(
        &self,
        changes: Vec<Change>,
        happened: impl Fn(&[Named]) -> Option<Revision>,
    ) -> Result<Revision, Error> {
        let batch = Batch { space: self.space.clone(), changes };
        let mut in_doubt = false;
        for _ in 0..TRIES {
            match self.store.commit(batch.clone(), self.within).await {
                Ok(cursor) => return Ok(cursor.revision),
                Err(Error::Unavailable(_)) => pause().await,
                Err(Error::OutcomeUnknown(_)) => {
                    in_doubt = true;
                    pause().await;
                }
                Err(Error::Conflict(records)) => {
                    return match happened(&records).filter(|_| in_doubt) {
                        Some(revision) => Ok(revision),
                        None => Err(Error::Conflict(records)),
                    };
                }
                Err(other) => return Err(other),
            }
        }
        panic!("a commit never got through: {batch:?}");
    }

    /// Commits, where nobody else writes the same values.
    async fn commit(&self, changes: Vec<Change>) -> Result<Revision, Error> {
        let written: BTreeMap<Vec<u8>, Write> =
            changes.iter().map(|change| (change.name.clone(), change.write.clone())).collect();
        let happened = move |records: &[Named]| {
            records.iter().find_map(|(name, record)| match (written.get(name), record) {
                (Some(Write::Put(value, _)), Some(record)) if record.value == value => Some(record.version),
                (Some(Write::Delete), None) => Some(Revision::default()),
                _ => None,
            })
        };
        self.settle(changes, happened).await
    }

    /// Writes one record over what is there; returns its version.
    async fn put(&self, name: &[u8], value: &[u8]) -> Revision {
        let before = self.read(name).await.map(|record| record.version);
        self.commit(vec![put(name, before, value)]).await.unwrap_or_else(|e| panic!("put {}: {e}", name.escape_ascii()))
    }

    /// Deletes one record that is there.
    async fn delete(&self, name: &[u8]) {
        let version = self.read(name).await.expect("a record to delete").version;
        self.commit(vec![delete(name, version)]).await.unwrap_or_else(|e| panic!("delete: {e}"));
    }

    async fn page(&self, prefix: &[u8], token: Option<crate::PageToken>, limit: usize) -> crate::Page {
        for _ in 0..TRIES {
            match self.store.scan(&self.space, prefix, token.clone(), limit, self.within).await {
                Ok(page) => return page,
                Err(Error::Unavailable(_)) => pause().await,
                Err(other) => panic!("scan: {other}"),
            }
        }
        panic!("a scan never got through");
    }

    /// Where the space stands.
    async fn head(&self) -> Cursor {
        self.page(b"", None, 1).await.cursor
    }

    /// All records under `prefix`, in pages of `limit`, and the cursor to watch from.
    async fn all(&self, prefix: &[u8], limit: usize) -> (Cursor, Vec<(Vec<u8>, Record)>) {
        let mut page = self.page(prefix, None, limit).await;
        let (cursor, mut records) = (page.cursor.clone(), page.records);
        while let Some(token) = page.next {
            page = self.page(prefix, Some(token), limit).await;
            assert_eq!(page.cursor, cursor, "a later page has another cursor");
            records.append(&mut page.records);
        }
        (cursor, records)
    }

    /// A watch; `Err` for what is not a passing failure.
    async fn watch(&self, prefixes: &[&[u8]], from: &Cursor) -> Result<Box<dyn Watch>, Error> {
        for _ in 0..TRIES {
            match self.store.watch(&self.space, prefixes, from.clone(), PROGRESS_EVERY).await {
                Err(Error::Unavailable(_)) => pause().await,
                ended => return ended,
            }
        }
        panic!("a watch never got through");
    }

    /// The first notice of a watch from `from`: through failures, each a new watch.
    async fn first_notice(&self, prefix: &[u8], from: &Cursor) -> Result<Notice, Error> {
        self.first_notice_of(&[prefix], from).await
    }

    async fn first_notice_of(&self, prefixes: &[&[u8]], from: &Cursor) -> Result<Notice, Error> {
        for _ in 0..TRIES {
            match in_time(self.watch(prefixes, from).await?.next()).await {
                Err(Error::Unavailable(_)) => pause().await,
                notice => return notice,
            }
        }
        panic!("a watch never said anything");
    }

    fn follow(&self, prefix: &[u8], from: Cursor) -> Follower {
        self.follow_any(&[prefix], from)
    }

    fn follow_any(&self, prefixes: &[&[u8]], from: Cursor) -> Follower {
        let prefixes = prefixes.iter().map(|prefix| prefix.to_vec()).collect();
        Follower { caller: self.clone(), prefixes, at: from.clone(), told: from.revision, watch: None }
    }
}

/// Reads a watch on, also when it ends: resumes from the last cursor and skips what it saw before.
struct Follower {
    caller: Caller,
    prefixes: Vec<Vec<u8>>,
    at: Cursor,
    /// The last commit handed out.
    told: Revision,
    watch: Option<Box<dyn Watch>>,
}

impl Follower {
    /// Begins the watch, if there is none.
    async fn resume(&mut self) {
        if self.watch.is_none() {
            let prefixes: Vec<&[u8]> = self.prefixes.iter().map(Vec::as_slice).collect();
            let watch = self.caller.watch(&prefixes, &self.at).await;
            self.watch = Some(watch.unwrap_or_else(|e| panic!("resume a watch from {}: {e}", self.at)));
        }
    }

    /// What the watch says next; `None`: it ended, or there is none.
    async fn hear(&mut self) -> Option<Notice> {
        match in_time(self.watch.as_mut()?.next()).await {
            Ok(notice) => {
                let (Notice::Progress(at) | Notice::Committed(crate::Committed { cursor: at, .. })) = &notice;
                self.at = at.clone();
                Some(notice)
            }
            Err(Error::Unavailable(_)) => {
                self.watch = None;
                None
            }
            Err(other) => panic!("a watch ended: {other}"),
        }
    }

    async fn notice(&mut self) -> Notice {
        loop {
            self.resume().await;
            if let Some(notice) = self.hear().await {
                return notice;
            }
        }
    }

    /// The commit of this notice, if it is one not seen before.
    fn new_commit(&mut self, notice: Notice) -> Option<crate::Committed> {
        let Notice::Committed(commit) = notice else { return None };
        let new = commit.cursor.revision > self.told;
        self.told = self.told.max(commit.cursor.revision);
        new.then_some(commit)
    }

    /// The next commit not seen before.
    async fn commit(&mut self) -> crate::Committed {
        loop {
            let notice = self.notice().await;
            if let Some(commit) = self.new_commit(notice) {
                return commit;
            }
        }
    }
}

/// The end of a call that must end.
async fn in_time<T>(call: impl Future<Output = T>) -> T {
    timeout(PATIENCE, call).await.expect("it must not take this long")
}

async fn pause() {
    sleep(Duration::from_millis(2)).await;
}

fn space(name: &str) -> Space {
    Space::new(name).expect("a name for a space")
}

fn value(bytes: &[u8]) -> Write {
    Write::Put(Bytes::copy_from_slice(bytes), None)
}

/// What is expected of a record that has this version, or is not there.
fn expect(version: Option<Revision>) -> Expect {
    version.map_or(Expect::Absent, Expect::Version)
}

fn put(name: &[u8], before: Option<Revision>, bytes: &[u8]) -> Change {
    Change { name: name.to_vec(), expect: expect(before), write: value(bytes) }
}

fn delete(name: &[u8], version: Revision) -> Change {
    Change { name: name.to_vec(), expect: Expect::Version(version), write: Write::Delete }
}

fn nothing(name: &[u8], version: Option<Revision>) -> Change {
    Change { name: name.to_vec(), expect: expect(version), write: Write::Nothing }
}

/// A `#[tokio::test]` for each clause, in a module of the given name. The second argument makes a fixture:
/// `|| async { … }`.
#[macro_export]
macro_rules! conformance {
    ($(#[$attribute:meta])* $module:ident, $fixture:expr) => {
        $crate::conformance_clauses! { $(#[$attribute])* $module, $fixture,
            records: [
                a_record_reads_as_it_was_written,
                a_version_is_never_used_again,
                a_batch_is_all_or_nothing,
                a_conflict_shows_every_record_that_differs,
                a_precondition_alone_writes_nothing,
                limits_are_met_exactly,
                names_are_any_bytes,
                leases_are_written_alone,
                beats_have_versions,
                a_space_counts_for_itself,
                pages_are_in_order_and_bounded,
                a_scan_goes_on_from_where_it_began,
            ],
            history: [
                a_watch_resumes_with_the_last_commit_seen,
                a_watch_begins_with_a_proof,
                a_watch_from_the_start_tells_all,
                a_watch_shows_only_its_prefix,
                a_watch_of_several_prefixes_is_one_history,
                beats_are_in_no_watch,
                a_watch_tells_what_a_lease_is,
                another_history_is_compacted,
                a_trimmed_commit_is_compacted,
                a_watch_left_behind_has_no_hole,
                a_waiting_watch_is_woken,
                an_idle_watch_says_where_the_store_stands,
                a_dropped_wait_loses_nothing,
            ],
            races: [
                no_increment_is_lost,
                one_candidate_wins,
                a_watch_tells_every_commit_in_order,
                a_scan_and_its_watch_give_the_final_state,
            ]
        }
    };
}

/// Of [`conformance!`]: one test for each name.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_clauses {
    ($(#[$attribute:meta])* $module:ident, $fixture:expr, $($part:ident: [$($clause:ident),* $(,)?]),*) => {
        $(#[$attribute])*
        mod $module {
            use super::*;
            $($(
                #[tokio::test]
                async fn $clause() {
                    let fixture = ($fixture)().await;
                    $crate::conformance::$part::$clause(fixture).await;
                }
            )*)*
        }
    };
}
