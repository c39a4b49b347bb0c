//! Servers that are measured side by side: what a request costs each, Steadfast first.

use anyhow::Result;
use serde_json::{Value, json};

use super::median;
use super::server::Server;
use super::wrk::Load;

/// A running server, and what was measured of it.
pub(super) struct Front {
    pub(super) name: &'static str,
    pub(super) server: Server,
    pub(super) url: String,
    runs: Vec<Run>,
}

struct Run {
    cpu_us: f64,
    load: Load,
}

impl Front {
    pub(super) fn new(name: &'static str, server: Server, url: String) -> Front {
        Front { name, server, url, runs: Vec::new() }
    }

    fn measure(&mut self, round: usize, ask: impl Fn(&str) -> Result<Load>) -> Result<()> {
        let before = self.server.cpu_time();
        let load = ask(&self.url)?;
        let spent = self.server.cpu_time() - before;
        let cpu_us = spent.as_secs_f64() * 1e6 / load.requests.max(1) as f64;
        eprintln!("run {round}: {:10} {:8.0} req/s {cpu_us:6.2} µs", self.name, load.per_second);
        self.runs.push(Run { cpu_us, load });
        Ok(())
    }

    fn median(&self, figure: impl Fn(&Run) -> f64) -> f64 {
        median(&self.runs.iter().map(figure).collect::<Vec<_>>())
    }

    fn cpu_us(&self) -> f64 {
        self.median(|run| run.cpu_us)
    }

    fn failed(&self) -> u64 {
        self.runs.iter().map(|run| run.load.failed).sum()
    }
}

/// Measures every front `runs` times, in turns, so that what else the machine does falls on all of them alike.
pub(super) fn measure(fronts: &mut [Front], runs: usize, ask: impl Fn(&str) -> Result<Load>) -> Result<()> {
    (1..=runs).try_for_each(|round| fronts.iter_mut().try_for_each(|front| front.measure(round, &ask)))
}

/// The fronts as a table for people, below a line that says what they did.
pub(super) fn table(title: &str, fronts: &[Front]) -> String {
    let runs = fronts.first().map_or(0, |front| front.runs.len());
    let mut text = format!(
        "{title} (medians of {runs} runs)\n{:12} {:>14} {:>10} {:>9} {:>8}  steadfast ÷ it\n",
        "", "CPU µs/request", "req/s", "p99 ms", "failed"
    );
    for front in fronts {
        text += &format!(
            "{:12} {:>14.2} {:>10.0} {:>9.2} {:>8}  {:.2}\n",
            front.name,
            front.cpu_us(),
            front.median(|run| run.load.per_second),
            front.median(|run| run.load.p99_ms),
            front.failed(),
            fronts[0].cpu_us() / front.cpu_us(),
        );
    }
    text
}

pub(super) fn json(fronts: &[Front]) -> Value {
    let of = |front: &Front| {
        json!({
            "name": front.name,
            "cpu_us_per_request": front.cpu_us(),
            "requests_per_second": front.median(|run| run.load.per_second),
            "p99_ms": front.median(|run| run.load.p99_ms),
            "failed": front.failed(),
            "steadfast_ratio": fronts[0].cpu_us() / front.cpu_us(),
        })
    };
    fronts.iter().map(of).collect()
}
