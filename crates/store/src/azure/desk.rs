//! One handle's commits to one space, one after the other: what it knows of the space, and how a batch goes through.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use steadfast_host::clock::{self, Moment};
use steadfast_host::random;
use tokio::task::JoinSet;

use super::entity::Row;
use super::failure::Failure;
use super::keys;
use super::rest::{AT_ONCE, Rest};
use super::tags::{Tag, Tags};
use super::transaction::{Draft, Head, Keep};
use crate::{Batch, Change, Cursor, Error, Expect, Named, Record, Revision, Write};

/// The longest pause before the next try, where another process commits to the same space.
const PAUSE_AT_MOST: Duration = Duration::from_millis(64);

/// What a handle knows of a space while it has the turn.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Where the space stands, for all we know; `None`: it has to be read.
    head: Option<Head>,
    /// The ETag of the head under which `tags` are certain.
    certain_at: Option<String>,
    tags: Tags,
}

/// What is known of one change's belief without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Belief {
    /// It holds, or its own operation says that it does not.
    Guarded,
    /// The record has to be read.
    Unknown,
    /// It does not hold.
    Wrong,
}

/// Records as they were read: `None`: there is none.
type Found = HashMap<Vec<u8>, Option<(Record, String)>>;

/// What a commit needs beside the batch.
pub(super) struct Terms<'a> {
    pub(super) rest: &'a Arc<Rest>,
    /// The highest revision seen of the space.
    pub(super) floor: Revision,
    pub(super) keep: Keep,
    pub(super) deadline: Moment,
}

/// A commit that was made.
pub(super) struct Made {
    pub(super) cursor: Cursor,
    /// What the log was cut up to with it, if it was.
    pub(super) cut: Option<Revision>,
    /// The space had been rolled back: it stood below what this handle had seen of it.
    pub(super) rolled_back: bool,
}

impl Desk {
    /// All of the batch, or nothing. Another process that commits first is no failure: nothing was done then, and the
    /// batch goes in behind it, if what it believes still holds.
    pub(super) async fn commit(&mut self, batch: &Batch, terms: &Terms<'_>) -> Result<Made, Error> {
        let mut pause = Duration::from_millis(1);
        loop {
            let head = self.head(batch, terms).await?;
            let found = self.ask(batch, terms).await?;
            if let Some(conflicts) = self.judge(batch, found, terms).await? {
                return Err(Error::Conflict(conflicts));
            }
            if batch.changes.iter().all(|change| change.write == Write::Nothing) {
                // It held, if nothing was committed meanwhile.
                self.head = None;
                if self.head(batch, terms).await? == head {
                    return Ok(Made { cursor: head.cursor(), cut: None, rolled_back: head.revision < terms.floor });
                }
                continue;
            }
            let etag = |name: &[u8]| self.tags.get(name).map_or_else(String::new, |(tag, _)| tag.etag.clone());
            let draft = Draft::of(batch, &head, terms.floor, terms.keep, etag);
            // From here to the answer nothing is known of where the space stands.
            self.head = None;
            let partition = keys::partition(&batch.space);
            match terms.rest.transact(&partition, &draft.operations, terms.deadline).await {
                Ok(etags) => return Ok(self.made(draft, etags, &head, terms)),
                Err(failure) => self.refused(batch, failure, terms).await?,
            }
            if clock::now() >= terms.deadline {
                return Err(Error::Unavailable("other processes kept committing to the same space".to_owned()));
            }
            tokio::time::sleep(pause.mul_f64((random::u64() % 1024) as f64 / 1024.0)).await;
            pause = (2 * pause).min(PAUSE_AT_MOST);
        }
    }

    /// Why a transaction was refused; `Ok`: for what may be another way the next time.
    async fn refused(&mut self, batch: &Batch, failure: Failure, terms: &Terms<'_>) -> Result<(), Error> {
        match failure.condition().map(|refusal| refusal.operation) {
            None => Err(failure.of_commit()),
            // The head: another process was first.
            Some(Some(0)) => Ok(()),
            Some(Some(1)) => Err(Error::Corrupt(format!(
                "space `{}` has a commit in its log that is above its head: the table was changed by other hands",
                batch.space
            ))),
            // A record. If none differs, what was remembered of it was out of date.
            Some(_) => {
                batch.changes.iter().for_each(|change| self.tags.forget(&change.name));
                match self.conflicts(batch, Found::new(), terms).await? {
                    conflicts if conflicts.is_empty() => Ok(()),
                    conflicts => Err(Error::Conflict(conflicts)),
                }
            }
        }
    }

    /// Where the space stands; it is asked if it is not known, and for the records that are written at once with it.
    async fn head(&mut self, batch: &Batch, terms: &Terms<'_>) -> Result<Head, Error> {
        if let Some(head) = &self.head {
            return Ok(head.clone());
        }
        let written: Vec<Vec<u8>> = batch
            .changes
            .iter()
            .filter(|change| change.write != Write::Nothing && self.belief(change) == Belief::Unknown)
            .map(|change| change.name.clone())
            .collect();
        let partition = keys::partition(&batch.space);
        let (head, found) = tokio::join!(
            terms.rest.entity(&partition, keys::HEAD, terms.deadline),
            read_all(terms.rest, &partition, written, terms.deadline)
        );
        let head = Head::of(head.map_err(Failure::of_look)?.as_ref())?;
        // Read beside the head, not after it: good enough to be guarded by an ETag.
        self.learn(&found?);
        if self.certain_at != head.etag || head.etag.is_none() {
            self.tags.doubt();
            self.certain_at.clone_from(&head.etag);
        }
        self.head = Some(head.clone());
        Ok(head)
    }

