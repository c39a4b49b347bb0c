//! Words for people: one line, and one note in the set's event log, for each thing that matters.

use steadfast_core::lease::{Attempt, Hold, Outcome, Phase, Standing, Version};
use steadfast_core::{Epoch, InstanceId, Moment};
use steadfast_host::clock;
use steadfast_registry::{Error as RegistryError, EventKind, Snapshot};

use super::Contender;
use super::stop::Reason;
use crate::driver::Agent;

/// What was said last.
#[derive(Debug, Default)]
pub(super) struct Report {
    phase: Option<Phase>,
    /// From whom the lease is being taken, and why it is free.
    taking: Option<Taking>,
    /// The epoch of our last leadership.
    led_at: Epoch,
    refused: bool,
    lost: bool,
    led_by_another: bool,
    /// The last attempt ended without an answer of the store: it is gone, or can be read and not written, as on a full
    /// disk.
    unwritten: bool,
    /// The version of the lease last seen.
    seen: Option<Version>,
}

#[derive(Clone, Debug)]
struct Taking {
    from: Option<InstanceId>,
    reason: &'static str,
    /// Since when the record was as it is.
    since: Option<Moment>,
}

impl Report {
    /// Whether our lease was lost, and nobody is known to lead since.
    pub(super) fn lost(&self) -> bool {
        self.lost
    }

    /// Whether another instance holds the lease, as far as is known.
    pub(super) fn led_by_another(&self) -> bool {
        self.led_by_another
    }

    /// Whether the store did not take our last attempt, and nobody is known to have written the lease since.
    pub(super) fn unwritten(&self) -> bool {
        self.unwritten
    }

    /// Takes in who leads.
    pub(super) fn see(&mut self, snapshot: &Snapshot, me: &InstanceId) {
        let version = snapshot.lease.as_ref().map(|lease| lease.observed.version);
        self.unwritten &= std::mem::replace(&mut self.seen, version) == version;
        let holder = snapshot.lease.as_ref().map(|lease| &lease.observed.record).filter(|record| !record.released);
        self.led_by_another = holder.is_some_and(|record| record.holder != *me);
        self.lost &= !self.led_by_another;
    }

    /// An attempt ended. Where the store refuses it in a way that no retry mends, that is said once until it accepts one.
    pub(super) fn settled(&mut self, outcome: &Outcome, refusal: Option<RegistryError>) {
        self.unwritten = matches!(outcome, Outcome::Unavailable | Outcome::Unknown);
        let before = std::mem::replace(&mut self.refused, refusal.is_some());
        if let (Some(error), false) = (refusal, before) {
            tracing::error!(%error, "the lease cannot be written");
        }
    }

    /// An attempt goes out.
    pub(super) fn attempt(&mut self, attempt: &Attempt, snapshot: &Snapshot, me: &InstanceId) {
        if attempt.hold != Hold::Take {
            return;
        }
        let seen = snapshot.lease.as_ref();
        self.taking = Some(Taking {
            from: seen.map(|lease| lease.observed.record.holder.clone()),
            reason: match seen.map(|lease| &lease.observed.record) {
                None => "first",
                Some(record) if record.released => "released",
                Some(record) if record.holder == *me => "own",
                Some(_) => "expired",
            },
            since: seen.map(|lease| lease.received),
        });
    }
}

impl Contender {
    /// Says where we stand, when that changed.
    pub(super) fn report_standing(&mut self, agent: &Agent, standing: &Standing) {
        let before = self.report.phase.replace(standing.phase);
        if before == Some(standing.phase) {
            return;
        }
        let leads = standing.phase == Phase::Leading;
        if leads {
            self.report.lost = false;
            self.report.led_at = standing.epoch;
            self.report_leading(agent, standing);
        } else if before == Some(Phase::Leading) {
            self.epoch_file.tell(None);
        }
        let notify = &agent.controls.notify;
        if leads {
            notify.status(&format!("leading, epoch {}", standing.epoch));
        } else if before.is_none() || before == Some(Phase::Leading) {
            notify.status("standby");
        }
    }

    fn report_leading(&self, agent: &Agent, standing: &Standing) {
        let taking = self.report.taking.clone().unwrap_or(Taking { from: None, reason: "first", since: None });
        let (set, instance) = (&agent.config.set, &agent.config.instance);
        let epoch = standing.epoch;
        let from = taking.from.as_ref().map_or("nobody", |id| id.as_str());
        let unchanged_ms = taking.since.map_or(0, |since| clock::now().since(since).as_millis());
        tracing::info!(%set, %instance, %epoch, from, reason = taking.reason, unchanged_ms, "leading");
        self.epoch_file.tell(Some(epoch));
        agent.notes.note(EventKind::Leading {
            instance: instance.clone().into(),
            epoch: epoch.0,
            from: taking.from.map(Into::into),
            reason: taking.reason.to_owned(),
        });
    }

    /// Says why we stop.
    pub(super) fn report_stop(&mut self, agent: &Agent, reason: Reason) {
        let (set, instance) = (&agent.config.set, &agent.config.instance);
        let epoch = self.report.led_at;
        tracing::info!(%set, %instance, %epoch, reason = reason.as_str(), "stopped leading");
        self.report.lost = reason == Reason::Lost;
        agent.notes.note(EventKind::Stopped {
            instance: instance.clone().into(),
            epoch: epoch.0,
            reason: reason.as_str().to_owned(),
        });
    }
}
