//! Rules broken on purpose. Each breaks one thing in the shell around the machine, in the gateway or in the
//! model store; what it breaks is written beside the code that does.

use std::time::Duration;

use steadfast_core::lease::{
    Attempt, Event, Hold, LeaseRecord, Observed, Outcome, Phase, Standing, StopCause, Version,
};
use steadfast_core::{Moment, Span};

use crate::agent::Agent;
use crate::world::World;

/// Which rule is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Broken {
    Nothing,
    /// The deadline counts from the reply of a renewal.
    DeadlineFromReply,
    /// The deadline counts from reading one's own renewal back.
    DeadlineFromReadBack,
    /// A TTL is shortened at once, whatever was promised under the longer one; the deadline is lowered when the
    /// success is known, so not if the reply is lost.
    TtlShortenedWithTheReplyLost,
    /// A release whose outcome is unknown is taken for one that did not happen: serve on.
    ServesAfterUnknownRelease,
    /// An absent or released lease is taken at once, whatever was seen before.
    TakesAtOnceAfterRollback,
    /// A candidate that lost the store goes on with its watch as if nothing had been.
    LostContactKeepsTheWatch,
    /// The gateway forwards past what the probe vouched for.
    GatewayPastValidFor,
    /// The gate looks at the deadline only when it accepts a connection; a timer closes it.
    GateChecksOnlyAtAccept,
    /// The store reuses versions after a delete.
    VersionReused,
    /// The margin covers one clock's drift, not both.
    MarginWithoutTwoRho,
    /// A second agent of the same name adopts the first one's lease without the lock.
    SecondAdopter,
    /// A watch resumes after the last change seen, without looking whether that is still the same.
    ExclusiveResume,
    /// A supervised application without a gate is started again while gateways may still act on an old answer.
    RestartsBeforeThePromiseIsOver,
    /// The lease is released while what served still runs.
    ReleasesBeforeStopped,
}

impl Broken {
    pub(crate) const ALL: [Broken; 14] = [
        Broken::DeadlineFromReply,
        Broken::DeadlineFromReadBack,
        Broken::TtlShortenedWithTheReplyLost,
        Broken::ServesAfterUnknownRelease,
        Broken::TakesAtOnceAfterRollback,
        Broken::LostContactKeepsTheWatch,
        Broken::GatewayPastValidFor,
        Broken::GateChecksOnlyAtAccept,
        Broken::VersionReused,
        Broken::MarginWithoutTwoRho,
        Broken::SecondAdopter,
        Broken::ExclusiveResume,
        Broken::RestartsBeforeThePromiseIsOver,
        Broken::ReleasesBeforeStopped,
    ];
}

/// What the shell does to a broken machine's events before it sees them.
impl World {
    pub(crate) fn break_before(&mut self, index: usize, now: Moment, event: Option<&Event>) {
        let agent = &mut self.agents[index];
        if !matches!(agent.standing.phase, Phase::Idle | Phase::Watching | Phase::Taking) {
            return;
        }
        match (self.broken, event) {
            (Broken::TakesAtOnceAfterRollback, Some(Event::Seen(None))) => agent.pretend_to_have_watched(now, None),
            (Broken::TakesAtOnceAfterRollback, Some(Event::Seen(Some(seen)))) if seen.record.released => {
                let held = LeaseRecord { released: false, ..seen.record.clone() };
                let before = Version(seen.version.0.saturating_sub(1));
                agent.pretend_to_have_watched(now, Some(Observed { version: before, record: held }));
            }
            (Broken::LostContactKeepsTheWatch, _) => agent.pretend_contact(agent.last_step, now),
            _ => {}
        }
    }
}

impl Agent {
    fn pretend_to_have_watched(&mut self, now: Moment, seen: Option<Observed>) {
        let longest = self.timing.ttl().duration() + Duration::from_millis(1);
        self.machine.handle(now - longest, Event::Seen(seen));
        self.pretend_contact(now - longest, now);
    }

    fn pretend_contact(&mut self, from: Moment, to: Moment) {
        let mut at = from;
        while at < to {
            at = to.min(at + self.timing.renew_every() / 2);
            self.machine.handle(at, Event::Contact);
        }
    }
}

