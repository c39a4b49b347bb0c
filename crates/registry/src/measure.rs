//! How quick a store is from here: commits, reads and notices of a record that is ours, in a space of its own.

use std::time::Duration;

use steadfast_core::Moment;
use steadfast_core::lease::Timing;
use steadfast_host::{clock, random};
use steadfast_store::{Batch, Cursor, Error as StoreError, Expect, Key, Notice, Record, Revision, Space, Watch, Write};

use crate::registry::CALL_WITHIN;
use crate::{Error, Registry};

/// No set can have this name.
const SPACE: &str = "@doctor";
/// What its records' names begin with.
const PREFIX: &str = "measure/";
/// Records that measurements which were killed left behind: so many are deleted at once.
const LEFT_AT_MOST: usize = 100;
/// The record is about as long as a lease's.
const RECORD_BYTES: usize = 200;
/// Fewer than this say nothing about a 99th of a hundred.
const COMMITS_AT_LEAST: usize = 20;
/// With more, nothing new is learnt.
const COMMITS_AT_MOST: usize = 400;
/// So many further commits are waited for at a watch, which asks for contact as that of a lease does.
const NOTICED: usize = 8;
/// A notice is given up after so long.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);

/// What was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Commits of one record, one after the other.
    pub commit: Times,
    /// Reads of it.
    pub read: Times,
    /// From the answer to a commit to its notice at a watch.
    pub notice: Times,
}

/// Times, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times(Vec<Duration>);

impl Times {
    fn of(mut times: Vec<Duration>) -> Times {
        times.sort_unstable();
        Times(times)
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The smallest time that this share (0 to 1) of all do not exceed (nearest rank); zero of none.
    pub fn quantile(&self, share: f64) -> Duration {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.clamp(1, self.0.len().max(1)) - 1).copied().unwrap_or_default()
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        self.0.iter().sum()
    }
}

impl Registry {
    /// Measures for about `span` (20 commits at least, 400 at most). The record is deleted again, also after an error; who
    /// is killed leaves it to the next.
    pub async fn measure(&self, span: Duration) -> Result<Measured, Error> {
        let space = Space::new(SPACE).unwrap_or_else(|| unreachable!("a constant"));
        let key = Key::new(space, format!("{PREFIX}{:016x}", random::u64()));
        let found = self.store().scan(&key.space, PREFIX.as_bytes(), None, LEFT_AT_MOST, CALL_WITHIN).await?.records;
        let measured = self.measure_at(&key, span).await;
        let deleted = self.remove(&key).await;
        self.sweep(&key.space, found).await;
        let measured = measured?;
        deleted?;
        Ok(measured)
    }

    async fn measure_at(&self, key: &Key, span: Duration) -> Result<Measured, Error> {
        let (mut commits, mut reads, mut notices) = (Vec::new(), Vec::new(), Vec::new());
        let begin = clock::now();
        let mut at = self.write(key, Expect::Absent).await?;
        while commits.len() < COMMITS_AT_LEAST || (clock::now().since(begin) < span && commits.len() < COMMITS_AT_MOST)
        {
            let sent = clock::now();
            at = self.write(key, Expect::Version(at.revision)).await?;
            commits.push(clock::now().since(sent));
        }
        // Apart from the commits, whose time they would take.
        let mut watch = self.hear(key, at.clone()).await?;
        while notices.len() < NOTICED {
            at = self.write(key, Expect::Version(at.revision)).await?;
            let done = clock::now();
            notices.push(noticed(&mut *watch, at.revision).await?.since(done));
        }
        drop(watch);
        for _ in 0..commits.len() {
            let sent = clock::now();
            self.store().read(key, CALL_WITHIN).await?;
            reads.push(clock::now().since(sent));
        }
        Ok(Measured { commit: Times::of(commits), read: Times::of(reads), notice: Times::of(notices) })
    }

    async fn write(&self, key: &Key, expect: Expect) -> Result<Cursor, StoreError> {
        let write = Write::Put(vec![b'.'; RECORD_BYTES].into(), None);
        self.store().commit(Batch::one(key.clone(), expect, write), CALL_WITHIN).await
    }

    async fn hear(&self, key: &Key, from: Cursor) -> Result<Box<dyn Watch>, StoreError> {
        self.store().watch(&key.space, &[&key.name], from, Timing::default().progress_every()).await
    }

    async fn remove(&self, key: &Key) -> Result<(), StoreError> {
        let Some(record) = self.store().read(key, CALL_WITHIN).await? else { return Ok(()) };
        let delete = Batch::one(key.clone(), Expect::Version(record.version), Write::Delete);
        self.store().commit(delete, CALL_WITHIN).await.map(drop)
    }

    /// Deletes those of `found` that nobody wrote to since. A measurement that is under way writes all the time, or only
    /// reads, and that no worse from a record that is gone.
    async fn sweep(&self, space: &Space, found: Vec<(Vec<u8>, Record)>) {
        for (name, record) in found {
            let key = Key::new(space.clone(), name);
            let delete = Batch::one(key, Expect::Version(record.version), Write::Delete);
            // A record that stays costs nothing, and the next measurement finds it again.
            if let Err(error) = self.store().commit(delete, CALL_WITHIN).await {
                tracing::debug!(%error, "the record of another measurement stays");
            }
        }
    }
}

/// When the commit of this revision is told.
async fn noticed(watch: &mut dyn Watch, revision: Revision) -> Result<Moment, StoreError> {
    let told = async {
        loop {
            let cursor = match watch.next().await? {
                Notice::Committed(commit) => commit.cursor,
                Notice::Progress(cursor) => cursor,
            };
            if cursor.revision >= revision {
                return Ok(clock::now());
            }
        }
    };
    let late = |_| StoreError::Unavailable(format!("a watch did not tell a commit within {NOTICED_WITHIN:?}"));
    tokio::time::timeout(NOTICED_WITHIN, told).await.map_err(late)?
}

#[cfg(test)]
mod tests;
