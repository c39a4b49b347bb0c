//! The lease record of a set: core's attempts become commits, and their ends core's outcomes.

use std::sync::Mutex;
use std::time::Duration;

use steadfast_core::SetName;
use steadfast_core::lease::{Attempt, Expect, Hold, Observed, Outcome, Version};
use steadfast_store::{self as store, Batch, Change, Record, Revision, Write};

use crate::records::{Extras, StoredLease, encode};
use crate::registry::stored;
use crate::{Error, Registry, keys};

/// The lease of one set, as one process reads and writes it.
#[derive(Debug)]
pub struct Leases {
    registry: Registry,
    set: SetName,
    /// What a newer version added to the record at the version we last saw: written back with our next change.
    extras: Mutex<Option<(Revision, Extras)>>,
}

impl Leases {
    /// The lease of `set`.
    pub fn new(registry: Registry, set: SetName) -> Leases {
        Leases { registry, set, extras: Mutex::new(None) }
    }

    /// The record as some recent state of the store shows it.
    pub async fn read(&self, within: Duration) -> Result<Option<Observed>, Error> {
        let found = self.registry.store.read(&keys::lease(&self.set), within).await?;
        found.map(|record| self.observe(&record)).transpose()
    }

    /// Sends one attempt and says how it ended. An error is one that no retry mends (`Denied`, `Corrupt`, a newer
    /// format): the attempt did not happen.
    pub async fn send(&self, attempt: &Attempt) -> Result<Outcome, Error> {
        let key = keys::lease(&self.set);
        let (expect, extras) = match attempt.expect {
            Expect::Absent => (store::Expect::Absent, Extras::new()),
            Expect::Version(version) => {
                (store::Expect::Version(Revision(version.0)), self.extras_of(Revision(version.0)))
            }
        };
        let hold = match attempt.hold {
            Hold::Take => store::Hold::Take,
            Hold::Renew => store::Hold::Renew,
            Hold::Release => store::Hold::Release,
        };
        let record = StoredLease::new(&attempt.record, extras.clone());
        let write = Write::Put(encode(&record).into(), Some(hold));
        let batch = Batch { space: key.space.clone(), changes: vec![Change { name: key.name, expect, write }] };
        match self.registry.store.commit(batch, attempt.within).await {
            Ok(cursor) => {
                self.remember(cursor.revision, extras);
                Ok(Outcome::Committed(Version(cursor.revision.0)))
            }
            Err(store::Error::Conflict(current)) => {
                let found = current.into_iter().find_map(|(_, record)| record);
                Ok(Outcome::Conflict(found.map(|record| self.observe(&record)).transpose()?))
            }
            Err(store::Error::Unavailable(_)) => Ok(Outcome::Unavailable),
            Err(store::Error::OutcomeUnknown(_)) => Ok(Outcome::Unknown),
            Err(other) => Err(other.into()),
        }
    }

    fn observe(&self, record: &Record) -> Result<Observed, Error> {
        let (observed, extras) = observed(&self.set, record)?;
        self.remember(record.version, extras);
        Ok(observed)
    }

    fn remember(&self, version: Revision, extras: Extras) {
        let mut last = self.extras.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.as_ref().is_none_or(|(seen, _)| *seen < version) {
            *last = Some((version, extras));
        }
    }

    fn extras_of(&self, version: Revision) -> Extras {
        let last = self.extras.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        last.as_ref().filter(|(seen, _)| *seen == version).map(|(_, extras)| extras.clone()).unwrap_or_default()
    }
}

pub(crate) fn observed(set: &SetName, record: &Record) -> Result<(Observed, Extras), Error> {
    let stored = stored::<StoredLease>(&keys::lease(set), record)?;
    let observed = Observed { version: Version(record.version.0), record: stored.record.lease() };
    Ok((observed, stored.record.extras))
}
