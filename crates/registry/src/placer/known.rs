//! The clients' records that this placer read or wrote last, so that a return from idle need not be refused once to be
//! understood. Correctness never depends on it: what it says is a belief, and the commit checks it.

use std::collections::HashMap;

use steadfast_core::client::ClientKey;

use crate::Stored;
use crate::records::ClientRecord;

/// Records kept for sure; as many again may linger.
const KEPT: usize = 16_384;

/// Two generations: what nobody asked for while the younger one filled is dropped with the older one.
#[derive(Debug, Default)]
pub(super) struct Known {
    young: HashMap<ClientKey, Stored<ClientRecord>>,
    old: HashMap<ClientKey, Stored<ClientRecord>>,
}

impl Known {
    /// What was known of a client last.
    pub(super) fn get(&self, client: &ClientKey) -> Option<&Stored<ClientRecord>> {
        self.young.get(client).or_else(|| self.old.get(client))
    }

    /// This is known now.
    pub(super) fn learn(&mut self, client: ClientKey, record: Stored<ClientRecord>) {
        if self.young.len() >= KEPT {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(client, record);
    }

    /// Nothing is known any more of this client.
    pub(super) fn forget(&mut self, client: &ClientKey) {
        self.young.remove(client);
        self.old.remove(client);
    }

    /// Nothing is known any more at all.
    pub(super) fn clear(&mut self) {
        *self = Known::default();
    }
}
