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
    /// Counts the applications that came and went.
    application: u64,
}

/// The right to put a client on the roster, as long as the application that reported it lives.
#[derive(Debug)]
pub(crate) struct Entry {
    client: ClientKey,
    application: u64,
}

/// The roster is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{CLIENTS} clients are reported here already, and no more are kept by one agent")]
pub(crate) struct Full;

impl Roster {
    /// A report of `client` begins.
    pub(crate) fn begin(&self, client: &ClientKey) -> Result<Entry, Full> {
        let sheet = self.sheet();
        if sheet.clients.len() >= CLIENTS && !sheet.clients.contains_key(client) {
            return Err(Full);
        }
        Ok(Entry { client: client.clone(), application: sheet.application })
    }

    /// The books have it, charged until this tick.
    pub(crate) fn enter(&self, entry: Entry, until: Tick) {
        let mut sheet = self.sheet();
        if entry.application == sheet.application {
            sheet.clients.insert(entry.client, until);
        }
    }

    /// A client on the roster was refreshed until this tick. One that left meanwhile stays off.
    pub(crate) fn refreshed(&self, client: &ClientKey, until: Tick) {
        if let Some(known) = self.sheet().clients.get_mut(client) {
            *known = until;
        }
    }

    /// It is not here any more. Whether it was.
    pub(crate) fn remove(&self, client: &ClientKey) -> bool {
        self.sheet().clients.remove(client).is_some()
    }

    /// Nobody is here any more.
    pub(crate) fn clear(&self) {
        let mut sheet = self.sheet();
        sheet.clients = HashMap::new();
        sheet.application += 1;
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

#[cfg(test)]
mod tests;
