//! What an attempt is planned from: the instances as the mirror shows them, corrected by what this placer's own commits
//! and conflicts said since, which is ahead of any mirror.

use std::collections::BTreeMap;

use steadfast_core::placement::{Books, Ledger, Members, Tick};
use steadfast_core::settings::StickySettings;
use steadfast_core::{InstanceId, Moment};
use steadfast_store::Revision;

use crate::members::member;
use crate::presence::Beats;
use crate::records::ClockRecord;
use crate::{Error, LedgerRecord, Snapshot, Stored, keys};

/// What the store's answers to commits showed.
#[derive(Debug, Default)]
pub(super) struct Own {
    pub(super) ledgers: BTreeMap<InstanceId, Answered<LedgerRecord>>,
    pub(super) clock: Option<Answered<ClockRecord>>,
}

/// One record as an answer showed it.
#[derive(Clone, Debug)]
pub(super) struct Answered<T> {
    /// Its version; of one that is gone the version that it had been believed to have.
    pub(super) version: Revision,
    pub(super) record: Result<Option<T>, Error>,
}

impl Own {
    /// Forgets what the mirror has caught up with: that is known from there.
    pub(super) fn catch_up(&mut self, snapshot: &Snapshot) {
        self.ledgers.retain(|id, answered| {
            snapshot.instances.get(id).is_none_or(|seen| seen.ledger_version <= answered.version)
        });
        let caught_up = |clock: &Answered<_>| clock.version < snapshot.tick_version.unwrap_or_default();
        self.clock = self.clock.take().filter(|clock| !caught_up(clock));
    }

    /// The set's time, by whichever knows more of it.
    fn time(&self, snapshot: &Snapshot) -> Result<Time, Error> {
        if let Some(Answered { version, record }) = &self.clock {
            let clock = record.clone()?;
            let said = clock.is_some().then_some(*version);
            return Ok(Time { tick: clock.unwrap_or_default().tick(), version: said });
        }
        match snapshot.unusable.get(keys::CLOCK) {
            Some(error) => Err(error.clone()),
            None => Ok(Time { tick: snapshot.tick, version: snapshot.tick_version }),
        }
    }
}

/// The set's time, and which version of its record says so, if there is one.
#[derive(Clone, Copy, Debug)]
struct Time {
    tick: Tick,
    version: Option<Revision>,
}

/// A working copy of the books, without the clients.
#[derive(Debug)]
pub(super) struct WorkingCopy<'a> {
    settings: &'a StickySettings,
    time: Time,
    /// The working copies of the ledgers are in here.
    members: Members,
    /// The ledgers as they are in the store.
    ledgers: BTreeMap<InstanceId, Stored<LedgerRecord>>,
    unreadable: BTreeMap<InstanceId, Error>,
}

impl<'a> WorkingCopy<'a> {
    /// As things are known now. `suspended`: where no new clients go from here, and until when. An error: what time it
    /// is cannot be read, and whoever is placed by an earlier one would seem to be long gone.
    pub(super) fn new(
        snapshot: &Snapshot,
        settings: &'a StickySettings,
        own: &Own,
        beats: &Beats,
        suspended: &BTreeMap<InstanceId, Moment>,
        now: Moment,
    ) -> Result<WorkingCopy<'a>, Error> {
        let mut copy = WorkingCopy {
            settings,
            time: own.time(snapshot)?,
            members: Members::new(),
            ledgers: BTreeMap::new(),
            unreadable: BTreeMap::new(),
        };
        for (key, error) in &snapshot.unusable {
            if let Some(Ok(id)) = key.strip_prefix(keys::LEDGERS).map(str::parse) {
                copy.unreadable.insert(id, error.clone());
            }
        }
        for (id, seen) in &snapshot.instances {
            if let Some(ledger) = &seen.ledger {
                copy.ledgers.insert(id.clone(), Stored { version: seen.ledger_version, record: ledger.clone() });
            }
        }
        for (id, answered) in &own.ledgers {
            copy.correct(id, answered);
        }
        for (id, stored) in &copy.ledgers {
            let description = snapshot.instances.get(id).and_then(|seen| seen.description.as_ref());
            let mut member = member(description, &stored.record, beats.get(id), now);
            member.suspended |= suspended.get(id).is_some_and(|until| now < *until);
            copy.members.insert(id.clone(), member);
        }
        Ok(copy)
    }

    fn correct(&mut self, id: &InstanceId, answered: &Answered<LedgerRecord>) {
        if self.ledgers.get(id).is_some_and(|shown| shown.version > answered.version) {
            return;
        }
        self.ledgers.remove(id);
        self.unreadable.remove(id);
        match &answered.record {
            Ok(None) => {}
            Ok(Some(record)) => {
                let stored = Stored { version: answered.version, record: record.clone() };
                self.ledgers.insert(id.clone(), stored);
            }
            Err(error) => {
                self.unreadable.insert(id.clone(), error.clone());
            }
        }
    }

    /// What core decides from.
    pub(super) fn books(&self) -> Books<'_> {
        Books { settings: self.settings, tick: self.time.tick, members: &self.members }
    }

    /// The working copy of a ledger becomes this one. False where there is none.
    pub(super) fn change(&mut self, id: &InstanceId, ledger: Ledger) -> bool {
        self.members.get_mut(id).map(|member| member.ledger = ledger).is_some()
    }

    /// The working copy of a ledger, and what it was made from.
    pub(super) fn ledger(&self, id: &InstanceId) -> Option<(&Ledger, &Stored<LedgerRecord>)> {
        Some((&self.members.get(id)?.ledger, self.ledgers.get(id)?))
    }

    /// The version of the record that says what time it is; `None`: there is none.
    pub(super) fn clock_version(&self) -> Option<Revision> {
        self.time.version
    }

    /// Every ledger and its version.
    pub(super) fn versions(&self) -> impl Iterator<Item = (&InstanceId, Revision)> {
        self.ledgers.iter().map(|(id, stored)| (id, stored.version))
    }

    /// Why a ledger that is there cannot be used.
    pub(super) fn unreadable(&self, id: &InstanceId) -> Option<&Error> {
        self.unreadable.get(id)
    }
}
