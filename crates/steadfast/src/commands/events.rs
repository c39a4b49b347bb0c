//! `events`: what happened, and with `--follow` what happens.

use std::time::Duration;

use steadfast_core::InstanceId;
use steadfast_registry::EventKind;

use super::print::{Paint, count, err, json, out, when};
use super::reach::api;
use crate::admin::view::{EventCursor, EventView};
use crate::cli;
use crate::exit::{Exit, Failure, Outcome};

/// How often the log is looked at when it is followed.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Followed from now on, so much of what was before is shown.
const SHOWN_BEFORE: usize = 10;

pub(super) async fn run(flags: &cli::Events) -> Outcome {
    let api = api(&flags.reach)?;
    let since = flags.since.as_deref().map(str::parse::<EventCursor>).transpose();
    let since = since.map_err(|why| Failure::usage(format!("--since: {why}")))?;
    let set = flags.set.as_ref();
    let mut found = api.events(set, since.as_ref().unwrap_or(&EventCursor::default())).await?;
    if !flags.follow {
        if flags.output.json {
            json(&found)?;
        } else {
            found.events.iter().try_for_each(print)?;
        }
        return Ok(Exit::Yes);
    }
    let before = if since.is_some() { 0 } else { found.events.len().saturating_sub(SHOWN_BEFORE) };
    found.events.drain(..before);
    let mut away = false;
    loop {
        for event in &found.events {
            if flags.output.json { json(event)? } else { print(event)? }
        }
        tokio::time::sleep(LOOK_EVERY).await;
        match api.events(set, &found.next.0).await {
            Ok(more) => {
                found = more;
                away = false;
            }
            Err(problem) => {
                if !std::mem::replace(&mut away, true) {
                    err(format_args!("steadfast: {}; still trying", problem.detail));
                }
                found.events.clear();
            }
        }
    }
}

fn print(event: &EventView) -> std::io::Result<()> {
    let paint = Paint::detect();
    let at = paint.dim(&when(&event.at));
    let by = paint.dim(&format!("({})", event.by));
    out(format_args!("{at}  {}/{}  {}  {by}", event.set.0, event.number, sentence(&event.kind)))
}

fn sentence(kind: &EventKind) -> String {
    match kind {
        EventKind::Leading { instance, epoch, from: Some(from), reason } if from != instance => {
            format!("{} leads at epoch {epoch}, after {} ({reason})", instance.0, from.0)
        }
        EventKind::Leading { instance, epoch, reason, .. } => {
            format!("{} leads at epoch {epoch} ({reason})", instance.0)
        }
        EventKind::Stopped { instance, epoch, reason } => {
            format!("{} serves no more at epoch {epoch} ({reason})", instance.0)
        }
        EventKind::State { instance, state } => format!("{} is {}", instance.0, state.as_str()),
        EventKind::Switchover { epoch, to: Some(to) } => format!("epoch {epoch} shall end, and {} shall lead", to.0),
        EventKind::Switchover { epoch, to: None } => format!("epoch {epoch} shall end: a switchover was ordered"),
        EventKind::Settings => "the settings were changed".to_owned(),
        EventKind::InstanceLost { instance, clients: 0 } => {
            format!("{} is lost: nobody heard of it, and no client was at home there", instance.0)
        }
        EventKind::InstanceLost { instance, clients } => {
            format!("{} is lost: nobody heard of it; {} at home there", instance.0, homes(*clients))
        }
        EventKind::Drained { instance } => format!("{} is drained: no client is charged there any more", instance.0),
        EventKind::DrainWaits { instance, connected, no_room } => drain_waits(&instance.0, *connected, *no_room),
        EventKind::ClientMoved { client, from: Some(from), to } => {
            format!("client {} was moved by hand from {} to {}", client.0, from.0, to.0)
        }
        EventKind::ClientMoved { client, from: None, to } => {
            format!("client {} was moved by hand to {}", client.0, to.0)
        }
        EventKind::ClientForgotten { client } => format!("client {} was forgotten by hand", client.0),
        EventKind::ClientOverweight { client, declared, charged } => {
            format!(
                "client {} says it weighs {}, which its home has no room for: it stays charged {}",
                client.0, declared.0, charged.0
            )
        }
        EventKind::ClientOverflow { client, home } => {
            format!("client {} was charged to {} above its capacity, as the set wants it", client.0, home.0)
        }
        EventKind::Other => "something a newer version wrote down".to_owned(),
    }
}

fn homes(clients: u64) -> String {
    if clients == 1 { "1 client is".to_owned() } else { format!("{} clients are", count(clients)) }
}

/// A drain whose deadline has passed, and why clients are left.
fn drain_waits(instance: &InstanceId, connected: u64, no_room: u64) -> String {
    let why = [(connected, "connected and cannot be made to leave"), (no_room, "without room elsewhere")];
    let why = why.iter().filter(|(number, _)| *number > 0).map(|(number, why)| format!("{} {why}", homes(*number)));
    format!("{instance} is past the deadline of its drain: {}", why.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;
