//! The model store of a sticky set: records with versions, batches that say what they expect, and the whole history.

use std::collections::BTreeMap;

use steadfast_core::InstanceId;
use steadfast_core::client::ClientKey;
use steadfast_core::placement::{Ledger, Placement, Tick};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Client(ClientKey),
    Ledger(InstanceId),
    Clock,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Client(Placement),
    /// With the nonce of the batch that wrote it; 0 of anybody else.
    Ledger(Ledger, u64),
    Clock(Tick),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    /// The revision of the commit that wrote it.
    pub(crate) version: u64,
    pub(crate) value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    Absent,
    Version(u64),
    /// A broken rule.
    Whatever,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Write {
    Put(Value),
    Delete,
    /// A precondition alone.
    Nothing,
}

#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) key: Key,
    pub(crate) expect: Expect,
    pub(crate) write: Write,
}

/// Records as they are; `None`: there is none.
pub(crate) type Found = Vec<(Key, Option<Record>)>;

/// Records as they were and as they are, after one commit.
pub(crate) type Touched = Vec<(Key, Option<Record>, Option<Record>)>;

pub(crate) struct Store {
    pub(crate) up: bool,
    pub(crate) records: BTreeMap<Key, Record>,
    /// What each commit wrote; the first is revision 1.
    history: Vec<Found>,
}

impl Store {
    pub(crate) fn new() -> Store {
        Store { up: true, records: BTreeMap::new(), history: Vec::new() }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.history.len() as u64
    }

    pub(crate) fn tick(&self) -> Tick {
        match self.records.get(&Key::Clock) {
            Some(Record { value: Value::Clock(tick), .. }) => *tick,
            _ => Tick::default(),
        }
    }

    pub(crate) fn clients(&self) -> impl Iterator<Item = &Placement> {
        self.records.values().filter_map(|record| match &record.value {
            Value::Client(placement) => Some(placement),
            _ => None,
        })
    }

    /// What the commits above `seen` wrote, up to `revision`.
    pub(crate) fn after(&self, seen: u64, revision: u64) -> &[Found] {
        &self.history[seen as usize..revision.max(seen) as usize]
    }

    /// All or nothing. A conflict shows every record that is not as expected.
    pub(crate) fn commit(&mut self, batch: &[Change]) -> Result<(u64, Touched), Found> {
        let holds = |change: &&Change| match (change.expect, self.records.get(&change.key)) {
            (Expect::Whatever, _) | (Expect::Absent, None) => true,
            (Expect::Version(version), Some(record)) => record.version == version,
            _ => false,
        };
        let differ: Vec<_> = batch.iter().filter(|change| !holds(change)).collect();
        if !differ.is_empty() {
            let show = |change: &&Change| (change.key.clone(), self.records.get(&change.key).cloned());
            return Err(differ.iter().map(show).collect());
        }
        if batch.iter().all(|change| change.write == Write::Nothing) {
            return Ok((self.revision(), Vec::new()));
        }
        let version = self.revision() + 1;
        let mut touched = Touched::new();
        for Change { key, write, .. } in batch {
            let after = match write {
                Write::Nothing => continue,
                Write::Delete => None,
                Write::Put(value) => Some(Record { version, value: value.clone() }),
            };
            let before = match &after {
                Some(record) => self.records.insert(key.clone(), record.clone()),
                None => self.records.remove(key),
            };
            touched.push((key.clone(), before, after));
        }
        self.history.push(touched.iter().map(|(key, _, after)| (key.clone(), after.clone())).collect());
        Ok((version, touched))
    }
}
