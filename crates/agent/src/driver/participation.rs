//! What this instance says of itself in its ledger: whether it takes part. One write at a time, so that an older one
//! never comes last.

use std::time::Duration;

use steadfast_core::Moment;
use steadfast_registry::LedgerState;

use super::Agent;
use crate::event::Event;

/// Between two tries to say the same, while the books show something else.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What was said.
#[derive(Debug, Default)]
pub(crate) struct Participation {
    under_way: bool,
    /// What the store accepted last.
    said: Option<LedgerState>,
    ended: Moment,
}

impl Participation {
    /// When `wanted` is to be said, given what the books show; `None` if it need not be, or cannot be now.
    ///
    /// The books may lag behind what was said: what contradicts it is waited out for a while, then said against.
    pub(crate) fn due(&self, wanted: LedgerState, shown: LedgerState) -> Option<Moment> {
        let agrees = shown == wanted
            || match wanted {
                // A drain is an operator's, and gone is as lost as lost.
                LedgerState::Open => shown == LedgerState::Draining,
                LedgerState::Lost => shown == LedgerState::Gone,
                _ => false,
            };
        match self.said {
            _ if self.under_way => None,
            Some(said) if said != wanted => Some(Moment::ZERO),
            _ if agrees => None,
            None if self.ended == Moment::ZERO => Some(Moment::ZERO),
            _ => Some(self.ended + SAY_AGAIN_AFTER),
        }
    }

    /// Whether nothing is on its way.
    pub(super) fn is_free(&self) -> bool {
        !self.under_way
    }

    /// The ledger was written anew: what was said before is not in it.
    pub(super) fn forget(&mut self) {
        *self = Participation { under_way: self.under_way, ..Participation::default() };
    }

    /// The write of `state` came to an end, accepted or not.
    pub(super) fn ended(&mut self, now: Moment, state: LedgerState, accepted: bool) {
        self.under_way = false;
        self.ended = now;
        self.said = if accepted { Some(state) } else { None };
    }
}

impl Agent {
    /// Says in the ledger where this life of the instance stands.
    pub(crate) fn say(&mut self, state: LedgerState) {
        self.participation.under_way = true;
        let (registry, set, id) = self.address();
        let (life, tick) = (self.life.incarnation(), self.mirror.snapshot().tick);
        self.effects.spawn(async move {
            let said = registry.stand(&set, &id, life, state, tick).await;
            if let Err(error) = &said {
                tracing::warn!(instance = %id, %error, state = state.as_str(), "the state could not be written");
            }
            Event::Said { state, accepted: said.is_ok() }
        });
    }
}

#[cfg(test)]
mod tests;
