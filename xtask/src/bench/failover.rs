//! The gap a client sees when the copy that answers is killed, or hands over: through Steadfast's gateway, and
//! through HAProxy and nginx in front of the same three copies.

mod scene;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::client::{Load, Report};
use super::percentile;
use scene::Scene;
pub(super) use scene::Store;

/// Clients that ask all the time, each on a connection of its own.
const CLIENTS: usize = 4;
/// Answers each client must have before anything is done, and how long after a change it still asks.
const STEADY_ANSWERS: usize = 20;
const AFTERWARDS: Duration = Duration::from_millis(500);
/// How long a change of the answering copy may take before the run is given up.
const CHANGE_LIMIT: Duration = Duration::from_secs(60);

/// What is done to the copy that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    /// `kill -9` of the application.
    Crash,
    /// The operator asks for another leader.
    Switchover,
    /// `kill -9` of the application and of its agent: nobody is left to say so.
    HostDeath,
}

/// The gaps of many blows of one kind, through one front.
pub(super) struct Measured {
    front: &'static str,
    blow: Blow,
    gaps_ms: Vec<f64>,
    requests: usize,
    failed: usize,
}

/// `events` crashes through each front, and as many switchovers through Steadfast.
pub(super) fn run(steadfast: &Path, events: usize) -> Result<Vec<Measured>> {
    let mut all = Vec::new();
    let dir = tempfile::tempdir()?;
    let mut scene = scene::steadfast(steadfast, None, dir.path())?;
    for blow in [Blow::Crash, Blow::Switchover] {
        all.push(measure(&mut scene, blow, events)?);
    }
    drop(scene);
    for start in [scene::haproxy, scene::haproxy_tuned, scene::nginx] {
        let dir = tempfile::tempdir()?;
        all.push(measure(&mut start(dir.path())?, Blow::Crash, events)?);
    }
    Ok(all)
}

/// The same blows, and the death of hosts, through Steadfast on some store; a file without one.
pub(super) fn on(store: Option<Store>, steadfast: &Path, events: usize) -> Result<Vec<Measured>> {
    let dir = tempfile::tempdir()?;
    let mut scene = scene::steadfast(steadfast, store, dir.path())?;
    let blows = [Blow::Crash, Blow::Switchover, Blow::HostDeath];
    blows.into_iter().map(|blow| measure(&mut scene, blow, events)).collect()
}

fn measure(scene: &mut Scene, blow: Blow, events: usize) -> Result<Measured> {
    let mut measured = Measured { front: scene.name(), blow, gaps_ms: Vec::new(), requests: 0, failed: 0 };
    for number in 1..=events {
        let (reports, began) = strike(scene, blow).with_context(|| format!("{} {blow:?} {number}", scene.name()))?;
        let gap = reports.iter().map(|report| report.longest_gap_after(began)).max().unwrap_or_default();
        let all = Report::merge(reports);
        let failed = all.failures().len();
        let gap_ms = gap.as_secs_f64() * 1e3;
        eprintln!("{} {blow:?} {number}: {gap_ms:.0} ms, {failed} of {} failed", scene.name(), all.samples.len());
        for failure in all.failures() {
            let since = failure.sent.saturating_duration_since(began);
            eprintln!("    sent {} ms after it: {:?}", since.as_millis(), failure.outcome);
        }
        measured.gaps_ms.push(gap_ms);
        measured.requests += all.samples.len();
        measured.failed += failed;
    }
    Ok(measured)
}

/// One blow, with clients asking before, during and after it. Returns what each saw, and when the blow fell.
fn strike(scene: &mut Scene, blow: Blow) -> Result<(Vec<Report>, Instant)> {
    scene.settle()?;
    let clients: Vec<Load> = (0..CLIENTS).map(|_| Load::start(scene.url())).collect();
    wait_until("every client is answered", || clients.iter().all(|client| client.served() >= STEADY_ANSWERS))?;
    let leader = clients[0].so_far().turns().last().map(|by| (*by).to_owned()).context("find out who answers")?;
    let began = Instant::now();
    match blow {
        Blow::Crash => scene.kill(&leader)?,
        Blow::Switchover => scene.switch_over()?,
        Blow::HostDeath => scene.kill_host(&leader)?,
    }
    wait_until("another copy answers", || {
        clients.iter().all(|client| client.so_far().turns().last() != Some(&&*leader))
    })?;
    std::thread::sleep(AFTERWARDS);
    Ok((clients.into_iter().map(Load::stop).collect(), began))
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + CHANGE_LIMIT;
    while !condition() {
        if Instant::now() > deadline {
            bail!("waited {CHANGE_LIMIT:?} in vain until {what}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

impl Measured {
    fn what(&self) -> &'static str {
        match self.blow {
            Blow::Crash => "crash",
            Blow::Switchover => "switchover",
            Blow::HostDeath => "host death",
        }
    }

    fn at(&self, percent: usize) -> f64 {
        percentile(&self.gaps_ms, percent)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "front": self.front,
            "event": self.what(),
            "events": self.gaps_ms.len(),
            "gap_ms": { "min": self.at(0), "p50": self.at(50), "p99": self.at(99), "max": self.at(100) },
            "requests": self.requests,
            "failed": self.failed,
        })
    }
}

/// The results as a person reads them.
pub(super) fn table(all: &[Measured]) -> String {
    let mut text = format!(
        "the longest gap a client saw, in ms\n{:14} {:11} {:>6} {:>7} {:>7} {:>7} {:>7} {:>9} {:>8}\n",
        "", "event", "times", "min", "p50", "p99", "max", "requests", "failed"
    );
    for m in all {
        text += &format!(
            "{:14} {:11} {:>6} {:>7.0} {:>7.0} {:>7.0} {:>7.0} {:>9} {:>8}\n",
            m.front,
            m.what(),
            m.gaps_ms.len(),
            m.at(0),
            m.at(50),
            m.at(99),
            m.at(100),
            m.requests,
            m.failed
        );
    }
    text += "Only steadfast keeps two copies from answering at once; the others ask whichever answers.\n";
    text
}
