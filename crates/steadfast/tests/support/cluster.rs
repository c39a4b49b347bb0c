//! A single set as a user sets it up: three agents, each with its application, and a gateway in front.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::http::get;
use super::ports::free_port;
use super::process::Process;
use super::sandbox::Sandbox;
use super::signal::Signal;
use super::stores;
use super::{SOON, wait_for, wait_until};

/// The lease of a set nobody has settled otherwise.
pub const DEFAULT_TTL: Duration = Duration::from_secs(3);

/// A directory of this name in the sandbox has the store.
pub const STORE_DISK: &str = "disk";

const MEMBERS: [&str; 3] = ["web-1", "web-2", "web-3"];
const APP: &str = include_str!("app.py");

/// One agent and the application it runs.
pub struct Member {
    pub name: String,
    pub agent: Process,
    pub app_port: u16,
    pub probe_port: u16,
}

/// Agents and a gateway around one store. The processes end before their directory does.
pub struct Cluster {
    pub members: Vec<Member>,
    pub gateway: Process,
    gateway_port: u16,
    /// Where the gateway's API is.
    pub admin_port: u16,
    /// How agents and commands reach the store, as flags.
    reach: Vec<String>,
    pub sandbox: Sandbox,
}

impl Cluster {
    /// Three members and a gateway, all ready: one leads, the others stand by, the gateway answers. The gateway's
    /// process serves the store.
    pub fn start(name: &str) -> Cluster {
        Cluster::start_in(Sandbox::new(name))
    }

    /// Likewise, in a sandbox where something has been prepared.
    pub fn start_in(sandbox: Sandbox) -> Cluster {
        let (sandbox, port, admin_port) = Cluster::prepare(sandbox);
        let reach = directly(&sandbox);
        let gateway = Cluster::start_gateway(&sandbox, port);
        let members = MEMBERS.map(|name| member(&sandbox, &reach, name)).into();
        Cluster { members, gateway, gateway_port: port, admin_port, reach, sandbox }.ready()
    }

    /// Likewise, with the first member's agent serving the store.
    pub fn start_agents_first(name: &str) -> Cluster {
        let (sandbox, port, admin_port) = Cluster::prepare(Sandbox::new(name));
        let reach = directly(&sandbox);
        let first = member(&sandbox, &reach, MEMBERS[0]);
        wait_until("the first agent's probe", SOON, || first.probe().is_some());
        let others = MEMBERS[1..].iter().map(|name| member(&sandbox, &reach, name));
        let members = std::iter::once(first).chain(others).collect();
        let gateway = Cluster::start_gateway(&sandbox, port);
        Cluster { members, gateway, gateway_port: port, admin_port, reach, sandbox }.ready()
    }

    /// Likewise, with agents that reach the gateway's store over HTTP, as from other machines.
    pub fn start_over_http(name: &str) -> Cluster {
        Cluster::start_over_http_in(Sandbox::new(name))
    }

    /// Likewise, in a sandbox where something has been prepared.
    pub fn start_over_http_in(sandbox: Sandbox) -> Cluster {
        let (sandbox, port, admin_port) = Cluster::prepare(sandbox);
        let gateway = Cluster::start_gateway(&sandbox, port);
        let token = sandbox.path("state/admin.token").display().to_string();
        let store = format!("http://127.0.0.1:{admin_port}");
        let reach = vec!["--store".to_owned(), store, "--token-file".to_owned(), token];
        let members = MEMBERS.map(|name| member(&sandbox, &reach, name)).into();
        Cluster { members, gateway, gateway_port: port, admin_port, reach, sandbox }.ready()
    }

    /// A directory with the application and the gateway's file; the ports of the gateway and of its API.
    fn prepare(sandbox: Sandbox) -> (Sandbox, u16, u16) {
        let (port, admin_port) = (free_port(), free_port());
        sandbox.write("app.py", APP);
        sandbox.write("gateway.toml", &gateway_config(&sandbox, port, admin_port));
        (sandbox, port, admin_port)
    }

    /// Starts the gateway again, after it ended.
    pub fn restart_gateway(&mut self) {
        self.gateway = Cluster::start_gateway(&self.sandbox, self.gateway_port);
    }

    fn start_gateway(sandbox: &Sandbox, port: u16) -> Process {
        let gateway = sandbox.spawn("gateway", &mut sandbox.steadfast(["run", "--config", "gateway.toml"]));
        wait_until("the gateway to listen", SOON, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        gateway
    }

    #[track_caller]
    fn ready(self) -> Cluster {
        self.wait_until_ready();
        wait_until("the gateway to answer", SOON, || get(&self.url()).is_ok_and(|answer| answer.status == 200));
        self
    }

    /// The gateway's address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.gateway_port)
    }

