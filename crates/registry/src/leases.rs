//! The lease record of a set: core's attempts become commits, and their ends core's outcomes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
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
}

/// What a newer version added to each set's lease, at the version this process saw last, by reading or in a mirror:
/// to be written back with our next change.
#[derive(Debug, Default)]
pub(crate) struct NewerFields(Mutex<BTreeMap<SetName, (Revision, Extras)>>);

impl NewerFields {
    /// The lease of `set` was seen. What is older than what was seen already counts for nothing.
    pub(crate) fn saw(&self, set: &SetName, version: Revision, extras: Extras) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.get(set).is_none_or(|(last, _)| *last < version) {
            seen.insert(set.clone(), (version, extras));
        }
    }

    /// The store holds another history of `set`: its versions count from elsewhere.
    pub(crate) fn forget(&self, set: &SetName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(set);
    }

    fn of(&self, set: &SetName, version: Revision) -> Extras {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(set).filter(|(last, _)| *last == version).map(|(_, extras)| extras.clone()).unwrap_or_default()
    }
}

impl Leases {
    /// The lease of `set`.
    pub fn new(registry: Registry, set: SetName) -> Leases {
        Leases { registry, set }
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
        let (observed, extras) = observed(&self.set, record)?;
        self.registry.newer.saw(&self.set, record.version, extras);
        Ok(observed)
    }
}

pub(crate) fn observed(set: &SetName, record: &Record) -> Result<(Observed, Extras), Error> {
    let stored = stored::<StoredLease>(&keys::lease(set), record)?;
    let observed = Observed { version: Version(record.version.0), record: stored.record.lease() };
    Ok((observed, stored.record.extras))
}
