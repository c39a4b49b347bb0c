//! Leaving: let go of what is held, stop the application, say good-bye; bounded at every step that needs the store.

use std::time::Duration;

use steadfast_core::Moment;
use steadfast_registry::LedgerState;

use super::{Agent, Driver, Part};
use crate::application::Why;
use crate::{Error, Exit};

/// How long the release and the good-bye may take together, once the application has stopped: a store that is away
/// must not keep an agent from ending.
const STORE_WITHIN: Duration = Duration::from_secs(3);

/// An agent that is about to end.
#[derive(Debug)]
pub(crate) struct Leaving {
    outcome: Result<Exit, Error>,
    /// Nobody is to be waited for.
    pub(super) at_once: bool,
    /// It was said that we are leaving.
    announced: bool,
    /// When the store is waited for no longer; known once the application has stopped.
    give_up: Option<Moment>,
    said_good_bye: bool,
}

impl Leaving {
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.give_up
    }
}

impl Agent {
    /// Begins to leave, with this end in mind. The first reason counts.
    pub(crate) fn leave(&mut self, outcome: Result<Exit, Error>) {
        if self.leaving.is_some() {
            return;
        }
        match &outcome {
            Ok(_) => tracing::info!(instance = %self.config.instance, "leaving"),
            Err(error) => tracing::error!(instance = %self.config.instance, %error, "leaving"),
        }
        self.controls.notify.stopping();
        self.leaving = Some(Leaving { outcome, at_once: false, announced: false, give_up: None, said_good_bye: false });
    }

    pub(super) fn leave_at_once(&mut self) {
        self.leave(Ok(Exit::Left));
        if let Some(leaving) = &mut self.leaving {
            leaving.at_once = true;
        }
    }
}

impl<P: Part> Driver<P> {
    /// Does the next step of leaving. Says how it ended, when it has.
    pub(super) fn go_on_leaving(&mut self, now: Moment) -> Option<Result<Exit, Error>> {
        let Driver { agent, part, .. } = self;
        agent.leaving.as_ref()?;
        let bound = part.is_bound();
        if !part.is_stopping() && !bound {
            agent.stop_application(Why::Leaving);
        }
        let stopped = agent.supervised.as_ref().is_none_or(|supervised| supervised.application.is_empty());
        let leaving = agent.leaving.as_mut()?;
        if stopped && leaving.give_up.is_none() && !bound {
            leaving.give_up = Some(now + part.notice() + STORE_WITHIN);
        }
        let out_of_patience = leaving.give_up.is_some_and(|give_up| give_up <= now);
        if (leaving.said_good_bye || out_of_patience) && stopped {
            return Some(std::mem::replace(&mut leaving.outcome, Ok(Exit::Left)));
        }
        if agent.participation.is_free() {
            if !std::mem::replace(&mut leaving.announced, true) {
                agent.say(LedgerState::Leaving);
            } else if stopped && part.is_released() {
                agent.say(LedgerState::Gone);
            }
        }
        None
    }

    /// Our word was brought to the store, or could not be.
    pub(super) fn said(&mut self, now: Moment, state: LedgerState, accepted: bool) {
        self.agent.participation.ended(now, state, accepted);
        if let Some(leaving) = &mut self.agent.leaving {
            leaving.said_good_bye |= state == LedgerState::Gone;
        }
    }
}
