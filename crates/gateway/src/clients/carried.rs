//! Clients whose requests and tunnels this gateway carries at the moment: counted, so that the last one to end is
//! known, and told when their home is another one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use steadfast_core::Epoch;
use steadfast_core::client::ClientKey;

use super::{Clients, Hash, lock};

/// Parts with a lock each.
const PARTS: usize = 64;

/// See the module.
#[derive(Debug)]
pub(super) struct Carried(Box<[Mutex<HashMap<Hash, Present>>]>);

#[derive(Debug)]
struct Present {
    stay: Arc<Stay>,
    /// Of the placement that the last one was carried by.
    epoch: Epoch,
    count: usize,
}

/// One client's time at one home. Everything that is carried for it asks before each piece whether it is over.
#[derive(Debug)]
struct Stay {
    client: ClientKey,
    home: u32,
    over: AtomicBool,
}

/// Something that is carried, as long as this is held.
#[derive(Debug)]
pub(crate) struct Held {
    clients: Arc<Clients>,
    hash: Hash,
    stay: Arc<Stay>,
}

impl Held {
    /// Whether the client's home is another one now, or none.
    pub(crate) fn is_over(&self) -> bool {
        self.stay.over.load(Ordering::Acquire)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.clients.carried.leave(self.hash, &self.stay) && !self.is_over() {
            self.clients.left(self.hash, &self.stay.client);
        }
    }
}

impl Default for Carried {
    fn default() -> Carried {
        Carried((0..PARTS).map(|_| Mutex::default()).collect())
    }
}

impl Carried {
    /// Counts a request or a tunnel in. `None`: the client is at another home by a later placement than `at`.
    pub(super) fn enter(clients: &Arc<Clients>, hash: Hash, client: &ClientKey, at: &super::Entry) -> Option<Held> {
        let mut part = lock(clients.carried.part(hash));
        let begin = || {
            let stay = Arc::new(Stay { client: client.clone(), home: at.home, over: AtomicBool::new(false) });
            Present { stay, epoch: at.epoch, count: 0 }
        };
        let present = match part.entry(hash) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(free) => free.insert(begin()),
        };
        let over = present.stay.over.load(Ordering::Acquire);
        if !over && present.stay.home == at.home {
            present.epoch = present.epoch.max(at.epoch);
        } else if !over && at.epoch < present.epoch {
            return None;
        } else {
            // Those of the former stay end by themselves, and count there.
            present.stay.over.store(true, Ordering::Release);
            *present = begin();
        }
        present.count += 1;
        Some(Held { clients: clients.clone(), hash, stay: present.stay.clone() })
    }

    /// Counts one out. True if it was the last one of the client.
    fn leave(&self, hash: Hash, stay: &Arc<Stay>) -> bool {
        let mut part = lock(self.part(hash));
        let Entry::Occupied(mut there) = part.entry(hash) else { return false };
        let present = there.get_mut();
        if !Arc::ptr_eq(&present.stay, stay) {
            return false;
        }
        present.count -= 1;
        let last = present.count == 0;
        if last {
            there.remove();
        }
        last
    }

    /// A client's home is this one. True if that ends a stay.
    pub(super) fn at_home(&self, hash: Hash, home: Option<u32>) -> bool {
        let part = lock(self.part(hash));
        let Some(present) = part.get(&hash).filter(|present| Some(present.stay.home) != home) else { return false };
        !present.stay.over.swap(true, Ordering::AcqRel)
    }

    /// Whether something is still carried for a stay at another home than this.
    pub(super) fn has_ended(&self, hash: Hash, home: u32) -> bool {
        lock(self.part(hash)).get(&hash).is_some_and(|present| present.stay.home != home)
    }

    pub(super) fn count(&self) -> usize {
        self.0.iter().map(|part| lock(part).len()).sum()
    }

    pub(super) fn all(&self) -> Vec<(Hash, ClientKey)> {
        let part = |part: &Mutex<HashMap<Hash, Present>>| -> Vec<(Hash, ClientKey)> {
            lock(part).iter().map(|(hash, present)| (*hash, present.stay.client.clone())).collect()
        };
        self.0.iter().flat_map(part).collect()
    }

    fn part(&self, hash: Hash) -> &Mutex<HashMap<Hash, Present>> {
        &self.0[hash.0 as usize % PARTS]
    }
}
