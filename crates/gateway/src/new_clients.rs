//! New clients a second from one source address: a bucket of tokens for each set.
//!
//! Whether a client is new is known only when it has been asked for: a token is taken before, and given back when the
//! answer says that the store knew the client or placed nobody. Where there is no answer, or nobody waits for it, it
//! stays spent: somebody may have been placed.
//!
//! A bucket that nobody takes from is full again after a second, and then as if it had never been. So the table is two
//! halves, and when the younger one is full the older one goes: whoever came lately is in the younger. Sources that are
//! more than a half in one second are a flood of which no bucket can tell who is who; what bounds that is the number of
//! clients that wait to be placed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use steadfast_core::{Moment, SetName};

use crate::source::network;

/// See the module.
#[derive(Debug)]
pub(crate) struct NewClients {
    /// Sources in one half.
    most: usize,
    halves: Mutex<Halves>,
}

#[derive(Debug, Default)]
struct Halves {
    young: HashMap<Source, Bucket>,
    old: HashMap<Source, Bucket>,
}

impl Halves {
    /// The bucket of a source, which is young from now on; `new` if it has none.
    fn bucket(&mut self, source: Source, most: usize, new: Bucket) -> &mut Bucket {
        if self.young.len() >= most && !self.young.contains_key(&source) {
            self.old = std::mem::take(&mut self.young);
        }
        let known = self.old.remove(&source).unwrap_or(new);
        self.young.entry(source).or_insert(known)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

/// Where clients come from, and to which set.
type Source = (SetName, IpAddr);

/// What a source has left, in thousandths of a client.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    milli: u64,
    at: Moment,
    /// How many clients a second it is filled with.
    a_second: u32,
}

impl Bucket {
    /// As it is now: filled by time, up to what a second brings.
    fn now(self, now: Moment) -> Bucket {
        let (full, a_second) = (self.full(), self.a_second);
        let passed = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX).min(1_000_000);
        // A thousandth of a client in each thousandth of its part of a second.
        let brought = passed * u64::from(a_second) / 1_000;
        if brought == 0 && self.milli < full {
            return self;
        }
        Bucket { milli: (self.milli + brought).min(full), at: now, a_second }
    }

    fn full(self) -> u64 {
        u64::from(self.a_second) * 1_000
    }
}

impl NewClients {
    /// Counts at most so many sources.
    pub(crate) fn new(most: usize) -> NewClients {
        NewClients { most: (most / 2).max(1), halves: Mutex::default() }
    }

    /// Takes a token of a source that may bring so many clients of a set `a_second`. Otherwise, when there is one
    /// again.
    pub(crate) fn take(&self, set: &SetName, source: IpAddr, a_second: u32, now: Moment) -> Result<(), Duration> {
        let full = Bucket { milli: u64::from(a_second) * 1_000, at: now, a_second };
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = halves.bucket((set.clone(), network(source)), self.most, full);
        bucket.a_second = a_second;
        *bucket = bucket.now(now);
        match bucket.milli.checked_sub(1_000) {
            Some(left) => {
                bucket.milli = left;
                Ok(())
            }
            None => Err(Duration::from_millis((1_000 - bucket.milli) / u64::from(a_second.max(1)))),
        }
    }

    /// Gives a token back.
    pub(crate) fn give_back(&self, set: &SetName, source: IpAddr) {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        let source = (set.clone(), network(source));
        let Halves { young, old } = &mut *halves;
        if let Some(bucket) = young.get_mut(&source).or_else(|| old.get_mut(&source)) {
            bucket.milli += 1_000;
        }
    }
}

#[cfg(test)]
mod tests;
