//! Configuration files: `init` writes one to start from, `check` says what is wrong with one.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use serde::Serialize;
use steadfast_host::tls::{self, Alpn};

use super::print::{err, json, out};
use crate::cli::{Check, Init, Kind};
use crate::config::Config;
use crate::exit::{Exit, Failure, Outcome, told_once};
use crate::stores::StoreName;

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
            let mut missing = Vec::new();
            if let Err(failure) = check_access(&config, &mut missing) {
                if flags.output.json {
                    json(&Checked { file, ok: false, problems: vec![told_once(&failure.error)], warnings: missing })?;
                    return Ok(Exit::Usage);
                }
                return Err(failure);
            }
            if flags.output.json {
                let warnings = config.warnings.lines().into_iter().chain(missing).collect();
                json(&Checked { file, ok: true, problems: Vec::new(), warnings })?;
            } else {
                if !config.warnings.is_empty() {
                    err(format_args!("{}", config.warnings.as_warnings()));
                }
                missing.iter().for_each(|missing| err(format_args!("warning: {missing}")));
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

/// Whether the store can be opened and the API be served, as far as that can be told without a server. What a file that
/// is `missing` here holds is not judged: it may be on the machine that the configuration is for.
fn check_access(config: &Config, missing: &mut Vec<String>) -> Result<(), Failure> {
    let mut is_here = |key: &str, path: Option<&Path>| {
        let Some(path) = path.filter(|path| !path.exists()) else { return true };
        missing.push(format!("{key} names {}, which is not on this machine", path.display()));
        false
    };
    let (tls, token) = (&config.store_tls, config.store_token_file.as_deref());
    let of_store = [
        is_here("store_token_file", token),
        is_here("store_tls.ca", tls.ca.as_deref()),
        is_here("store_tls.cert", tls.cert.as_deref()),
        is_here("store_tls.key", tls.key.as_deref()),
    ];
    if let Some(store) = config.store.as_deref().filter(|_| !of_store.contains(&false)) {
        StoreName::kept(store).with_tls(tls.clone()).check(token)?;
    }
    let Some(files) = &config.admin.tls else { return Ok(()) };
    let of_admin = [
        is_here("admin.tls.cert", Some(&files.cert)),
        is_here("admin.tls.key", Some(&files.key)),
        is_here("admin.tls.client_ca", files.client_ca.as_deref()),
    ];
    if !of_admin.contains(&false) {
        let served = tls::Server::new(files.clone(), Alpn::Http1);
        served.map_err(|error| Failure::usage(format!("the TLS of the API: {error}")))?;
    }
    Ok(())
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
