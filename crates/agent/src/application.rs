//! What is known of the supervised application, and when it is to be started again. Pure: the driver tells it what
//! happened and carries out what follows.
//!
//! ```text
//!             start()          started()          died()           empty()
//!   Down ───────────▶ Starting ─────────▶ Up ────────────▶ Dying ─────────▶ Down │ Over
//!    ▲                   │                 │ stop()                           ▲
//!    └── not_started() ──┘                 └────────▶ Stopping ── empty() ────┘
//! ```

use std::time::Duration;

use steadfast_core::Moment;

use crate::Restart;

/// The first pause before an application that failed is started again; it doubles up to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// An application that was healthy this long has recovered: its next failure is its first.
const RECOVERED_AFTER: Duration = Duration::from_secs(30);

/// The supervised application.
#[derive(Clone, Debug)]
pub(crate) struct Application {
    policy: Restart,
    state: State,
    /// Failures in a row.
    failures: u32,
    /// Counts the starts: what is heard of an earlier one is stale.
    start: u64,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not running; to be started at this moment, if at all.
    Down {
        start_at: Moment,
    },
    /// Being started.
    Starting,
    Up,
    /// Asked to stop, for this reason.
    Stopping {
        why: Why,
    },
    /// Its main process died with this code; the rest of its group is being killed.
    Dying {
        code: u8,
    },
    /// Ended for good.
    Over {
        code: u8,
    },
}

/// Why it was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It hands over, and is started again as one of the others.
    HandOver,
    /// Its checks failed.
    Unhealthy,
    /// The agent leaves.
    Leaving,
}

impl Application {
    /// One that is to be started at once.
    pub(crate) fn new(policy: Restart) -> Application {
        Application { policy, state: State::Down { start_at: Moment::ZERO }, failures: 0, start: 0 }
    }

    /// Where it stands.
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Which start this is.
    pub(crate) fn number(&self) -> u64 {
        self.start
    }

    /// Whether its main process runs and nobody stops it.
    pub(crate) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// Whether nothing of it runs.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.state, State::Down { .. } | State::Over { .. })
    }

    /// When to start it next.
    pub(crate) fn start_at(&self) -> Option<Moment> {
        match self.state {
            State::Down { start_at } => Some(start_at),
            _ => None,
        }
    }

    /// It is being started.
    pub(crate) fn start(&mut self) {
        self.state = State::Starting;
        self.start += 1;
    }

    /// Its main process runs.
    pub(crate) fn started(&mut self) {
        self.state = State::Up;
    }

    /// It could not be started.
    pub(crate) fn not_started(&mut self, now: Moment) {
        self.fail(now);
    }

    /// It was asked to stop.
    pub(crate) fn stop(&mut self, why: Why) {
        self.state = State::Stopping { why };
    }

    /// Its main process died by itself.
    pub(crate) fn died(&mut self, code: u8) {
        if self.state == State::Up {
            self.state = State::Dying { code };
        }
    }

    /// Nothing of it runs any more; its main process ended with `code`.
    pub(crate) fn empty(&mut self, now: Moment, code: u8) {
        match (self.state, self.policy) {
            (State::Stopping { why: Why::HandOver }, _) => self.state = State::Down { start_at: now },
            (State::Stopping { why: Why::Leaving }, _) => self.state = State::Over { code },
            (State::Stopping { why: Why::Unhealthy }, Restart::OnFailure) => self.fail(now),
            (_, Restart::OnFailure) if code != 0 => self.fail(now),
            _ => self.state = State::Over { code },
        }
    }

    /// It has been healthy since `since`.
    pub(crate) fn healthy(&mut self, since: Moment, now: Moment) {
        if now.since(since) >= RECOVERED_AFTER {
            self.failures = 0;
        }
    }

    fn fail(&mut self, now: Moment) {
        let pause = BACKOFF.0.saturating_mul(1 << self.failures.min(16)).min(BACKOFF.1);
        self.failures = self.failures.saturating_add(1);
        self.state = State::Down { start_at: now + pause };
    }
}

#[cfg(test)]
mod tests;
