//! Stepping down: let those finish who use the instance, then stop what serves, then say so.

use std::time::Duration;

use steadfast_core::Moment;
use steadfast_core::health::Verdict;
use steadfast_core::lease::{self, StopCause};
use steadfast_host::clock;
use steadfast_registry::LedgerState;

use super::Contender;
use crate::application::Why;
use crate::driver::Agent;
use crate::event::Event;
use crate::gateways;

/// The longest those who use an instance that hands over are given to finish.
const GRACE: Duration = Duration::from_secs(5);
/// The same where the application is unhealthy: what is under way there has little hope.
const GRACE_UNHEALTHY: Duration = Duration::from_secs(1);

/// A step-down under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    reason: Reason,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Those who use the instance are finishing.
    Grace,
    /// What serves is being stopped.
    Ending,
    /// It could not be; the lease is left to expire.
    Lapsing,
}

/// Why, more exactly than the machine needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    HandOver,
    Draining,
    Leaving,
    Unhealthy,
    Died,
    Lost,
}

impl Reason {
    /// The word in the event log.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Reason::HandOver => "hand-over",
            Reason::Draining => "draining",
            Reason::Leaving => "leaving",
            Reason::Unhealthy => "unhealthy",
            Reason::Died => "application-died",
            Reason::Lost => "lost",
        }
    }
}

impl Stop {
    /// Whether what serves could not be stopped.
    pub(super) fn is_lapsing(self) -> bool {
        self.stage == Stage::Lapsing
    }
}

impl Contender {
    /// The machine wants what serves to be stopped.
    pub(super) fn stop(&mut self, agent: &mut Agent, cause: StopCause) {
        let reason = self.reason_of(agent, cause);
        self.report_stop(agent, reason);
        match reason {
            Reason::Lost => {
                // Whoever was waited for has no more time; an application on its way down goes on.
                self.stop = self.stop.filter(|stop| stop.stage == Stage::Ending);
                self.cut(agent);
            }
            Reason::Died => self.end(agent, reason),
            Reason::HandOver | Reason::Draining | Reason::Leaving | Reason::Unhealthy => {
                self.stop = Some(Stop { reason, stage: Stage::Grace });
                self.begin_grace(agent, reason);
            }
        }
    }

    fn reason_of(&self, agent: &Agent, cause: StopCause) -> Reason {
        let healthy = agent.checks.verdict() == Verdict::Healthy;
        match cause {
            StopCause::HandOver => Reason::HandOver,
            StopCause::Died => Reason::Died,
            StopCause::Lost => Reason::Lost,
            StopCause::Unfit if agent.leaving.is_some() => Reason::Leaving,
            StopCause::Unfit if agent.books.state() != Some(LedgerState::Open) => Reason::Draining,
            StopCause::Unfit if healthy => Reason::HandOver,
            StopCause::Unfit => Reason::Unhealthy,
        }
    }

    /// Waits until gateways and gates have let go. The probe says no by now, and the gates take on nothing.
    fn begin_grace(&mut self, agent: &mut Agent, reason: Reason) {
        let now = clock::now();
        let bound = if reason == Reason::Unhealthy { GRACE_UNHEALTHY } else { GRACE };
        let bound = bound.min(agent.config.stop_within.duration());
        let window = gateways::window(self.timing.ttl().duration() - self.timing.margin());
        let (gateways, gates) = (self.gateways.clone(), self.gates.clone());
        let at_once = agent.controls.at_once.clone();
        agent.effects.spawn(async move {
            let patient = async {
                let (holding, ()) =
                    tokio::join!(gateways.let_go(now - window, now + bound), gates.at_rest(now + bound));
                if !holding.is_empty() {
                    tracing::warn!(gateways = holding.join(", "), "gateways still carry requests after {bound:?}");
                }
            };
            tokio::select! {
                () = patient => {}
                () = at_once.requested() => {}
            }
            Event::LetGo
        });
    }

    /// Time is up, or nobody is left.
    pub(super) fn let_go(&mut self, agent: &mut Agent) {
        let Some(stop) = self.stop.filter(|stop| stop.stage == Stage::Grace) else { return };
        tracing::debug!(instance = %agent.config.instance, "those who used the instance have let go");
        self.end(agent, stop.reason);
        match stop.reason {
            Reason::Unhealthy => agent.stop_application(Why::Unhealthy),
            Reason::Leaving => agent.stop_application(Why::Leaving),
            // Behind its gates the application may stay.
            _ if self.gates.cover_all() => {}
            _ => agent.stop_application(Why::HandOver),
        }
    }

    /// Tells the machine when nothing serves any more.
    pub(super) fn go_on_stopping(&mut self, agent: &mut Agent, now: Moment) {
        let Some(stop) = self.stop.filter(|stop| stop.stage == Stage::Ending) else { return };
        // A gate's own thread may still be passing on what it was permitted to a moment ago.
        if !self.gates.is_empty() {
            return;
        }
        let behind_gates = self.gates.cover_all();
        let answer = match &agent.supervised {
            _ if behind_gates => lease::Event::Stopped,
            Some(supervised) if supervised.application.is_empty() => lease::Event::Stopped,
            Some(_) => return,
            None => lease::Event::CannotStop,
        };
        tracing::debug!(instance = %agent.config.instance, ?answer, "what served has ended");
        let lapses = answer == lease::Event::CannotStop;
        self.stop = lapses.then_some(Stop { stage: Stage::Lapsing, ..stop });
        self.tell(agent, now, answer);
    }

    /// Whether those who use the instance are being waited for.
    pub(super) fn is_in_grace(&self) -> bool {
        self.stop.is_some_and(|stop| stop.stage == Stage::Grace)
    }

    /// From here on nobody is waited for any more: what the gates carry is reset, and the loop told once it is.
    fn end(&mut self, agent: &mut Agent, reason: Reason) {
        // First, as posting while those who use the instance may finish would let the gates carry on.
        self.stop = Some(Stop { reason, stage: Stage::Ending });
        self.cut(agent);
        let gates = self.gates.clone();
        agent.effects.spawn(async move {
            gates.emptied().await;
            Event::Emptied
        });
    }

    /// Ends everything the gates carry, now.
    fn cut(&mut self, agent: &Agent) {
        self.carry_until = Moment::ZERO;
        self.post(agent);
        self.gates.cut();
    }
}
