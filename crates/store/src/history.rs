//! The recent commits of one space, and the watches that wait for the next. It promises what
//! [`Store::watch`](crate::Store::watch) does, for every back end that keeps its log in this process.
//!
//! ```text
//!            base                 from                    head
//!  ── trimmed ──┤ kept entry … kept entry … kept entry ─────┤      a beat moves head, and is no entry
//! ```

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use steadfast_host::clock::{self, Moment};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

use crate::{Committed, Cursor, Error, Named, Notice, Record, Revision, Watch, rules};

/// How much of a space's history is kept. Watches that fall further behind are told [`Error::Compacted`].
#[derive(Clone, Copy, Debug)]
pub struct LogBound {
    /// Commits.
    pub commits: usize,
    /// Bytes of names and values, and a little for each entry.
    pub bytes: usize,
    /// What is older is not kept either, beyond the last [`KEPT_AT_LEAST`]: what a quiet set needs does not grow until
    /// it is as much as a busy one's.
    pub age: Duration,
}

/// So many commits are kept however old they are.
pub const KEPT_AT_LEAST: usize = 256;

/// Keeps a watch's notices and the log's bounds; shared by the writer and the watches of a space.
#[derive(Debug)]
pub(crate) struct History {
    kept: Mutex<Kept>,
    /// Says that `kept` changed.
    news: watch::Sender<()>,
    bound: LogBound,
}

#[derive(Debug)]
struct Kept {
    head: Cursor,
    /// When they were kept here, and what they say.
    entries: VecDeque<(Moment, Arc<Committed>)>,
    bytes: usize,
    /// The last entry trimmed; 0: all of history is here.
    base: Revision,
    /// Why every watch ends.
    ended: Option<Error>,
}

/// What an entry costs beside its names and values.
const ENTRY_BYTES: usize = 128;

impl Default for LogBound {
    fn default() -> LogBound {
        LogBound { commits: 16_384, bytes: 32 << 20, age: Duration::from_secs(600) }
    }
}

impl History {
    /// Of a space whose log begins after `base` (0: with its first commit).
    pub(crate) fn new(bound: LogBound, base: Revision) -> History {
        let kept = Kept { head: Cursor::START, entries: VecDeque::new(), bytes: 0, base, ended: None };
        History { kept: Mutex::new(kept), news: watch::Sender::new(()), bound }
    }

    /// Where the space stands.
    pub(crate) fn head(&self) -> Cursor {
        self.kept().head.clone()
    }

    /// The last entry that was trimmed; 0: none was.
    pub(crate) fn base(&self) -> Revision {
        self.kept().base
    }

    /// What was kept elsewhere: a log after `base`, of a space that stands at `head`.
    pub(crate) fn restore(bound: LogBound, base: Revision, head: Cursor, log: Vec<Committed>) -> History {
        let history = History::new(bound, base);
        log.into_iter().for_each(|commit| history.push(commit));
        history.kept().head = head;
        history
    }

    /// A commit was made: it becomes the head and every watch learns of it.
    pub(crate) fn push(&self, commit: Committed) {
        let mut kept = self.kept();
        kept.head = commit.cursor.clone();
        kept.bytes += entry_bytes(&commit);
        let now = clock::now();
        kept.entries.push_back((now, Arc::new(commit)));
        while kept.is_beyond(self.bound, now) {
            let Some((_, oldest)) = kept.entries.pop_front() else { break };
            kept.bytes -= entry_bytes(&oldest);
            kept.base = oldest.cursor.revision;
        }
        drop(kept);
        self.news.send_replace(());
    }

    /// A beat was written: the revision grows, and there is nothing to tell.
    pub(crate) fn beat(&self, revision: Revision) {
        self.kept().head.revision = revision;
    }

    /// Ends every watch, now and later, with `error`.
    pub(crate) fn end(&self, error: Error) {
        self.kept().ended.get_or_insert(error);
        self.news.send_replace(());
    }

