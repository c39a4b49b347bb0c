//! Requests that wait for a leader: bounded in number, in bytes and in time.
//!
//! A waiting request's body is not read, so what it holds is its head. A client that closes its connection leaves at
//! once, a half-closed connection counting as closed, as elsewhere (nginx); a client that has sent more than its
//! request (the beginning of a body, a pipelined request) is noticed when its turn comes.

use steadfast_core::Moment;
use steadfast_host::clock;

use crate::set::SetShared;
use crate::shared::Shared;
use crate::worker::{SetHere, Worker};
use std::sync::atomic::Ordering;

/// A place among those who wait, given back when dropped.
#[derive(Debug)]
pub(crate) struct Parked<'a> {
    shared: &'a Shared,
    set: &'a SetShared,
    bytes: usize,
}

impl<'a> Parked<'a> {
    /// A place for a head of so many bytes, unless a bound is reached.
    pub(crate) fn enter(worker: &'a Worker, set: &'a SetHere, bytes: usize) -> Option<Parked<'a>> {
        let bounds = &worker.shared.bounds;
        if !worker.shared.parking.enter(bytes, bounds.parked_requests, bounds.parked_bytes) {
            return None;
        }
        set.shared.parked.fetch_add(1, Ordering::Relaxed);
        Some(Parked { shared: &worker.shared, set: &set.shared, bytes })
    }
}

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        self.set.parked.fetch_sub(1, Ordering::Relaxed);
        self.shared.parking.leave(self.bytes);
    }
}

/// Waits for news of the set. False if `deadline` came first.
pub(crate) async fn news(set: &SetHere, deadline: Moment) -> bool {
    tokio::select! {
        biased;
        () = set.changed.notified() => true,
        () = clock::sleep_until(deadline) => false,
    }
}
