//! What an attempt is planned from: the instances as the mirror shows them, corrected by what this placer's own commits
//! and conflicts said since, which is ahead of any mirror.

use std::collections::BTreeMap;

use steadfast_core::placement::{Books, Ledger, Members, Tick};
use steadfast_core::settings::StickySettings;
use steadfast_core::{InstanceId, Moment};
use steadfast_store::Revision;

use crate::members::member;
use crate::presence::Beats;
use crate::{Error, LedgerRecord, Snapshot, Stored, keys};

/// Ledgers as the store's answers to commits showed them.
pub(super) type Own = BTreeMap<InstanceId, Answered>;

/// One ledger as an answer showed it.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    /// Its version; of one that is gone the version that it had been believed to have.
    pub(super) version: Revision,
    pub(super) ledger: Result<Option<LedgerRecord>, Error>,
}

/// A working copy of the books, without the clients.
#[derive(Debug)]
pub(super) struct Sheet<'a> {
    settings: &'a StickySettings,
    tick: Tick,
    /// The working copies of the ledgers are in here.
    members: Members,
    /// The ledgers as they are in the store.
    ledgers: BTreeMap<InstanceId, Stored<LedgerRecord>>,
    unreadable: BTreeMap<InstanceId, Error>,
}

impl<'a> Sheet<'a> {
    /// As things are known now. `suspended`: where no new clients go from here, and until when.
    pub(super) fn new(
        snapshot: &Snapshot,
        settings: &'a StickySettings,
        own: &Own,
        beats: &Beats,
        suspended: &BTreeMap<InstanceId, Moment>,
        now: Moment,
    ) -> Sheet<'a> {
        let mut sheet = Sheet {
            settings,
            tick: snapshot.tick,
            members: Members::new(),
            ledgers: BTreeMap::new(),
            unreadable: BTreeMap::new(),
        };
        for (key, error) in &snapshot.unusable {
            if let Some(Ok(id)) = key.strip_prefix(keys::LEDGERS).map(str::parse) {
                sheet.unreadable.insert(id, error.clone());
            }
        }
        for (id, seen) in &snapshot.instances {
            if let Some(ledger) = &seen.ledger {
                sheet.ledgers.insert(id.clone(), Stored { version: seen.ledger_version, record: ledger.clone() });
            }
        }
        for (id, answered) in own {
            sheet.correct(id, answered);
        }
        for (id, stored) in &sheet.ledgers {
            let description = snapshot.instances.get(id).and_then(|seen| seen.description.as_ref());
            let mut member = member(description, &stored.record, beats.get(id), now);
            member.suspended |= suspended.get(id).is_some_and(|until| now < *until);
            sheet.members.insert(id.clone(), member);
        }
        sheet
    }

    fn correct(&mut self, id: &InstanceId, answered: &Answered) {
        if self.ledgers.get(id).is_some_and(|shown| shown.version > answered.version) {
            return;
        }
        self.ledgers.remove(id);
        self.unreadable.remove(id);
        match &answered.ledger {
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
        Books { settings: self.settings, tick: self.tick, members: &self.members }
    }

    /// The working copy of a ledger becomes this one. False where there is none.
    pub(super) fn change(&mut self, id: &InstanceId, ledger: Ledger) -> bool {
        self.members.get_mut(id).map(|member| member.ledger = ledger).is_some()
    }

    /// The working copy of a ledger, and what it was made from.
    pub(super) fn ledger(&self, id: &InstanceId) -> Option<(&Ledger, &Stored<LedgerRecord>)> {
        Some((&self.members.get(id)?.ledger, self.ledgers.get(id)?))
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
