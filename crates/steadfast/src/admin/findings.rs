//! What is wrong with a set, and what to do about it: conclusions from what the books and the probes say.

mod single;
mod sticky;

use steadfast_core::settings::SetSettings;
use steadfast_core::{Moment, SetName};
use steadfast_registry::{LedgerState, Snapshot, Text};

use super::view::{InstanceView, SetView, Warning};
use crate::config::listed;

/// Makes a warning about one set: its reason, what is the matter, and what to do.
type Warn<'w> = dyn Fn(&str, String, &str) -> Warning + 'w;

/// The warnings about one set, which is followed since then, the gravest first.
pub(super) fn of_set(snapshot: &Snapshot, followed_since: Moment, view: &SetView) -> Vec<Warning> {
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
        let advice = match &snapshot.settings {
            Some(SetSettings::Sticky(_)) => "clients that are known are served on; bring the store back",
            _ => "a leader serves on to the end of its lease; bring the store back",
        };
        found.push(warn("store-unavailable", detail, advice));
    }
    for (key, error) in &snapshot.unusable {
        let detail = format!("the record {key} cannot be used: {error}");
        found.push(warn("record-unusable", detail, "use the version of Steadfast that wrote it, or mend it by hand"));
    }
    match &snapshot.settings {
        Some(SetSettings::Sticky(settings)) => {
            found.extend(sticky::of_set(snapshot, followed_since, settings, view, &warn))
        }
        _ => found.extend(single::of_set(set, view, &warn)),
    }
    found
}

/// That a set has no instances at all.
fn no_instances(set: &SetName, warn: &Warn<'_>) -> Warning {
    let advice = format!("start one beside each copy: steadfast agent --set {set} … -- COMMAND");
    warn("no-instances", format!("{set} has no instances"), &advice)
}

/// Instances whose probe is answered by somebody else.
fn replaced(view: &SetView, warn: &Warn<'_>) -> Vec<Warning> {
    let replaced = view.instances.iter().filter(|one| one.reason == "replaced");
    let advice = "two agents may have been given one probe address or one name: give each its own";
    let told = replaced.map(|one| {
        let detail = format!("another instance, or another life of it, answers at the probe of {}", one.id.0);
        warn("replaced", detail, advice)
    });
    told.collect()
}

/// Instances that take part and cannot be asked: they may be dead, or only their probes out of reach from here.
fn silent(set: &SetName, view: &SetView, warn: &Warn<'_>) -> Option<Warning> {
    let silent = |one: &&InstanceView| one.state == LedgerState::Open && one.reason == "silent";
    let names: Vec<_> = view.instances.iter().filter(silent).map(|one| &one.id.0).collect();
    let first = names.first()?;
    let detail = format!("the probe of {} in {set} does not answer from here", listed(&names));
    let advice =
        format!("start it again, look at its --advertise and --probe, or take it out: steadfast drain {set} {first}");
    Some(warn("silent", detail, &advice))
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
    let shown = |value: Option<String>| value.unwrap_or_else(|| "not said".to_owned());
    let said = crate::config::changed_lines(store, file)
        .into_iter()
        .map(|(key, before, now)| format!("{key} is {} in the store and {} in the file", shown(before), shown(now)));
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
