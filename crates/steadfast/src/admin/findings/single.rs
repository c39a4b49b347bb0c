//! What can be wrong with a set of which one instance answers.

use steadfast_core::SetName;
use steadfast_registry::{LedgerState, Role};

use super::{Warn, no_instances, replaced, silent};
use crate::admin::view::{InstanceView, LeaderView, LeaseState, SetView, Warning};
use crate::config::listed;

pub(super) fn of_set(set: &SetName, view: &SetView, warn: &Warn<'_>) -> Vec<Warning> {
    let mut found = Vec::new();
    let Some(leader) = &view.leader else { return found };
    let leaders: Vec<_> = view.instances.iter().filter(|one| one.role == Some(Role::Leader)).collect();
    if leaders.len() > 1 {
        let names = listed(leaders.iter().map(|one| &one.id.0));
        let detail = format!("{} instances of {set} say that they lead: {names}", leaders.len());
        found.push(warn(
            "two-leaders",
            detail,
            "their clocks or the store broke a promise: stop all but the one of the highest epoch, and read `steadfast events`",
        ));
    }
    found.extend(no_leader(set, view, leader, warn));
    found.extend(replaced(view, warn));
    let lone = lone_leader(set, view, leader, warn);
    if lone.is_none() {
        found.extend(silent(set, view, warn));
    }
    found.extend(lone);
    found
}

fn no_leader(set: &SetName, view: &SetView, leader: &LeaderView, warn: &Warn<'_>) -> Option<Warning> {
    if matches!(leader.state, LeaseState::Leading | LeaseState::Unconfirmed) {
        return None;
    }
    if view.instances.is_empty() {
        return Some(no_instances(set, warn));
    }
    let candidates: Vec<_> = view.instances.iter().filter(|one| is_ready(one)).collect();
    if !candidates.is_empty() {
        let detail = format!(
            "{set} has no leader at the moment; {} could take over",
            listed(candidates.iter().map(|c| &c.id.0))
        );
        return Some(warn("no-leader", detail, "it takes at most the lease's time; ask again"));
    }
    let reasons = view.instances.iter().map(|one| format!("{} is {}", one.id.0, not_ready(one)));
    let detail =
        format!("{set} has no leader and nobody who could become one: {}", reasons.collect::<Vec<_>>().join(", "));
    let drained = view.instances.iter().find(|one| one.state == LedgerState::Draining);
    let stopped =
        |one: &InstanceView| matches!(one.state, LedgerState::Leaving | LedgerState::Gone | LedgerState::Lost);
    let advice = match drained {
        Some(drained) => {
            format!("start an instance, or let a drained one take part: steadfast undrain {set} {}", drained.id.0)
        }
        None if view.instances.iter().all(stopped) => "their agents have stopped: start them again".to_owned(),
        None => "look at the logs of the instances' agents, and mend what is said there".to_owned(),
    };
    Some(warn("no-candidates", detail, &advice))
}

/// A leader without anybody to take over is no high availability.
fn lone_leader(set: &SetName, view: &SetView, lease: &LeaderView, warn: &Warn<'_>) -> Option<Warning> {
    let leader = lease.instance.as_ref()?;
    let others = view.instances.iter().any(|one| one.id != *leader && is_ready(one));
    let others_there = view.instances.iter().any(|one| one.id != *leader);
    if others || !matches!(lease.state, LeaseState::Leading) {
        return None;
    }
    let detail = format!("nobody could take over from {} in {set}", leader.0);
    let advice = if others_there { "bring another instance back" } else { "start a second instance" };
    Some(warn("no-standby", detail, advice))
}

/// Whether it could lead: takes part, and answers that it stands by.
fn is_ready(one: &InstanceView) -> bool {
    one.state == LedgerState::Open
        && match one.role {
            Some(Role::Leader) => true,
            Some(Role::Standby) => matches!(one.reason.as_str(), "standby" | "waiting"),
            Some(Role::Member) | None => false,
        }
}

fn not_ready(one: &InstanceView) -> String {
    match one.state {
        LedgerState::Open => one.reason.clone(),
        other => other.as_str().to_owned(),
    }
}
