//! The clients the application says are connected to it, and until when the books keep them charged.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use steadfast_core::client::ClientKey;
use steadfast_core::placement::Tick;

/// So many clients are kept charged by one agent. Further reports are refused: what is not on the roster would go idle
/// while it is connected.
const CLIENTS: usize = 262_144;

/// The roster of one instance. A clone is the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roster(Arc<Mutex<Sheet>>);

#[derive(Debug, Default)]
struct Sheet {
    clients: HashMap<ClientKey, Tick>,
    /// Clients that are being reported. Who leaves meanwhile is struck off, and the report comes to nothing.
    coming: HashMap<ClientKey, Coming>,
    /// How many were ever put among them.
    numbered: u64,
}

/// One client on its way to the roster.
#[derive(Debug)]
struct Coming {
    number: u64,
    /// Its reports under way: whichever is taken puts it on the roster.
    reports: usize,
}

/// A report under way: the right to put its client on the roster, unless it leaves first.
#[derive(Debug)]
pub(crate) struct Entry {
    roster: Roster,
    client: ClientKey,
    number: u64,
}

/// The roster is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{CLIENTS} clients are reported here already, and no more are kept by one agent")]
pub(crate) struct Full;

impl Roster {
    /// A report of `client` begins.
    pub(crate) fn begin(&self, client: &ClientKey) -> Result<Entry, Full> {
        let mut guard = self.sheet();
        let sheet = &mut *guard;
        if sheet.clients.len() >= CLIENTS && !sheet.clients.contains_key(client) {
            return Err(Full);
        }
        let coming = sheet.coming.entry(client.clone()).or_insert_with(|| {
            sheet.numbered += 1;
            Coming { number: sheet.numbered, reports: 0 }
        });
        coming.reports += 1;
        Ok(Entry { roster: self.clone(), client: client.clone(), number: coming.number })
    }

    /// A client on the roster was refreshed until this tick. One that left meanwhile stays off.
    pub(crate) fn refreshed(&self, client: &ClientKey, until: Tick) {
        if let Some(known) = self.sheet().clients.get_mut(client) {
            *known = until;
        }
    }

    /// The application says that it is not here any more, whatever was reported before. Whether it was.
    pub(crate) fn remove(&self, client: &ClientKey) -> bool {
        let mut sheet = self.sheet();
        sheet.coming.remove(client);
        sheet.clients.remove(client).is_some()
    }

    /// The books say that it is at home elsewhere. A report under way may yet learn otherwise.
    pub(crate) fn dismiss(&self, client: &ClientKey) {
        self.sheet().clients.remove(client);
    }

    /// Nobody is here any more, whatever was reported before.
    pub(crate) fn clear(&self) {
        let mut sheet = self.sheet();
        sheet.clients = HashMap::new();
        sheet.coming = HashMap::new();
    }

    /// How many are here.
    pub(crate) fn len(&self) -> usize {
        self.sheet().clients.len()
    }

    /// Those whose charge ends before this tick.
    pub(crate) fn ending_before(&self, tick: Tick) -> Vec<ClientKey> {
        let sheet = self.sheet();
        sheet.clients.iter().filter(|(_, until)| **until < tick).map(|(client, _)| client.clone()).collect()
    }

    fn sheet(&self) -> MutexGuard<'_, Sheet> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// The books have it, charged until this tick. One that left meanwhile stays off.
    pub(crate) fn enter(self, until: Tick) {
        let mut sheet = self.roster.sheet();
        if sheet.coming.get(&self.client).is_some_and(|coming| coming.number == self.number) {
            sheet.clients.insert(self.client.clone(), until);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut sheet = self.roster.sheet();
        if let Some(coming) = sheet.coming.get_mut(&self.client).filter(|coming| coming.number == self.number) {
            coming.reports -= 1;
            if coming.reports == 0 {
                sheet.coming.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests;
