//! The lease record of a set: core's attempts become commits, and their ends core's outcomes.

use std::sync::Arc;
use std::time::Duration;

use steadfast_core::SetName;
use steadfast_core::lease::{Attempt, Expect, Hold, Observed, Outcome, Version};
use steadfast_store::{self as store, Batch, Change, Key, Named, Record, Revision, Write};

use crate::records::{Extras, StoredLease, encode};
use crate::registry::stored;
use crate::{Error, Registry, keys};

/// The lease of one set, or the keeper's, as one process reads and writes it.
#[derive(Clone, Debug)]
pub struct Leases {
    registry: Registry,
    set: SetName,
    key: Key,
}

impl Leases {
    /// The lease of `set`.
    pub fn new(registry: Registry, set: SetName) -> Leases {
        let key = keys::lease(&set);
        Leases { registry, set, key }
    }

    /// The keeper's, which is no set's and lies in the catalog.
    pub(crate) fn of_keeper(registry: &Registry) -> Leases {
        let set = "keeper".parse().unwrap_or_else(|e| unreachable!("a constant: {e}"));
        // A set may bear the same name: what is remembered of the one is nothing to the other.
        let registry = Registry { newer: Arc::default(), ..registry.clone() };
        Leases { registry, set, key: keys::keeper() }
    }

    /// What these changes show of the lease; `None` if nothing.
    pub(crate) fn find(&self, mut changes: impl Iterator<Item = Named>) -> Option<Result<Option<Observed>, Error>> {
        let (_, record) = changes.find(|(name, _)| *name == self.key.name)?;
        Some(record.map(|record| self.observe(&record)).transpose())
    }

    /// The record as some recent state of the store shows it.
    pub async fn read(&self, within: Duration) -> Result<Option<Observed>, Error> {
        let found = self.registry.store.read(&self.key, within).await?;
        found.map(|record| self.observe(&record)).transpose()
    }

    /// Sends one attempt and says how it ended. An error is one that no retry mends (`Denied`, `Corrupt`, a newer
    /// format): the attempt did not happen.
    pub async fn send(&self, attempt: &Attempt) -> Result<Outcome, Error> {
        let key = self.key.clone();
        let (expect, extras) = match attempt.expect {
            Expect::Absent => (store::Expect::Absent, Extras::new()),
            Expect::Version(version) => {
                (store::Expect::Version(Revision(version.0)), self.registry.newer.of(&self.set, Revision(version.0)))
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
                self.registry.newer.saw(&self.set, cursor.revision, extras);
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
        let (observed, extras) = observed(&self.key, record)?;
        self.registry.newer.saw(&self.set, record.version, extras);
        Ok(observed)
    }
}

pub(crate) fn observed(key: &Key, record: &Record) -> Result<(Observed, Extras), Error> {
    let stored = stored::<StoredLease>(key, record)?;
    let observed = Observed { version: Version(record.version.0), record: stored.record.lease() };
    Ok((observed, stored.record.extras))
}
