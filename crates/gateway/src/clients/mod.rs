//! Where the clients of a set are at home, as far as this gateway has heard: shared by all workers and the control
//! thread, in parts with a lock each.
//!
//! It holds hashes, not keys: 128 bits under a secret of this process, so that nobody can have two clients meet in one
//! entry. It is filled by answers of the placer (a client asked for here) and by the feed of the store (every change
//! of any client), which arrive in no order between them. Versions settle it:
//!
//! - Of two things said of a client that is known, the one of the higher version counts.
//! - Of a client that is not known, an answer counts only if nothing it could be older than was lost meanwhile. Who
//!   asks takes a [`Ticket`] before; what its part of the table has lost *since* (a client forgotten, one that made
//!   room, everything in a new beginning) may have been newer than the answer. What it lost *before* was: the answer
//!   was read from the store afterwards.
//!
//! What is not remembered is asked for again: a lost answer costs a call, a wrong one would cost a client its home.

mod carried;
mod shard;

use std::collections::HashMap;
use std::hash::Hasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use siphasher::sip128::{Hasher128, SipHasher13};
use steadfast_core::client::ClientKey;
use steadfast_core::placement::{Placement, Tick};
use steadfast_core::{InstanceId, Moment, Weight};

pub(crate) use carried::Held;
pub(crate) use shard::Entry;

use carried::Carried;
use shard::{MOST_HOMES, Shard, Slot};

/// Parts of the table. Many, so that the growth of one is short.
const SHARDS: usize = 1_024;
/// Clients whose end is still to be written. Beyond: not written, they stay charged for as long as they were.
const MOST_GONE: usize = 65_536;

/// The keyed hash of a client's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Hash(u64, u64);

/// See the module. Taken before an answer is asked for, given back with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    generation: u64,
    lost: u64,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) entry: Entry,
    /// Something is being asked for this client already.
    pub(crate) asked: bool,
}

/// What the table holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fill {
    pub(crate) clients: u64,
    pub(crate) evicted: u64,
    pub(crate) bytes: u64,
    pub(crate) carried: u64,
}

/// See the module.
pub(crate) struct Clients {
    secret: (u64, u64),
    shards: Box<[Part]>,
    most_a_shard: usize,
    homes: RwLock<HashMap<InstanceId, u32>>,
    clients: AtomicUsize,
    evicted: AtomicU64,
    /// A connection that ends is to be written where the charge ends before this tick.
    due: AtomicU64,
    /// Whose requests and tunnels this gateway carries.
    carried: Carried,
    gone: Mutex<HashMap<Hash, ClientKey>>,
    /// When the feed was heard last, in nanoseconds of the boot clock.
    heard: AtomicU64,
}

/// A part on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Part(Mutex<Shard>);

impl Clients {
    /// A table of at most `most` clients.
    pub(crate) fn new(most: usize) -> Clients {
        Clients {
            secret: (steadfast_host::random::u64(), steadfast_host::random::u64()),
            shards: (0..SHARDS).map(|_| Part::default()).collect(),
            most_a_shard: most.div_ceil(SHARDS).max(1),
            homes: RwLock::default(),
            clients: AtomicUsize::new(0),
            evicted: AtomicU64::new(0),
            due: AtomicU64::new(0),
            carried: Carried::default(),
            gone: Mutex::default(),
            heard: AtomicU64::new(0),
        }
    }

    /// The hash of a client's key. Allocates nothing.
    pub(crate) fn hash(&self, client: &[u8]) -> Hash {
        let mut hasher = SipHasher13::new_with_keys(self.secret.0, self.secret.1);
        hasher.write(client);
        let (one, two) = hasher.finish128().as_u64();
        Hash(one, two)
    }

    /// The number of an instance, given at the first mention. `None` where there are no more numbers.
    pub(crate) fn home(&self, instance: &InstanceId) -> Option<u32> {
        if let Some(known) = self.homes.read().unwrap_or_else(PoisonError::into_inner).get(instance) {
            return Some(*known);
        }
        let mut homes = self.homes.write().unwrap_or_else(PoisonError::into_inner);
        let next = u32::try_from(homes.len()).ok().filter(|next| *next < MOST_HOMES)?;
        Some(*homes.entry(instance.clone()).or_insert(next))
    }

