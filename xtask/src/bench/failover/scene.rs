//! Three copies of an application and what stands in front of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::wait_until;
use crate::bench::client::{Signal, free_port, get};
use crate::bench::server::{Server, configure};
use crate::process::capture;

const COPY: &str = include_str!("../../../../bench/nginx-copy.conf");
const STEADFAST: &str = include_str!("../../../../bench/steadfast-failover.toml");
const HAPROXY: &str = include_str!("../../../../bench/haproxy-failover.cfg");
const NGINX: &str = include_str!("../../../../bench/nginx-failover.conf");

const COPIES: usize = 3;

/// A front and its copies. Servers end in the order of the fields: the front first.
pub(super) struct Scene {
    name: &'static str,
    url: String,
    dir: PathBuf,
    _front: Server,
    keepers: Keepers,
    copies: Vec<Copy>,
}

/// A store, and the file with its secret if it has one.
pub(in crate::bench) struct Store {
    pub(in crate::bench) url: String,
    pub(in crate::bench) token_file: Option<String>,
}

impl Store {
    /// Where it is, as flags.
    pub(in crate::bench) fn flags(&self) -> Vec<&str> {
        let token = self.token_file.iter().flat_map(|file| ["--token-file", file]);
        ["--store", &self.url].into_iter().chain(token).collect()
    }
}

/// Who keeps the copies running.
enum Keepers {
    /// An agent beside each.
    Agents { program: String, store: Store, agents: Vec<Agent> },
    /// This program does, as an init system would.
    Us { running: Vec<Server> },
}

/// The agent of one copy.
struct Agent {
    name: String,
    command: Vec<String>,
    probe: String,
    server: Server,
}

/// One copy: nginx as a single process that says its name.
struct Copy {
    name: String,
    port: String,
    config: String,
}