/// What the shell does to a broken machine's writes.
impl World {
    pub(crate) fn break_attempt(&mut self, index: usize, now: Moment, attempt: &mut Attempt) {
        let agent = &mut self.agents[index];
        let wished = agent.timing.ttl();
        let shortens = attempt.hold == Hold::Renew && attempt.record.ttl > wished;
        if self.broken == Broken::TtlShortenedWithTheReplyLost && shortens {
            attempt.record.ttl = wished;
            agent.shortened.push((attempt.record.nonce, now + lasts(wished)));
        }
    }
}

/// TTL − margin.
fn lasts(ttl: Span) -> Duration {
    ttl.duration() - ttl.duration() / 5
}

/// What a step of the machine led to.
pub(crate) struct Step<'a> {
    pub(crate) now: Moment,
    pub(crate) event: Option<&'a Event>,
    /// Where it stood before the event.
    pub(crate) before: Standing,
    /// After the event, before its wishes were carried out.
    pub(crate) handled: Standing,
    /// What it wanted stopped.
    pub(crate) stop: Option<StopCause>,
}

/// What a broken shell makes of the machine's standing.
impl World {
    pub(crate) fn break_after(&mut self, index: usize, step: &Step<'_>) {
        let broken = self.broken;
        let agent = &mut self.agents[index];
        agent.notice_the_end(step);
        agent.notice_success(step);
        let rose = step.handled.phase == Phase::Leading && step.handled.serve_until > step.before.serve_until;
        let sent = |nonce| agent.sent.iter().find(|sent| sent.nonce == nonce).copied();
        match (broken, step.event) {
            (Broken::DeadlineFromReply, Some(Event::Settled { nonce, outcome: Outcome::Committed(_) })) => {
                if let Some(sent) = sent(*nonce).filter(|_| step.handled.phase == Phase::Leading) {
                    agent.usurped = Some((step.handled.epoch, step.now + lasts(sent.ttl)));
                }
            }
            (
                Broken::DeadlineFromReadBack,
                Some(Event::Seen(Some(seen)) | Event::Settled { outcome: Outcome::Conflict(Some(seen)), .. }),
            ) if rose => {
                agent.usurped = Some((step.handled.epoch, step.now + lasts(seen.record.ttl)));
            }
            (Broken::ServesAfterUnknownRelease, Some(Event::Settled { nonce, outcome: Outcome::Unknown }))
                if sent(*nonce).is_some_and(|sent| sent.hold == Hold::Release) =>
            {
                agent.usurped = agent.given_up;
            }
            (Broken::MarginWithoutTwoRho, _) if step.handled.phase == Phase::Leading => {
                let half_a_margin = agent.timing.margin() / 2;
                agent.usurped = Some((step.handled.epoch, step.handled.serve_until + half_a_margin));
            }
            _ => {}
        }
    }
}

impl Agent {
    /// A renewal of ours was confirmed, by reply or by what the store shows.
    fn notice_success(&mut self, step: &Step<'_>) {
        let confirmed = match step.event {
            Some(Event::Settled { nonce, outcome: Outcome::Committed(_) }) => *nonce,
            Some(Event::Seen(Some(seen)) | Event::Settled { outcome: Outcome::Conflict(Some(seen)), .. }) => {
                seen.record.nonce
            }
            _ => return,
        };
        if let Some((_, until)) = self.shortened.iter().find(|(nonce, _)| *nonce == confirmed) {
            self.clamped = *until;
        } else if self.sent.iter().any(|sent| sent.nonce == confirmed) {
            self.clamped = Moment::MAX;
        }
    }

    /// Even a broken agent stops when it steps down, and when it sees that it lost the lease.
    fn notice_the_end(&mut self, step: &Step<'_>) {
        let stepped_down = step.stop.is_some_and(|cause| cause != StopCause::Lost);
        if stepped_down {
            self.given_up = Some((step.before.epoch, step.before.serve_until));
        }
        let another = match step.event {
            Some(Event::Seen(Some(seen)) | Event::Settled { outcome: Outcome::Conflict(Some(seen)), .. }) => {
                seen.record.incarnation != self.incarnation
            }
            Some(Event::Seen(None) | Event::Settled { outcome: Outcome::Conflict(None), .. }) => true,
            _ => false,
        };
        let over = self.usurped.is_some_and(|(_, until)| until <= step.now);
        if stepped_down || another || over {
            self.usurped = None;
        }
    }
}