    /// What is known of a client. Allocates nothing.
    pub(crate) fn look(&self, hash: Hash) -> Option<Found> {
        let mut shard = self.shard(hash);
        let slot = shard.find(hash)?;
        slot.meet();
        Some(Found { entry: slot.entry(), asked: slot.is_asked() })
    }

    /// To be taken before something is asked of the books.
    pub(crate) fn ticket(&self, hash: Hash) -> Ticket {
        let shard = self.shard(hash);
        Ticket { generation: shard.generation, lost: shard.lost }
    }

    /// Notes that something is asked for a client that is known. False if something is already, or it is not known.
    pub(crate) fn ask(&self, hash: Hash) -> bool {
        self.shard(hash).find(hash).is_some_and(Slot::ask)
    }

    /// What was asked came to nothing.
    pub(crate) fn failed(&self, hash: Hash) {
        if let Some(slot) = self.shard(hash).find(hash) {
            slot.answered();
        }
    }

    /// The books take no such weight for this client: it is not asked for again.
    pub(crate) fn declared(&self, hash: Hash, weight: Weight) {
        if let Some(slot) = self.shard(hash).find(hash) {
            slot.declare(weight);
            slot.answered();
        }
    }

    /// An answer of the books to a question for which `ticket` was taken. Says what the client's home is now, as far
    /// as is known: the answer, or something newer.
    pub(crate) fn answer(&self, hash: Hash, ticket: Ticket, version: u64, client: &Placement) -> Option<Entry> {
        let entry = self.entry(version, client)?;
        let slot = Slot::new(hash, &entry);
        let mut shard = self.shard(hash);
        if let Some(known) = shard.find(hash) {
            known.answered();
            if known.version() > version {
                return Some(known.entry());
            }
            self.replace(&mut shard, hash, slot);
        } else if shard.generation == ticket.generation
            && (shard.lost == ticket.lost || shard.lost < version)
            && let Some(slot) = slot
        {
            self.insert(&mut shard, slot);
        } else {
            // Too old to be remembered, perhaps: it serves this once.
            return Some(entry);
        }
        drop(shard);
        self.carried.at_home(hash, Some(entry.home));
        Some(entry)
    }

    /// The feed says that a commit wrote this (`None`: the client was forgotten). True if somebody who is carried here
    /// has to leave.
    pub(crate) fn news(&self, client: &ClientKey, revision: u64, now: Option<&Placement>) -> bool {
        let hash = self.hash(client.as_bytes());
        let entry = now.and_then(|record| self.entry(revision, record));
        let mut shard = self.shard(hash);
        if shard.find(hash).is_some_and(|known| known.version() >= revision) {
            // Told by an answer before.
            return false;
        }
        match entry.and_then(|entry| Slot::new(hash, &entry)) {
            Some(slot) if shard.find(hash).is_some() => self.replace(&mut shard, hash, Some(slot)),
            Some(slot) => self.insert(&mut shard, slot),
            None => {
                self.remove(&mut shard, hash);
                shard.lost = shard.lost.max(revision);
            }
        }
        drop(shard);
        self.carried.at_home(hash, entry.map(|entry| entry.home))
    }

    /// The feed begins anew: whatever is known may have changed unseen.
    pub(crate) fn begin(&self) {
        for part in &self.shards {
            let cleared = lock(&part.0).clear();
            self.clients.fetch_sub(cleared, Ordering::Relaxed);
        }
    }

    /// A connection that ends is to be written where the charge ends before this.
    pub(crate) fn set_due(&self, due: Tick) {
        self.due.store(due.0, Ordering::Relaxed);
    }

    /// Somebody's request or tunnel is carried from now on, to the home it was found to have, as long as what is
    /// returned is held. `None`: its home has become another one since.
    pub(crate) fn carry(self: &Arc<Clients>, hash: Hash, client: &ClientKey, found: &Entry) -> Option<Held> {
        let held = Carried::enter(self, hash, client, found)?;
        // Looked at once it is counted in: what was heard before is seen here, and what is heard later ends the stay.
        let known = self.look(hash).map(|known| known.entry).filter(|known| known.version > found.version);
        match known {
            Some(known) if known.home != found.home => {
                self.carried.at_home(hash, Some(known.home));
                None
            }
            Some(known) if known.epoch != found.epoch => None,
            _ => Some(held),
        }
    }

