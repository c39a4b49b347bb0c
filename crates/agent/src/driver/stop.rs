//! Stepping down: let those finish who use the instance, then stop what serves, then say so.

use std::time::Duration;

use steadfast_core::Moment;
use steadfast_core::health::Verdict;
use steadfast_core::lease::{self, StopCause};
use steadfast_host::clock;
use steadfast_registry::LedgerState;

use super::Loop;
use crate::application::Why;
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

impl Loop {
    /// The machine wants what serves to be stopped.
    pub(super) fn stop(&mut self, cause: StopCause) {
        let reason = self.reason_of(cause);
        self.report_stop(reason);
        match reason {
            Reason::Lost => {
                // Whoever was waited for has no more time; an application on its way down goes on.
                self.stop = self.stop.filter(|stop| stop.stage == Stage::Ending);
                self.cut();
            }
            Reason::Died => self.end(reason),
            Reason::HandOver | Reason::Draining | Reason::Leaving | Reason::Unhealthy => {
                self.stop = Some(Stop { reason, stage: Stage::Grace });
                self.begin_grace(reason);
            }
        }
    }

    fn reason_of(&self, cause: StopCause) -> Reason {
        let healthy = self.parts.checks.verdict() == Verdict::Healthy;
        match cause {
            StopCause::HandOver => Reason::HandOver,
            StopCause::Died => Reason::Died,
            StopCause::Lost => Reason::Lost,
            StopCause::Unfit if self.leaving.is_some() => Reason::Leaving,
            StopCause::Unfit if self.parts.books.state() != Some(LedgerState::Open) => Reason::Draining,
            StopCause::Unfit if healthy => Reason::HandOver,
            StopCause::Unfit => Reason::Unhealthy,
        }
    }

    /// Waits until gateways and gates have let go. The probe says no by now, and the gates take on nothing.
    fn begin_grace(&mut self, reason: Reason) {
        let now = clock::now();
        let bound = if reason == Reason::Unhealthy { GRACE_UNHEALTHY } else { GRACE };
        let bound = bound.min(self.parts.config.stop_within.duration());
        let window = gateways::window(self.parts.timing.ttl().duration() - self.parts.timing.margin());
        let (gateways, gates) = (self.parts.gateways.clone(), self.parts.gates.clone());
        let at_once = self.parts.controls.at_once.clone();
        self.effects.spawn(async move {
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
    pub(super) fn let_go(&mut self) {
        let Some(stop) = self.stop.filter(|stop| stop.stage == Stage::Grace) else { return };
        tracing::debug!(instance = %self.parts.config.instance, "those who used the instance have let go");
        self.end(stop.reason);
        match stop.reason {
            Reason::Unhealthy => self.stop_application(Why::Unhealthy),
            Reason::Leaving => self.stop_application(Why::Leaving),
            // Behind its gates the application may stay.
            _ if self.parts.gates.cover_all() => {}
            _ => self.stop_application(Why::HandOver),
        }
    }

    /// Tells the machine when nothing serves any more.
    pub(super) fn go_on_stopping(&mut self, now: Moment) {
        let Some(stop) = self.stop.filter(|stop| stop.stage == Stage::Ending) else { return };
        // A gate's own thread may still be passing on what it was permitted to a moment ago.
        if !self.parts.gates.is_empty() {
            return;
        }
        let behind_gates = self.parts.gates.cover_all();
        let answer = match &self.parts.supervised {
            _ if behind_gates => lease::Event::Stopped,
            Some(supervised) if supervised.application.is_empty() => lease::Event::Stopped,
            Some(_) => return,
            None => lease::Event::CannotStop,
        };
        tracing::debug!(instance = %self.parts.config.instance, ?answer, "what served has ended");
        let lapses = answer == lease::Event::CannotStop;
        self.stop = lapses.then_some(Stop { stage: Stage::Lapsing, ..stop });
        self.tell(now, answer);
    }

    /// Whether a step-down is under way that ends by our doing.
    pub(super) fn is_stopping(&self) -> bool {
        self.stop.is_some_and(|stop| stop.stage != Stage::Lapsing)
    }

    /// Whether those who use the instance are being waited for.
    pub(super) fn is_in_grace(&self) -> bool {
        self.stop.is_some_and(|stop| stop.stage == Stage::Grace)
    }

    /// Whether what served could not be stopped.
    pub(super) fn is_lapsing(&self) -> bool {
        self.stop.is_some_and(|stop| stop.stage == Stage::Lapsing)
    }

    /// From here on nobody is waited for any more: what the gates carry is reset, and the loop told once it is.
    fn end(&mut self, reason: Reason) {
        // First, as posting while those who use the instance may finish would let the gates carry on.
        self.stop = Some(Stop { reason, stage: Stage::Ending });
        self.cut();
        let gates = self.parts.gates.clone();
        self.effects.spawn(async move {
            gates.emptied().await;
            Event::Emptied
        });
    }

    /// Ends everything the gates carry, now.
    fn cut(&mut self) {
        self.carry_until = Moment::ZERO;
        self.post();
        self.parts.gates.cut();
    }
}
