//! The attempts of one instance whose end is not known for sure.

use alloc::vec::Vec;
use core::time::Duration;

use super::timing::Pace;
use super::{Expect, Hold, Observed};
use crate::{Epoch, Moment, Nonce, Span};

/// An attempt that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Try {
    pub(super) nonce: Nonce,
    pub(super) hold: Hold,
    pub(super) epoch: Epoch,
    pub(super) expect: Expect,
    /// When it was sent: its success counts from here.
    pub(super) sent: Moment,
    pub(super) ttl: Span,
}

impl Try {
    /// Until when its success lets serve.
    pub(super) fn until(&self) -> Moment {
        self.sent + Pace(self.ttl).lasts()
    }
}

/// At most one attempt is waited for at a time, but more may still be under way: one whose answer did not
/// come may be applied later. All of them expect the version known, so at most one can succeed, and
/// whichever does is known by its nonce. The next attempt is therefore also the read that settles the last one.
#[derive(Clone, Debug)]
pub(super) struct Tries {
    unsettled: Vec<Try>,
    waiting: Option<(Nonce, Moment)>,
    next: Moment,
}

impl Tries {
    /// More are forgotten, the oldest first. Should one of those succeed after all, the record is recognised
    /// as ours, and its success extends nothing.
    const REMEMBERED: usize = 8;

    pub(super) fn new() -> Tries {
        Tries { unsettled: Vec::new(), waiting: None, next: Moment::ZERO }
    }

    /// Sends an attempt, then waits for it until `give_up`; the next is due at `next` at the earliest.
    pub(super) fn send(&mut self, sent: Try, within: Duration, retry_after: Duration) {
        if self.unsettled.len() == Self::REMEMBERED {
            self.unsettled.remove(0);
        }
        self.unsettled.push(sent);
        self.waiting = Some((sent.nonce, sent.sent + within));
        self.next = sent.sent + retry_after;
    }

    /// Whether an answer is awaited.
    pub(super) fn waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// When to send next, if nothing is waited for; else when to stop waiting.
    pub(super) fn deadline(&self) -> Moment {
        self.waiting.map_or(self.next, |(_, give_up)| give_up)
    }

    /// Whether to send now.
    pub(super) fn due(&self, now: Moment) -> bool {
        self.waiting.is_none() && self.next <= now
    }

    /// No answer came in time: whether it happened is not known.
    pub(super) fn tick(&mut self, now: Moment) {
        self.waiting = self.waiting.filter(|(_, give_up)| now < *give_up);
    }

    /// Not before `next`.
    pub(super) fn schedule(&mut self, next: Moment) {
        self.next = next;
    }

    /// Sooner than planned, if `next` is sooner.
    pub(super) fn hasten(&mut self, next: Moment) {
        self.next = self.next.min(next);
    }

    /// The answer came, whatever it says.
    pub(super) fn answered(&mut self, nonce: Nonce) {
        self.waiting = self.waiting.filter(|(waiting, _)| *waiting != nonce);
    }

    /// It did not happen.
    pub(super) fn failed(&mut self, nonce: Nonce) {
        self.unsettled.retain(|one| one.nonce != nonce);
    }

    /// The attempt of this nonce, if it is unsettled.
    pub(super) fn find(&self, nonce: Nonce) -> Option<Try> {
        self.unsettled.iter().copied().find(|one| one.nonce == nonce)
    }

    /// The record changed: the attempt that did it, if it was ours. No other one can succeed any more.
    pub(super) fn settle(&mut self, shown: Option<&Observed>) -> Option<Try> {
        let one = shown.and_then(|shown| self.find(shown.record.nonce));
        self.forget();
        one
    }

    /// Whatever becomes of them is no longer ours.
    pub(super) fn forget(&mut self) {
        self.unsettled.clear();
        self.waiting = None;
    }

    /// Waits no longer; what was sent may still succeed.
    pub(super) fn rest(&mut self) {
        self.waiting = None;
    }
}
