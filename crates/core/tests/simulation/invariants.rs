//! Invariants 1 and 2 of the design, checked after every step, and liveness at the end.

use std::fmt;

use steadfast_core::lease::LeaseRecord;
use steadfast_core::{Epoch, InstanceId};

use crate::broken::Broken;
use crate::clock::True;
use crate::world::World;

/// What went wrong first.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) at: True,
    pub(crate) what: What,
    text: String,
}

/// Which promise was broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// Invariant 1: two active at once.
    OneActive,
    /// Invariant 2: an epoch that does not grow, or a record written by a stranger.
    EpochsGrow,
    /// Nobody, or a leader nobody is sent to, though all is well again.
    Liveness,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:.6}s: {}", self.what, self.at as f64 / 1e9, self.text)
    }
}

/// What must be remembered to judge.
pub(crate) struct Judge {
    /// The store has lost something it had acknowledged, or somebody deleted the record.
    pub(crate) history_lost: bool,
    highest_led: Epoch,
    found: Option<Violation>,
}

impl Judge {
    pub(crate) fn new() -> Judge {
        Judge { history_lost: false, highest_led: Epoch::NONE, found: None }
    }

    fn find(&mut self, at: True, what: What, text: String) {
        self.found.get_or_insert(Violation { at, what, text });
    }

    /// A record was written over another one: by its holder, or by a successor at a higher epoch.
    pub(crate) fn written(&mut self, before: Option<&LeaseRecord>, after: &LeaseRecord, at: True) {
        let Some(before) = before else { return };
        let same =
            (&before.holder, before.incarnation, before.epoch) == (&after.holder, after.incarnation, after.epoch);
        let by_holder = same && !before.released;
        let by_successor = after.epoch > before.epoch && !after.released;
        if !by_holder && !by_successor {
            let texts = (crate::wires::text(after), crate::wires::text(before));
            self.find(at, What::EpochsGrow, format!("{} was written over {}", texts.0, texts.1));
        }
    }

    /// An instance begins to lead; `led` is the highest epoch its disk has ever led at.
    pub(crate) fn leads(&mut self, id: &InstanceId, epoch: Epoch, led: &mut Epoch, at: True) {
        if epoch <= *led || (epoch <= self.highest_led && !self.history_lost) {
            let highest = self.highest_led;
            self.find(
                at,
                What::EpochsGrow,
                format!("{id} leads at epoch {epoch} after {led} itself and {highest} anybody"),
            );
        }
        *led = epoch;
        self.highest_led = self.highest_led.max(epoch);
    }

    /// A gateway forwards to a lower epoch than before.
    pub(crate) fn forwards_back(&mut self, gateway: usize, epoch: Epoch, at: True) {
        self.find(at, What::EpochsGrow, format!("gateway {gateway} forwards to epoch {epoch}, lower than before"));
    }
}

impl World {
    /// Nobody but `index` may act when it does.
    pub(crate) fn acts(&mut self, index: usize, epoch: Epoch, how: &str) {
        let other = self.active().find(|other| *other != index);
        if let Some(other) = other {
            let (id, other) = (self.name(index), self.name(other));
            let text = format!("{id} at epoch {epoch} {how} while {other} is active");
            self.judge.find(self.now, What::OneActive, text);
        }
    }

    /// At most one instance may act now, or when it wakes up.
    pub(crate) fn check(&mut self) -> Result<(), Violation> {
        let mut active = self.active();
        let first = active.next();
        let second = active.find(|other| Some(*other) != first);
        drop(active);
        if let (Some(first), Some(second)) = (first, second) {
            let text = format!("{} and {} are both active", self.name(first), self.name(second));
            self.judge.find(self.now, What::OneActive, text);
        }
        self.judge.found.take().map_or(Ok(()), Err)
    }

    /// Who may answer 200, pass bytes, or be reached through a gateway; some twice.
    fn active(&self) -> impl Iterator<Item = usize> {
        let (now, broken) = (self.now, self.broken);
        let agents = self.agents.iter().enumerate();
        let by_themselves = agents.filter(move |(_, agent)| agent.may_act(now, broken)).map(|(index, _)| index);
        let routes = self.gateways.iter().filter_map(move |gateway| gateway.may_forward(now));
        let through_gateways =
            routes.filter(|route| self.agents[route.agent].reached_directly()).map(|route| route.agent);
        by_themselves.chain(through_gateways)
    }

    /// Long after the last fault, exactly one leads and every gateway sends to it.
    pub(crate) fn check_liveness(&mut self) -> Result<(), Violation> {
        let now = self.now;
        let leaders: Vec<usize> =
            (0..self.agents.len()).filter(|index| self.agents[*index].may_act(now, Broken::Nothing)).collect();
        let [leader] = leaders[..] else {
            self.judge.find(now, What::Liveness, format!("{} leaders, long after the last fault", leaders.len()));
            return self.check();
        };
        let epoch = self.agents[leader].standing.epoch;
        for (index, gateway) in self.gateways.iter().enumerate() {
            // Where the history was lost, a gateway may know a higher epoch than the leader does: it waits.
            let sends = gateway.may_forward(now).is_some_and(|route| route.agent == leader);
            if !sends && gateway.guard.admits(epoch) {
                let text = format!("gateway {index} does not send to the leader, {}", self.agents[leader].id);
                self.judge.find(now, What::Liveness, text);
                break;
            }
        }
        self.check()
    }

    fn name(&self, index: usize) -> String {
        let agent = &self.agents[index];
        format!("{} ({:?} at epoch {})", agent.id, agent.standing.phase, agent.standing.epoch)
    }
}
