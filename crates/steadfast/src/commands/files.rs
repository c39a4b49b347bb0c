//! Configuration files: `init` writes one to start from, `check` says what is wrong with one.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use serde::Serialize;

use super::print::{err, json, out};
use crate::cli::{Check, Init, Kind};
use crate::config::Config;
use crate::exit::{Exit, Failure, Outcome};

/// A single set to start from.
const SINGLE: &str = include_str!("single.toml");
/// A sticky set to start from.
const STICKY: &str = include_str!("sticky.toml");

pub(super) fn init(flags: &Init) -> Outcome {
    let text = match flags.kind {
        Kind::Single => SINGLE,
        Kind::Sticky => STICKY,
    };
    let file = &flags.file;
    let shown = file.display();
    let mut open = OpenOptions::new().write(true).create_new(true).open(file).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::new(Exit::Refused, anyhow::anyhow!("{shown} is there already: name another with --file"))
        }
        _ => Failure::new(Exit::No, anyhow::anyhow!("write {shown}: {error}")),
    })?;
    open.write_all(text.as_bytes())?;
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
    warnings: Vec<String>,
}

pub(super) fn check(flags: &Check) -> Outcome {
    let file = flags.file.display().to_string();
    match Config::load(&flags.file) {
        Ok(config) => {
            if flags.output.json {
                let warnings = config.warnings.lines();
                json(&Checked { file, ok: true, problems: Vec::new(), warnings })?;
            } else {
                if !config.warnings.is_empty() {
                    err(format_args!("{}", config.warnings.as_warnings()));
                }
                out(format_args!("{file} is fine: {}", summary(&config)))?;
            }
            Ok(Exit::Yes)
        }
        Err(problems) if flags.output.json => {
            json(&Checked { file, ok: false, problems: problems.lines(), warnings: Vec::new() })?;
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
