//! What can be wrong with a set whose clients have homes.

use std::time::Duration;

use steadfast_core::placement::TICK;
use steadfast_core::settings::{OnHomeLost, StickySettings};
use steadfast_core::{Moment, SetName};
use steadfast_host::clock;
use steadfast_registry::{LedgerState, Snapshot};

use super::{Warn, no_instances, replaced, silent};
use crate::admin::percent;
use crate::admin::view::{InstanceView, SetView, Warning};
use crate::config::listed;

/// A set that is filled to this part will soon refuse new clients.
const NEARLY_FULL: f64 = 0.9;

/// The set's time stands still if it has not moved for so long: four ticks.
const STANDS_STILL_AFTER: Duration = Duration::from_millis(4 * TICK.as_millis());

pub(super) fn of_set(
    snapshot: &Snapshot,
    followed_since: Moment,
    settings: &StickySettings,
    view: &SetView,
    warn: &Warn<'_>,
) -> Vec<Warning> {
    let set = &snapshot.set;
    let mut found = Vec::new();
    found.extend(nobody_keeps(snapshot, followed_since, warn));
    if view.instances.is_empty() {
        found.push(no_instances(set, warn));
        return found;
    }
    found.extend(nobody_open(set, view, warn));
    found.extend(view.instances.iter().filter_map(|one| above_capacity(set, one, warn)));
    found.extend(view.instances.iter().filter_map(|one| lost_home(set, settings, one, warn)));
    found.extend(nearly_full(set, settings, view, warn));
    found.extend(replaced(view, warn));
    found.extend(silent(set, view, warn));
    found
}

/// Expiries and deadlines are ticks of the set's own clock, which one `steadfast run` has to move.
fn nobody_keeps(snapshot: &Snapshot, followed_since: Moment, warn: &Warn<'_>) -> Option<Warning> {
    let heard = snapshot.trouble.is_none();
    // A set that nobody ever kept has no time at all.
    let silent = clock::now().since(snapshot.ticked.unwrap_or(followed_since));
    if !heard || silent < STANDS_STILL_AFTER {
        return None;
    }
    let set = &snapshot.set;
    let detail = format!(
        "nobody keeps {set}: its clock stands still since {} s or longer, so nothing expires and no drain's deadline comes",
        silent.as_secs()
    );
    Some(warn("no-keeper", detail, "any `steadfast run` with this store keeps it: start one"))
}

fn nobody_open(set: &SetName, view: &SetView, warn: &Warn<'_>) -> Option<Warning> {
    if view.instances.iter().any(|one| one.state == LedgerState::Open) {
        return None;
    }
    let states = view.instances.iter().map(|one| format!("{} is {}", one.id.0, one.state.as_str()));
    let detail = format!("no instance of {set} takes clients: {}", states.collect::<Vec<_>>().join(", "));
    let drained = view.instances.iter().find(|one| one.state == LedgerState::Draining);
    let advice = match drained {
        Some(one) => format!("start an instance, or let a drained one take part: steadfast undrain {set} {}", one.id.0),
        None => "start their agents again".to_owned(),
    };
    Some(warn("no-open-instance", detail, &advice))
}

fn above_capacity(set: &SetName, one: &InstanceView, warn: &Warn<'_>) -> Option<Warning> {
    if one.charged <= one.capacity {
        return None;
    }
    let id = &one.id.0;
    let detail = format!("{id} of {set} is charged {}, and its capacity is {}", one.charged, one.capacity);
    let advice = format!(
        "nobody new is sent there; give it back its capacity, or take clients away: steadfast clients {set} --home {id}, steadfast move {set} CLIENT"
    );
    Some(warn("above-capacity", detail, &advice))
}

fn lost_home(set: &SetName, settings: &StickySettings, one: &InstanceView, warn: &Warn<'_>) -> Option<Warning> {
    if !one.state.is_lost() || one.clients == 0 {
        return None;
    }
    let id = &one.id.0;
    let what = if one.state == LedgerState::Lost { "is lost" } else { "has stopped" };
    let clients = if one.clients == 1 { "1 client has".to_owned() } else { format!("{} clients have", one.clients) };
    let detail = format!("{clients} a home at {id} of {set}, which {what}");
    let advice = match settings.on_home_lost {
        OnHomeLost::Fail => "they are refused until it is back: start it again".to_owned(),
        OnHomeLost::Move if settings.home_wait.as_millis() > 0 => {
            format!("they get another home when they come, after it was waited for {}", settings.home_wait)
        }
        OnHomeLost::Move => "they get another home when they come".to_owned(),
    };
    Some(warn("home-lost", detail, &advice))
}

fn nearly_full(set: &SetName, settings: &StickySettings, view: &SetView, warn: &Warn<'_>) -> Option<Warning> {
    let totals = view.totals.as_ref()?;
    // New clients are let in only so far.
    let admitted = f64::from(settings.admit_below_milli) / 1_000.0;
    let fill = totals.fill.filter(|fill| *fill >= NEARLY_FULL * admitted)?;
    let open = view.instances.iter().filter(|one| one.state == LedgerState::Open).map(|one| &one.id.0);
    let up_to =
        if admitted < 1.0 { format!(", and takes new clients up to {}", percent(admitted)) } else { String::new() };
    let detail = format!("{set} is filled to {}{up_to}: {}", percent(fill), listed(open));
    Some(warn("nearly-full", detail, "start another instance before new clients are refused"))
}

#[cfg(test)]
mod tests;
