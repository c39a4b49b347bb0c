//! New clients a second from one source address: a bucket of tokens for each set.
//!
//! Whether a client is new is known only when it has been asked for: a token is taken before, and given back when the
//! answer says that the store knew the client or placed nobody. Where there is no answer, or nobody waits for it, it
//! stays spent: somebody may have been placed.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use steadfast_core::{Moment, SetName};

/// See the module.
#[derive(Debug)]
pub(crate) struct Newcomers {
    most: usize,
    buckets: Mutex<HashMap<Source, Bucket>>,
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

impl Newcomers {
    /// Counts at most so many sources.
    pub(crate) fn new(most: usize) -> Newcomers {
        Newcomers { most: most.max(1), buckets: Mutex::default() }
    }

    /// Takes a token of a source that may bring so many clients of a set `a_second`. Otherwise, when there is one
    /// again.
    pub(crate) fn take(&self, set: &SetName, source: IpAddr, a_second: u32, now: Moment) -> Result<(), Duration> {
        let source = (set.clone(), network(source));
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= self.most && !buckets.contains_key(&source) {
            make_room(&mut buckets, now);
        }
        let full = Bucket { milli: u64::from(a_second) * 1_000, at: now, a_second };
        let bucket = buckets.entry(source).or_insert(full);
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
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(&(set.clone(), network(source))) {
            bucket.milli += 1_000;
        }
    }
}

/// Who has an IPv6 address has a network of them.
fn network(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => source,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// Forgets those that are full again: they are as if they had never been. If there is none, the longest unheard.
fn make_room(buckets: &mut HashMap<Source, Bucket>, now: Moment) {
    let before = buckets.len();
    buckets.retain(|_, bucket| bucket.now(now).milli < bucket.full());
    if buckets.len() == before
        && let Some(oldest) = buckets.iter().min_by_key(|(_, bucket)| bucket.at).map(|(source, _)| source.clone())
    {
        buckets.remove(&oldest);
    }
}

#[cfg(test)]
mod tests;
