//! The gateway's side of the lease: to whom may be forwarded, and until when.

use core::time::Duration;

use crate::{Epoch, Moment};

/// A gateway's guard for one single set: never past what a probe vouched for, never to a lower epoch.
#[derive(Clone, Debug, Default)]
pub struct RouteGuard {
    highest: Epoch,
}

#[expect(unused_variables, missing_docs, clippy::todo, reason = "skeleton")]
impl RouteGuard {
    /// An epoch was seen in a record or in an answer.
    pub fn saw(&mut self, epoch: Epoch) {
        self.highest = self.highest.max(epoch);
    }
    /// The leader's probe, asked at `asked`, vouched for `valid_for` at `epoch`: forward while `now <` the answer.
    /// `None` for an epoch below the highest seen.
    pub fn vouched(&mut self, asked: Moment, epoch: Epoch, valid_for: Duration, drift_milli: u32) -> Option<Moment> {
        todo!()
    }
}