impl Copy {
    fn command(&self) -> [&str; 5] {
        ["nginx", "-e", "/dev/null", "-c", &self.config]
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

/// Steadfast's gateway, with an agent beside each copy that also runs it, on a store (a file without one).
pub(super) fn steadfast(program: &Path, store: Option<Store>, dir: &Path) -> Result<Scene> {
    let program = program.display().to_string();
    let copies = copies(dir)?;
    let (port, admin) = (free_port().to_string(), free_port().to_string());
    let place = dir.display().to_string();
    let store = store.unwrap_or_else(|| Store { url: format!("sqlite://{place}/state.db"), token_file: None });
    let token = store.token_file.as_ref().map_or_else(String::new, |file| format!("store_token_file = \"{file}\""));
    let values = [("store", store.url.as_str()), ("token_file", &token), ("port", &port), ("admin", &admin)];
    let config = configure(dir, "steadfast.toml", STEADFAST, &values)?;
    let front = Server::start("front", &[&program, "run", "--config", &config], None, dir)?;
    let mut agents = Vec::new();
    for copy in &copies {
        let (endpoint, check) = (format!("http=http://127.0.0.1:{}", copy.port), copy.url());
        let (probe, state) = (format!("127.0.0.1:{}", free_port()), format!("{place}/state-{}", copy.name));
        let flags = ["--set", "web", "--kind", "single", "--instance", &copy.name, "--state-dir", &state];
        let more = ["--endpoint", &endpoint, "--check", &check, "--probe", &probe, "--"];
        let command = [&[program.as_str(), "agent"], &store.flags()[..], &flags, &more, &copy.command()].concat();
        let name = format!("agent-{}", copy.name);
        let server = Server::start(&name, &command, None, dir)?;
        let command = command.into_iter().map(str::to_owned).collect();
        agents.push(Agent { name, command, probe: format!("http://{probe}/"), server });
    }
    finish("steadfast", &port, dir, front, Keepers::Agents { program, store, agents }, copies)
}

/// HAProxy with its checks alone.
pub(super) fn haproxy(dir: &Path) -> Result<Scene> {
    peer("haproxy", HAPROXY, "", &["haproxy", "-f"], dir)
}

/// HAProxy where a refused connection counts like two failed checks.
pub(super) fn haproxy_tuned(dir: &Path) -> Result<Scene> {
    let more = "observe layer4 error-limit 1 on-error mark-down";
    peer("haproxy-tuned", HAPROXY, more, &["haproxy", "-f"], dir)
}

/// nginx, which asks the next copy when one does not answer.
pub(super) fn nginx(dir: &Path) -> Result<Scene> {
    peer("nginx", NGINX, "", &["nginx", "-e", "/dev/null", "-c"], dir)
}

fn peer(name: &'static str, template: &str, more: &str, command: &[&str], dir: &Path) -> Result<Scene> {
    let copies = copies(dir)?;
    let running = copies.iter().map(|copy| start(copy, dir)).collect::<Result<Vec<_>>>()?;
    let port = free_port().to_string();
    let place = dir.display().to_string();
    let mut values = vec![("dir", place.as_str()), ("port", &port), ("more", more)];
    values.extend(["copy1", "copy2", "copy3"].into_iter().zip(copies.iter().map(|copy| copy.port.as_str())));
    let config = configure(dir, "front.conf", template, &values)?;
    let front = Server::start("front", &[command, &[config.as_str()]].concat(), None, dir)?;
    finish(name, &port, dir, front, Keepers::Us { running }, copies)
}

fn finish(
    name: &'static str,
    port: &str,
    dir: &Path,
    mut front: Server,
    keepers: Keepers,
    copies: Vec<Copy>,
) -> Result<Scene> {
    let url = format!("http://127.0.0.1:{port}/");
    front.wait_until_answering(&url)?;
    Ok(Scene { name, url, dir: dir.to_owned(), _front: front, keepers, copies })
}

fn copies(dir: &Path) -> Result<Vec<Copy>> {
    let place = dir.display().to_string();
    let copies = (1..=COPIES).map(|number| {
        let (name, port) = (format!("web-{number}"), free_port().to_string());
        let values = [("dir", place.as_str()), ("name", &name), ("port", &port)];
        let config = configure(dir, &format!("{name}.conf"), COPY, &values)?;
        Ok(Copy { name, port, config })
    });
    copies.collect()
}

fn start(copy: &Copy, dir: &Path) -> Result<Server> {
    let mut server = Server::start(&copy.name, &copy.command(), None, dir)?;
    server.wait_until_answering(&copy.url())?;
    Ok(server)
}

impl Scene {
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Brings every copy back and waits until the next blow would be fair: one answers, the others stand ready.
    pub(super) fn settle(&mut self) -> Result<()> {
        if let Keepers::Agents { agents, .. } = &mut self.keepers {
            for agent in agents.iter_mut().filter_map(|agent| agent.server.has_ended().then_some(agent)) {
                let command: Vec<&str> = agent.command.iter().map(String::as_str).collect();
                agent.server = Server::start(&agent.name, &command, None, &self.dir)?;
            }
        }
        for (number, copy) in self.copies.iter().enumerate() {
            if let Keepers::Us { running } = &mut self.keepers
                && get(&copy.url()).is_err()
            {
                running[number] = start(copy, &self.dir)?;
            }
        }
        wait_until("every copy answers", || self.copies.iter().all(|copy| get(&copy.url()).is_ok()))?;
        match &self.keepers {
            Keepers::Agents { agents, .. } => wait_until("one leads and the others stand by", || ready(agents)),
            // The first copy is the one that is not a backup: both peers go back to it.
            Keepers::Us { .. } => wait_until("the front goes back to the first copy", || self.answering() == "web-1"),
        }
    }

    /// `kill -9` of one copy's process.
    pub(super) fn kill(&self, name: &str) -> Result<()> {
        let file = self.dir.join(format!("{name}.pid"));
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let pid = text.trim().parse().with_context(|| format!("read the process id in {}", file.display()))?;
        if Signal::Kill.send(pid) { Ok(()) } else { bail!("{name} ({pid}) is gone already") }
    }

    /// One copy's machine dies: `kill -9` of its agent and of it.
    pub(super) fn kill_host(&self, name: &str) -> Result<()> {
        let Keepers::Agents { agents, .. } = &self.keepers else { bail!("{} has no agents", self.name) };
        let at = self.copies.iter().position(|copy| copy.name == name).with_context(|| format!("find {name}"))?;
        agents[at].server.signal(Signal::Kill);
        // An agent that dies takes its application with it, if that is still there.
        self.kill(name).or_else(|_| wait_until("it is gone", || get(&self.copies[at].url()).is_err()))
    }

    /// Asks for another leader, as an operator does.
    pub(super) fn switch_over(&self) -> Result<()> {
        let Keepers::Agents { program, store, .. } = &self.keepers else { bail!("{} cannot switch over", self.name) };
        let mut command = Command::new(program);
        command.args(["switchover", "web"]).args(store.flags());
        let (status, output) = capture(&mut command)?;
        if status.success() { Ok(()) } else { bail!("switchover: {}", output.trim()) }
    }

    fn answering(&self) -> String {
        let answer = get(&self.url).map(|answer| answer.body).unwrap_or_default();
        let json: Value = serde_json::from_slice(&answer).unwrap_or_default();
        json["instance"].as_str().unwrap_or_default().to_owned()
    }
}

/// Whether one agent leads, and the others stand by at the same epoch.
fn ready(agents: &[Agent]) -> bool {
    let ask = |agent: &Agent| serde_json::from_slice::<Value>(&get(&agent.probe).ok()?.body).ok();
    let answers: Vec<Value> = agents.iter().filter_map(ask).collect();
    let count = |reason: &str| answers.iter().filter(|answer| answer["reason"] == reason).count();
    let one_epoch = answers.iter().all(|answer| answer["epoch"] == answers[0]["epoch"]);
    count("leading") == 1 && count("standby") == agents.len() - 1 && one_epoch
}
