//! Counts answers and failures, and finds what is new about them. Pure: time comes in.

use std::time::Duration;

use steadfast_core::Moment;

use super::ask::Answer;

/// What was counted.
#[derive(Debug)]
pub(super) struct Tally {
    /// Requests sent and ended.
    pub(super) requests: u64,
    /// Those that brought no answer, or one of 500 and above.
    pub(super) failed: u64,
    /// How often another one answered than before.
    pub(super) changes: u64,
    /// The longest time between two answers.
    pub(super) longest_gap: Duration,
    last: Option<(Moment, Answer)>,
    /// Failures since the last answer.
    failing: u64,
    began: Moment,
}

/// What is worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The first answer, one by another instance or at another epoch, or the first after failures.
    Answers {
        /// By whom.
        who: String,
        /// At which epoch, where that is told.
        epoch: Option<u64>,
        /// Who answered before, where it was another one.
        from: Option<String>,
        /// How long ago that was.
        gap: Option<Duration>,
        /// How many requests failed meanwhile.
        failed: u64,
    },
    /// The first failure after an answer.
    Fails {
        /// Why.
        reason: String,
    },
}

impl Tally {
    pub(super) fn new(began: Moment) -> Tally {
        Tally { requests: 0, failed: 0, changes: 0, longest_gap: Duration::ZERO, last: None, failing: 0, began }
    }

    /// Takes how a request ended at `now`.
    pub(super) fn take(&mut self, now: Moment, asked: Result<Answer, String>) -> Option<News> {
        self.requests += 1;
        let since = self.last.as_ref().map_or(self.began, |(at, _)| *at);
        self.longest_gap = self.longest_gap.max(now.since(since));
        match asked {
            Ok(answer) => self.answered(now, answer),
            Err(reason) => {
                self.failed += 1;
                self.failing += 1;
                (self.failing == 1).then_some(News::Fails { reason })
            }
        }
    }

    fn answered(&mut self, now: Moment, answer: Answer) -> Option<News> {
        let failed = std::mem::take(&mut self.failing);
        let before = self.last.replace((now, answer.clone()));
        let gap = before.as_ref().map(|(at, _)| now.since(*at));
        let from = before.as_ref().filter(|(_, before)| before.who != answer.who).map(|(_, before)| before.who.clone());
        let same_epoch = before.as_ref().is_some_and(|(_, before)| before.epoch == answer.epoch);
        if from.is_some() {
            self.changes += 1;
        } else if failed == 0 && same_epoch {
            return None;
        }
        Some(News::Answers { who: answer.who, epoch: answer.epoch, from, gap, failed })
    }
}

#[cfg(test)]
mod tests;
