//! `drain` and `undrain`: an instance is emptied, and whoever waits is told how far that has come.

use std::time::Duration;

use steadfast_core::placement::TICK;
use steadfast_core::{InstanceId, SetName};
use steadfast_host::clock;
use steadfast_host::problem::Problem;
use steadfast_host::shutdown;
use steadfast_registry::{LedgerState, Text};

use super::print::{Live, count, err, json, out, rough_span};
use super::reach::api;
use crate::admin::Api;
use crate::admin::view::{DrainOrder, DrainView, StateChange};
use crate::cli;
use crate::exit::{Exit, Failure, Outcome};

/// How often `--wait` looks, at most: a look reads the clients of the set.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// It looks so rarely that the looking takes no more than one part in so many of the time.
const LOOKING_SHARE: u32 = 10;
/// Those that cannot be moved are given up when the keeper has had so much time since the deadline.
const GIVE_UP_AFTER: Duration = Duration::from_millis(4 * TICK.as_millis());

pub(super) async fn drain(flags: &cli::Drain) -> Outcome {
    let api = api(&flags.reach)?;
    let (set, id) = (&flags.set, &flags.instance);
    if flags.wait {
        // Only the clients of sticky sets can be waited for; whoever asks is told before anything is done.
        api.drain_progress(set, id).await?;
    }
    let order = DrainOrder { move_after: flags.move_after.map(Text) };
    let change = api.drain(set, id, &order).await?;
    if flags.wait {
        return wait(api.as_ref(), flags).await;
    }
    if flags.output.json {
        json(&change)?;
        return Ok(Exit::Yes);
    }
    match api.drain_progress(set, id).await {
        Ok(view) => out(format_args!("{}; {}", drained(&change), staying(&view)))?,
        // A single set has no clients, and a drain that stands is told also where its progress is not to be had.
        Err(_) => out(format_args!("{}: it does not lead until `steadfast undrain {set} {id}`", drained(&change)))?,
    }
    Ok(Exit::Yes)
}

fn drained(change: &StateChange) -> String {
    let (instance, set) = (&change.instance.0, &change.set.0);
    match (change.before, change.now) {
        (LedgerState::Draining, _) => format!("{instance} of set {set} was drained already"),
        (_, LedgerState::Draining) => format!("{instance} of set {set} is drained"),
        (_, other) => format!("{instance} of set {set} is {other}, and will be drained when it is back"),
    }
}

/// What becomes of the clients of a drained instance.
fn staying(view: &DrainView) -> String {
    let idle = match view.idle_clients {
        0 => String::new(),
        1 => " (and 1 is remembered there, and goes elsewhere when it comes back)".to_owned(),
        n => format!(" (and {} are remembered there, and go elsewhere when they come back)", count(n)),
    };
    if view.is_empty() {
        return format!("no client is charged there{idle}");
    }
    let fate = match view.moves_in_ms {
        None => "who is there stays until it leaves".to_owned(),
        Some(0) => "who is left is being moved".to_owned(),
        Some(ms) => format!("who is left is moved in {}", rough_span(ms)),
    };
    let are = if view.charged_clients == 1 { "is" } else { "are" };
    format!("{} of a weight of {} {are} still there{idle}; {fate}", clients(view.charged_clients), view.charged)
}

pub(super) async fn undrain(flags: &cli::OfInstance) -> Outcome {
    let change = api(&flags.reach)?.undrain(&flags.set, &flags.instance).await?;
    if flags.output.json {
        json(&change)?;
    } else {
        out(undrained(&change))?;
    }
    Ok(Exit::Yes)
}

fn undrained(change: &StateChange) -> String {
    let (instance, set) = (&change.instance.0, &change.set.0);
    match change.before {
        LedgerState::Draining => format!("{instance} of set {set} takes part again"),
        LedgerState::Open => format!("{instance} of set {set} was not drained"),
        LedgerState::Leaving | LedgerState::Gone | LedgerState::Lost => {
            format!("{instance} of set {set} is {}: it takes part when it is back", change.before)
        }
    }
}

