//! Decides where the requests of a set go, and until when: rule 7 of the lease.
//!
//! ```text
//! the books name a holder ──▶ its probe is asked ──▶ it vouches for its epoch ──▶ target, until asked + valid × (1−ρ)/(1+ρ)
//!                                                     asked again well before that; each answer extends it
//! the books say it hands over, or its probe says no longer ──▶ closed: nothing new begins, what runs goes on until then
//! a higher epoch is seen, or that moment passes ──▶ ended: what runs is aborted
//! ```
//! The books only choose whom to ask. Nothing is forwarded on their word.

use std::sync::Arc;
use std::time::Duration;

use steadfast_core::lease::{LARGEST_DRIFT_MILLI, RouteGuard};
use steadfast_core::settings::SetSettings;
use steadfast_core::{Endpoint, Epoch, Incarnation, InstanceId, Moment};
use steadfast_host::clock;
use steadfast_registry::{LedgerState, ProbeAnswer, ProbeReason, Snapshot};

use super::pace::Pace;
use crate::set::{Addresses, SetShared, Target};

/// A leader is asked at least this often.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// A leader is not asked more often than this, however short what it vouches for.
const ASK_AT_MOST_EVERY: Duration = Duration::from_millis(5);
/// One that hands over is asked at least this often.
const ASK_HANDING_OVER_EVERY: Duration = Duration::from_millis(20);
/// A question takes a quarter of the lease at most, within these bounds.
const ANSWER_WITHIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// A leader that still says so this long after it was to hand over does not: it is used again.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(1);
/// In the last tenth of a lease nothing new begins. A leader in good health never gets there; to one that loses its
/// lease, what cannot be repeated had better not be sent.
const RESERVED_PART: u32 = 10;
/// Alarms further apart than this have nothing to do with each other.
const ALARMS_APART: Duration = Duration::from_secs(1);

/// The holder, as the books have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) instance: InstanceId,
    pub(crate) incarnation: Incarnation,
    epoch: Epoch,
    pub(crate) probe: Endpoint,
    /// In the order of the set's endpoints.
    pub(crate) endpoints: Vec<Option<Endpoint>>,
    ttl: Duration,
    hands_over: bool,
}

/// A question to be put to the holder.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) holder: Holder,
    /// Requests of this gateway running there now.
    pub(crate) running: usize,
    pub(crate) within: Duration,
}

/// What became of a question.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) asked: Moment,
    /// The answer, and the addresses of the endpoints; or why there is none.
    pub(crate) answer: Result<(ProbeAnswer, Addresses), String>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Follow {
    set: Arc<SetShared>,
    workers: usize,
    guard: RouteGuard,
    drift_milli: u32,
    holder: Option<Holder>,
    /// Since when the holder is to hand over.
    hands_over_since: Option<Moment>,
    target: Option<Arc<Target>>,
    next: Moment,
    pace: Pace,
    /// When somebody last wanted a question put: one put before is not the answer.
    wanted: Option<Moment>,
    /// When a question that is wanted is to be put.
    due: Moment,
    last_alarm: Option<Moment>,
    alarm_pace: Pace,
    /// The holder has said, since it last vouched, that it does not lead.
    denied: bool,
    /// Whose epoch was too low, as was said once.
    refused: Option<(InstanceId, Epoch)>,
}

impl Follow {
    pub(crate) fn new(set: Arc<SetShared>, workers: usize) -> Follow {
        Follow {
            set,
            workers,
            guard: RouteGuard::default(),
            drift_milli: LARGEST_DRIFT_MILLI,
            holder: None,
            hands_over_since: None,
            target: None,
            next: Moment::ZERO,
            pace: Pace::default(),
            wanted: None,
            due: Moment::ZERO,
            last_alarm: None,
            alarm_pace: Pace::default(),
            denied: false,
            refused: None,
        }
    }

    /// The books changed. True if a question under way is put to the wrong one.
    pub(crate) fn books(&mut self, now: Moment, books: &Snapshot) -> bool {
        if let Some(SetSettings::Single(settings)) = &books.settings {
            self.drift_milli = settings.timing().drift_milli();
            self.set.set_park_for(settings.park_for());
        }
        if let Some(lease) = &books.lease {
            self.guard.saw(lease.observed.record.epoch);
        }
        self.end_if_overtaken();
        let holder = holder(&self.set, books);
        if holder == self.holder {
            return false;
        }
        let same_one = match (&self.holder, &holder) {
            (Some(old), Some(new)) => (&old.instance, old.incarnation) == (&new.instance, new.incarnation),
            _ => false,
        };
        let hands_over = holder.as_ref().is_some_and(|holder| holder.hands_over);
        self.hands_over_since = hands_over.then(|| self.hands_over_since.filter(|_| same_one).unwrap_or(now));
        self.holder = holder;
        self.next = now;
        self.due = now;
        self.wanted = Some(now);
        self.pace.reset();
        self.alarm_pace.reset();
        self.denied = false;
        self.open_or_close(None);
        !same_one
    }

