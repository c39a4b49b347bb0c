//! `instances` and `leader`.

use steadfast_core::EndpointName;
use steadfast_registry::{LedgerState, Role, Text};

use super::print::{Bar, Cell, Paint, count, err, json, out, out_text, table};
use super::reach::api;
use crate::admin::percent;
use crate::admin::view::{InstanceView, LeaderView, LeaseState, SetView};
use crate::cli::OfSet;
use crate::exit::{Exit, Outcome};

/// From here on an instance is shown as full.
const FULL: f64 = 0.9;

pub(super) async fn instances(flags: &OfSet) -> Outcome {
    let api = api(&flags.reach)?;
    if flags.output.json {
        json(&api.instances(&flags.set).await?)?;
        return Ok(Exit::Yes);
    }
    let set = api.set(&flags.set).await?;
    if set.instances.is_empty() {
        out(format_args!("set {} has no instances", flags.set))?;
    } else {
        out_text(of_set(Paint::detect(), "", &set))?;
    }
    Ok(Exit::Yes)
}

/// `leader`: the id of the leader, or what is known of the lease instead, and the exit code 1.
pub(super) async fn leader(flags: &OfSet) -> Outcome {
    let api = api(&flags.reach)?;
    let leader = api.leader(&flags.set).await?;
    if flags.output.json {
        json(&leader)?;
    }
    match &leader.instance {
        Some(instance) => {
            if !flags.output.json {
                out(&instance.0)?;
            }
            Ok(Exit::Yes)
        }
        None => {
            if !flags.output.json {
                err(format_args!("set {} has no leader: {}", flags.set, why_none(&leader)));
            }
            Ok(Exit::No)
        }
    }
}

/// Why a lease has no leader.
pub(super) fn why_none(leader: &LeaderView) -> &'static str {
    match leader.state {
        LeaseState::SteppingDown => "its holder is handing over",
        LeaseState::Expired => "its holder stopped renewing, and nobody has taken over",
        LeaseState::Released => "its holder gave it back, and nobody has taken over",
        LeaseState::None => "it never had one",
        LeaseState::Leading | LeaseState::Unconfirmed => "it is being taken",
    }
}

/// The instances of a set as a table.
pub(super) fn of_set(paint: Paint, indent: &str, set: &SetView) -> String {
    if set.leader.is_some() {
        let rows: Vec<Vec<Cell>> = set.instances.iter().map(row).collect();
        let heading = ["INSTANCE", "STATE", "ROLE", "REASON", "EPOCH", "ENDPOINT", "PROBE", "HOST"];
        return table(paint, indent, &heading, &rows);
    }
    let rows: Vec<Vec<Cell>> = set.instances.iter().map(|one| sticky_row(one, Bar::detect())).collect();
    let heading = ["INSTANCE", "STATE", "REASON", "FILL", "", "CHARGED", "OF", "CLIENTS", "ENDPOINT", "HOST"];
    table(paint, indent, &heading, &rows)
}

fn sticky_row(one: &InstanceView, bar: Bar) -> Vec<Cell> {
    let state = match one.state {
        LedgerState::Open => Cell::plain(one.state.as_str()),
        LedgerState::Lost => Cell::bad(one.state.as_str()),
        LedgerState::Gone => Cell::dim(one.state.as_str()),
        LedgerState::Draining | LedgerState::Leaving => Cell::unsure(one.state.as_str()),
    };
    let reason = match one.role {
        Some(_) => Cell::plain(one.reason.clone()),
        None if one.state.is_lost() => Cell::dim(one.reason.clone()),
        None => Cell::bad(one.reason.clone()),
    };
    let fill = one.charged.part_of(one.capacity);
    let text = fill.map_or_else(|| "-".to_owned(), percent);
    let text = match fill {
        Some(fill) if fill > 1.0 => Cell::bad(text),
        Some(fill) if fill >= FULL => Cell::unsure(text),
        _ => Cell::plain(text),
    };
    vec![
        Cell::plain(one.id.0.as_str()),
        state,
        reason,
        Cell::plain(fill.map(|fill| bar.of(fill)).unwrap_or_default()),
        text,
        Cell::plain(one.charged.to_string()),
        Cell::plain(one.capacity.to_string()),
        Cell::plain(count(one.clients)),
        Cell::plain(endpoint(one)),
        Cell::plain(one.host.clone().unwrap_or_else(|| "-".to_owned())),
    ]
}

fn row(one: &InstanceView) -> Vec<Cell> {
    let state = one.state.as_str();
    let state = if one.state == LedgerState::Open { Cell::plain(state) } else { Cell::unsure(state) };
    let role = match one.role {
        Some(Role::Leader) => Cell::good("leader"),
        Some(Role::Member) => Cell::good("member"),
        Some(Role::Standby) => Cell::plain("standby"),
        None => Cell::dim("-"),
    };
    let reason = match one.reason.as_str() {
        "leading" | "healthy" | "standby" | "waiting" => Cell::plain(one.reason.clone()),
        "gone" => Cell::dim("gone"),
        other => Cell::bad(other),
    };
    vec![
        Cell::plain(one.id.0.as_str()),
        state,
        role,
        reason,
        Cell::plain(one.epoch.map_or_else(|| "-".to_owned(), |epoch| epoch.to_string())),
        Cell::plain(endpoint(one)),
        Cell::plain(one.probe.as_ref().map_or_else(|| "-".to_owned(), |probe| probe.0.to_string())),
        Cell::plain(one.host.clone().unwrap_or_else(|| "-".to_owned())),
    ]
}

/// The endpoint people mean: `http` if there is one, else the first with its name.
fn endpoint(one: &InstanceView) -> String {
    let http = "http".parse::<EndpointName>().ok().and_then(|name| one.endpoints.get(&Text(name)));
    let gate = if one.gate { " (gate)" } else { "" };
    match (http, one.endpoints.first_key_value()) {
        (Some(endpoint), _) => format!("{}{gate}", endpoint.0),
        (None, Some((name, endpoint))) => format!("{}={}{gate}", name.0, endpoint.0),
        (None, None) => "-".to_owned(),
    }
}
