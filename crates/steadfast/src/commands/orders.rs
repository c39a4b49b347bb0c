//! What changes something of a set as a whole: `switchover`, `apply`.

use std::time::Duration;

use serde::Serialize;
use steadfast_core::{InstanceId, SetName};
use steadfast_host::clock;
use steadfast_registry::Text;

use super::print::{err, json, out, out_text};
use super::reach::api;
use crate::admin::Api;
use crate::admin::view::{LeaderView, LeaseState, SettingsChange, SwitchoverOrdered};
use crate::cli;
use crate::config::{Config, changed_lines, lines};
use crate::exit::{Exit, Failure, Outcome};

/// How often `switchover --wait` looks for the new leader.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long it does.
const WAIT_FOR: Duration = Duration::from_secs(30);

/// How a switchover that was waited for ended.
#[derive(Serialize)]
struct SwitchedOver {
    set: Text<SetName>,
    from: Text<InstanceId>,
    to: Option<Text<InstanceId>>,
    epoch: u64,
    after_ms: u64,
}

pub(super) async fn switchover(flags: &cli::Switchover) -> Outcome {
    let api = api(&flags.reach)?;
    let started = clock::now();
    let ordered = api.switchover(&flags.set, flags.to.as_ref()).await?;
    if !flags.wait {
        if flags.output.json {
            json(&ordered)?;
        } else {
            let to = ordered.to.as_ref().map(|to| format!(" to {}", to.0)).unwrap_or_default();
            out(format_args!(
                "{} is to hand set {} over{to}; follow it with `steadfast events {1} --follow`",
                ordered.from.0, flags.set
            ))?;
        }
        return Ok(Exit::Yes);
    }
    let Some(leader) = wait_for_successor(api.as_ref(), &ordered).await else {
        err(format_args!(
            "set {}: nobody has taken over within {} s; see `steadfast status {0}`",
            flags.set,
            WAIT_FOR.as_secs()
        ));
        return Ok(Exit::No);
    };
    let after_ms = u64::try_from(clock::now().since(started).as_millis()).unwrap_or(u64::MAX);
    let wished = ordered.to.is_none() || ordered.to == leader.instance;
    if flags.output.json {
        let (set, from) = (ordered.set, ordered.from);
        json(&SwitchedOver { set, from, to: leader.instance, epoch: leader.epoch, after_ms })?;
    } else if let Some(now) = &leader.instance {
        let instead = if wished { "" } else { ", and not whom you named" };
        out(format_args!(
            "{} leads set {} at epoch {}, {after_ms} ms after the order{instead}",
            now.0, flags.set, leader.epoch
        ))?;
    }
    Ok(if wished { Exit::Yes } else { Exit::No })
}

async fn wait_for_successor(api: &dyn Api, ordered: &SwitchoverOrdered) -> Option<LeaderView> {
    let deadline = clock::now() + WAIT_FOR;
    while clock::now() < deadline {
        if let Ok(leader) = api.leader(&ordered.set.0).await
            && leader.epoch > ordered.epoch
            && leader.state == LeaseState::Leading
        {
            return Some(leader);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    None
}

pub(super) async fn apply(flags: &cli::Apply) -> Outcome {
    let config = Config::load(&flags.file).map_err(Failure::usage)?;
    if config.sets.is_empty() {
        return Err(Failure::usage(format!("{} has no [sets.…]: there is nothing to apply", flags.file.display())));
    }
    let api = api(&flags.reach)?;
    for (name, set) in &config.sets {
        let change = api.apply(name, &set.settings).await?;
        if flags.output.json {
            json(&change)?;
        } else {
            out_text(difference(&change))?;
        }
    }
    Ok(Exit::Yes)
}

/// What a change of settings changed, as lines of a file.
fn difference(change: &SettingsChange) -> String {
    let set = &change.set.0;
    let read = |view: &crate::admin::view::SettingsView| view.settings().ok();
    let Some(now) = read(&change.now) else { return format!("[sets.{set}] is written\n") };
    let Some(before) = change.before.as_ref().and_then(read) else {
        let lines: String = lines(&now).iter().map(|(key, value)| format!("+ {key} = {value}\n")).collect();
        return format!("[sets.{set}] is new\n{lines}");
    };
    let changed = changed_lines(&before, &now);
    if changed.is_empty() {
        return format!("[sets.{set}] is as it was\n");
    }
    let line = |sign, key, value: Option<String>| value.map_or_else(String::new, |is| format!("{sign} {key} = {is}\n"));
    let lines = changed.into_iter().map(|(key, before, now)| line('-', key, before) + &line('+', key, now));
    format!("[sets.{set}]\n{}", lines.collect::<String>())
}
