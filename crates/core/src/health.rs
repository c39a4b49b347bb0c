//! Health of an application from its checks, with rise and fall.
//!
//! A time-out counts towards `fall` like a failure, but the verdict keeps them apart: [`Verdict::Failed`] is
//! the application's word that it cannot serve, [`Verdict::Silent`] says that nothing is known, so it may
//! still be serving somebody. The latest result names it: who was told no and then hears nothing knows
//! nothing any more. Nobody is healthy, or unhealthy, from the start: the first verdict needs `rise` or
//! `fall` results like every other.

use crate::Span;

/// How one check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// The application says it can serve.
    Passed,
    /// It answered that it cannot, or refused the connection.
    Failed,
    /// It did not answer in time: nothing is known, which is not the same as a no.
    TimedOut,
}

/// How often to check and how many results change the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckPolicy {
    every: Span,
    timeout: Span,
    rise: u32,
    fall: u32,
}

/// Why a check policy is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPolicy {
    /// Checks would follow each other without a pause, or never.
    #[error("check.every is {0}: expected {SHORTEST_EVERY} to {LONGEST_EVERY}")]
    Every(Span),
    /// A check would still run when the next one is due.
    #[error("check.timeout is {timeout}: expected 1ms to check.every, which is {every}")]
    Timeout {
        /// What was asked for.
        timeout: Span,
        /// What it must not exceed.
        every: Span,
    },
    /// No result at all, or so many that it takes hours.
    #[error("check.{name} is {count}: expected 1 to {LARGEST_COUNT}")]
    Count {
        /// `rise` or `fall`.
        name: &'static str,
        /// What was asked for.
        count: u32,
    },
}

/// The shortest `every`.
pub const SHORTEST_EVERY: Span = Span::from_millis(10);
/// The longest `every`.
pub const LONGEST_EVERY: Span = Span::from_millis(3_600_000);
/// The largest `rise` and `fall`.
pub const LARGEST_COUNT: u32 = 1_000;

impl CheckPolicy {
    /// A policy; `timeout` may be as long as `every`, not longer, and `rise` and `fall` are 1 or more.
    pub fn new(every: Span, timeout: Span, rise: u32, fall: u32) -> Result<CheckPolicy, BadPolicy> {
        if !(SHORTEST_EVERY..=LONGEST_EVERY).contains(&every) {
            return Err(BadPolicy::Every(every));
        }
        if timeout == Span::ZERO || timeout > every {
            return Err(BadPolicy::Timeout { timeout, every });
        }
        for (name, count) in [("rise", rise), ("fall", fall)] {
            if !(1..=LARGEST_COUNT).contains(&count) {
                return Err(BadPolicy::Count { name, count });
            }
        }
        Ok(CheckPolicy { every, timeout, rise, fall })
    }

    /// From the start of one check to the start of the next.
    pub fn every(&self) -> Span {
        self.every
    }

    /// How long one check may take.
    pub fn timeout(&self) -> Span {
        self.timeout
    }

    /// So many passes in a row make an instance healthy.
    pub fn rise(&self) -> u32 {
        self.rise
    }

    /// So many that did not pass, in a row, make it unhealthy.
    pub fn fall(&self) -> u32 {
        self.fall
    }
}

impl Default for CheckPolicy {
    /// Every second, for a second; healthy after one pass, unhealthy after two failures.
    fn default() -> CheckPolicy {
        CheckPolicy { every: Span::from_millis(1_000), timeout: Span::from_millis(1_000), rise: 1, fall: 2 }
    }
}

/// The verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not enough checks yet.
    Unknown,
    /// Serves.
    Healthy,
    /// Says that it cannot serve.
    Failed,
    /// Is silent.
    Silent,
}

/// The machine: feed it results.
#[derive(Clone, Debug)]
pub struct Health {
    policy: CheckPolicy,
    verdict: Verdict,
    /// How many of the latest results agree on whether it passed, and what they agree on.
    run: u32,
    passing: bool,
}

impl Health {
    /// Nothing is known yet.
    pub fn new(policy: CheckPolicy) -> Health {
        Health { policy, verdict: Verdict::Unknown, run: 0, passing: false }
    }

    /// Takes a result and says whether the verdict changed.
    pub fn handle(&mut self, result: CheckResult) -> bool {
        let passed = result == CheckResult::Passed;
        self.run = if passed == self.passing { self.run.saturating_add(1) } else { 1 };
        self.passing = passed;
        let down = matches!(self.verdict, Verdict::Failed | Verdict::Silent);
        let next = match result {
            CheckResult::Passed if self.run >= self.policy.rise => Verdict::Healthy,
            CheckResult::Failed if down || self.run >= self.policy.fall => Verdict::Failed,
            CheckResult::TimedOut if down || self.run >= self.policy.fall => Verdict::Silent,
            _ => self.verdict,
        };
        let changed = next != self.verdict;
        self.verdict = next;
        changed
    }

    /// The application was started anew, or the policy changed: nothing is known of it. Says whether the
    /// verdict changed.
    pub fn restart(&mut self, policy: CheckPolicy) -> bool {
        let changed = self.verdict != Verdict::Unknown;
        *self = Health::new(policy);
        changed
    }

    /// What the results so far amount to.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }
}

#[cfg(test)]
mod tests;