    /// A worker wants the target looked at.
    pub(crate) fn alarm(&mut self, now: Moment) {
        // The last request of a closed target has ended: that is waited for, and cannot come again and again.
        let emptied = self.target.as_ref().is_some_and(|target| target.closed() && target.running() == 0);
        let first = self.last_alarm.is_none_or(|last| now.since(last) > ALARMS_APART);
        if first {
            self.alarm_pace.reset();
        }
        let pause = if first || emptied { Duration::ZERO } else { self.alarm_pace.next() };
        let at = now + pause;
        self.due = if self.due > now { self.due.min(at) } else { at };
        self.next = self.next.min(at);
        self.last_alarm = Some(now);
        self.wanted = Some(now);
    }

    /// Time passes.
    pub(crate) fn tick(&mut self, now: Moment) {
        if self.target.as_ref().is_some_and(|target| target.until() <= now) {
            self.target = None;
            self.set.publish(None);
        }
    }

    /// When to tick, at the latest; `asking`: a question is under way.
    pub(crate) fn deadline(&self, asking: bool) -> Moment {
        let next = if asking || self.holder.is_none() { Moment::MAX } else { self.next };
        next.min(self.target.as_ref().map_or(Moment::MAX, |target| target.until()))
    }

    /// The question to be put now.
    pub(crate) fn question(&self, now: Moment) -> Option<Question> {
        let holder = self.holder.as_ref().filter(|_| self.next <= now)?.clone();
        let there = self.target.as_ref().filter(|target| is_of(target, &holder));
        let (least, most) = ANSWER_WITHIN;
        let within = (holder.ttl / 4).clamp(least, most);
        Some(Question { running: there.map_or(0, |target| target.running()), within, holder })
    }

    /// A question's end.
    pub(crate) fn answered(&mut self, now: Moment, answered: Answered) {
        let Some(holder) = self.holder.clone() else { return };
        let Answered { asked, answer } = answered;
        let paced = match answer {
            Err(error) => {
                tracing::debug!(set = %self.set.name, instance = %holder.instance, error, "the probe did not answer");
                false
            }
            Ok((answer, _)) if !speaks_for(&self.set, &holder, &answer) => {
                tracing::debug!(set = %self.set.name, ?answer, "another one answers at the address of the holder's probe");
                false
            }
            Ok((answer, addresses)) => match answer.leading() {
                Some(epoch) => self.vouched(now, asked, epoch, &answer, &holder, addresses),
                None => {
                    self.next = now + self.denied(&holder);
                    true
                }
            },
        };
        if !paced {
            self.next = now + self.pace.next();
        }
        if self.wanted.is_some_and(|wanted| asked < wanted) {
            // The question was put before there was news.
            self.next = self.next.min(self.due).max(now);
        }
    }

    fn vouched(
        &mut self,
        now: Moment,
        asked: Moment,
        epoch: Epoch,
        answer: &ProbeAnswer,
        holder: &Holder,
        addresses: Addresses,
    ) -> bool {
        // No leader has a lease for longer than its record says.
        let valid_for = Duration::from_millis(answer.valid_for_ms).min(holder.ttl);
        let highest = self.guard.highest();
        let Some(until) = self.guard.vouched(asked, epoch, valid_for, self.drift_milli) else {
            let refused = (holder.instance.clone(), epoch);
            if self.refused.as_ref() != Some(&refused) {
                tracing::error!(
                    set = %self.set.name, instance = %holder.instance, %epoch, %highest,
                    "a leader's epoch is lower than one seen before: nothing is forwarded to it; if the store was \
                     emptied on purpose, restart this gateway"
                );
                self.refused = Some(refused);
            }
            return false;
        };
        self.denied = false;
        self.end_if_overtaken();
        if until <= now {
            return false;
        }
        let present = self
            .target
            .clone()
            .filter(|target| is_of(target, holder) && target.epoch == Some(epoch) && target.addresses == addresses);
        match present {
            Some(target) => self.extend(&target, asked, until, answer),
            None => self.begin(holder, epoch, addresses, asked, until, answer),
        }
        if self.hands_over_since.is_some() {
            // It does not know of the order yet, or finishes what runs: it waits to hear from us, and others for it.
            self.next = now + self.pace.next().min(ASK_HANDING_OVER_EVERY);
        } else {
            self.next = asked + (valid_for / 3).clamp(ASK_AT_MOST_EVERY, ASK_EVERY);
            self.pace.reset();
        }
        true
    }