/// How a drain that is waited for ends, or goes on.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    GoOn,
    Empty,
    /// Somebody let it take part again.
    Undrained,
    /// Nobody who is left can be moved.
    Stuck,
}

fn verdict(view: &DrainView) -> Verdict {
    if view.is_empty() {
        return Verdict::Empty;
    }
    match view.state {
        LedgerState::Open => Verdict::Undrained,
        _ if view.moves_in_ms == Some(0) && view.stuck_clients() == view.charged_clients => Verdict::Stuck,
        _ => Verdict::GoOn,
    }
}

async fn wait(api: &dyn Api, flags: &cli::Drain) -> Outcome {
    let mut signals = shutdown::signals()?;
    let mut live = Live::detect(flags.output.json);
    let mut stuck_since = None;
    let (set, id) = (&flags.set, &flags.instance);
    loop {
        let asked = clock::now();
        let looked = tokio::select! {
            looked = api.drain_progress(set, id) => looked,
            _ = signals.next() => return interrupted(set, id),
        };
        match looked {
            Ok(view) => {
                let verdict = verdict(&view);
                stuck_since = if verdict == Verdict::Stuck { stuck_since.or(Some(asked)) } else { None };
                let given_up = stuck_since.is_some_and(|since| clock::now().since(since) >= GIVE_UP_AFTER);
                match verdict {
                    Verdict::Stuck if given_up => return ended(&mut live, flags, &view, Exit::Refused, stuck(&view)),
                    Verdict::Stuck | Verdict::GoOn => live.show(&staying(&view)),
                    Verdict::Empty => {
                        let text = format!("{id} of set {set} is empty: no client is charged there");
                        return ended(&mut live, flags, &view, Exit::Yes, text);
                    }
                    Verdict::Undrained => {
                        let text = format!("{id} of set {set} is {} again: somebody took the drain back", view.state);
                        return ended(&mut live, flags, &view, Exit::No, text);
                    }
                }
            }
            // The drain stands whatever becomes of our looking.
            Err(problem) if is_passing(&problem) => {
                live.show(&format!("{}; still trying", problem.detail));
            }
            Err(problem) => return Err(problem.into()),
        }
        let rest = LOOK_EVERY.max(clock::now().since(asked) * LOOKING_SHARE);
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            _ = signals.next() => return interrupted(set, id),
        }
    }
}

fn is_passing(problem: &Problem) -> bool {
    (500..600).contains(&problem.status)
}

fn interrupted(set: &SetName, id: &InstanceId) -> Outcome {
    err(format_args!("the drain stands; `steadfast undrain {set} {id}` takes it back"));
    Ok(Exit::No)
}

fn ended(live: &mut Live, flags: &cli::Drain, view: &DrainView, exit: Exit, text: String) -> Outcome {
    live.end();
    if flags.output.json {
        json(view)?;
    } else if exit == Exit::Yes {
        out(text)?;
    } else {
        return Err(Failure::new(exit, anyhow::anyhow!("{text}")));
    }
    Ok(exit)
}

/// Who cannot be moved, and why.
fn stuck(view: &DrainView) -> String {
    let mut text = format!(
        "{} at {} of set {} cannot be moved; the drain stands:",
        clients(view.charged_clients),
        view.instance.0,
        view.set.0
    );
    for one in &view.examples {
        text.push_str(&format!("\n  {}: {}", one.client.0, one.detail));
    }
    let more = view.stuck_clients().saturating_sub(view.examples.len() as u64);
    if more > 0 {
        text.push_str(&format!("\n  and {} more", count(more)));
    }
    text
}

fn clients(number: u64) -> String {
    if number == 1 { "1 client".to_owned() } else { format!("{} clients", count(number)) }
}

#[cfg(test)]
mod tests;
