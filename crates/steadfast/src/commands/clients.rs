//! `clients`, `place`, `move` and `forget`.

use steadfast_core::placement::Phase;
use steadfast_registry::Text;

use super::print::{Cell, Columns, Paint, err, json, out, out_text, rough_span, when};
use super::reach::api;
use crate::admin::view::{Amount, ClientQuery, ClientView, LabelsView, MoveOrder, PlaceOrder, PlacedView};
use crate::cli;
use crate::exit::{Exit, Outcome};

/// So many clients are asked for at once.
const PAGE_CLIENTS: u64 = 500;

pub(super) async fn list(flags: &cli::Clients) -> Outcome {
    let api = api(&flags.reach)?;
    let mut columns = Columns::new(&["CLIENT", "HOME", "PHASE", "WEIGHT", "SINCE (UTC)", "ENDS", "WHY"]);
    let paint = Paint::detect();
    let mut left = flags.limit.unwrap_or(u64::MAX);
    let mut asked = ClientQuery { home: flags.home.clone(), phase: flags.phase, ..ClientQuery::default() };
    let mut shown = 0;
    loop {
        asked.limit = usize::try_from(left.min(PAGE_CLIENTS)).ok();
        let mut page = api.clients(&flags.set, &asked).await?;
        let found = page.clients.len() as u64;
        shown += found;
        left = left.saturating_sub(found);
        let next = page.next.take().filter(|_| left > 0);
        if flags.output.json {
            page.next = next.clone();
            json(&page)?;
        } else if found > 0 {
            let rows: Vec<Vec<Cell>> = page.clients.iter().map(row).collect();
            out_text(columns.rows(paint, "", &rows))?;
        }
        match next {
            Some(next) => asked.after = Some(next.0),
            None => break,
        }
    }
    if shown == 0 && !flags.output.json {
        let which = if asked.home.is_some() || asked.phase.is_some() { "such clients" } else { "clients" };
        err(format_args!("set {} knows no {which}", flags.set));
    }
    Ok(Exit::Yes)
}

fn row(one: &ClientView) -> Vec<Cell> {
    let phase = match one.phase {
        Phase::Active => Cell::good("active"),
        Phase::Reserved => Cell::unsure("reserved"),
        Phase::Idle => Cell::dim("idle"),
    };
    let weight = match one.declared == one.weight {
        true => one.weight.to_string(),
        false => format!("{} (says {})", one.weight, one.declared),
    };
    vec![
        Cell::plain(one.client.0.to_string()),
        Cell::plain(one.instance.0.as_str()),
        phase,
        Cell::plain(weight),
        Cell::plain(seconds(&when(&one.since))),
        Cell::plain(ends(one)),
        Cell::plain(why(one)),
    ]
}

/// When its phase ends by itself, and what then.
fn ends(one: &ClientView) -> String {
    let what = match one.phase {
        Phase::Active => "idle",
        Phase::Reserved => "released",
        Phase::Idle => "forgotten",
    };
    one.expires_in_ms.map_or_else(|| "never".to_owned(), |ms| format!("{what} in {}", rough_span(ms)))
}

/// Why it is there, in few words.
fn why(one: &ClientView) -> String {
    let from = one.from.as_ref().map(|from| format!(" from {}", from.0)).unwrap_or_default();
    format!("{}{from} ({})", one.reason, one.by)
}

/// A time without its fraction of a second.
fn seconds(time: &str) -> String {
    time.split_once('.').map_or(time, |(whole, _)| whole).to_owned()
}

pub(super) async fn place(flags: &cli::Place) -> Outcome {
    let labels: LabelsView = flags.labels.iter().map(|(name, value)| (Text(name.clone()), value.clone())).collect();
    let order = PlaceOrder { weight: flags.weight.map(Amount::from), instance: flags.on.clone().map(Text), labels };
    let placed = api(&flags.reach)?.place(&flags.set, &flags.client, &order).await?;
    let elsewhere = flags.on.as_ref().is_some_and(|on| *on != placed.client.instance.0);
    if flags.output.json {
        json(&placed)?;
    } else {
        let (client, home) = (&flags.client, &placed.client.instance.0);
        match placed.changed {
            true => out(format_args!("{} is at home at {home} of set {}{}", client, flags.set, details(&placed)))?,
            false => out(format_args!("{client} is at home at {home} already{}", details(&placed)))?,
        }
        if elsewhere && let Some(on) = &flags.on {
            err(format_args!("to have it elsewhere: steadfast move {} {client} --to {on}", flags.set));
        }
    }
    Ok(if elsewhere { Exit::No } else { Exit::Yes })
}

/// What is known of a client that was placed or moved, and where it is reached.
fn details(placed: &PlacedView) -> String {
    let one = &placed.client;
    let mut said = vec![format!("weight {}", one.weight), one.phase.to_string()];
    if one.phase == Phase::Reserved {
        said.extend(one.expires_in_ms.map(|ms| format!("kept for {}", rough_span(ms))));
    }
    let endpoints: Vec<String> = placed.endpoints.iter().map(|(name, at)| format!("{}={}", name.0, at.0)).collect();
    let reached = if endpoints.is_empty() { String::new() } else { format!(": {}", endpoints.join(" ")) };
    format!(" ({}){reached}", said.join(", "))
}

pub(super) async fn move_to(flags: &cli::Move) -> Outcome {
    let order = MoveOrder { to: flags.to.clone().map(Text) };
    let moved = api(&flags.reach)?.move_client(&flags.set, &flags.client, &order).await?;
    if flags.output.json {
        json(&moved)?;
    } else {
        let (client, home) = (&flags.client, &moved.client.instance.0);
        let from = moved.client.from.as_ref().map(|from| format!(", from {}", from.0)).unwrap_or_default();
        match moved.changed {
            true => out(format_args!("{client} is at home at {home} now{from}{}", details(&moved)))?,
            false => out(format_args!("{client} is at home at {home} already{}", details(&moved)))?,
        }
    }
    Ok(Exit::Yes)
}

pub(super) async fn forget(flags: &cli::Forget) -> Outcome {
    let forgotten = api(&flags.reach)?.forget(&flags.set, &flags.client).await?;
    if flags.output.json {
        json(&forgotten)?;
    } else if forgotten.changed {
        out(format_args!("{} of set {} is forgotten: when it comes again it is new", flags.client, flags.set))?;
    } else {
        err(format_args!("set {} knows no client {}: there was nothing to forget", flags.set, flags.client));
    }
    Ok(if forgotten.changed { Exit::Yes } else { Exit::No })
}

#[cfg(test)]
mod tests;
