//! A log that is read in pages: the chain of marks is followed here, once for all engines that have one.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex as Turn, watch};
use tokio::time::{Interval, interval, sleep};

use super::{News, Rhythm, Sink, Tail};
use crate::history::locked;
use crate::{Committed, Cursor, Error, Named, Revision, Space};

/// How long one look at the engine may take before the feed ends: longer is a store that is away.
const LOOK_WITHIN: Duration = Duration::from_secs(5);

/// Commits of a page, at most.
const PAGE_COMMITS: usize = 256;

/// After a page a feed rests for this part of its interval, however often it is woken: a hundred processes that follow
/// a busy set read it in pages, and not commit by commit.
const REST: u32 = 10;

/// What an engine keeps of a space, in the order of commits.
#[async_trait]
pub(crate) trait Pages: Send + Sync + 'static {
    /// The commit at `from` if it is there, and those after it, `limit` at most; with what they did under
    /// [`BULK`](crate::BULK) if `bulk`.
    async fn page(
        &self,
        space: &Space,
        bulk: bool,
        from: Revision,
        limit: usize,
        within: Duration,
    ) -> Result<LogPage, Error>;

    /// Where each of `spaces` stands, in the same order, by one request.
    async fn heads(&self, spaces: &[Space], within: Duration) -> Result<Vec<Head>, Error>;

    /// How often to look, where a watch asks to hear of the store every `wished`. An engine that is not told of commits
    /// looks as often as it says it does, whatever is wished.
    fn look_every(&self, wished: Duration) -> Duration;
}

/// A part of a log.
#[derive(Clone, Debug)]
pub(crate) struct LogPage {
    pub(crate) entries: Vec<Entry>,
    /// Where the space stood then, or a moment before.
    pub(crate) head: Head,
    /// There are more than would fit.
    pub(crate) more: bool,
}

/// Where a space stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The last commit of the log; no beat.
    pub(crate) logged: Cursor,
    /// The last commit that was trimmed; 0: none was.
    pub(crate) base: Revision,
}

/// A commit, as the log has it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) cursor: Cursor,
    /// The mark of the commit before it; empty before the first.
    pub(crate) prev: Vec<u8>,
    /// None of bulk where that is not asked for.
    pub(crate) changes: Vec<Named>,
}

/// A [`Tail`] made of [`Pages`].
#[derive(Debug)]
pub(crate) struct Paged<P> {
    pages: Arc<P>,
    pulse: Pulse,
}

impl<P: Pages> Paged<P> {
    pub(crate) fn new(pages: Arc<P>) -> Paged<P> {
        Paged { pages, pulse: Pulse::default() }
    }

    /// Reads to the end of the log; whether the space has gone on meanwhile.
    async fn read_on(&self, space: &Space, bulk: bool, chain: &mut Chain, sink: &Sink) -> Result<bool, Error> {
        loop {
            let from = chain.last.revision;
            let page = self.pages.page(space, bulk, from, PAGE_COMMITS, LOOK_WITHIN).await?;
            let (more, head) = (page.more, page.head.clone());
            for commit in chain.follow(page)? {
                sink.push(commit);
            }
            if !more {
                let is_behind = chain.is_behind(&head)?;
                sink.contact(chain.last.clone());
                return Ok(is_behind);
            }
        }
    }

    /// Reads and waits, until something is wrong.
    async fn read(
        &self,
        space: &Space,
        bulk: bool,
        from: Cursor,
        mut rhythm: Rhythm,
        sink: &Sink,
    ) -> Result<Infallible, Error> {
        let mut chain = Chain { last: from };
        let mut told = self.pulse.join(space);
        loop {
            let mut is_behind = self.read_on(space, bulk, &mut chain, sink).await?;
            let every = self.pages.look_every(rhythm.every());
            let mut due = in_a_while(every);
            sleep(every / REST).await;
            // Looks at the head alone, until there is something to read.
            while !is_behind {
                let head = tokio::select! {
                    news = rhythm.news() => match news {
                        News::Poked => break,
                        News::Changed => {
                            due = in_a_while(self.pages.look_every(rhythm.every()));
                            continue;
                        }
                    },
                    head = told.hear() => head?,
                    _ = due.tick() => {
                        self.pulse.ask(&*self.pages, &told).await;
                        told.hear().await?
                    }
                };
                due.reset();
                // What another space's feed asked for may be from before the last page was read, and so be older than
                // what is known: whether that is a rollback the next page tells, which is asked for now.
                is_behind = head.logged != chain.last;
                if !is_behind {
                    sink.contact(chain.last.clone());
                }
            }
        }
    }
}

/// Ticks when `every` is over for the first time.
fn in_a_while(every: Duration) -> Interval {
    let mut interval = interval(every);
    interval.reset();
    interval
}

