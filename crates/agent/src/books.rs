//! What the books say of one instance: whether its record is there, and what state it has. Pure.

use steadfast_core::{Incarnation, InstanceId};
use steadfast_registry::{LedgerState, Snapshot};

/// What was read off the snapshots so far.
#[derive(Debug)]
pub(crate) struct Books {
    instance: InstanceId,
    incarnation: Incarnation,
    /// The life whose record ours replaced: after a rollback the store may show it again.
    replaced: Option<Incarnation>,
    presence: Presence,
    state: Option<LedgerState>,
    trouble: Option<String>,
}

/// Our own record, as the books show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It was written; no snapshot has shown it yet.
    Expected,
    /// It is there.
    There,
    /// It was there and is gone: the store was emptied or rolled back.
    Missing,
    /// Another life of our name has replaced it.
    Replaced {
        /// Where that one is, as it says.
        place: String,
    },
}

/// A change in whether the store answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It does not, and why.
    Began(String),
    /// It does again.
    Ended,
}

impl Books {
    /// Books of which nothing was seen.
    pub(crate) fn new(instance: InstanceId, incarnation: Incarnation, replaced: Option<Incarnation>) -> Books {
        Books { instance, incarnation, replaced, presence: Presence::Expected, state: None, trouble: None }
    }

    /// Our own record.
    pub(crate) fn presence(&self) -> &Presence {
        &self.presence
    }

    /// The life whose record ours replaced.
    pub(crate) fn replaced(&self) -> Option<Incarnation> {
        self.replaced
    }

    /// Whether this life takes part, as far as the books say; `None` if they say nothing of it.
    pub(crate) fn state(&self) -> Option<LedgerState> {
        self.state.filter(|_| self.presence == Presence::There)
    }

    /// Why the store does not answer, if it does not.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Takes a snapshot in. Says whether the store stopped or began to answer.
    pub(crate) fn learn(&mut self, snapshot: &Snapshot) -> Option<Trouble> {
        if snapshot.complete {
            self.learn_presence(snapshot);
        }
        self.learn_trouble(snapshot)
    }

    fn learn_trouble(&mut self, snapshot: &Snapshot) -> Option<Trouble> {
        let lease = snapshot.unusable.iter().find(|(key, _)| key.starts_with("lease/"));
        let trouble = snapshot.trouble.clone().or_else(|| lease.map(|(_, error)| error.to_string()));
        let before = std::mem::replace(&mut self.trouble, trouble.clone());
        match (before, trouble) {
            (None, Some(why)) => Some(Trouble::Began(why)),
            (Some(_), None) => Some(Trouble::Ended),
            _ => None,
        }
    }

    fn learn_presence(&mut self, snapshot: &Snapshot) {
        let seen = snapshot.instances.get(&self.instance);
        let description = seen.and_then(|seen| seen.description.as_ref());
        let ours = |life: Incarnation| life == self.incarnation;
        let replaced = |life: Incarnation| Some(life) == self.replaced;
        self.presence = match (description, &self.presence) {
            (Some(record), _) if ours(record.incarnation) => Presence::There,
            // The mirror may lag behind our own write.
            (None, Presence::Expected) => Presence::Expected,
            (Some(record), Presence::Expected) if replaced(record.incarnation) => Presence::Expected,
            (None, _) => Presence::Missing,
            (Some(record), _) if replaced(record.incarnation) => Presence::Missing,
            // Also where ours was never seen: an agent that stood still since it registered has been given up for dead.
            (Some(record), _) => {
                Presence::Replaced { place: format!("on {} (its probe is {})", record.host, record.probe.0) }
            }
        };
        let ledger = seen.and_then(|seen| seen.ledger.as_ref());
        self.state = ledger.filter(|ledger| ours(ledger.incarnation)).map(|ledger| ledger.state);
    }
}

#[cfg(test)]
mod tests;