    /// Reads what is not known of what the batch believes, after the head.
    async fn ask(&mut self, batch: &Batch, terms: &Terms<'_>) -> Result<Found, Error> {
        let unknown = batch.changes.iter().filter(|change| self.belief(change) == Belief::Unknown);
        let names: Vec<Vec<u8>> = unknown.map(|change| change.name.clone()).collect();
        let found = read_all(terms.rest, &keys::partition(&batch.space), names, terms.deadline).await?;
        self.learn(&found);
        Ok(found)
    }

    /// The conflicts there are, if any belief is wrong.
    async fn judge(&self, batch: &Batch, found: Found, terms: &Terms<'_>) -> Result<Option<Vec<Named>>, Error> {
        let wrong = |change: &Change| match found.get(&change.name) {
            Some(record) => !change.expect.holds(record.as_ref().map(|(record, _)| record.version)),
            None => self.belief(change) == Belief::Wrong,
        };
        if !batch.changes.iter().any(wrong) {
            return Ok(None);
        }
        let conflicts = self.conflicts(batch, found, terms).await?;
        Ok((!conflicts.is_empty()).then_some(conflicts))
    }

    /// Every record of the batch that is another than it believes: what was not read yet is read.
    async fn conflicts(&self, batch: &Batch, mut found: Found, terms: &Terms<'_>) -> Result<Vec<Named>, Error> {
        let names = batch.changes.iter().map(|change| change.name.clone());
        let missing: Vec<Vec<u8>> = names.filter(|name| !found.contains_key(name)).collect();
        found.extend(read_all(terms.rest, &keys::partition(&batch.space), missing, terms.deadline).await?);
        let record = |change: &Change| {
            let record = found.remove(&change.name).flatten().map(|(record, _)| record);
            let holds = change.expect.holds(record.as_ref().map(|record| record.version));
            (!holds).then(|| (change.name.clone(), record))
        };
        Ok(batch.changes.iter().filter_map(record).collect())
    }

    fn belief(&self, change: &Change) -> Belief {
        let written = change.write != Write::Nothing;
        match (change.expect, self.tags.get(&change.name)) {
            (Expect::Version(version), Some((tag, certain))) => match (tag.version == version, certain) {
                (true, _) if written => Belief::Guarded,
                (true, true) => Belief::Guarded,
                (false, true) => Belief::Wrong,
                (_, false) => Belief::Unknown,
            },
            (Expect::Version(_), None) => Belief::Unknown,
            (Expect::Absent, Some((_, true))) => Belief::Wrong,
            (Expect::Absent, _) if written => Belief::Guarded,
            (Expect::Absent, _) => Belief::Unknown,
        }
    }

    fn learn(&mut self, found: &Found) {
        for (name, record) in found {
            match record {
                Some((record, etag)) => {
                    self.tags.learn(name, Tag { version: record.version, etag: etag.clone() });
                }
                None => self.tags.forget(name),
            }
        }
    }

    /// The transaction was done: what is known after it.
    fn made(&mut self, draft: Draft, etags: Vec<Option<String>>, before: &Head, terms: &Terms<'_>) -> Made {
        let version = draft.head.revision;
        let mut etags = etags.into_iter();
        let head = etags.next().flatten();
        etags.next();
        for (name, etag) in draft.names.iter().zip(etags) {
            match etag {
                Some(etag) => self.tags.learn(name, Tag { version, etag }),
                None => self.tags.forget(name),
            }
        }
        let cursor = draft.head.cursor();
        let cut = (draft.head.base > before.base).then_some(draft.head.base);
        // An answer without the head's ETag: it is asked for the next time.
        self.certain_at.clone_from(&head);
        self.head = head.map(|etag| Head { etag: Some(etag), ..draft.head });
        Made { cursor, cut, rolled_back: before.revision < terms.floor }
    }
}

/// The records of these names, so many at once.
async fn read_all(rest: &Arc<Rest>, partition: &str, names: Vec<Vec<u8>>, deadline: Moment) -> Result<Found, Error> {
    let mut found = Found::with_capacity(names.len());
    let mut reading = JoinSet::new();
    let mut names = names.into_iter();
    loop {
        while reading.len() < AT_ONCE
            && let Some(name) = names.next()
        {
            let (rest, partition) = (Arc::clone(rest), partition.to_owned());
            reading.spawn(async move {
                let row = rest.entity(&partition, &keys::record(&name), deadline).await;
                (name, row)
            });
        }
        let Some(read) = reading.join_next().await else { return Ok(found) };
        let (name, row) = read.map_err(|e| Error::Unavailable(format!("a read was given up: {e}")))?;
        let row = row.map_err(Failure::of_look)?;
        found.insert(name, row.as_ref().map(record).transpose()?);
    }
}

fn record(row: &Row) -> Result<(Record, String), Error> {
    Ok((row.record()?, row.etag.clone()))
}
