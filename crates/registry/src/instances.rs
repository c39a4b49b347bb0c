//! Instances: where they are, whether they take part, and that they are there at all.

use std::collections::BTreeMap;

use steadfast_core::placement::Tick;
use steadfast_core::{Incarnation, InstanceId, SetName, Weight};
use steadfast_store::Error as StoreError;

use crate::records::Extras;
use crate::registry::{Decision, put};
use crate::{BeatRecord, Error, EventKind, InstanceRecord, LedgerRecord, LedgerState, Registry, Stored, Text, keys};

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
        capacity: Weight,
        believed: &Registration,
    ) -> Result<(), Error> {
        let ledger = next_ledger(id, record, believed);
        let ledger = ledger.standing(LedgerState::Open, Tick::default(), id.as_str());
        self.write_registration(set, id, record, ledger.of_capacity(capacity), believed).await
    }

    /// The same for an instance that cannot serve anybody yet: it is lost, since `tick` if it was not before, until its
    /// agent says that it is open ([`Registry::stand`]).
    pub async fn register_unready(
        &self,
        set: &SetName,
        id: &InstanceId,
        record: &InstanceRecord,
        capacity: Weight,
        tick: Tick,
        believed: &Registration,
    ) -> Result<(), Error> {
        let ledger = next_ledger(id, record, believed).standing(LedgerState::Lost, tick, id.as_str());
        self.write_registration(set, id, record, ledger.of_capacity(capacity), believed).await
    }

    async fn write_registration(
        &self,
        set: &SetName,
        id: &InstanceId,
        record: &InstanceRecord,
        ledger: LedgerRecord,
        believed: &Registration,
    ) -> Result<(), Error> {
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
    /// Says what the state was before, or `None` if nothing was to be changed.
    pub async fn set_state(
        &self,
        set: &SetName,
        id: &InstanceId,
        only: Option<Incarnation>,
        state: LedgerState,
        by: &str,
    ) -> Result<Option<LedgerState>, Error> {
        let before = self
            .update(&keys::ledger(set, id), |old: Option<&LedgerRecord>| {
                let old = old.ok_or_else(|| Error::NoInstance(set.clone(), id.clone()))?;
                // An operator's drain outlives the agent's own comings and goings.
                let not_ours = only.is_some_and(|mine| mine != old.incarnation || old.state == LedgerState::Draining);
                if old.state == state || not_ours {
                    return Ok(Decision::Leave(None));
                }
                let since = steadfast_host::clock::wall().to_string();
                let new = LedgerRecord { state, nonce: None, by: by.to_owned(), since, ..old.clone() };
                Ok(Decision::Write(new, Some(old.state)))
            })
            .await?;
        if before.is_some() {
            self.note(set, EventKind::State { instance: id.clone().into(), state }, by).await;
        }
        Ok(before)
    }

    /// Presence: says that this life of the instance is there.
    pub async fn beat(&self, set: &SetName, id: &InstanceId, beat: &BeatRecord) -> Result<(), Error> {
        self.update(&keys::beat(set, id), |old: Option<&BeatRecord>| {
            let extras = old.map(|beat| beat.extras.clone()).unwrap_or_default();
            Ok(Decision::Write(BeatRecord { extras, ..beat.clone() }, ()))
        })
        .await
    }

    /// The last beat of an instance.
    pub async fn last_beat(&self, set: &SetName, id: &InstanceId) -> Result<Option<BeatRecord>, Error> {
        Ok(self.get::<BeatRecord>(&keys::beat(set, id)).await?.map(|stored| stored.record))
    }
}

/// The ledger of a new life: the clients of a former one stay at home, and charged.
fn next_ledger(id: &InstanceId, record: &InstanceRecord, believed: &Registration) -> LedgerRecord {
    let old = believed.ledger.as_ref().map(|stored| stored.record.clone());
    let old = old.unwrap_or_else(|| LedgerRecord::new(record.incarnation, LedgerState::Open, id.as_str()));
    LedgerRecord { incarnation: record.incarnation, nonce: None, ..old }
}

pub(crate) fn parse_id(id: &str) -> Result<InstanceId, Error> {
    id.parse().map_err(|e| Error::Record { key: format!("instance/{id}"), problem: format!("{e}") })
}

impl LedgerRecord {
    /// With this capacity. A lower one moves nobody, it admits nobody.
    fn of_capacity(self, capacity: Weight) -> LedgerRecord {
        let excused = self.charged_milli > capacity.as_milli() && (self.excused || capacity < self.capacity.0);
        LedgerRecord { capacity: Text(capacity), excused, ..self }
    }

    /// A ledger for one life of an instance.
    pub fn new(incarnation: Incarnation, state: LedgerState, by: &str) -> LedgerRecord {
        let since = steadfast_host::clock::wall().to_string();
        LedgerRecord {
            incarnation,
            state,
            capacity: Text(Weight::ZERO),
            excused: false,
            charged_milli: 0,
            clients: 0,
            lost_at: None,
            drained: false,
            move_at: None,
            nonce: None,
            by: by.to_owned(),
            since,
            extras: Extras::new(),
        }
    }
}
