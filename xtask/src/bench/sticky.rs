//! The books of a sticky set with many clients, and gateways on them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::client::{Signal, free_port, get};
use super::server::{Server, configure};
use super::wrk::{self, Cameras};
use crate::process;

/// What is measured has a core to itself; the load, the back end and the instances' agents share the other.
pub(super) const GATEWAY_CORE: usize = 0;
pub(super) const LOAD_CORE: usize = 1;

/// Clients placed while the placer is timed: beside none, and beside all.
const MEASURED_CLIENTS: usize = 100_000;
/// Who asks the placer at once.
const CALLERS: usize = 2_048;
/// The instances of the set, in `bench/steadfast-members.toml`.
const INSTANCES: usize = 4;
/// How long a gateway may take to answer for the first time.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// How long a round of asking for every client lasts; there are as many rounds as it takes.
const WALK: Duration = Duration::from_secs(4);
const WALKERS: usize = 64;

const BACKEND: &str = include_str!("../../../bench/nginx-backend.conf");
const GATEWAY: &str = include_str!("../../../bench/steadfast-sticky.toml");
const MEMBERS: &str = include_str!("../../../bench/steadfast-members.toml");

/// A set whose books know many clients, its instances, and the programs. Servers end in the order of the fields.
pub(super) struct Scene {
    program: PathBuf,
    /// None runs while the first gateway starts.
    members: Option<Server>,
    members_config: String,
    _backend: Server,
    pub(super) backend_port: String,
    pub(super) dir: tempfile::TempDir,
    /// So many are known: those with the numbers below it.
    pub(super) clients: usize,
    filled: Value,
}

/// A gateway and where it is reached.
pub(super) struct Gateway {
    pub(super) server: Server,
    pub(super) url: String,
    pub(super) admin: String,
    pub(super) state: PathBuf,
    /// From its start to the first client sent home.
    pub(super) answered_after: Duration,
}

impl Scene {
    /// Makes the books: `fill` serves the store meanwhile, and the placer is timed in it.
    pub(super) fn new(steadfast: &Path, fill: &Path, clients: usize) -> Result<Scene> {
        let dir = tempfile::Builder::new().prefix("steadfast-bench").tempdir()?;
        let place = dir.path().display().to_string();
        let (backend_port, admin) = (free_port().to_string(), free_port().to_string());
        let values = [("dir", place.as_str()), ("backend", &backend_port), ("admin", &admin)];
        let config = configure(dir.path(), "backend.conf", BACKEND, &values)?;
        let command = ["nginx", "-e", "/dev/null", "-c", &config];
        let mut backend = Server::start("backend", &command, Some(LOAD_CORE), dir.path())?;
        backend.wait_until_answering(&format!("http://127.0.0.1:{backend_port}/"))?;

        let mut command = Command::new("taskset");
        command
            .args(["-c", &GATEWAY_CORE.to_string()])
            .arg(fill)
            .args(["--store", &format!("sqlite://{place}/state.db")]);
        command.args(["--clients", &clients.to_string(), "--measure", &MEASURED_CLIENTS.min(clients / 2).to_string()]);
        command.args(["--callers", &CALLERS.to_string()]);
        let filling = thread::spawn(move || process::capture(&mut command));
        wait_until("the store is served", || filling.is_finished() || dir.path().join("state.db.sock").exists())?;

        let members_config = configure(dir.path(), "members.toml", MEMBERS, &values)?;
        let members = start_members(steadfast, &members_config, dir.path())?;
        let (status, output) =
            filling.join().map_err(|_| anyhow::anyhow!("the thread that waits for fill panicked"))??;
        // It serves the store now; the next to do so is to be a gateway. The books do not miss it so soon.
        members.kill();
        let filled = output.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
        match filled {
            Some(filled) if status.success() => {
                let clients = clients + MEASURED_CLIENTS.min(clients / 2);
                let program = steadfast.to_owned();
                Ok(Scene {
                    program,
                    members: None,
                    members_config,
                    _backend: backend,
                    backend_port,
                    dir,
                    clients,
                    filled,
                })
            }
            _ => bail!("no clients could be placed: {}", output.trim()),
        }
    }

