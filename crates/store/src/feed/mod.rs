//! Watches of a log that an engine keeps. One *feed* of a space reads the engine's log into a [`History`], and every
//! watch of this handle is one of that history; so a process asks a store the same once, however many of its parts
//! want to know.
//!
//! ```text
//! engine's log ── Tail::follow ──▶ Sink ──▶ History ──▶ watch
//!                                                  └──▶ watch            the feed ends with its last watch
//! ```
//!
//! What makes it safe: a feed begins where the engine has *proved* that history goes on ([`Tail::verify`]), and follows
//! the marks of the commits from there, each of which names the one before it ([`tail`]): no rollback can be stepped
//! over. It says that it is in contact only of what it has heard since; a store that hangs is silence. Any failure ends
//! the feed and with it its watches: who watched resumes from the last cursor it saw, with another proof.
//!
//! A feed is one of two kinds, with what is under [`BULK`] or without: what is many and large is not sent to whoever
//! does not ask for it. A commit of nothing else is an entry all the same, with a mark and no changes.

pub(crate) mod tail;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::history::{History, HistoryWatch, locked};
use crate::{BULK, Committed, Cursor, Error, LogBound, Notice, Revision, Space, Watch, rules};

/// How long the proof that a watch begins with may take.
const BEGIN_WITHIN: Duration = Duration::from_secs(5);

/// How long a watch from where a running feed has not yet come waits for it, before it begins one of its own.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(1);

/// An engine's log of a space, as a feed needs it.
#[async_trait]
pub(crate) trait Tail: Send + Sync + 'static {
    /// Whether history goes on from `from`: the commit at it, with what it did under [`BULK`] if `bulk`; `None` before
    /// the first. [`Error::Compacted`] where there is none, or one with another mark, or it is trimmed.
    async fn verify(
        &self,
        space: &Space,
        bulk: bool,
        from: &Cursor,
        within: Duration,
    ) -> Result<Option<Committed>, Error>;

    /// Appends every commit after `from`, which was verified, to `sink`, and tells it of contact as often as `rhythm`
    /// says; returns only with an error.
    async fn follow(&self, space: &Space, bulk: bool, from: Cursor, rhythm: Rhythm, sink: &Sink) -> Error;
}

/// Where a feed puts what it reads.
#[derive(Debug)]
pub(crate) struct Sink(Arc<History>);

/// How often a feed is to prove that it is in contact.
#[derive(Debug)]
pub(crate) struct Rhythm {
    every: watch::Receiver<Duration>,
    poked: Arc<Notify>,
}

/// Why a feed is not to wait out its interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// There was a commit, or there is a watch that waits for its proof.
    Poked,
    /// The interval is another one.
    Changed,
}

/// Feeds by space and kind; of each the one that reaches back furthest is first.
type Running = HashMap<(Space, bool), Vec<Weak<Feed>>>;

/// The feeds of a handle.
#[derive(Debug)]
pub(crate) struct Feeds<T> {
    tail: Arc<T>,
    running: Mutex<Running>,
    bound: LogBound,
}

/// A reader of a space's log. It ends with its last watch.
#[derive(Debug)]
struct Feed {
    history: Arc<History>,
    /// The intervals its watches ask for, and the shortest of them.
    wishes: Mutex<Vec<Duration>>,
    every: watch::Sender<Duration>,
    poked: Arc<Notify>,
    reading: AbortHandle,
}

/// One of a feed's watches.
struct FeedWatch {
    watch: HistoryWatch,
    feed: Arc<Feed>,
    wish: Duration,
}

impl<T: Tail> Feeds<T> {
    /// Of this engine. `bound` is that of what this process keeps, whatever the engine keeps.
    pub(crate) fn new(tail: Arc<T>, bound: LogBound) -> Feeds<T> {
        Feeds { tail, running: Mutex::default(), bound }
    }

