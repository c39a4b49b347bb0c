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
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::from_nanos(ms * 1_000_000)
    }

    fn by(who: &str, epoch: u64) -> Result<Answer, String> {
        Ok(Answer { who: who.to_owned(), epoch: Some(epoch) })
    }

    fn news(who: &str, epoch: u64, from: Option<&str>, gap: Option<u64>, failed: u64) -> Option<News> {
        let gap = gap.map(Duration::from_millis);
        Some(News::Answers { who: who.to_owned(), epoch: Some(epoch), from: from.map(str::to_owned), gap, failed })
    }

    #[test]
    fn what_is_new_is_told_and_nothing_else() {
        let mut tally = Tally::new(at(0));
        assert_eq!(tally.take(at(10), by("a", 1)), news("a", 1, None, None, 0));
        assert_eq!(tally.take(at(60), by("a", 1)), None);
        assert_eq!(tally.take(at(244), by("b", 2)), news("b", 2, Some("a"), Some(184), 0));
        assert_eq!(tally.take(at(300), Err("refused".into())), Some(News::Fails { reason: "refused".into() }));
        assert_eq!(tally.take(at(350), Err("refused".into())), None, "told once");
        assert_eq!(tally.take(at(400), by("b", 2)), news("b", 2, None, Some(156), 2));
        assert_eq!(tally.take(at(450), by("b", 3)), news("b", 3, None, Some(50), 0), "the same, newly elected");
        assert_eq!((tally.requests, tally.failed, tally.changes), (7, 2, 1));
        assert_eq!(tally.longest_gap, Duration::from_millis(184));
    }

    #[test]
    fn a_gap_that_has_not_ended_counts() {
        let mut tally = Tally::new(at(0));
        tally.take(at(10), by("a", 1));
        tally.take(at(5_010), Err("timed out".into()));
        assert_eq!(tally.longest_gap, Duration::from_secs(5));
    }
}