    /// A watch of names under any of `prefixes`, beginning with the commit at `from`.
    pub(crate) fn watch(
        self: &Arc<Self>,
        prefixes: &[&[u8]],
        from: Cursor,
        progress_every: Duration,
    ) -> Result<HistoryWatch, Error> {
        self.kept().verify(&from)?;
        let mut progress = tokio::time::interval(rules::progress_interval(progress_every));
        progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
        progress.reset();
        Ok(HistoryWatch {
            history: Arc::clone(self),
            news: self.news.subscribe(),
            prefixes: prefixes.iter().map(|prefix| prefix.to_vec()).collect(),
            at: from.revision,
            unproved: Some(from),
            progress,
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        locked(&self.kept)
    }
}

impl Kept {
    fn is_beyond(&self, bound: LogBound, now: Moment) -> bool {
        let old = |(since, _): &(Moment, _)| now.since(*since) > bound.age;
        let (commits, bytes) = (self.entries.len(), self.bytes);
        commits > bound.commits
            || bytes > bound.bytes
            || (commits > KEPT_AT_LEAST && self.entries.front().is_some_and(old))
    }

    /// Whether history goes on from `from`: the newest entry up to it carries its mark.
    fn verify(&self, from: &Cursor) -> Result<(), Error> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        let gone = |why: String| Err(Error::Compacted(from.revision, why));
        if from.revision > self.head.revision {
            return gone(format!(
                "the store stands at revision {}: it was rolled back or replaced",
                self.head.revision
            ));
        }
        match self.after(from.revision).checked_sub(1).map(|last| &self.entries[last].1.cursor) {
            Some(entry) if entry.mark == from.mark => Ok(()),
            None if self.base.0 == 0 && from.mark.is_empty() => Ok(()),
            None if self.base.0 > 0 => gone(format!("what came up to revision {} was trimmed", self.base)),
            _ => gone("its commits carry other marks: the store was rolled back or replaced".to_owned()),
        }
    }

    /// The entry at `from` itself, if that is one; first of all whether history goes on from there.
    fn first(&self, from: &Cursor) -> Result<Option<Arc<Committed>>, Error> {
        self.verify(from)?;
        let last = self.after(from.revision).checked_sub(1).map(|last| &self.entries[last].1);
        Ok(last.filter(|entry| entry.cursor == *from).cloned())
    }

    /// The entry after revision `at`, and the head.
    fn next(&self, at: Revision) -> Result<(Option<Arc<Committed>>, Cursor), Error> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        if at < self.base {
            let why = format!("the watch fell behind: what came up to revision {} was trimmed", self.base);
            return Err(Error::Compacted(at, why));
        }
        Ok((self.entries.get(self.after(at)).map(|(_, entry)| Arc::clone(entry)), self.head.clone()))
    }

    /// How many entries are at `revision` or before it.
    fn after(&self, revision: Revision) -> usize {
        self.entries.partition_point(|(_, entry)| entry.cursor.revision <= revision)
    }
}

/// A watch of one [`History`].
#[derive(Debug)]
pub(crate) struct HistoryWatch {
    history: Arc<History>,
    news: watch::Receiver<()>,
    prefixes: Vec<Vec<u8>>,
    /// Everything up to here was told or is of no interest.
    at: Revision,
    /// Where the watch begins, until its first notice proves that history goes on from there.
    unproved: Option<Cursor>,
    progress: Interval,
}

impl HistoryWatch {
    /// The next notice there is without waiting; when `idle`, at least that of progress.
    fn step(&mut self, idle: bool) -> Result<Option<Notice>, Error> {
        if let Some(from) = self.unproved.take() {
            let first = self.history.kept().first(&from)?;
            let told = first.and_then(|entry| under(&self.prefixes, &entry));
            return Ok(Some(told.unwrap_or(Notice::Progress(from))));
        }
        loop {
            // What an entry shows is picked out when the writer can go on already.
            let (next, head) = self.history.kept().next(self.at)?;
            let Some(entry) = next else {
                self.at = head.revision;
                return Ok(idle.then_some(Notice::Progress(head)));
            };
            self.at = entry.cursor.revision;
            if let Some(notice) = under(&self.prefixes, &entry) {
                return Ok(Some(notice));
            }
        }
    }
}

#[async_trait]
impl Watch for HistoryWatch {
    async fn next(&mut self) -> Result<Notice, Error> {
        // Marked as seen before looking: what is written after the look wakes us, and nothing is lost
        // when this future is dropped, since `step` alone moves the watch and nothing is awaited after it.
        self.news.borrow_and_update();
        let mut idle = false;
        loop {
            if let Some(notice) = self.step(idle)? {
                self.progress.reset();
                return Ok(notice);
            }
            tokio::select! {
                changed = self.news.changed() => {
                    changed.map_err(|_| Error::Unavailable("the store was closed".to_owned()))?;
                }
                _ = self.progress.tick() => idle = true,
            }
        }
    }
}

/// What `entry` did under any of `prefixes`, if anything.
fn under(prefixes: &[Vec<u8>], entry: &Committed) -> Option<Notice> {
    let watched = |name: &[u8]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let touched = entry.changes.iter().filter(|(name, _)| watched(name));
    let changes: Vec<Named> = touched.cloned().collect();
    (!changes.is_empty()).then(|| Notice::Committed(Committed { cursor: entry.cursor.clone(), changes }))
}

fn entry_bytes(commit: &Committed) -> usize {
    let record_bytes = |record: &Option<Record>| record.as_ref().map_or(0, |record| record.value.len());
    ENTRY_BYTES + commit.changes.iter().map(|(name, record)| name.len() + record_bytes(record)).sum::<usize>()
}

/// A mark no other commit of any history has.
pub(crate) fn fresh_mark() -> Vec<u8> {
    steadfast_host::random::u64().to_be_bytes().to_vec()
}

/// The guard, also after another thread panicked: no code here leaves the data half-changed.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