    fn extend(&mut self, target: &Target, asked: Moment, until: Moment, answer: &ProbeAnswer) {
        let before = target.until();
        target.vouch(asked, until);
        self.open_or_close(Some((asked, answer)));
        // Read after the store: a worker that saw the old moment pass, or come too near, and sleeps, is woken.
        let lapsed = clock::now() + target.reserve() >= before;
        let awaited = self.wanted.take_if(|wanted| asked >= *wanted).is_some();
        if lapsed || awaited {
            self.set.ring();
        }
    }

    fn begin(
        &mut self,
        holder: &Holder,
        epoch: Epoch,
        addresses: Addresses,
        asked: Moment,
        until: Moment,
        answer: &ProbeAnswer,
    ) {
        tracing::info!(set = %self.set.name, instance = %holder.instance, %epoch, "the leader");
        let id = holder.instance.clone();
        let reserve = holder.ttl / RESERVED_PART;
        let target = Arc::new(Target::new(id, Some(holder.incarnation), Some(epoch), addresses, reserve, self.workers));
        target.vouch(asked, until);
        if self.must_be_closed(Some((asked, answer))) {
            target.close();
        }
        self.target = Some(target.clone());
        self.set.publish(Some(target));
    }

    /// The holder itself says that it does not lead, or no longer. Returns the pause before it is asked again.
    fn denied(&mut self, holder: &Holder) -> Duration {
        if !self.denied {
            // It waits to hear that we know, also where the books had the target closed before.
            self.denied = true;
            self.pace.reset();
        }
        let pause = self.pace.next();
        let Some(target) = self.target.as_ref().filter(|target| is_of(target, holder)) else { return pause };
        if target.close() {
            tracing::info!(set = %self.set.name, instance = %holder.instance, "the leader steps down");
        }
        // It waits for what still runs there. That ends with the target, which it no longer vouches for.
        pause.min(ASK_HANDING_OVER_EVERY)
    }

    fn open_or_close(&mut self, vouched: Option<(Moment, &ProbeAnswer)>) {
        let Some(target) = &self.target else { return };
        if self.must_be_closed(vouched) {
            if target.close() {
                tracing::info!(set = %self.set.name, instance = %target.instance, "the leader hands over");
            }
        } else if vouched.is_some() && target.open() {
            self.set.ring();
        }
    }

    fn must_be_closed(&self, vouched: Option<(Moment, &ProbeAnswer)>) -> bool {
        let Some(since) = self.hands_over_since else {
            // Without a holder nobody is asked any more; what runs may go on.
            return self.holder.is_none();
        };
        !vouched
            .is_some_and(|(asked, answer)| answer.reason == ProbeReason::Leading && asked > since + HAND_OVER_WITHIN)
    }

    fn end_if_overtaken(&mut self) {
        let guard = &self.guard;
        let overtaken = |target: &mut Arc<Target>| target.epoch.is_some_and(|epoch| !guard.admits(epoch));
        if let Some(target) = self.target.take_if(overtaken) {
            tracing::info!(set = %self.set.name, instance = %target.instance, "the leader was overtaken");
            self.set.publish(None);
        }
    }
}

/// Whom the books have for the holder, if it can be asked.
fn holder(set: &SetShared, books: &Snapshot) -> Option<Holder> {
    let lease = &books.lease.as_ref()?.observed.record;
    let seen = books.instances.get(&lease.holder)?;
    // The description of another life says nothing about this one.
    let description = seen.description.as_ref().filter(|about| about.incarnation == lease.incarnation)?;
    if lease.released {
        return None;
    }
    let ordered = books.switchover.as_ref().is_some_and(|order| order.epoch == lease.epoch.0);
    let leaves = seen
        .ledger
        .as_ref()
        .is_some_and(|ledger| ledger.incarnation == lease.incarnation && ledger.state != LedgerState::Open);
    let http = |endpoint: &&Endpoint| endpoint.scheme() == "http";
    Some(Holder {
        instance: lease.holder.clone(),
        incarnation: lease.incarnation,
        epoch: lease.epoch,
        probe: description.probe.0.clone(),
        endpoints: set.endpoints.iter().map(|name| description.endpoint(name).filter(http).cloned()).collect(),
        ttl: lease.ttl.duration(),
        hands_over: ordered || leaves,
    })
}

fn is_of(target: &Target, holder: &Holder) -> bool {
    target.instance == holder.instance && target.incarnation == Some(holder.incarnation)
}

/// An address tells nothing of who answers there.
fn speaks_for(set: &SetShared, holder: &Holder, answer: &ProbeAnswer) -> bool {
    answer.set == set.name && answer.instance == holder.instance && answer.incarnation == holder.incarnation
}

#[cfg(test)]
mod tests;
