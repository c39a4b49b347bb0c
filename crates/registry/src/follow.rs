//! Follows some prefixes of one space: a scan of each, then one watch from where the first scan began, resumed for ever.

use std::sync::Arc;
use std::time::Duration;

use steadfast_core::Moment;
use steadfast_host::clock;
use steadfast_store::{Cursor, Error, Notice, Record, Revision, Space, Store};
use tokio::sync::mpsc;

use crate::registry::{CALL_WITHIN, PAGE_RECORDS};

/// First and longest pause before the store is tried again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// The store counts as hung when a watch is silent for so many progress intervals.
const SILENT_INTERVALS: u32 = 8;

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
    pub(crate) progress_every: Duration,
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
                Ok(()) => return,
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

    /// Passes a watch on. Ends with `Ok` when nobody listens, with the store's error otherwise.
    async fn watch(
        &self,
        from: Cursor,
        known: &mut Option<Cursor>,
        pause: &mut Duration,
        facts: &mpsc::Sender<Fact>,
    ) -> Result<(), Error> {
        let silence = self.progress_every * SILENT_INTERVALS;
        let hung = |_| Error::Unavailable("the watch is silent".to_owned());
        let prefixes: Vec<&[u8]> = self.prefixes.iter().map(Vec::as_slice).collect();
        let opening = self.store.watch(&self.space, &prefixes, from, self.progress_every);
        let mut watch = tokio::time::timeout(silence, opening).await.map_err(hung)??;
        loop {
            let notice = tokio::select! {
                notice = tokio::time::timeout(silence, watch.next()) => notice.map_err(hung)??,
                () = facts.closed() => return Ok(()),
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
                return Ok(());
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
