//! Keeps the score: what was answered, what failed, who took over and how long nobody answered, and whether ever two
//! answered at once. Pure: samples come in, findings go out; nothing is assumed.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast_core::Moment;

/// One request, or one question to a probe, from its sending to its end.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// What it was.
    pub(super) kind: Kind,
    /// When it was sent.
    pub(super) sent: Moment,
    /// When it had ended.
    pub(super) ended: Moment,
    /// What came of it.
    pub(super) result: Result<Answered, Failed>,
}

/// What was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// May be repeated by whoever passes it on: none may fail.
    Get,
    /// May not: one that was on its way when its leader was lost ends with 502 `leader-lost`.
    Post,
    /// To a probe; only an answer of a leader is a sample.
    Probe,
}

/// Who answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answered {
    /// The instance that did, by its own word.
    pub(super) instance: String,
    /// The instance that a gateway meant to ask.
    pub(super) meant: Option<String>,
    /// The epoch.
    pub(super) epoch: u64,
    /// The process of the application; 0 for a probe.
    pub(super) pid: i32,
}

/// Why there was no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    /// For people and for the figures.
    pub(super) why: String,
    /// A request that may not be repeated was on its way when its leader was lost.
    pub(super) leader_lost: bool,
}

/// Another instance answers than before, or the same one at a new epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Takeover {
    /// Who answered before.
    pub(super) from: String,
    /// Who answers now.
    pub(super) to: String,
    /// At which epoch.
    pub(super) epoch: u64,
    /// From the last answer before to the first after.
    pub(super) gap: Duration,
    /// When the first answer after had arrived.
    pub(super) at: Moment,
}

/// The score so far.
#[derive(Debug, Default)]
pub(super) struct Score {
    /// Requests that have ended.
    pub(super) requests: u64,
    /// Those without an answer.
    pub(super) failed: u64,
    /// Those of them that should have had one.
    pub(super) should_not: u64,
    /// How often which reason was given.
    pub(super) reasons: BTreeMap<String, u64>,
    /// Answers that cannot have been given by the one leader.
    pub(super) two_answered: u64,
    /// Takeovers.
    pub(super) takeovers: u64,
    /// Who answered last.
    pub(super) leader: Option<Leader>,
    /// For each epoch, who answered at it and when that was first known.
    epochs: BTreeMap<u64, (String, Moment)>,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leader {
    /// The instance.
    pub(super) instance: String,
    /// The epoch.
    pub(super) epoch: u64,
    /// The application's process.
    pub(super) pid: i32,
    /// When its last answer had arrived.
    pub(super) last: Moment,
}

impl Score {
    /// Takes a sample, and says whether somebody took over.
    pub(super) fn take(&mut self, sample: Sample) -> Option<Takeover> {
        if sample.kind != Kind::Probe {
            self.requests += 1;
        }
        match sample.result {
            Ok(answered) => {
                self.two_answered += u64::from(!self.alone(&answered, sample.sent, sample.ended));
                if sample.kind == Kind::Probe { None } else { self.answered(answered, sample.ended) }
            }
            Err(failed) => {
                self.failed += 1;
                let excused = sample.kind == Kind::Post && failed.leader_lost;
                self.should_not += u64::from(!excused);
                *self.reasons.entry(failed.why).or_default() += 1;
                None
            }
        }
    }

    /// Whether this answer can have been the one leader's. It was given between `sent` and `ended`: if a later epoch
    /// had been answered at before it was even asked for, there were two.
    fn alone(&mut self, answered: &Answered, sent: Moment, ended: Moment) -> bool {
        let (instance, _) = self.epochs.entry(answered.epoch).or_insert_with(|| (answered.instance.clone(), ended));
        let same =
            *instance == answered.instance && answered.meant.as_ref().is_none_or(|meant| *meant == answered.instance);
        let mut later = self.epochs.range(answered.epoch.saturating_add(1)..);
        same && !later.any(|(_, (_, known))| *known < sent)
    }

    fn answered(&mut self, answered: Answered, at: Moment) -> Option<Takeover> {
        let Answered { instance, epoch, pid, .. } = answered;
        if self.leader.as_ref().is_some_and(|leader| epoch < leader.epoch) {
            // Asked before the takeover, and late: it is no news, and was counted.
            return None;
        }
        let before = self.leader.replace(Leader { instance: instance.clone(), epoch, pid, last: at })?;
        if before.epoch == epoch {
            return None;
        }
        self.takeovers += 1;
        Some(Takeover { from: before.instance, to: instance, epoch, gap: at.since(before.last), at })
    }
}

#[cfg(test)]
mod tests;
