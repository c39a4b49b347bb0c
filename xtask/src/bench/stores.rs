//! What Steadfast does on each store: new clients a second, the gaps of crashes, and what idle agents ask of its server.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::failover::{self, Store};
use super::server::{Server, cpu_time_of};
use crate::process::{capture, shown, stream};

/// All that are measured; the first needs no server.
const STORES: [&str; 5] = ["sqlite", "etcd", "redis", "postgres", "azure"];
/// How long the placements of all stores may take together.
const PLACING_LIMIT: Duration = Duration::from_secs(20 * 60);
/// Agents that have nothing to do, each a process of its own, as on as many machines.
const IDLE_AGENTS: usize = 100;
/// How long all of them may take to register.
const REGISTERED_LIMIT: Duration = Duration::from_secs(180);
/// What a start costs is over after so long; then they are watched for so long.
const IDLE_SETTLE: Duration = Duration::from_secs(10);
const IDLE_WATCHED: Duration = Duration::from_secs(20);
/// How long a store's server may take to end once it is not wanted any more.
const END_LIMIT: Duration = Duration::from_secs(20);

/// Every part of every store. `stores` is the program in `bench/stores.rs`.
pub(super) fn run(steadfast: &Path, stores: &Path, events: usize, time: Duration) -> Result<Value> {
    let mut all = place(stores, time)?;
    for one in all.as_array_mut().context("no stores")? {
        let name = one["store"].as_str().context("a store without a name")?.to_owned();
        eprintln!("{name}: the gaps of crashes");
        let ground = if name == "sqlite" { None } else { Some(Ground::start(stores, &name)?) };
        let place = ground.as_ref().map(|ground| ground.store(&ground.url));
        let gaps = failover::on(place, steadfast, events).with_context(|| format!("failover on {name}"))?;
        one["failover"] = gaps.iter().map(failover::Measured::json).collect();
        drop(ground);
        if name != "sqlite" {
            eprintln!("{name}: {IDLE_AGENTS} idle agents");
            one["idle"] = idle(steadfast, Ground::start(stores, &name)?).with_context(|| format!("idle on {name}"))?;
        }
    }
    Ok(all)
}

/// New clients a second, beside a plain client of the same server.
fn place(stores: &Path, time: Duration) -> Result<Value> {
    let mut command = Command::new(stores);
    command.args(["--json", "--seconds", &time.as_secs().to_string()]).args(STORES);
    let mut said = Value::Null;
    let status = stream(&mut command, PLACING_LIMIT, |line| {
        if let Ok(value) = serde_json::from_str(line) {
            said = value;
        }
    })?;
    if !status.success() {
        bail!("`{}` failed", shown(&command));
    }
    Ok(said["stores"].take())
}

/// What agents with nothing to do ask of a store.
fn idle(steadfast: &Path, mut ground: Ground) -> Result<Value> {
    let program = steadfast.display().to_string();
    let dir = tempfile::tempdir()?;
    let place = dir.path().display().to_string();
    let store = ground.store(&ground.counted);
    let mut agents = Vec::new();
    for number in 0..IDLE_AGENTS {
        let (instance, state) = (format!("rec-{number}"), format!("{place}/{number}"));
        let set = ["--set", "recorder", "--kind", "sticky", "--client", "query:camera", "--instance", &instance];
        let more = ["--state-dir", &state, "--endpoint", "http=http://127.0.0.1:9", "--capacity", "100"];
        let command = [&[program.as_str(), "agent"], &store.flags()[..], &set, &more].concat();
        agents.push(Server::start(&instance, &command, None, dir.path())?);
    }
    let deadline = Instant::now() + REGISTERED_LIMIT;
    while registered(&program, &store)? < IDLE_AGENTS {
        if Instant::now() > deadline {
            bail!("not all of {IDLE_AGENTS} agents registered within {REGISTERED_LIMIT:?}");
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    std::thread::sleep(IDLE_SETTLE);
    let (before, cpu, begin) = (ground.asked()?, cpu_time_of(ground.pid), Instant::now());
    std::thread::sleep(IDLE_WATCHED);
    let (after, cost, took) = (ground.asked()?, cpu_time_of(ground.pid) - cpu, begin.elapsed().as_secs_f64());
    if agents.iter_mut().any(Server::has_ended) {
        bail!("an agent ended while it was idle");
    }
    let memory = agents[0].memory_bytes()?;
    // None of them can say so any more: they are not waited for one by one.
    agents.into_iter().for_each(Server::kill);
    let rate = |name: &str| -> Result<f64> {
        let of = |value: &Value| value[name].as_f64().with_context(|| format!("no {name}"));
        Ok((of(&after)? - of(&before)?) / took)
    };
    Ok(json!({
        "agents": IDLE_AGENTS,
        "requests_per_second": rate("requests")?,
        "bytes_per_second": rate("bytes")?,
        "server_cores": cost.as_secs_f64() / took,
        "agent_bytes": memory,
    }))
}

/// How many instances the set has.
fn registered(program: &str, store: &Store) -> Result<usize> {
    let mut command = Command::new(program);
    command.args(["status", "--json"]).args(store.flags()).stderr(Stdio::null());
    let (_, output) = capture(&mut command)?;
    let status: Value = output.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    Ok(status["sets"][0]["instances"].as_array().map_or(0, Vec::len))
}

/// A running server of a store, on its own and by way of a proxy that counts.
struct Ground {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    url: String,
    counted: String,
    pid: u32,
    /// Holds the file with the secret.
    dir: tempfile::TempDir,
    has_secret: bool,
}

impl Ground {
    fn start(stores: &Path, engine: &str) -> Result<Ground> {
        // Ended with us, also when we are killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(stores).args(["--serve", engine]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("start `{}`", shown(&command)))?;
        let orders = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().context("take the program's output")?);
        let place = line(&mut answers).with_context(|| format!("start {engine}"))?;
        let text = |name: &str| place[name].as_str().map(str::to_owned).with_context(|| format!("no {name}"));
        let pid = place["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).context("no pid")?;
        let dir = tempfile::tempdir()?;
        let secret = place["secret"].as_str();
        if let Some(secret) = secret {
            fs::write(dir.path().join("secret"), secret)?;
        }
        let (url, counted) = (text("url")?, text("counted")?);
        Ok(Ground { child, orders, answers, url, counted, pid, has_secret: secret.is_some(), dir })
    }

    fn store(&self, url: &str) -> Store {
        let file = || self.dir.path().join("secret").display().to_string();
        Store { url: url.to_owned(), token_file: self.has_secret.then(file) }
    }

    /// What was asked so far by way of the proxy.
    fn asked(&mut self) -> Result<Value> {
        writeln!(self.orders.as_mut().context("it has ended")?)?;
        line(&mut self.answers)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.orders = None;
        let deadline = Instant::now() + END_LIMIT;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The next line, as JSON.
fn line(answers: &mut impl BufRead) -> Result<Value> {
    let mut line = String::new();
    answers.read_line(&mut line)?;
    serde_json::from_str(&line).with_context(|| format!("it said `{}`", line.trim()))
}