#[async_trait]
impl<P: Pages> Tail for Paged<P> {
    async fn verify(
        &self,
        space: &Space,
        bulk: bool,
        from: &Cursor,
        within: Duration,
    ) -> Result<Option<Committed>, Error> {
        let page = self.pages.page(space, bulk, from.revision, 1, within).await?;
        // Cursors that are resumed from stand at a commit of the log, or before the first.
        if *from == Cursor::START && page.head.base == Revision::default() {
            return Ok(None);
        }
        match page.entries.into_iter().next() {
            Some(entry) if entry.cursor == *from => Ok(Some(entry.committed())),
            _ => Err(page.head.gone(from.revision)),
        }
    }

    async fn follow(&self, space: &Space, bulk: bool, from: Cursor, rhythm: Rhythm, sink: &Sink) -> Error {
        let Err(error) = self.read(space, bulk, from, rhythm, sink).await;
        error
    }
}

impl Entry {
    fn committed(self) -> Committed {
        Committed { cursor: self.cursor, changes: self.changes }
    }
}

impl Head {
    /// Why history does not go on from `from`.
    fn gone(&self, from: Revision) -> Error {
        let why = if from <= self.base && self.base > Revision::default() {
            format!("what came up to revision {} was trimmed", self.base)
        } else if from > self.logged.revision {
            format!("the store stands at revision {}: it was rolled back or replaced", self.logged.revision)
        } else {
            "its commits carry other marks: the store was rolled back or replaced".to_owned()
        };
        Error::Compacted(from, why)
    }
}

/// Where a reader stands in a history, each commit of which names the one before it.
struct Chain {
    last: Cursor,
}

impl Chain {
    /// The commits of `page` that are new; [`Error::Compacted`] where they do not follow.
    fn follow(&mut self, page: LogPage) -> Result<Vec<Committed>, Error> {
        let mut commits = Vec::with_capacity(page.entries.len());
        for entry in page.entries {
            let follows = match entry.cursor.revision.cmp(&self.last.revision) {
                Ordering::Less => continue,
                Ordering::Equal => entry.cursor == self.last,
                Ordering::Greater => entry.prev == self.last.mark,
            };
            if !follows {
                return Err(page.head.gone(self.last.revision));
            }
            if entry.cursor != self.last {
                self.last = entry.cursor.clone();
                commits.push(entry.committed());
            }
        }
        Ok(commits)
    }

    /// Whether the space has gone on since; [`Error::Compacted`] where it stands where it cannot.
    fn is_behind(&self, head: &Head) -> Result<bool, Error> {
        if head.logged.revision > self.last.revision {
            return Ok(true);
        }
        if head.logged == self.last { Ok(false) } else { Err(head.gone(self.last.revision)) }
    }
}

/// What keeps the feeds of a process in contact by one question for all their spaces.
#[derive(Debug, Default)]
struct Pulse {
    followed: Arc<Followed>,
    /// One asks at a time; who waited finds the answer.
    asking: Turn<()>,
}

type Followed = Mutex<HashMap<Space, (usize, watch::Sender<Option<Result<Head, Error>>>)>>;

/// A space's part in the pulse, until it is dropped.
struct Told {
    space: Space,
    followed: Arc<Followed>,
    answers: watch::Receiver<Option<Result<Head, Error>>>,
}

impl Pulse {
    fn join(&self, space: &Space) -> Told {
        let mut followed = locked(&self.followed);
        let (feeds, answers) = followed.entry(space.clone()).or_insert_with(|| (0, watch::Sender::new(None)));
        *feeds += 1;
        let answers = answers.subscribe();
        Told { space: space.clone(), followed: Arc::clone(&self.followed), answers }
    }

    /// Asks where all spaces stand, unless `told` has heard meanwhile.
    async fn ask(&self, pages: &impl Pages, told: &Told) {
        let _asking = self.asking.lock().await;
        if told.answers.has_changed().unwrap_or(true) {
            return;
        }
        let spaces: Vec<Space> = locked(&self.followed).keys().cloned().collect();
        let heads = pages.heads(&spaces, LOOK_WITHIN).await;
        let followed = locked(&self.followed);
        for (at, space) in spaces.iter().enumerate() {
            let Some((_, answers)) = followed.get(space) else { continue };
            let head = heads.as_ref().map_err(Clone::clone).and_then(|heads| {
                let missing = || Error::Corrupt(format!("the store does not say where space `{space}` stands"));
                heads.get(at).cloned().ok_or_else(missing)
            });
            answers.send_replace(Some(head));
        }
    }
}

impl Told {
    /// What is said next of the space. Cancel-safe.
    async fn hear(&mut self) -> Result<Head, Error> {
        loop {
            // The sender is there as long as this is.
            if self.answers.changed().await.is_err() {
                return Err(Error::Unavailable("nobody asks where the space stands".to_owned()));
            }
            if let Some(answer) = self.answers.borrow_and_update().clone() {
                return answer;
            }
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let mut followed = locked(&self.followed);
        if let Some((feeds, _)) = followed.get_mut(&self.space) {
            *feeds -= 1;
            if *feeds == 0 {
                followed.remove(&self.space);
            }
        }
    }
}