    /// A watch of names under any of `prefixes`, from `from`. See [`Store::watch`](crate::Store::watch).
    pub(crate) async fn watch(
        &self,
        space: &Space,
        prefixes: &[&[u8]],
        from: Cursor,
        every: Duration,
    ) -> Result<Box<dyn Watch>, Error> {
        let asked = Asked { space, prefixes, from: &from, every: rules::progress_interval(every) };
        if let Some(watch) = asked.join(&self.of(&asked)) {
            return Ok(watch);
        }
        let late = || Error::Unavailable(format!("no proof of the history of space `{space}` within {BEGIN_WITHIN:?}"));
        let verified = timeout(BEGIN_WITHIN, self.tail.verify(space, asked.bulk(), &from, BEGIN_WITHIN));
        let first = verified.await.map_err(|_| late())??;
        if let Some(watch) = self.catch_up(&asked).await {
            return Ok(watch);
        }
        self.begin(&asked, first)
    }

    /// A commit was made, here or elsewhere: feeds that have not come so far read on at once.
    pub(crate) fn wake(&self, space: &Space, revision: Revision) {
        for bulk in [false, true] {
            for feed in self.running(space, bulk) {
                if feed.history.head().revision < revision {
                    feed.poked.notify_one();
                }
            }
        }
    }

    /// The store was seen to have been rolled back: no watch goes on.
    pub(crate) fn rolled_back(&self, space: &Space, why: &str) {
        for bulk in [false, true] {
            for feed in self.running(space, bulk) {
                feed.history.end(Error::Compacted(feed.history.head().revision, why.to_owned()));
            }
        }
    }

    /// The feeds that a watch can be one of: one with bulk serves those that do not want it, too.
    fn of(&self, asked: &Asked<'_>) -> Vec<Arc<Feed>> {
        let mut feeds = if asked.bulk() { Vec::new() } else { self.running(asked.space, false) };
        feeds.extend(self.running(asked.space, true));
        feeds
    }

    fn running(&self, space: &Space, bulk: bool) -> Vec<Arc<Feed>> {
        let running = locked(&self.running);
        running.get(&(space.clone(), bulk)).into_iter().flatten().filter_map(Weak::upgrade).collect()
    }

    /// Joins a feed that will come to where the watch begins.
    async fn catch_up(&self, asked: &Asked<'_>) -> Option<Box<dyn Watch>> {
        let feeds = self.of(asked);
        let comes = |feed: &Feed| feed.history.head().revision < asked.from.revision && !feed.history.has_ended();
        if let Some(feed) = feeds.iter().find(|feed| comes(feed)) {
            feed.poked.notify_one();
            let mut news = feed.history.news();
            let there = news.wait_for(|()| !comes(feed));
            // Late or ended: it is not joined then.
            let _ = timeout(CATCH_UP_WITHIN, there).await;
        }
        // Also where none was behind: another watch may have begun one meanwhile.
        asked.join(&self.of(asked))
    }

    fn begin(&self, asked: &Asked<'_>, first: Option<Committed>) -> Result<Box<dyn Watch>, Error> {
        let (space, bulk) = (asked.space.clone(), asked.bulk());
        let history = Arc::new(History::fed(self.bound, asked.from.clone()));
        let (every, poked) = (watch::Sender::new(asked.every), Arc::new(Notify::new()));
        let rhythm = Rhythm { every: every.subscribe(), poked: Arc::clone(&poked) };
        let watch = asked.of(&history)?;
        // What was verified is the first thing that was heard: before anybody reads on.
        match first {
            Some(first) => history.push(first),
            None => history.contact(asked.from.clone()),
        }
        let reading = {
            let (tail, ending, sink) =
                (Arc::clone(&self.tail), Ending(Arc::clone(&history)), Sink(Arc::clone(&history)));
            let (space, from) = (space.clone(), asked.from.clone());
            tokio::spawn(async move {
                let error = tail.follow(&space, bulk, from, rhythm, &sink).await;
                tracing::debug!(%space, %error, "a feed ended");
                ending.0.end(error);
            })
        };
        let reading = reading.abort_handle();
        let feed = Arc::new(Feed { history, wishes: Mutex::default(), every, poked, reading });
        let watch = feed.hold(watch, asked.every);
        let mut running = locked(&self.running);
        running.retain(|_, feeds| {
            feeds.retain(|feed| feed.strong_count() > 0);
            !feeds.is_empty()
        });
        // It reaches further back than those that could not be joined.
        running.entry((space, bulk)).or_default().insert(0, Arc::downgrade(&feed));
        Ok(watch)
    }
}