    /// `steadfast <args>` against this cluster's store.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.sandbox.steadfast(args);
        command.args(&self.reach);
        command
    }

    /// Waits until one member leads and every other stands by, at the same epoch.
    #[track_caller]
    pub fn wait_until_ready(&self) {
        let ready = || {
            let probes: Vec<Value> = self.members.iter().filter_map(Member::probe).collect();
            let count = |reason: &str| probes.iter().filter(|probe| probe["reason"] == reason).count();
            let one_epoch = probes.iter().all(|probe| probe["epoch"] == probes[0]["epoch"]);
            count("leading") == 1 && count("standby") == self.members.len() - 1 && one_epoch
        };
        wait_until("one leader and ready standbys", SOON, ready);
    }

    /// The member that leads, by its own probe.
    #[track_caller]
    pub fn leader(&self) -> &Member {
        &self.members[self.leader_index()]
    }

    #[track_caller]
    pub fn leader_index(&self) -> usize {
        wait_for("a leader", SOON, || self.members.iter().position(Member::leads))
    }

    /// The epoch the leader holds.
    pub fn epoch(&self) -> u64 {
        self.leader().probe().and_then(|probe| probe["epoch"].as_u64()).expect("a leader says its epoch")
    }

    /// Starts the agent of a member again, after it ended.
    pub fn restart(&mut self, index: usize) {
        let Member { name, app_port, probe_port, .. } = &self.members[index];
        self.members[index].agent = start_agent(&self.sandbox, &self.reach, name, *app_port, *probe_port);
    }
}

impl Member {
    pub fn probe_url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.probe_port)
    }

    /// What the probe says, if it answers.
    pub fn probe(&self) -> Option<Value> {
        get(&self.probe_url()).ok().map(|answer| answer.json())
    }

    pub fn leads(&self) -> bool {
        get(&self.probe_url()).is_ok_and(|answer| answer.status == 200)
    }

    /// The process id of the application that runs now.
    #[track_caller]
    pub fn app_pid(&self, sandbox: &Sandbox) -> u32 {
        wait_for("the application's process id", SOON, || {
            let text = fs::read_to_string(sandbox.path(&format!("{}.pid", self.name))).ok()?;
            text.parse().ok()
        })
    }

    /// Sends a signal to the agent and to everything it has started, in this order.
    pub fn signal_all(&self, signal: Signal) {
        let started = self.agent.descendants();
        self.agent.signal(signal);
        for pid in started {
            signal.send(pid);
        }
    }
}

/// The store all processes of a sandbox share: on the server it was given, or on its disk, where it was given one.
pub fn store_url(sandbox: &Sandbox) -> String {
    if let Some(url) = stores::url(sandbox) {
        return url;
    }
    let disk = sandbox.path(STORE_DISK);
    let place = if disk.exists() { disk.join("state.db") } else { sandbox.path("state.db") };
    format!("sqlite://{}", place.display())
}

/// The flags that lead there.
pub(super) fn directly(sandbox: &Sandbox) -> Vec<String> {
    stores::flags(sandbox, store_url(sandbox))
}

/// A gateway's file, as short as the README's, with ports of its own.
/// A request waits for a leader for as long as a test does: that none fails is not to depend on how fast the machine is.
pub fn gateway_config(sandbox: &Sandbox, port: u16, admin_port: u16) -> String {
    format!(
        "{}[admin]\nlisten = \"127.0.0.1:{admin_port}\"\n[sets.web]\nkind = \"single\"\n\
         {}[[listeners]]\n\
         listen = \"127.0.0.1:{port}\"\nroutes = [{{ path = \"/\", set = \"web\", answer = \"proxy\" }}]\n",
        stores::lines(sandbox, &store_url(sandbox)),
        stores::settings(sandbox, "park_for = \"60s\"\n"),
    )
}

/// An application by itself, without an agent.
pub fn start_app(sandbox: &Sandbox, name: &str, port: u16) -> Process {
    sandbox.write("app.py", APP);
    let app = sandbox.spawn(name, sandbox.command("python3").args(["app.py", name, &port.to_string(), "."]));
    wait_until("the application to answer", SOON, || get(&format!("http://127.0.0.1:{port}/")).is_ok());
    app
}

fn member(sandbox: &Sandbox, reach: &[String], name: &str) -> Member {
    let (app_port, probe_port) = (free_port(), free_port());
    let agent = start_agent(sandbox, reach, name, app_port, probe_port);
    Member { name: name.to_owned(), agent, app_port, probe_port }
}

fn start_agent(sandbox: &Sandbox, reach: &[String], name: &str, app_port: u16, probe_port: u16) -> Process {
    let mut command = sandbox.steadfast(["agent", "--set", "web", "--kind", "single", "--instance", name]);
    command.args(reach);
    command.arg("--state-dir").arg(sandbox.path(&format!("state-{name}")));
    command.args(["--endpoint", &format!("http=http://127.0.0.1:{app_port}")]);
    command.args(["--check", &format!("http://127.0.0.1:{app_port}/healthz")]);
    command.args(["--check-every", "200ms", "--probe", &format!("127.0.0.1:{probe_port}")]);
    command.args(["--", "env", "--unset=LD_PRELOAD", "python3", "app.py", name, &app_port.to_string(), "."]);
    sandbox.spawn(&format!("agent-{name}"), &mut command)
}
