//! Leases are polled: a watch of leases beside the watch of the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use steadfast_host::clock;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::super::apart::Seen;
use super::super::failure::Failure;
use super::super::rest::Rest;
use super::etag::Look;
use super::{Leases, own_name};
use crate::{Committed, Cursor, Error, Key, LEASE, Named, Notice, Revision, Space, Watch};

/// Leases nobody knows of are looked for once in so many rounds: a list costs ten times a look. The set's own, and one
/// that a watch names in full, are looked at in each.
const LIST_EVERY: u64 = 60;

/// How long one look may take before the watch ends: longer is a store that is away.
const LOOK_WITHIN: Duration = Duration::from_secs(5);

/// What is polled for.
pub(in super::super) struct Asked {
    pub(in super::super) rest: Arc<Rest>,
    pub(in super::super) leases: Arc<Leases>,
    pub(in super::super) space: Space,
    pub(in super::super) prefixes: Vec<Vec<u8>>,
    pub(in super::super) every: Duration,
}

/// What was found.
#[derive(Clone, Debug, Default)]
struct Found {
    /// How often all was looked at.
    rounds: u64,
    leases: BTreeMap<Vec<u8>, Seen>,
    trouble: Option<Error>,
}

/// A watch of the log and of the leases beside it.
pub(in super::super) struct LeaseWatch {
    log: Box<dyn Watch>,
    found: watch::Receiver<Found>,
    polling: AbortHandle,
    /// Where the log was last told to stand; `None`: it has not proved yet where it begins.
    at: Option<Cursor>,
    /// What was told of the leases.
    told: BTreeMap<Vec<u8>, Revision>,
    /// The rounds there had been when something was told last.
    rounds: u64,
    /// Progress of the log that waits for a round.
    pending: Option<Cursor>,
}

/// Whether a watch of these prefixes shows leases.
pub(in super::super) fn shows_leases(prefixes: &[&[u8]]) -> bool {
    prefixes.iter().any(|prefix| prefix.starts_with(LEASE) || LEASE.starts_with(prefix))
}

impl LeaseWatch {
    /// The watch `log`, and of the leases that are asked for.
    pub(in super::super) fn new(log: Box<dyn Watch>, asked: Asked) -> LeaseWatch {
        let (sender, found) = watch::channel(Found::default());
        let polling = tokio::spawn(poll(asked, sender)).abort_handle();
        LeaseWatch { log, found, polling, at: None, told: BTreeMap::new(), rounds: 0, pending: None }
    }

    /// What there is to tell without waiting.
    fn step(&mut self) -> Result<Option<Notice>, Error> {
        let Some(at) = &self.at else { return Ok(None) };
        let found = self.found.borrow_and_update();
        // A lease's number lives on, whatever is done to the lease.
        let is_back =
            |(name, told): &(&Vec<u8>, &Revision)| found.leases.get(*name).is_none_or(|is| is.version < **told);
        if let Some((name, _)) = self.told.iter().find(is_back) {
            let why = format!("the blob of `{}` is gone, or an older one: it was rolled back", name.escape_ascii());
            return Err(Error::Compacted(at.revision, why));
        }
        let news = found.leases.iter().find(|(name, seen)| self.told.get(*name) != Some(&seen.version));
        if let Some((name, seen)) = news {
            self.told.insert(name.clone(), seen.version);
            let change: Named = (name.clone(), seen.record());
            return Ok(Some(Notice::Committed(Committed { cursor: at.clone(), changes: vec![change] })));
        }
        if let Some(trouble) = &found.trouble {
            return Err(trouble.clone());
        }
        if found.rounds > self.rounds
            && let Some(cursor) = self.pending.take()
        {
            self.rounds = found.rounds;
            return Ok(Some(Notice::Progress(cursor)));
        }
        Ok(None)
    }

    /// What the log says: all but progress is told at once.
    fn heard(&mut self, notice: Notice) -> Option<Notice> {
        let (Notice::Progress(cursor) | Notice::Committed(Committed { cursor, .. })) = &notice;
        let is_first = self.at.replace(cursor.clone()).is_none();
        if let Notice::Progress(cursor) = &notice
            && !is_first
        {
            // Proof of contact with the leases, too: it waits until they were looked at.
            self.pending = Some(cursor.clone());
            return None;
        }
        self.pending = None;
        Some(notice)
    }
}

#[async_trait]
impl Watch for LeaseWatch {
    async fn next(&mut self) -> Result<Notice, Error> {
        loop {
            if let Some(notice) = self.step()? {
                return Ok(notice);
            }
            // Both may be dropped and lose nothing, and nothing is awaited after them.
            tokio::select! {
                notice = self.log.next() => {
                    if let Some(notice) = self.heard(notice?) {
                        return Ok(notice);
                    }
                }
                changed = self.found.changed(), if self.at.is_some() => {
                    changed.map_err(|_| Error::Unavailable("the poll of leases was stopped".to_owned()))?;
                }
            }
        }
    }
}

impl Drop for LeaseWatch {
    fn drop(&mut self) {
        self.polling.abort();
    }
}

/// Looks at the leases round by round, until something is wrong.
async fn poll(asked: Asked, sender: watch::Sender<Found>) {
    let mut written = asked.leases.written.subscribe();
    for round in 0.. {
        written.borrow_and_update();
        let known = sender.borrow().leases.clone();
        match asked.round(round, known).await {
            Ok(leases) => sender.send_modify(|found| {
                found.rounds += 1;
                found.leases = leases;
            }),
            Err(failure) => {
                sender.send_modify(|found| found.trouble = Some(failure.of_look()));
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(asked.every) => {}
            // This process wrote one itself.
            Ok(()) = written.changed() => {}
        }
    }
}

impl Asked {
    async fn round(&self, round: u64, mut leases: BTreeMap<Vec<u8>, Seen>) -> Result<BTreeMap<Vec<u8>, Seen>, Failure> {
        let deadline = clock::now() + LOOK_WITHIN;
        let mut names: Vec<Vec<u8>> = leases.keys().cloned().collect();
        if round.is_multiple_of(LIST_EVERY) {
            names.extend(self.leases.names(&self.rest, &self.space, deadline).await?);
        }
        names.push(own_name(&self.space));
        names.extend(self.prefixes.iter().filter(|prefix| prefix.len() > LEASE.len()).cloned());
        names.sort_unstable();
        names.dedup();
        let shown = |name: &Vec<u8>| name.starts_with(LEASE) && self.prefixes.iter().any(|p| name.starts_with(p));
        for name in names.into_iter().filter(shown) {
            let key = Key::new(self.space.clone(), name);
            let etag = leases.get(&key.name).map(|seen| seen.etag.clone());
            match self.leases.look(&self.rest, &key, etag.as_deref(), deadline).await? {
                Look::Same => {}
                Look::Is(seen) => drop(leases.insert(key.name, seen)),
                Look::None => drop(leases.remove(&key.name)),
            }
        }
        Ok(leases)
    }
}
