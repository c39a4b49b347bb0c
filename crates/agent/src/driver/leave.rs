//! Leaving: hand over, stop the application, release, say good-bye; bounded at every step that needs the store.

use std::time::Duration;

use steadfast_core::Moment;
use steadfast_core::lease::Phase;
use steadfast_registry::LedgerState;

use super::Loop;
use crate::application::Why;
use crate::event::Event;
use crate::{Error, Exit};

/// How long the release and the good-bye may take together, once the application has stopped: a store that is away
/// must not keep an agent from ending.
const STORE_WITHIN: Duration = Duration::from_secs(3);

/// An agent that is about to end.
#[derive(Debug)]
pub(super) struct Leaving {
    outcome: Result<Exit, Error>,
    /// Nobody is to be waited for.
    pub(super) at_once: bool,
    /// An announcement is on its way to the ledger.
    announcing: bool,
    /// When the store is waited for no longer; known once the application has stopped.
    give_up: Option<Moment>,
    said_good_bye: bool,
}

impl Leaving {
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.give_up
    }
}

impl Loop {
    /// Begins to leave, with this end in mind. The first reason counts.
    pub(super) fn leave(&mut self, now: Moment, outcome: Result<Exit, Error>) {
        if self.leaving.is_some() {
            return;
        }
        match &outcome {
            Ok(_) => tracing::info!(instance = %self.parts.config.instance, "leaving"),
            Err(error) => tracing::error!(instance = %self.parts.config.instance, %error, "leaving"),
        }
        self.parts.controls.notify.stopping();
        self.leaving =
            Some(Leaving { outcome, at_once: false, announcing: false, give_up: None, said_good_bye: false });
        self.announce(LedgerState::Leaving);
        self.judge_fitness(now);
    }

    pub(super) fn leave_at_once(&mut self, now: Moment) {
        self.leave(now, Ok(Exit::Left));
        if let Some(leaving) = &mut self.leaving {
            leaving.at_once = true;
        }
    }

    /// Does the next step of leaving. Says how it ended, when it has.
    pub(super) fn go_on_leaving(&mut self, now: Moment) -> Option<Result<Exit, Error>> {
        self.leaving.as_ref()?;
        let phase = self.parts.machine.standing().phase;
        if !self.is_stopping() && phase != Phase::Leading {
            self.stop_application(Why::Leaving);
        }
        let stopped = self.parts.supervised.as_ref().is_none_or(|supervised| supervised.application.is_empty());
        // What cannot be released is left to expire.
        let released = matches!(phase, Phase::Idle | Phase::Watching) || self.is_lapsing();
        let leaving = self.leaving.as_mut()?;
        if stopped && leaving.give_up.is_none() && phase != Phase::Leading {
            // Load balancers are given their time to notice before others may lead.
            leaving.give_up = Some(now + self.parts.timing.release_after().duration() + STORE_WITHIN);
        }
        let out_of_patience = leaving.give_up.is_some_and(|give_up| give_up <= now);
        if (leaving.said_good_bye || out_of_patience) && stopped {
            let outcome = std::mem::replace(&mut leaving.outcome, Ok(Exit::Left));
            return Some(outcome);
        }
        if stopped && released && !leaving.announcing {
            self.announce(LedgerState::Gone);
        }
        None
    }

    fn announce(&mut self, state: LedgerState) {
        let Some(leaving) = &mut self.leaving else { return };
        leaving.announcing = true;
        let (registry, set, id) =
            (self.parts.registry.clone(), self.parts.config.set.clone(), self.parts.config.instance.clone());
        let only = Some(self.parts.life.incarnation());
        self.effects.spawn(async move {
            if let Err(error) = registry.set_state(&set, &id, only, state, id.as_str()).await {
                tracing::warn!(instance = %id, %error, state = state.as_str(), "the state could not be written");
            }
            Event::Announced(state)
        });
    }

    pub(super) fn announced(&mut self, state: LedgerState) {
        if let Some(leaving) = &mut self.leaving {
            leaving.announcing = false;
            leaving.said_good_bye |= state == LedgerState::Gone;
        }
    }
}
