//! Follows some prefixes of one space: a scan of each, then one watch from where the first scan began, resumed for ever.
//!
//! A store that is healthy and has nothing to tell says so as often as is wanted here, or as it can if that is less often.
//! One that says nothing for two such intervals and a little more counts as hung.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use steadfast_core::Moment;
use steadfast_host::clock;
use steadfast_store::{Cursor, Error, Notice, Record, Revision, Space, Store};
use tokio::sync::{mpsc, watch};

use crate::registry::{CALL_WITHIN, PAGE_RECORDS};

/// First and longest pause before the store is tried again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// How often a sign of life is wanted where nobody's lease hangs on it: each costs a store far away a request.
pub(crate) const UNHURRIED: Duration = Duration::from_secs(1);
/// A watch may be silent for so many of its intervals of progress: one may end just before the store was heard.
const SILENT_INTERVALS: u32 = 2;
/// And for so much longer, on a machine that is busy.
const SILENT_BEYOND: Duration = Duration::from_millis(1_200);

/// What was learnt, in order, with the moment it arrived.
#[derive(Debug)]
pub(crate) struct Fact {
    /// When it reached this process.
    pub(crate) at: Moment,
    pub(crate) news: News,
}

#[derive(Debug)]
pub(crate) enum News {
    /// Everything under the prefixes, read anew (nothing, where only changes are followed); every change after `at`
    /// will be told. `other_history`: what was known before is worth nothing.
    All { at: Cursor, records: Vec<(Vec<u8>, Record)>, other_history: bool },
    /// One commit.
    Changed { revision: Revision, changes: Vec<(Vec<u8>, Option<Record>)> },
    /// The store is there and nothing changed.
    Contact,
    /// The store cannot be heard, and why.
    Trouble(String),
}

pub(crate) struct Follow {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) space: Space,
    pub(crate) prefixes: Vec<Vec<u8>>,
    pub(crate) reading: Reading,
    pub(crate) wanted: Wanted,
}

/// How often a sign of life of the store's is wanted, which may change.
#[derive(Clone, Debug)]
pub(crate) struct Wanted(watch::Receiver<Duration>);

/// How a watch ended, if not with an error.
enum Ended {
    /// Nobody listens any more.
    Unheard,
    /// Signs of life are wanted more or less often.
    OtherPace,
}

impl Wanted {
    /// This often from now on.
    pub(crate) fn always(every: Duration) -> Wanted {
        Wanted(watch::channel(every).1)
    }

    /// As often as is said by the sender, until it is dropped.
    pub(crate) fn said(every: Duration) -> (watch::Sender<Duration>, Wanted) {
        let (say, wanted) = watch::channel(every);
        (say, Wanted(wanted))
    }

    /// As often as is wanted and `store` can.
    fn of(&self, store: &dyn Store) -> Duration {
        progress_every(store, *self.0.borrow())
    }

    /// Returns when something else is wanted. Cancel safe.
    async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            pending().await
        }
    }
}

/// The interval of progress to ask `store` for where signs of life are wanted this often.
pub(crate) fn progress_every(store: &dyn Store, wanted: Duration) -> Duration {
    wanted.max(store.describe().pace())
}

/// How long a watch with this interval of progress may be silent.
pub(crate) fn longest_silence(progress_every: Duration) -> Duration {
    progress_every * SILENT_INTERVALS + SILENT_BEYOND
}

/// What of the present is read before changes are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Every record.
    Records,
    /// None: there may be millions, and only what changes counts.
    Nothing,
}

