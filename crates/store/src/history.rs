//! The recent commits of one space, and the watches that wait for the next. It promises what
//! [`Store::watch`](crate::Store::watch) does, for every back end that keeps its log in this process, and for those
//! that are fed from a log elsewhere.
//!
//! ```text
//!            base                 from                    head
//!  ── trimmed ──┤ kept entry … kept entry … kept entry ─────┤      a beat moves head, and is no entry
//! ```
//!
//! A watch of a history that is fed says nothing but what the feed has heard since: it proves where it begins, and that
//! nothing happened, only after [`History::contact`] or a commit. Where the log's keeper hangs, the watch is silent.

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
    /// The last entry trimmed, or where what is fed begins; 0: all of history is here.
    base: Revision,
    /// The mark of the last commit up to `base`, if nothing was trimmed here.
    base_mark: Option<Vec<u8>>,
    /// How often its feed heard from the log's keeper; `None`: it is kept here.
    contacts: Option<u64>,
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
        let base_mark = (base == Revision::default()).then(Vec::new);
        History::of(bound, Kept::begin(Cursor::START, base, base_mark, None))
    }

    /// Of a space whose log is kept elsewhere and fed in here, beginning after `from`, or with the commit at it. A watch
    /// from beyond what was fed is told that the store was rolled back: who feeds can know better, and asks there first.
    #[allow(dead_code, reason = "for the engines of servers, of which a build may have none")]
    pub(crate) fn fed(bound: LogBound, from: Cursor) -> History {
        let (base, mark) = (from.revision, from.mark.clone());
        History::of(bound, Kept::begin(from, base, Some(mark), Some(0)))
    }

    fn of(bound: LogBound, kept: Kept) -> History {
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
        kept.heard();
        kept.bytes += entry_bytes(&commit);
        let now = clock::now();
        kept.entries.push_back((now, Arc::new(commit)));
        while kept.is_beyond(self.bound, now) {
            let Some((_, oldest)) = kept.entries.pop_front() else { break };
            kept.bytes -= entry_bytes(&oldest);
            kept.base = oldest.cursor.revision;
            kept.base_mark = None;
        }
        drop(kept);
        self.news.send_replace(());
    }

    /// A beat was written: the revision grows, and there is nothing to tell.
    pub(crate) fn beat(&self, revision: Revision) {
        self.kept().head.revision = revision;
    }

    /// The feed heard from the log's keeper: nothing came after what was pushed, up to `head`.
    #[allow(dead_code, reason = "for the engines of servers, of which a build may have none")]
    pub(crate) fn contact(&self, head: Cursor) {
        let mut kept = self.kept();
        if head.revision > kept.head.revision {
            kept.head = head;
        }
        kept.heard();
        drop(kept);
        self.news.send_replace(());
    }

    /// Says when something changed here.
    #[allow(dead_code, reason = "for the engines of servers, of which a build may have none")]
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// Whether every watch ends.
    #[allow(dead_code, reason = "for the engines of servers, of which a build may have none")]
    pub(crate) fn has_ended(&self) -> bool {
        self.kept().ended.is_some()
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
        let heard = {
            let kept = self.kept();
            kept.verify(&from)?;
            kept.contacts
        };
        let mut progress = tokio::time::interval(rules::progress_interval(progress_every));
        progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
        progress.reset();
        Ok(HistoryWatch {
            history: Arc::clone(self),
            news: self.news.subscribe(),
            prefixes: prefixes.iter().map(|prefix| prefix.to_vec()).collect(),
            at: from.revision,
            unproved: Some(from),
            heard,
            due: false,
            progress,
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        locked(&self.kept)
    }
}

impl Kept {
    fn begin(head: Cursor, base: Revision, base_mark: Option<Vec<u8>>, contacts: Option<u64>) -> Kept {
        Kept { head, entries: VecDeque::new(), bytes: 0, base, base_mark, contacts, ended: None }
    }

    /// Counts a contact, where there is somebody to be in contact with.
    fn heard(&mut self) {
        self.contacts = self.contacts.map(|contacts| contacts + 1);
    }

    /// Whether there was a contact since they were so many; what is kept here is always in touch.
    fn in_touch_since(&self, contacts: Option<u64>) -> bool {
        self.contacts.is_none() || self.contacts != contacts
    }

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
            None if from.revision >= self.base && self.base_mark.as_ref() == Some(&from.mark) => Ok(()),
            None if self.base_mark.is_none() || from.revision < self.base => {
                gone(format!("what came up to revision {} was trimmed", self.base))
            }
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
    /// The contacts there were when something was told last.
    heard: Option<u64>,
    /// The interval of progress is over.
    due: bool,
    progress: Interval,
}

impl HistoryWatch {
    /// The next notice there is without waiting; when progress is due, at least that.
    fn step(&mut self) -> Result<Option<Notice>, Error> {
        if let Some(from) = &self.unproved {
            return self.prove(from.clone());
        }
        loop {
            // What an entry shows is picked out when the writer can go on already.
            let (next, head, in_touch) = {
                let kept = self.history.kept();
                let (next, head) = kept.next(self.at)?;
                (next, head, kept.in_touch_since(self.heard))
            };
            let Some(entry) = next else {
                self.at = head.revision;
                return Ok((self.due && in_touch).then_some(Notice::Progress(head)));
            };
            self.at = entry.cursor.revision;
            if let Some(notice) = under(&self.prefixes, &entry) {
                return Ok(Some(notice));
            }
        }
    }

    /// The first notice: that history goes on from `from`.
    fn prove(&mut self, from: Cursor) -> Result<Option<Notice>, Error> {
        let first = {
            let kept = self.history.kept();
            let first = kept.first(&from)?;
            if !kept.in_touch_since(self.heard) {
                return Ok(None);
            }
            first
        };
        self.unproved = None;
        let told = first.and_then(|entry| under(&self.prefixes, &entry));
        Ok(Some(told.unwrap_or(Notice::Progress(from))))
    }

    /// Something is told: the interval begins anew, and what was heard until now counts no more.
    fn told(&mut self) {
        self.heard = self.history.kept().contacts;
        self.due = false;
        self.progress.reset();
    }
}

#[async_trait]
impl Watch for HistoryWatch {
    async fn next(&mut self) -> Result<Notice, Error> {
        // Marked as seen before looking: what is written after the look wakes us, and nothing is lost
        // when this future is dropped, since `step` alone moves the watch and nothing is awaited after it.
        self.news.borrow_and_update();
        loop {
            if let Some(notice) = self.step()? {
                self.told();
                return Ok(notice);
            }
            tokio::select! {
                changed = self.news.changed() => {
                    changed.map_err(|_| Error::Unavailable("the store was closed".to_owned()))?;
                }
                _ = self.progress.tick() => self.due = true,
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