    /// Starts the first gateway, which serves the store, and then the instances' agents.
    pub(super) fn first_gateway(&mut self, name: &str) -> Result<Gateway> {
        if let Some(members) = self.members.take() {
            members.kill();
        }
        let first = self.gateway(name)?;
        self.members = Some(start_members(&self.program, &self.members_config, self.dir.path())?);
        let instances = format!("http://{}/api/v1/sets/recorder/instances", first.admin);
        let open = |instance: &Value| instance["state"] == "open";
        wait_until("every instance takes clients", || {
            let answer = get(&instances).ok().filter(|answer| answer.status == 200);
            let view: Value = answer.and_then(|answer| serde_json::from_slice(&answer.body).ok()).unwrap_or_default();
            view["instances"].as_array().is_some_and(|all| all.len() == INSTANCES && all.iter().all(open))
        })?;
        Ok(first)
    }

    /// Kills the first gateway and starts it again. It serves the store itself once more: whoever else has the file
    /// open stands still meanwhile.
    pub(super) fn restart(&self, gateway: Gateway, name: &str) -> Result<Gateway> {
        let tell = |signal| self.members.iter().for_each(|members| members.signal(signal));
        tell(Signal::Stop);
        gateway.server.kill();
        let started = self.gateway(name);
        tell(Signal::Cont);
        started
    }

    /// Starts a gateway; the first one serves the store.
    pub(super) fn gateway(&self, name: &str) -> Result<Gateway> {
        let dir = self.dir.path();
        let (place, port, admin) = (dir.display().to_string(), free_port().to_string(), free_port().to_string());
        let values = [("dir", place.as_str()), ("name", name), ("port", &port), ("admin", &admin)];
        let config = configure(dir, &format!("{name}.toml"), GATEWAY, &values)?;
        let began = Instant::now();
        let command = [&self.program.display().to_string(), "run", "--config", &config];
        let server = Server::start(name, &command, Some(GATEWAY_CORE), dir)?;
        let url = format!("http://127.0.0.1:{port}");
        let known = format!("{url}/ingest/stream?camera={}", camera(0));
        let mut last = String::new();
        let sent_home = wait_until("the gateway sends a client home", || match get(&known) {
            Ok(answer) => {
                last = format!("{} {}", answer.status, answer.text());
                answer.status == 307
            }
            Err(_) => false,
        });
        sent_home.with_context(|| format!("ask {known}: {last}"))?;
        let (admin, state) = (format!("127.0.0.1:{admin}"), dir.join(format!("state-{name}")));
        Ok(Gateway { server, url, admin, state, answered_after: began.elapsed() })
    }

    /// Has `url` asked for every client once.
    pub(super) fn walk(&self, url: &str) -> Result<()> {
        let mut start = 0;
        while start < self.clients {
            let cameras = Cameras::Walk { start, count: self.clients - start };
            let load = wrk::ask(url, WALKERS, WALK, LOAD_CORE, cameras)?;
            if load.failed > 0 {
                eprintln!("{} of {} requests for known clients failed", load.failed, load.requests);
            }
            // What was asked for and not answered at the end of a round is asked for again.
            let asked = usize::try_from(load.requests)?.saturating_sub(WALKERS);
            start += asked.max(1);
        }
        Ok(())
    }

    pub(super) fn json(&self) -> Value {
        json!({ "clients": self.clients, "placer": self.filled })
    }

    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "new clients placed by one placer in the process that serves the store, on one core, {CALLERS} callers\n\
             {:>12} {:>12} {:>12} {:>14}\n",
            "present", "placed", "clients/s", "CPU µs/client"
        );
        for phase in [&self.filled["empty"], &self.filled["steady"], &self.filled["full"]] {
            let figure = |name: &str| phase[name].as_f64().unwrap_or(f64::NAN);
            text += &format!(
                "{:>12.0} {:>12.0} {:>12.0} {:>14.2}\n",
                figure("present"),
                figure("placed"),
                figure("per_second"),
                figure("cpu_us_per_client")
            );
        }
        text
    }
}

fn start_members(program: &Path, config: &str, dir: &Path) -> Result<Server> {
    Server::start("members", &[&program.display().to_string(), "run", "--config", config], Some(LOAD_CORE), dir)
}

/// The name of client `n`, as `bench/fill.rs` and `bench/clients.lua` have it.
pub(super) fn camera(n: usize) -> String {
    format!("cam-{:08x}", (n as u64 * 10_368_889) % (1 << 32))
}

pub(super) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + ANSWER_LIMIT;
    while !condition() {
        if Instant::now() > deadline {
            bail!("waited {ANSWER_LIMIT:?} in vain until {what}");
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

impl Gateway {
    /// The token for changes through its API.
    pub(super) fn token(&self) -> Result<String> {
        let path = self.state.join("admin.token");
        let token = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        Ok(token.trim().to_owned())
    }
}
