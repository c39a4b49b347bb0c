//! Where an instance stands, in the words of its own agent: ready, leaving, gone, or lost with its application.

use steadfast_core::placement::Tick;
use steadfast_core::{Incarnation, InstanceId, SetName};

use crate::registry::Decision;
use crate::{Error, EventKind, LedgerRecord, LedgerState, Registry, keys};

impl Registry {
    /// Writes down that the agent of this `life` of an instance says where it stands: open, leaving, gone or lost, at
    /// `tick` of the set's time. Another life's ledger is not touched.
    ///
    /// An operator's drain outlives all of them: what is drained does not say that it is leaving, and one that was lost
    /// or gone drains again when it opens. Says what the state was before, or `None` if nothing was to be changed.
    pub async fn stand(
        &self,
        set: &SetName,
        id: &InstanceId,
        life: Incarnation,
        says: LedgerState,
        tick: Tick,
    ) -> Result<Option<LedgerState>, Error> {
        let changed = self
            .update(&keys::ledger(set, id), |old: Option<&LedgerRecord>| {
                let old = old.ok_or_else(|| Error::NoInstance(set.clone(), id.clone()))?;
                let new = old.standing(says, tick, id.as_str());
                if old.incarnation != life || new == *old {
                    return Ok(Decision::Leave(None));
                }
                let states = (old.state, new.state);
                Ok(Decision::Write(LedgerRecord { nonce: None, ..new }, Some(states)))
            })
            .await?;
        if let Some((before, now)) = changed.filter(|(before, now)| before != now) {
            self.note(set, EventKind::State { instance: id.clone().into(), state: now }, id.as_str()).await;
            return Ok(Some(before));
        }
        Ok(changed.map(|(before, _)| before))
    }
}

impl LedgerRecord {
    /// This ledger once its agent, `by`, has said so.
    pub(crate) fn standing(&self, says: LedgerState, tick: Tick, by: &str) -> LedgerRecord {
        let drained = self.drained || self.state == LedgerState::Draining;
        let state = match says {
            // Who is lost does not come back by leaving.
            LedgerState::Leaving if self.state.is_lost() => self.state,
            LedgerState::Open | LedgerState::Leaving if drained => LedgerState::Draining,
            _ => says,
        };
        let mut new = LedgerRecord {
            state,
            // Who is lost already is lost since then.
            lost_at: state.is_lost().then(|| self.lost_at.unwrap_or(tick.0)),
            drained: drained && state.is_lost(),
            ..self.clone()
        };
        if new.state != self.state {
            by.clone_into(&mut new.by);
            new.since = steadfast_host::clock::wall().to_string();
        }
        new
    }
}

#[cfg(test)]
mod tests;
