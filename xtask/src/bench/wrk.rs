//! Load by wrk, and what it reports.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process;

/// Connections kept open to the server measured.
const CONNECTIONS: usize = 64;

/// One run of wrk.
#[derive(Debug, PartialEq)]
pub(super) struct Load {
    pub(super) requests: u64,
    pub(super) per_second: f64,
    pub(super) p99_ms: f64,
    /// Requests without an answer, or answered otherwise than 2xx or 3xx.
    pub(super) failed: u64,
}

/// Which cameras to ask for, by `bench/clients.lua`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cameras {
    /// So many from this number on, one after the other.
    Walk { start: usize, count: usize },
    /// Any below this number.
    Random { below: usize },
}

const SCRIPT: &str = include_str!("../../../bench/clients.lua");

/// Asks `url` for `time` from `core`.
pub(super) fn run(url: &str, time: Duration, core: usize) -> Result<Load> {
    load(url, CONNECTIONS, time, core, &[])
}

/// Asks the server of `url` for cameras, on so many connections.
pub(super) fn ask(url: &str, connections: usize, time: Duration, core: usize, cameras: Cameras) -> Result<Load> {
    let dir = tempfile::tempdir()?;
    let script = dir.path().join("clients.lua");
    std::fs::write(&script, SCRIPT).with_context(|| format!("write {}", script.display()))?;
    let (kind, start, count) = match cameras {
        Cameras::Walk { start, count } => ("walk", start, count),
        Cameras::Random { below } => ("random", 0, below),
    };
    let script = script.display().to_string();
    load(url, connections, time, core, &["-s", &script, "--", kind, &start.to_string(), &count.to_string()])
}

fn load(url: &str, connections: usize, time: Duration, core: usize, script: &[&str]) -> Result<Load> {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string(), "wrk", "-t1", "--latency", url]);
    command.args([format!("-c{connections}"), format!("-d{}s", time.as_secs())]).args(script);
    let (status, output) = process::capture(&mut command)?;
    if !status.success() {
        bail!("`{}` failed: {}", process::shown(&command), output.trim());
    }
    parse(&output).with_context(|| format!("read what wrk printed: {output}"))
}

pub(super) fn parse(output: &str) -> Option<Load> {
    let after = |label: &str| output.lines().find_map(|line| line.trim().strip_prefix(label));
    let total = output.lines().find(|line| line.contains(" requests in "))?;
    let bad = after("Non-2xx or 3xx responses:").map_or(Some(0), |n| n.trim().parse().ok())?;
    // "connect 0, read 1, write 0, timeout 2"
    let sockets = after("Socket errors:")
        .map_or(0, |list| list.split([',', ' ']).filter_map(|word| word.parse::<u64>().ok()).sum());
    Some(Load {
        requests: total.split_whitespace().next()?.parse().ok()?,
        per_second: after("Requests/sec:")?.trim().parse().ok()?,
        p99_ms: milliseconds(after("99%")?.trim())?,
        failed: bad + sockets,
    })
}

/// wrk's times: `812.00us`, `1.25ms`, `2.00s`, `1.10m`.
fn milliseconds(text: &str) -> Option<f64> {
    let split = text.find(|c: char| c.is_alphabetic())?;
    let value: f64 = text[..split].parse().ok()?;
    let factor = match &text[split..] {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1_000.0,
        "m" => 60_000.0,
        _ => return None,
    };
    Some(value * factor)
}
