//! `status`: one screen a person understands, which ends with what to do next.

use super::print::{Paint, ago, count, json, out_text, when};
use super::reach::api;
use super::sets::{self, why_none};
use crate::admin::view::{
    GatewayClientTotals, GatewaySetView, GatewayView, LeaderView, LeaseState, SetView, StatusView, TotalsView, Warning,
};
use crate::admin::{Api, percent};
use crate::cli::Status;
use crate::exit::{Exit, Outcome};

/// These say that something is wrong now; others, that something could be better.
const GRAVE: [&str; 8] = [
    "two-leaders",
    "no-candidates",
    "no-instances",
    "no-open-instance",
    "no-keeper",
    "no-leader",
    "store-unavailable",
    "record-unusable",
];

pub(super) async fn run(flags: &Status) -> Outcome {
    let api: Box<dyn Api> = api(&flags.reach)?;
    let mut status = api.status().await?;
    if let Some(only) = &flags.set {
        // Unknown names are explained by whoever knows the names.
        api.set(only).await?;
        status.sets.retain(|set| set.set.0 == *only);
        status.warnings.retain(|warning| warning.set.as_ref().is_none_or(|set| set.0 == *only));
    }
    if flags.output.json {
        json(&status)?;
    } else {
        out_text(screen(Paint::detect(), &status))?;
    }
    let wrong = status.warnings.iter().any(is_grave);
    Ok(if wrong { Exit::No } else { Exit::Yes })
}

fn is_grave(warning: &Warning) -> bool {
    GRAVE.contains(&warning.reason.as_str())
}

fn screen(paint: Paint, status: &StatusView) -> String {
    let mut text = format!(
        "{} {}, store {} {}\n",
        paint.bold("Steadfast"),
        status.version,
        status.store.engine,
        paint.dim(&status.store.place)
    );
    for note in &status.store.notes {
        text.push_str(&format!("  {}\n", paint.dim(note)));
    }
    for set in &status.sets {
        text.push('\n');
        text.push_str(&of_set(paint, set, status.gateway.as_ref()));
    }
    if let Some(gateway) = status.gateway.as_ref().filter(|gateway| !gateway.listeners.is_empty()) {
        let known = |seen: &&GatewaySetView| status.sets.iter().any(|set| set.set == seen.set);
        for seen in gateway.sets.iter().filter(|seen| !known(seen)) {
            text.push_str(&format!("\n{}  {}\n", paint.bold(seen.set.0.as_str()), through_gateway(seen)));
        }
        text.push('\n');
        text.push_str(&of_gateway(gateway));
    }
    for warning in &status.warnings {
        let mark = if is_grave(warning) { paint.bad("!!") } else { paint.unsure("!") };
        text.push_str(&format!("\n{mark} {}\n   {}\n", warning.detail, paint.dim(&warning.advice)));
    }
    if status.sets.is_empty() {
        text.push_str("\nThe store knows no sets yet. Start a copy of your application beside an agent:\n");
        text.push_str("  steadfast agent --set web --kind single … -- COMMAND\n");
    } else if status.warnings.is_empty() {
        text.push_str(&format!("\n{}\n", paint.good("All is well.")));
    }
    text
}

fn of_set(paint: Paint, set: &SetView, gateway: Option<&GatewayView>) -> String {
    let name = set.set.0.as_str();
    let kind = set.settings.as_ref().map_or("settings unusable", |settings| settings.kind());
    let sum = match (&set.leader, &set.totals) {
        (Some(leader), _) => lease(paint, leader),
        (None, Some(totals)) => filled(totals),
        (None, None) => String::new(),
    };
    let mut text = format!("{} ({kind})  {sum}\n", paint.bold(name));
    if set.instances.is_empty() {
        text.push_str("  no instances with agents\n");
    } else {
        text.push_str(&sets::of_set(paint, "  ", set));
    }
    let seen = gateway.and_then(|gateway| gateway.sets.iter().find(|seen| seen.set == set.set));
    if let Some(seen) = seen {
        text.push_str(&format!("  {}\n", through_gateway(seen)));
    }
    text
}

/// What the clients of a sticky set come to.
fn filled(totals: &TotalsView) -> String {
    let clients =
        if totals.clients == 1 { "1 client".to_owned() } else { format!("{} clients", count(totals.clients)) };
    let fill = totals.fill.map(|fill| format!(" ({})", percent(fill))).unwrap_or_default();
    format!("{clients} known, charged {} of {}{fill}", totals.charged, totals.capacity)
}

fn lease(paint: Paint, leader: &LeaderView) -> String {
    let Some(instance) = &leader.instance else {
        return format!("{}: {}", paint.bad("no leader"), why_none(leader));
    };
    let since = leader.since.as_deref().map(|at| {
        let age = ago(at).map(|age| format!(", {age}")).unwrap_or_default();
        format!(" since {} UTC{age}", when(at))
    });
    let left = match (leader.state, leader.valid_for_ms) {
        (LeaseState::Leading, Some(ms)) => format!(", {}.{} s of the lease left", ms / 1000, ms % 1000 / 100),
        _ => format!(", {}", paint.unsure("as the store says: its probe does not answer from here")),
    };
    let name = paint.good(instance.0.as_str());
    format!("led by {name}, epoch {}{}{left}", leader.epoch, since.unwrap_or_default())
}

fn through_gateway(seen: &GatewaySetView) -> String {
    if let Some(clients) = &seen.clients {
        let remembered = if clients.remembered == 1 { "client" } else { "clients" };
        let (known, carried) = (count(clients.remembered), count(clients.carried));
        return format!("gateway remembers {known} {remembered}, {carried} are connected through it");
    }
    let to = match (&seen.instance, seen.epoch) {
        (Some(instance), Some(epoch)) => format!("forwards to {} at epoch {epoch}", instance.0),
        (Some(instance), None) => format!("forwards to {}", instance.0),
        (None, _) => "has nobody to forward to".to_owned(),
    };
    let handing = if seen.handing_over { ", which is handing over" } else { "" };
    format!("gateway {to}{handing}; {} running there, {} waiting", count(seen.running), count(seen.waiting))
}

fn of_gateway(gateway: &GatewayView) -> String {
    let totals = &gateway.totals;
    let mut text = format!(
        "gateway on {}: {} requests, {} answered, {} failed; {} had to wait for a leader\n",
        gateway.listeners.join(", "),
        count(totals.requests),
        count(totals.answered),
        count(totals.failed),
        count(totals.waited)
    );
    if gateway.sets.iter().any(|set| set.clients.is_some()) {
        text.push_str(&homeward(&totals.clients));
    }
    text
}

/// How many clients of sticky sets were sent home, and how many were refused and why.
fn homeward(clients: &GatewayClientTotals) -> String {
    let refused = clients.refused.iter().filter(|(_, number)| **number > 0);
    let refused = refused.map(|(reason, number)| format!("{} {reason}", count(*number))).collect::<Vec<_>>().join(", ");
    let refused = if refused.is_empty() { String::new() } else { format!("; refused: {refused}") };
    format!(
        "  {} redirected home, {} told their home; {} placed, {} returned, {} moved{refused}\n",
        count(clients.redirected),
        count(clients.assigned),
        count(clients.placed),
        count(clients.returned),
        count(clients.moved)
    )
}
