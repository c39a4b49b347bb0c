//! Where an instance stands, in the words of an operator: drained, with a deadline for those at home there or without;
//! undrained; lost.

use steadfast_core::placement::Tick;
use steadfast_core::{InstanceId, SetName};

use crate::registry::Decision;
use crate::{Error, EventKind, LedgerRecord, LedgerState, Registry, keys};

/// An instance's state before and after an operator's word.
type BeforeAndNow = (LedgerState, LedgerState);

impl Registry {
    /// Drains an instance; from `move_at` on the keeper moves the clients that are still charged there. Without it
    /// they stay until they leave, or as an earlier drain that still holds has said. One that is lost or gone stays
    /// so, and drains when it is back.
    pub async fn drain(
        &self,
        set: &SetName,
        id: &InstanceId,
        move_at: Option<Tick>,
        by: &str,
    ) -> Result<BeforeAndNow, Error> {
        self.operate(set, id, by, |old| old.draining(move_at)).await
    }

    /// Lets a drained instance take part again. One that was not drained is left as it is.
    pub async fn undrain(&self, set: &SetName, id: &InstanceId, by: &str) -> Result<BeforeAndNow, Error> {
        self.operate(set, id, by, |old| {
            let state = if old.state == LedgerState::Draining { LedgerState::Open } else { old.state };
            LedgerRecord { state, drained: false, move_at: None, ..old.clone() }
        })
        .await
    }

    /// Declares an instance lost since `tick`, whatever life of it is there: its next word says otherwise.
    pub async fn declare_lost(
        &self,
        set: &SetName,
        id: &InstanceId,
        tick: Tick,
        by: &str,
    ) -> Result<BeforeAndNow, Error> {
        self.operate(set, id, by, |old| old.standing(LedgerState::Lost, tick, by)).await
    }

    async fn operate(
        &self,
        set: &SetName,
        id: &InstanceId,
        by: &str,
        change: impl Fn(&LedgerRecord) -> LedgerRecord,
    ) -> Result<BeforeAndNow, Error> {
        let (before, now) = self
            .update(&keys::ledger(set, id), |old: Option<&LedgerRecord>| {
                let old = old.ok_or_else(|| Error::NoInstance(set.clone(), id.clone()))?;
                let mut new = change(old);
                let states = (old.state, new.state);
                if new == *old {
                    return Ok(Decision::Leave(states));
                }
                new.nonce = None;
                by.clone_into(&mut new.by);
                new.since = steadfast_host::clock::wall().to_string();
                Ok(Decision::Write(new, states))
            })
            .await?;
        if before != now {
            self.note(set, EventKind::State { instance: id.clone().into(), state: now }, by).await;
        }
        Ok((before, now))
    }
}

impl LedgerRecord {
    /// This ledger once an operator wants the instance empty, from `move_at` on by moving its clients.
    fn draining(&self, move_at: Option<Tick>) -> LedgerRecord {
        let drained = self.drained || self.state == LedgerState::Draining;
        let standing = self.move_at.filter(|_| drained);
        let lost = self.state.is_lost();
        LedgerRecord {
            state: if lost { self.state } else { LedgerState::Draining },
            drained: lost,
            move_at: move_at.map(|tick| tick.0).or(standing),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests;
