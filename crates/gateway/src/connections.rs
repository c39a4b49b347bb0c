//! Client connections at once: how many there are, in all and from each source address.
//!
//! Only addresses that have connections are remembered, so what this holds is bounded by the connections themselves.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

use crate::bounds::Bounds;
use crate::error::Error;
use crate::source::network;

/// Open files for everything that is no client connection: listeners, the store, the API, kept connections to instances,
/// those that are being turned away.
const APART: u64 = 256;
/// What one client connection may need: itself, and one to an instance.
const FILES_EACH: u64 = 2;
/// More are not taken unless the configuration says so: each costs memory, too.
const MOST_BY_DEFAULT: u64 = 100_000;
/// How many sources may come up, by default, with all there is.
const SOURCES_BY_DEFAULT: usize = 4;
/// Parts of the table. Many, so that workers seldom meet.
const SHARDS: usize = 64;

/// See the module.
#[derive(Debug)]
pub(crate) struct Connections {
    most: usize,
    most_per_source: usize,
    uncounted: Vec<IpNet>,
    all: AtomicUsize,
    hasher: RandomState,
    sources: Box<[Mutex<HashMap<IpAddr, usize>>]>,
}

/// One connection that was let in, to be given back to [`Connections::leave`].
#[derive(Debug)]
#[must_use]
pub(crate) struct Counted(Option<IpAddr>);

/// The source has as many connections as it may.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Connections {
    /// With the numbers of `bounds`, or what follows from the `files` this process may have open. Connections from
    /// `uncounted` networks count for none of their sources.
    pub(crate) fn new(bounds: &Bounds, uncounted: &[IpNet], files: u64) -> Result<Connections, Error> {
        let had = files.saturating_sub(APART.min(files / 2)) / FILES_EACH;
        let most = match bounds.connections {
            Some(wanted) if wanted as u64 > had => {
                let needs = wanted as u64 * FILES_EACH + APART;
                return Err(Error::TooFewFiles { wanted, needs, files, had });
            }
            Some(wanted) => wanted,
            None => usize::try_from(had.min(MOST_BY_DEFAULT)).unwrap_or(usize::MAX),
        };
        let most_per_source = bounds.connections_per_source.unwrap_or(most / SOURCES_BY_DEFAULT);
        Ok(Connections {
            most: most.max(1),
            most_per_source: most_per_source.max(1),
            uncounted: uncounted.to_vec(),
            all: AtomicUsize::new(0),
            hasher: RandomState::new(),
            sources: (0..SHARDS).map(|_| Mutex::default()).collect(),
        })
    }

    /// Whether another connection may be accepted. Workers that ask at once may take one each.
    pub(crate) fn has_room(&self) -> bool {
        self.all.load(Ordering::Relaxed) < self.most
    }

    /// Lets a connection in.
    pub(crate) fn enter(&self, peer: IpAddr) -> Result<Counted, TooMany> {
        let peer = peer.to_canonical();
        let source = (!self.uncounted.iter().any(|one| one.contains(&peer))).then(|| network(peer));
        if let Some(source) = source {
            let mut shard = self.shard(source);
            let count = shard.entry(source).or_insert(0);
            if *count >= self.most_per_source {
                return Err(TooMany);
            }
            *count += 1;
        }
        self.all.fetch_add(1, Ordering::Relaxed);
        Ok(Counted(source))
    }

    /// It has ended.
    pub(crate) fn leave(&self, counted: Counted) {
        self.all.fetch_sub(1, Ordering::Relaxed);
        if let Some(source) = counted.0
            && let Entry::Occupied(mut found) = self.shard(source).entry(source)
        {
            match *found.get() {
                0 | 1 => drop(found.remove()),
                _ => *found.get_mut() -= 1,
            }
        }
    }

    fn shard(&self, source: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        let place = self.hasher.hash_one(source) as usize % self.sources.len();
        self.sources[place].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections there are now.
    pub(crate) fn now(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }

    /// As many as there may be, and as many as one source may have.
    pub(crate) fn most(&self) -> (usize, usize) {
        (self.most, self.most_per_source)
    }

    /// Source addresses that have connections.
    pub(crate) fn sources(&self) -> usize {
        self.sources.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

#[cfg(test)]
mod tests;
