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

/// Who keeps the copies running.
enum Keepers {
    /// An agent beside each; asked by their probes.
    Agents { program: String, store: String, probes: Vec<String>, _agents: Vec<Server> },
    /// This program does, as an init system would.
    Us { running: Vec<Server> },
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

/// Steadfast's gateway, with an agent beside each copy that also runs it.
pub(super) fn steadfast(program: &Path, dir: &Path) -> Result<Scene> {
    let program = program.display().to_string();
    let copies = copies(dir)?;
    let (port, admin) = (free_port().to_string(), free_port().to_string());
    let place = dir.display().to_string();
    let values = [("dir", place.as_str()), ("port", &port), ("admin", &admin)];
    let config = configure(dir, "steadfast.toml", STEADFAST, &values)?;
    let front = Server::start("front", &[&program, "run", "--config", &config], None, dir)?;
    let store = format!("sqlite://{place}/state.db");
    let (mut agents, mut probes) = (Vec::new(), Vec::new());
    for copy in &copies {
        let (endpoint, check) = (format!("http=http://127.0.0.1:{}", copy.port), copy.url());
        let probe = format!("127.0.0.1:{}", free_port());
        let flags = ["agent", "--store", &store, "--set", "web", "--kind", "single", "--instance", &copy.name];
        let state = format!("{place}/state-{}", copy.name);
        let more = ["--state-dir", &state, "--endpoint", &endpoint, "--check", &check, "--probe", &probe, "--"];
        let command = [&[program.as_str()], &flags[..], &more, &copy.command()].concat();
        agents.push(Server::start(&format!("agent-{}", copy.name), &command, None, dir)?);
        probes.push(format!("http://{probe}/"));
    }
    let keepers = Keepers::Agents { program, store, probes, _agents: agents };
    finish("steadfast", &port, dir, front, keepers, copies)
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
        for (number, copy) in self.copies.iter().enumerate() {
            if let Keepers::Us { running } = &mut self.keepers
                && get(&copy.url()).is_err()
            {
                running[number] = start(copy, &self.dir)?;
            }
        }
        wait_until("every copy answers", || self.copies.iter().all(|copy| get(&copy.url()).is_ok()))?;
        match &self.keepers {
            Keepers::Agents { probes, .. } => wait_until("one leads and the others stand by", || ready(probes)),
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

    /// Asks for another leader, as an operator does.
    pub(super) fn switch_over(&self) -> Result<()> {
        let Keepers::Agents { program, store, .. } = &self.keepers else { bail!("{} cannot switch over", self.name) };
        let mut command = Command::new(program);
        command.args(["switchover", "web", "--store", store]);
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
fn ready(probes: &[String]) -> bool {
    let ask = |probe: &String| serde_json::from_slice::<Value>(&get(probe).ok()?.body).ok();
    let answers: Vec<Value> = probes.iter().filter_map(ask).collect();
    let count = |reason: &str| answers.iter().filter(|answer| answer["reason"] == reason).count();
    let one_epoch = answers.iter().all(|answer| answer["epoch"] == answers[0]["epoch"]);
    count("leading") == 1 && count("standby") == probes.len() - 1 && one_epoch
}