    /// A client who is carried here is at home there, as far as is known. True if somebody has to leave.
    pub(crate) fn keep_home(&self, hash: Hash) -> bool {
        self.look(hash).is_some_and(|known| self.carried.at_home(hash, Some(known.entry.home)))
    }

    /// The books have no such client, as was read when the table had none. True if somebody has to leave.
    pub(crate) fn absent(&self, hash: Hash) -> bool {
        self.look(hash).is_none() && self.carried.at_home(hash, None)
    }

    /// Notes a try for a client in this round, which is a time of one [`View`](crate::home::View). False where there
    /// were as many as `most` already, or too many clients have tried: then the next round is soon enough.
    pub(crate) fn try_in(&self, hash: Hash, round: u64, most: u8) -> bool {
        self.shard(hash).try_in(hash, round, most)
    }

    /// The last of what was carried for a client has ended. Where its charge does not reach far enough, that is to be
    /// written: usually it was refreshed meanwhile, and does.
    fn left(&self, hash: Hash, client: &ClientKey) {
        let due = Tick(self.due.load(Ordering::Relaxed));
        if self.look(hash).is_some_and(|found| found.entry.phase.is_charged() && found.entry.until < due) {
            let mut gone = lock(&self.gone);
            if gone.len() < MOST_GONE {
                gone.insert(hash, client.clone());
            }
        }
    }

    /// Those whose last connection ended, and whose charge does not reach far enough.
    pub(crate) fn take_gone(&self) -> HashMap<Hash, ClientKey> {
        std::mem::take(&mut *lock(&self.gone))
    }

    /// Everybody who is carried now.
    pub(crate) fn carried(&self) -> Vec<(Hash, ClientKey)> {
        self.carried.all()
    }

    /// Whether what is carried for a client was at another home than this.
    pub(crate) fn has_left(&self, hash: Hash, home: u32) -> bool {
        self.carried.has_ended(hash, home)
    }

    /// The feed was heard then.
    pub(crate) fn heard(&self, at: Moment) {
        self.heard.store(at.as_nanos(), Ordering::Relaxed);
    }

    /// When the feed was heard last, if ever.
    pub(crate) fn last_heard(&self) -> Option<Moment> {
        Some(Moment::from_nanos(self.heard.load(Ordering::Relaxed))).filter(|at| *at > Moment::ZERO)
    }

    /// How much it holds.
    pub(crate) fn fill(&self) -> Fill {
        let bytes: usize = self.shards.iter().map(|part| lock(&part.0).bytes()).sum();
        Fill {
            clients: self.clients.load(Ordering::Relaxed) as u64,
            evicted: self.evicted.load(Ordering::Relaxed),
            bytes: (bytes + SHARDS * size_of::<Part>()) as u64,
            carried: self.carried.count() as u64,
        }
    }

    fn entry(&self, version: u64, client: &Placement) -> Option<Entry> {
        Some(Entry {
            version,
            home: self.home(&client.home)?,
            epoch: client.owner_epoch,
            phase: client.phase,
            until: client.until,
            declared: client.declared,
            returns: client.return_to.is_some(),
        })
    }

    fn replace(&self, shard: &mut Shard, hash: Hash, slot: Option<Slot>) {
        match (shard.find(hash), slot) {
            (Some(known), Some(mut slot)) => {
                slot.meet();
                *known = slot;
            }
            _ => self.remove(shard, hash),
        }
    }

    fn insert(&self, shard: &mut Shard, slot: Slot) {
        let before = shard.len();
        let evicted = shard.insert(slot, self.most_a_shard);
        self.clients.fetch_add(shard.len() - (before - evicted), Ordering::Relaxed);
        self.clients.fetch_sub(evicted, Ordering::Relaxed);
        self.evicted.fetch_add(evicted as u64, Ordering::Relaxed);
    }

    fn remove(&self, shard: &mut Shard, hash: Hash) {
        if shard.remove(hash) {
            self.clients.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn shard(&self, hash: Hash) -> MutexGuard<'_, Shard> {
        lock(&self.shards[hash.1 as usize % SHARDS].0)
    }
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the secret.
        f.debug_struct("Clients").field("fill", &self.fill()).finish_non_exhaustive()
    }
}

/// A panic elsewhere leaves a table that is still a table: each step under the lock is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
