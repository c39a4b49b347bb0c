//! New clients a second from one source address: a bucket of tokens each.
//!
//! Whether a client is new is known only when it has been asked for: a token is taken before, and given back for one
//! that the store knew.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use steadfast_core::Moment;

/// See the module.
#[derive(Debug)]
pub(crate) struct Newcomers {
    most: usize,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

/// What a source has left, in thousandths of a client.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    milli: u64,
    at: Moment,
}

impl Bucket {
    /// As it is now: filled by time, up to what a second brings.
    fn now(self, now: Moment, a_second: u32) -> Bucket {
        let full = u64::from(a_second) * 1_000;
        let passed = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX).min(1_000_000);
        // A thousandth of a client in each thousandth of its part of a second.
        let brought = passed * u64::from(a_second) / 1_000;
        if brought == 0 && self.milli < full {
            return self;
        }
        Bucket { milli: (self.milli + brought).min(full), at: now }
    }
}

impl Newcomers {
    /// Counts at most so many sources.
    pub(crate) fn new(most: usize) -> Newcomers {
        Newcomers { most: most.max(1), buckets: Mutex::default() }
    }

    /// Takes a token of a source that may bring so many clients `a_second`. Otherwise, when there is one again.
    pub(crate) fn take(&self, source: IpAddr, a_second: u32, now: Moment) -> Result<(), Duration> {
        let source = network(source);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= self.most && !buckets.contains_key(&source) {
            make_room(&mut buckets, now, a_second);
        }
        let full = Bucket { milli: u64::from(a_second) * 1_000, at: now };
        let bucket = buckets.entry(source).or_insert(full);
        *bucket = bucket.now(now, a_second);
        match bucket.milli.checked_sub(1_000) {
            Some(left) => {
                bucket.milli = left;
                Ok(())
            }
            None => Err(Duration::from_millis((1_000 - bucket.milli) / u64::from(a_second.max(1)))),
        }
    }

    /// Gives a token back.
    pub(crate) fn give_back(&self, source: IpAddr) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(&network(source)) {
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
fn make_room(buckets: &mut HashMap<IpAddr, Bucket>, now: Moment, a_second: u32) {
    let before = buckets.len();
    buckets.retain(|_, bucket| bucket.now(now, a_second).milli < u64::from(a_second) * 1_000);
    if buckets.len() == before
        && let Some(oldest) = buckets.iter().min_by_key(|(_, bucket)| bucket.at).map(|(source, _)| *source)
    {
        buckets.remove(&oldest);
    }
}

#[cfg(test)]
mod tests;
