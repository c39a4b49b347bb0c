//! Configuration files: `init` writes one to start from, `check` says what is wrong with one.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use serde::Serialize;

use super::print::{json, out};
use crate::cli::{Check, Init, Kind};
use crate::config::Config;
use crate::exit::{Exit, Failure, Outcome};

/// A single set to start from.
const SINGLE: &str = include_str!("single.toml");

pub(super) fn init(flags: &Init) -> Outcome {
    let Kind::Single = flags.kind;
    let file = &flags.file;
    let shown = file.display();
    let mut open = OpenOptions::new().write(true).create_new(true).open(file).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::new(Exit::Refused, anyhow::anyhow!("{shown} is there already: name another with --file"))
        }
        _ => Failure::new(Exit::No, anyhow::anyhow!("write {shown}: {error}")),
    })?;
    open.write_all(SINGLE.as_bytes())?;
    out(format_args!("{shown} is written. Read it, change it, then:"))?;
    out(format_args!("  steadfast check {shown}"))?;
    out(format_args!("  steadfast run --config {shown}"))?;
    Ok(Exit::Yes)
}

#[derive(Serialize)]
struct Checked {
    file: String,
    ok: bool,
    problems: Vec<String>,
}

pub(super) fn check(flags: &Check) -> Outcome {
    let file = flags.file.display().to_string();
    match Config::load(&flags.file) {
        Ok(config) => {
            if flags.output.json {
                json(&Checked { file, ok: true, problems: Vec::new() })?;
            } else {
                out(format_args!("{file} is fine: {}", summary(&config)))?;
            }
            Ok(Exit::Yes)
        }
        Err(problems) if flags.output.json => {
            json(&Checked { file, ok: false, problems: problems.lines() })?;
            Ok(Exit::Usage)
        }
        Err(problems) => Err(Failure::new(Exit::Usage, problems)),
    }
}

fn summary(config: &Config) -> String {
    let some = |number: usize, one: &str, more: &str| format!("{number} {}", if number == 1 { one } else { more });
    [
        some(config.sets.len(), "set", "sets"),
        some(config.listeners.len(), "listener", "listeners"),
        some(config.agents.len(), "agent", "agents"),
    ]
    .join(", ")
}

#[cfg(test)]
mod tests;
