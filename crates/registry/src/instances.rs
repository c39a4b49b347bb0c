//! Instances: where they are, whether they take part, and that they are there at all.

use std::collections::BTreeMap;

use steadfast_core::{Incarnation, InstanceId, SetName};
use steadfast_store::{Error as StoreError, Expect, Revision, Write};

use crate::records::Extras;
use crate::registry::{CALL_WITHIN, expect, put, stored};
use crate::{BeatRecord, Error, EventKind, InstanceRecord, LedgerRecord, LedgerState, Registry, Stored, keys};

/// What the books say of one instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registration {
    /// Where it is.
    pub description: Option<Stored<InstanceRecord>>,
    /// Whether it takes part.
    pub ledger: Option<Stored<LedgerRecord>>,
}

impl Registry {
    /// What the books say of one instance.
    pub async fn instance(&self, set: &SetName, id: &InstanceId) -> Result<Registration, Error> {
        Ok(Registration {
            description: self.get(&keys::instance(set, id)).await?,
            ledger: self.get(&keys::ledger(set, id)).await?,
        })
    }

    /// Every instance of a set.
    pub async fn instances(&self, set: &SetName) -> Result<BTreeMap<InstanceId, Registration>, Error> {
        let space = keys::space(set);
        let mut found: BTreeMap<InstanceId, Registration> = BTreeMap::new();
        for (id, description) in self.all(&space, keys::INSTANCES.as_bytes()).await? {
            found.entry(parse_id(&id)?).or_default().description = Some(description);
        }
        for (id, ledger) in self.all(&space, keys::LEDGERS.as_bytes()).await? {
            found.entry(parse_id(&id)?).or_default().ledger = Some(ledger);
        }
        Ok(found)
    }

    /// Registers one life of an instance in the place of what the caller `believed` to be there and to be dead.
    /// An operator's drain stays; every other state becomes open. A conflict means that the belief was wrong.
    pub async fn register(
        &self,
        set: &SetName,
        id: &InstanceId,
        record: &InstanceRecord,
        believed: &Registration,
    ) -> Result<(), Error> {
        let old_ledger = believed.ledger.as_ref().map(|stored| &stored.record);
        let drained = old_ledger.filter(|ledger| ledger.state == LedgerState::Draining);
        let ledger = LedgerRecord {
            incarnation: record.incarnation,
            state: drained.map_or(LedgerState::Open, |ledger| ledger.state),
            by: drained.map_or_else(|| id.to_string(), |ledger| ledger.by.clone()),
            since: drained.map_or_else(|| record.since.clone(), |ledger| ledger.since.clone()),
            extras: old_ledger.map(|ledger| ledger.extras.clone()).unwrap_or_default(),
        };
        let mut record = record.clone();
        if let Some(old) = &believed.description {
            record.extras.clone_from(&old.record.extras);
        }
        let changes = vec![
            put(&keys::instance(set, id), believed.description.as_ref().map(|stored| stored.version), &record),
            put(&keys::ledger(set, id), believed.ledger.as_ref().map(|stored| stored.version), &ledger),
        ];
        match self.commit(keys::space(set), changes).await {
            Err(Error::Store(StoreError::OutcomeUnknown(why))) => {
                let now = self.instance(set, id).await?;
                let ours = now.description.is_some_and(|stored| stored.record.incarnation == record.incarnation);
                if ours { Ok(()) } else { Err(StoreError::Unavailable(why).into()) }
            }
            other => other.map(drop),
        }
    }

    /// Sets an instance's state. With `only`, no other life of the instance is touched.
    /// Says what the state was before.
    pub async fn set_state(
        &self,
        set: &SetName,
        id: &InstanceId,
        only: Option<Incarnation>,
        state: LedgerState,
        by: &str,
    ) -> Result<LedgerState, Error> {
        loop {
            let Some(old) = self.get::<LedgerRecord>(&keys::ledger(set, id)).await? else {
                return Err(Error::NoInstance(set.clone(), id.clone()));
            };
            let before = old.record.state;
            if before == state || only.is_some_and(|mine| mine != old.record.incarnation) {
                return Ok(before);
            }
            // An operator's drain outlives the agent's own comings and goings.
            if before == LedgerState::Draining && only.is_some() {
                return Ok(before);
            }
            let since = steadfast_host::clock::wall().to_string();
            let ledger = LedgerRecord { state, by: by.to_owned(), since, ..old.record };
            match self.commit(keys::space(set), vec![put(&keys::ledger(set, id), Some(old.version), &ledger)]).await {
                Ok(_) => {
                    self.note(set, EventKind::State { instance: id.clone().into(), state }, by).await;
                    return Ok(before);
                }
                Err(Error::Store(StoreError::Conflict(_))) => continue,
                Err(other) => return Err(other),
            }
        }
    }

    /// Presence: says that this life of the instance is there. `last` is the version of its last beat.
    pub async fn beat(
        &self,
        set: &SetName,
        id: &InstanceId,
        beat: &BeatRecord,
        last: Option<Revision>,
    ) -> Result<Revision, Error> {
        let key = keys::beat(set, id);
        let write = Write::Put(crate::records::encode(beat).into(), None);
        let change = steadfast_store::Change { name: key.name.clone(), expect: expect(last), write };
        match self.commit(keys::space(set), vec![change]).await {
            Ok(cursor) => Ok(cursor.revision),
            Err(Error::Store(StoreError::Conflict(current))) => {
                // Our own lost reply, or a former life's last beat: go on from what is there, unless another lives.
                let found = current.into_iter().find_map(|(_, record)| record);
                let Some(record) = found else { return Box::pin(self.beat(set, id, beat, None)).await };
                let change = steadfast_store::Change {
                    name: key.name.clone(),
                    expect: Expect::Version(record.version),
                    write: Write::Put(crate::records::encode(beat).into(), None),
                };
                Ok(self.commit(keys::space(set), vec![change]).await?.revision)
            }
            Err(other) => Err(other),
        }
    }

    /// The last beat of an instance.
    pub async fn last_beat(&self, set: &SetName, id: &InstanceId) -> Result<Option<BeatRecord>, Error> {
        let key = keys::beat(set, id);
        let found = self.store.read(&key, CALL_WITHIN).await?;
        found.map(|record| Ok(stored::<BeatRecord>(&key, &record)?.record)).transpose()
    }
}

pub(crate) fn parse_id(id: &str) -> Result<InstanceId, Error> {
    id.parse().map_err(|e| Error::Record { key: format!("instance/{id}"), problem: format!("{e}") })
}

impl LedgerRecord {
    /// A ledger for one life of an instance.
    pub fn new(incarnation: Incarnation, state: LedgerState, by: &str) -> LedgerRecord {
        let since = steadfast_host::clock::wall().to_string();
        LedgerRecord { incarnation, state, by: by.to_owned(), since, extras: Extras::new() }
    }
}