impl Follow {
    /// Runs until nobody listens any more.
    pub(crate) async fn run(self, facts: mpsc::Sender<Fact>) {
        let mut known: Option<Cursor> = None;
        let mut other_history = false;
        let mut pause = BACKOFF.0;
        loop {
            let from = match known.clone() {
                Some(cursor) => cursor,
                None => match self.scan().await {
                    Ok((cursor, records)) => {
                        let all = News::All { at: cursor.clone(), records, other_history };
                        if tell(&facts, all).await.is_err() {
                            return;
                        }
                        other_history = false;
                        known = Some(cursor.clone());
                        cursor
                    }
                    Err(error) => {
                        if tell(&facts, News::Trouble(error.to_string())).await.is_err() {
                            return;
                        }
                        rest(&mut pause).await;
                        continue;
                    }
                },
            };
            match self.watch(from, &mut known, &mut pause, &facts).await {
                Ok(Ended::Unheard) => return,
                Ok(Ended::OtherPace) => {}
                Err(Error::Compacted(..)) => {
                    known = None;
                    other_history = true;
                    // A store that says so again and again (two behind one address) is not asked in a circle.
                    rest(&mut pause).await;
                }
                Err(error) => {
                    if tell(&facts, News::Trouble(error.to_string())).await.is_err() {
                        return;
                    }
                    rest(&mut pause).await;
                }
            }
        }
    }

    /// One look at the present, and where it began.
    pub(crate) async fn scan(&self) -> Result<(Cursor, Vec<(Vec<u8>, Record)>), Error> {
        let mut records = Vec::new();
        let mut first = None;
        for prefix in &self.prefixes {
            let mut token = None;
            loop {
                let page = self.store.scan(&self.space, prefix, token, self.page_records(), CALL_WITHIN).await?;
                // What changes while the later pages and prefixes are read is told by the watch, once more.
                let cursor = first.get_or_insert(page.cursor);
                if self.reading == Reading::Nothing {
                    return Ok((cursor.clone(), records));
                }
                records.extend(page.records);
                token = page.next;
                if token.is_none() {
                    break;
                }
            }
        }
        Ok((first.unwrap_or(Cursor::START), records))
    }

    fn page_records(&self) -> usize {
        if self.reading == Reading::Nothing { 1 } else { PAGE_RECORDS }
    }

    /// Passes a watch on.
    async fn watch(
        &self,
        from: Cursor,
        known: &mut Option<Cursor>,
        pause: &mut Duration,
        facts: &mpsc::Sender<Fact>,
    ) -> Result<Ended, Error> {
        let mut wanted = self.wanted.clone();
        wanted.0.mark_unchanged();
        let progress_every = wanted.of(&*self.store);
        let silence = longest_silence(progress_every);
        let hung = |_| Error::Unavailable("the watch is silent".to_owned());
        let prefixes: Vec<&[u8]> = self.prefixes.iter().map(Vec::as_slice).collect();
        let opening = self.store.watch(&self.space, &prefixes, from, progress_every);
        let mut watch = tokio::time::timeout(silence, opening).await.map_err(hung)??;
        loop {
            let notice = tokio::select! {
                notice = tokio::time::timeout(silence, watch.next()) => notice.map_err(hung)??,
                () = facts.closed() => return Ok(Ended::Unheard),
                () = wanted.changed() => {
                    if wanted.of(&*self.store) == progress_every {
                        continue;
                    }
                    return Ok(Ended::OtherPace);
                }
            };
            *pause = BACKOFF.0;
            let (cursor, news) = match notice {
                Notice::Committed(commit) => {
                    let news = News::Changed { revision: commit.cursor.revision, changes: commit.changes };
                    (commit.cursor, news)
                }
                Notice::Progress(cursor) => (cursor, News::Contact),
            };
            *known = Some(cursor);
            if tell(facts, news).await.is_err() {
                return Ok(Ended::Unheard);
            }
        }
    }
}

async fn tell(facts: &mpsc::Sender<Fact>, news: News) -> Result<(), mpsc::error::SendError<Fact>> {
    facts.send(Fact { at: clock::now(), news }).await
}

/// Waits a random part of the pause, and doubles it: those who lost the same store do not come back in step.
async fn rest(pause: &mut Duration) {
    let share = (steadfast_host::random::u64() % 512 + 512) as u32;
    tokio::time::sleep(*pause * share / 1024).await;
    *pause = (*pause * 2).min(BACKOFF.1);
}

#[cfg(test)]
mod tests;
