//! `cargo xtask bench`: Steadfast beside nginx, HAProxy and Envoy, in one run on one machine. What it measures, and how, is
//! in `bench/README.md`; the servers' configurations lie there too.

mod about;
mod client;
mod failover;
mod front;
mod peers;
mod place;
mod proxy;
mod redirect;
mod report;
mod server;
mod sticky;
mod stores;
mod wrk;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{Usage, install, process};
use peers::Peers;

/// A part of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Proxy,
    Failover,
    Redirect,
    Place,
    Stores,
}

impl Part {
    const ALL: [(&'static str, Part); 5] = [
        ("proxy", Part::Proxy),
        ("failover", Part::Failover),
        ("redirect", Part::Redirect),
        ("place", Part::Place),
        ("stores", Part::Stores),
    ];
}

/// What the command line asks for.
struct Options {
    parts: Vec<Part>,
    /// How often each server is measured; the median counts.
    runs: usize,
    /// How long each run lasts.
    time: Duration,
    /// How many crashes, and how many switchovers.
    events: usize,
    /// How many clients of a sticky set are known.
    clients: usize,
    json: bool,
    /// Whether the pages of figures are written: that of the stores, or both.
    write: bool,
}

impl Options {
    fn has(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }
}

/// Measures what `args` name (everything without a name) and prints a table, or JSON.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<bool> {
    let options = parse(args)?;
    install::programs(&["bench"])?;
    install::python::packages(root, &["bench"])?;
    let peers = Peers::of(root);
    let cores = std::thread::available_parallelism().context("count the cores")?;
    if cores.get() < 2 {
        bail!("the bench needs two cores: one for the server measured, one for the load and the back end");
    }
    let steadfast = build(root, &["-p", "steadfast"])?;
    let mut results = json!({});
    if options.has(Part::Proxy) {
        let measured = proxy::run(&steadfast, &peers, options.runs, options.time)?;
        results["proxy"] = measured.json();
        print_unless(options.json, &measured.table());
    }
    if options.has(Part::Failover) {
        let measured = failover::run(&steadfast, options.events)?;
        results["failover"] = measured.iter().map(failover::Measured::json).collect::<Value>();
        print_unless(options.json, &failover::table(&measured));
    }
    if options.has(Part::Redirect) || options.has(Part::Place) {
        let fill = build(root, &["-p", "steadfast-registry", "--example", "fill"])?;
        measure_sticky(&steadfast, &fill, &peers, &options, &mut results)?;
    }
    if options.has(Part::Stores) {
        let servers = build(root, &["-p", "steadfast-registry", "--example", "stores"])?;
        results["stores"] = stores::run(&steadfast, &servers, options.events.div_ceil(4), options.time)?;
        print_unless(options.json, &report::stores(&results["stores"])?);
    }
    if options.json {
        println!("{results}");
    }
    if options.write {
        if options.parts.is_empty() {
            let about = about::look(root, peers.versions(), args)?;
            write(root, report::PAGE, &report::page(&results, &about)?)?;
        }
        let about = about::look(root, peers::store_versions(root), args)?;
        write(root, report::STORES_PAGE, &report::stores_page(&results, &about)?)?;
    }
    Ok(true)
}

/// Replaces a page of figures.
fn write(root: &Path, page: &str, text: &str) -> Result<()> {
    let place = root.join(page);
    std::fs::write(&place, text).with_context(|| format!("write {}", place.display()))?;
    eprintln!("written: {page}");
    Ok(())
}

/// The parts about sticky sets, on one set of books: a million clients take their time to be made.
fn measure_sticky(steadfast: &Path, fill: &Path, peers: &Peers, options: &Options, results: &mut Value) -> Result<()> {
    let mut scene = sticky::Scene::new(steadfast, fill, options.clients)?;
    results["books"] = scene.json();
    print_unless(options.json, &scene.table());
    if options.has(Part::Redirect) {
        let measured = redirect::run(&mut scene, peers, options.runs, options.time)?;
        results["redirect"] = measured.json();
        print_unless(options.json, &measured.table());
    }
    if options.has(Part::Place) {
        let measured = place::run(&mut scene, options.runs, options.time)?;
        results["place"] = measured.json();
        print_unless(options.json, &measured.table());
    }
    Ok(())
}

fn parse(args: &[String]) -> Result<Options> {
    let mut options = Options {
        parts: Vec::new(),
        runs: 4,
        time: Duration::from_secs(4),
        events: 20,
        clients: 1_000_000,
        json: false,
        write: false,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--json" => options.json = true,
            "--write" => options.write = true,
            "--runs" => options.runs = number(arg, args.next(), 1, 1_000)?,
            "--events" => options.events = number(arg, args.next(), 1, 1_000)?,
            "--clients" => options.clients = number(arg, args.next(), 1_000, 100_000_000)?,
            "--seconds" => options.time = Duration::from_secs(number(arg, args.next(), 1, 1_000)? as u64),
            other => match Part::ALL.iter().find(|(name, _)| *name == other) {
                Some((_, part)) => options.parts.push(*part),
                None => bail!(Usage(format!("`{other}` is neither a part nor an option of bench"))),
            },
        }
    }
    if options.write && !options.parts.is_empty() && options.parts != [Part::Stores] {
        bail!(Usage("--write needs every part, or stores alone: a page is one run's".to_owned()));
    }
    Ok(options)
}

fn number(option: &str, value: Option<&String>, least: usize, most: usize) -> Result<usize> {
    match value.and_then(|text| text.parse().ok()).filter(|n| (least..=most).contains(n)) {
        Some(n) => Ok(n),
        None => bail!(Usage(format!("{option} takes a number from {least} to {most}"))),
    }
}

/// Builds a program as users run it, and returns where it is.
fn build(root: &Path, what: &[&str]) -> Result<PathBuf> {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(["build", "--release", "--locked"]).args(what);
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
        _ => bail!("`{}` failed", process::shown(&command)),
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