/// What a watch is to be.
struct Asked<'a> {
    space: &'a Space,
    prefixes: &'a [&'a [u8]],
    from: &'a Cursor,
    every: Duration,
}

impl Asked<'_> {
    /// Whether it shows something of what is under [`BULK`].
    fn bulk(&self) -> bool {
        self.prefixes.iter().any(|prefix| prefix.starts_with(BULK) || BULK.starts_with(prefix))
    }

    /// A watch of `history`.
    fn of(&self, history: &Arc<History>) -> Result<HistoryWatch, Error> {
        history.watch(self.prefixes, self.from.clone(), self.every)
    }

    /// A watch of one of `feeds`, if one reaches from where it begins.
    fn join(&self, feeds: &[Arc<Feed>]) -> Option<Box<dyn Watch>> {
        feeds.iter().find_map(|feed| feed.join(self).ok())
    }
}

impl Feed {
    /// One more watch of what it reads.
    fn join(self: &Arc<Feed>, asked: &Asked<'_>) -> Result<Box<dyn Watch>, Error> {
        let watch = self.hold(asked.of(&self.history)?, asked.every);
        // It says nothing before it has heard something.
        self.poked.notify_one();
        Ok(watch)
    }

    /// Reads on for as long as `watch` is there, and as often as it wishes.
    fn hold(self: &Arc<Feed>, watch: HistoryWatch, wish: Duration) -> Box<dyn Watch> {
        locked(&self.wishes).push(wish);
        self.settle();
        Box::new(FeedWatch { watch, feed: Arc::clone(self), wish })
    }

    fn leave(&self, wish: Duration) {
        let mut wishes = locked(&self.wishes);
        if let Some(at) = wishes.iter().position(|other| *other == wish) {
            wishes.swap_remove(at);
        }
        drop(wishes);
        self.settle();
    }

    /// Its interval is the shortest that is asked for.
    fn settle(&self) {
        let shortest = locked(&self.wishes).iter().min().copied();
        if let Some(shortest) = shortest {
            self.every.send_if_modified(|every| std::mem::replace(every, shortest) != shortest);
        }
    }
}

impl Sink {
    /// The next commit.
    pub(crate) fn push(&self, commit: Committed) {
        self.0.push(commit);
    }

    /// The engine was heard: nothing came after what was pushed, up to `head`, which is the last commit of the log (and
    /// no beat's number: a crash may take that back, and the next commit would have it).
    pub(crate) fn contact(&self, head: Cursor) {
        self.0.contact(head);
    }
}

impl Rhythm {
    /// The shortest interval that a watch asks for.
    pub(crate) fn every(&self) -> Duration {
        *self.every.borrow()
    }

    /// Waits for a reason to do something before the interval is over. Cancel-safe.
    pub(crate) async fn news(&mut self) -> News {
        tokio::select! {
            () = self.poked.notified() => News::Poked,
            // The feed holds the sender for as long as somebody watches.
            Ok(()) = self.every.changed() => News::Changed,
            else => std::future::pending().await,
        }
    }
}

/// Ends the watches also when the reader is stopped with the runtime it was begun in.
struct Ending(Arc<History>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end(Error::Unavailable("the reader of the store's log was stopped".to_owned()));
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Drop for FeedWatch {
    fn drop(&mut self) {
        self.feed.leave(self.wish);
    }
}

impl<T> Drop for Feeds<T> {
    fn drop(&mut self) {
        for feed in locked(&self.running).values().flatten().filter_map(Weak::upgrade) {
            feed.history.end(Error::Unavailable("the store was closed".to_owned()));
        }
    }
}

#[async_trait]
impl Watch for FeedWatch {
    async fn next(&mut self) -> Result<Notice, Error> {
        self.watch.next().await
    }
}

#[cfg(test)]
mod tests;
