//! What is wrong with a set, and what to do about it: conclusions from what the books and the probes say.

use steadfast_core::SetName;
use steadfast_core::settings::SetSettings;
use steadfast_registry::{LedgerState, Role, Snapshot, Text};

use super::view::{InstanceView, LeaseState, SetView, Warning};
use crate::config::listed;

/// The warnings about one set, the gravest first.
pub(super) fn of_set(snapshot: &Snapshot, view: &SetView) -> Vec<Warning> {
    let mut found = Vec::new();
    let warn = |reason: &str, detail: String, advice: &str| Warning {
        reason: reason.to_owned(),
        set: Some(view.set.clone()),
        detail,
        advice: advice.to_owned(),
    };
    let set = &snapshot.set;
    if let Some(trouble) = &snapshot.trouble {
        let detail = format!("the store does not answer: {trouble}; what is shown of {set} is what was last known");
        found.push(warn(
            "store-unavailable",
            detail,
            "a leader serves on to the end of its lease; bring the store back",
        ));
    }
    for (key, error) in &snapshot.unusable {
        let detail = format!("the record {key} cannot be used: {error}");
        found.push(warn("record-unusable", detail, "use the version of Steadfast that wrote it, or mend it by hand"));
    }
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
    found.extend(no_leader(set, view, &warn));
    let two_there = |one: &&InstanceView| one.reason == "replaced";
    for one in view.instances.iter().filter(two_there) {
        let detail = format!("another instance, or another life of it, answers at the probe of {}", one.id.0);
        found.push(warn(
            "replaced",
            detail,
            "two agents may have been given one probe address or one name: give each its own",
        ));
    }
    let lone = lone_leader(set, view, &warn);
    if lone.is_none() {
        found.extend(silent(set, view, &warn));
    }
    found.extend(lone);
    found
}

/// Instances that take part and cannot be asked: they may be dead, or only their probes out of reach from here.
fn silent(set: &SetName, view: &SetView, warn: &impl Fn(&str, String, &str) -> Warning) -> Option<Warning> {
    let silent = |one: &&InstanceView| one.state == LedgerState::Open && one.reason == "silent";
    let names: Vec<_> = view.instances.iter().filter(silent).map(|one| &one.id.0).collect();
    let first = names.first()?;
    let detail = format!("the probe of {} in {set} does not answer from here", listed(&names));
    let advice =
        format!("start it again, look at its --advertise and --probe, or take it out: steadfast drain {set} {first}");
    Some(warn("silent", detail, &advice))
}

fn no_leader(set: &SetName, view: &SetView, warn: &impl Fn(&str, String, &str) -> Warning) -> Option<Warning> {
    if matches!(view.leader.state, LeaseState::Leading | LeaseState::Unconfirmed) {
        return None;
    }
    if view.instances.is_empty() {
        let detail = format!("{set} has no instances");
        let advice = format!("start one beside each copy: steadfast agent --set {set} … -- COMMAND");
        return Some(warn("no-instances", detail, &advice));
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
    let stopped = |one: &InstanceView| matches!(one.state, LedgerState::Leaving | LedgerState::Gone);
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
fn lone_leader(set: &SetName, view: &SetView, warn: &impl Fn(&str, String, &str) -> Warning) -> Option<Warning> {
    let leader = view.leader.instance.as_ref()?;
    let others = view.instances.iter().any(|one| one.id != *leader && is_ready(one));
    let others_there = view.instances.iter().any(|one| one.id != *leader);
    if others || !matches!(view.leader.state, LeaseState::Leading) {
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

/// That a file's settings of `set` are not the store's, which count.
pub(super) fn file_differs(set: &SetName, file: &SetSettings, store: &SetSettings) -> Warning {
    Warning {
        reason: "file-differs".to_owned(),
        set: Some(Text(set.clone())),
        detail: format!("the settings of {set} differ, and the store's count: {}", difference(store, file)),
        advice: "change the file, or write its settings to the store: steadfast apply FILE".to_owned(),
    }
}

/// Which settings differ: `lease_ttl "3s" in the store, "5s" in the file`.
pub(crate) fn difference(store: &SetSettings, file: &SetSettings) -> String {
    let pairs = crate::config::lines(store).into_iter().zip(crate::config::lines(file));
    let differing = pairs.filter(|((_, before), (_, now))| before != now);
    let said =
        differing.map(|((key, before), (_, now))| format!("{key} is {before} in the store and {now} in the file"));
    said.collect::<Vec<_>>().join("; ")
}

/// What is worth knowing of the store itself.
pub(super) fn of_store(description: &steadfast_store::Description) -> Vec<Warning> {
    let warn = |reason: &str, detail: String, advice: &str| Warning {
        reason: reason.to_owned(),
        set: None,
        detail,
        advice: advice.to_owned(),
    };
    let mut found = Vec::new();
    if let Some(how) = &description.may_lose {
        let detail = format!("the store may lose what it acknowledged: {how}");
        found.push(warn("store-may-lose", detail, "use the epoch as a fence in the application, or another store"));
    } else if !description.durable {
        let detail = format!("the store ({}) forgets everything when its process ends", description.engine);
        found.push(warn("store-not-durable", detail, "good for trying; for more use sqlite:///path"));
    }
    found
}
