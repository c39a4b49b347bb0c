//! `cargo xtask bench`: Steadfast beside nginx and HAProxy, in one run on one machine. What it measures, and how, is
//! in `bench/README.md`; the servers' configurations lie there too.

mod client;
mod failover;
mod proxy;
mod server;
mod wrk;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{Usage, install, process};

/// What the command line asks for.
struct Options {
    proxy: bool,
    failover: bool,
    /// How often each server is measured; the median counts.
    runs: usize,
    /// How long each run lasts.
    time: Duration,
    /// How many crashes, and how many switchovers.
    events: usize,
    json: bool,
}

/// Measures what `args` name (everything without a name) and prints a table, or JSON.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<bool> {
    let options = parse(args)?;
    install::programs(&["bench"])?;
    let cores = std::thread::available_parallelism().context("count the cores")?;
    if cores.get() < 2 {
        bail!("the bench needs two cores: one for the server measured, one for the load and the back end");
    }
    let steadfast = build(root)?;
    let mut results = json!({});
    if options.proxy {
        let measured = proxy::run(&steadfast, options.runs, options.time)?;
        results["proxy"] = measured.json();
        print_unless(options.json, &measured.table());
    }
    if options.failover {
        let measured = failover::run(&steadfast, options.events)?;
        results["failover"] = measured.iter().map(failover::Measured::json).collect::<Value>();
        print_unless(options.json, &failover::table(&measured));
    }
    if options.json {
        println!("{results}");
    }
    Ok(true)
}

fn parse(args: &[String]) -> Result<Options> {
    let mut options =
        Options { proxy: false, failover: false, runs: 4, time: Duration::from_secs(4), events: 20, json: false };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "proxy" => options.proxy = true,
            "failover" => options.failover = true,
            "--json" => options.json = true,
            "--runs" => options.runs = number(arg, args.next())?,
            "--events" => options.events = number(arg, args.next())?,
            "--seconds" => options.time = Duration::from_secs(number(arg, args.next())? as u64),
            other => bail!(Usage(format!("`{other}` is neither a part nor an option of bench"))),
        }
    }
    if !options.proxy && !options.failover {
        (options.proxy, options.failover) = (true, true);
    }
    Ok(options)
}

fn number(option: &str, value: Option<&String>) -> Result<usize> {
    match value.and_then(|text| text.parse().ok()).filter(|n| (1..=1_000).contains(n)) {
        Some(n) => Ok(n),
        None => bail!(Usage(format!("{option} takes a number from 1 to 1000"))),
    }
}

/// Builds the program as users run it, and returns where it is.
fn build(root: &Path) -> Result<PathBuf> {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(["build", "--release", "--locked", "-p", "steadfast"]);
    command.arg("--message-format=json-render-diagnostics");
    let mut program = None;
    let status = process::stream(&mut command, Duration::from_secs(30 * 60), |line| {
        let message: Value = serde_json::from_str(line).unwrap_or_default();
        if let Some(path) = message["executable"].as_str() {
            program = Some(PathBuf::from(path));
        }
    })?;
    match program {
        Some(program) if status.success() => Ok(program),
        _ => bail!("steadfast does not build"),
    }
}

fn print_unless(json: bool, table: &str) {
    if !json {
        println!("\n{table}");
    }
}

/// The value in the middle of `values` once sorted; of an even number, the mean of the two in the middle.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// The smallest value that `percent` of a hundred values do not exceed.
fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests;
