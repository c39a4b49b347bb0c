//! The demo's processes: this same program as a gateway with API and store, and as three agents with an application
//! each. They live in a directory of their own, and die with us however we die.

mod child;
mod place;

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use steadfast_core::Host;
use steadfast_host::clock;
use steadfast_host::http::{Call, Client, Target};
use steadfast_host::net::{ReservedPort, reserve_port};
use steadfast_host::shutdown::Shutdown;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::child::{Child, keep};
pub(super) use self::child::{Ended, Log};
use self::place::Place;
use crate::admin::Remote;
use crate::exit::{Exit, Failure};

/// The set.
pub(super) const SET: &str = "web";
/// How many copies.
pub(super) const COPIES: usize = 3;
/// How long the set's lease lasts: what the death of a host costs at most.
pub(super) const LEASE_TTL: Duration = Duration::from_secs(3);
/// Ports no outgoing connection takes by itself.
const PORTS: std::ops::RangeInclusive<u16> = 20_000..=29_999;
/// How long everything may take to be there.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// How often it is looked whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Everything that runs.
pub(super) struct Stage {
    /// Where its files are.
    pub(super) place: Place,
    /// This program.
    pub(super) program: PathBuf,
    /// The port of the API.
    pub(super) admin: u16,
    /// The port of the gateway.
    pub(super) gateway: u16,
    /// The copies.
    pub(super) copies: Vec<Copy>,
    /// The agents end first: they give the lease back to the store that the gateway's process serves.
    agents: Keepers,
    base: Keepers,
}

/// Processes that are kept running, and end together.
#[derive(Default)]
struct Keepers {
    tasks: JoinSet<()>,
    stop: Shutdown,
}

impl Keepers {
    fn start(&mut self, child: Child, ended: &mpsc::Sender<Ended>) -> Arc<Child> {
        let child = Arc::new(child);
        self.tasks.spawn(keep(Arc::clone(&child), ended.clone(), self.stop.clone()));
        child
    }

    async fn end(mut self) {
        self.stop.begin();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// One copy: an agent, and its application.
pub(super) struct Copy {
    /// The instance.
    pub(super) name: String,
    /// The port of its probe.
    pub(super) probe: u16,
    child: Arc<Child>,
}

impl Copy {
    /// The agent's process id, if it runs.
    pub(super) fn agent_pid(&self) -> Option<i32> {
        self.child.pid()
    }
}

impl Stage {
    /// Sets everything up and waits until the gateway has a leader. Ends of processes are told to `ended`.
    pub(super) async fn open(ended: mpsc::Sender<Ended>) -> Result<Stage, Failure> {
        let place = Place::make()?;
        let program = std::env::current_exe()?;
        let ports = reserve(COPIES + 2)?;
        let numbers: Vec<u16> = ports.iter().map(ReservedPort::port).collect();
        let (admin, gateway) = (numbers[0], numbers[1]);
        let config = place.write("demo.toml", &config(place.path(), admin, gateway))?;
        drop(ports);
        let (mut base, mut agents) = (Keepers::default(), Keepers::default());
        let child = |name: &str, arguments| {
            Child::new(name, argv(&program, arguments), place.path().join(format!("{name}.log")))
        };
        let process = base.start(child("gateway", vec!["run".into(), "--config".into(), config.into()]), &ended);
        wait_ready(admin, &process).await?;
        let copies = (0..COPIES).map(|index| {
            let (name, probe) = (format!("web-{}", index + 1), numbers[index + 2]);
            let arguments = agent(&program, place.path(), admin, &name, probe);
            let child = agents.start(child(&name, arguments), &ended);
            Copy { name, probe, child }
        });
        let copies = copies.collect();
        let stage = Stage { place, program: program.clone(), admin, gateway, copies, agents, base };
        stage.wait_led().await?;
        Ok(stage)
    }

    /// The API, as the one who has its token.
    pub(super) fn api(&self) -> Result<Remote, Failure> {
        let token = std::fs::read_to_string(self.token_file())?;
        Remote::new(&self.admin_url(), Some(token.trim())).map_err(Failure::usage)
    }

    pub(super) fn admin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.admin)
    }

    pub(super) fn gateway_url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.gateway)
    }

    pub(super) fn token_file(&self) -> PathBuf {
        self.place.path().join("admin.token")
    }

    /// The copy of this name.
    pub(super) fn copy(&self, name: &str) -> Option<&Copy> {
        self.copies.iter().find(|copy| copy.name == name)
    }

    /// The last lines that the processes logged, for who wants to know why something did not work.
    pub(super) fn logs(&self) -> Vec<&Log> {
        self.copies.iter().map(|copy| copy.child.log()).collect()
    }

    /// Waits until a request through the gateway is answered.
    async fn wait_led(&self) -> Result<(), Failure> {
        let client = Client::default();
        let deadline = clock::now() + READY_WITHIN;
        let gateway = target(self.gateway);
        while clock::now() < deadline {
            let reply = client.call(&gateway, Call::get("/"), READY_WITHIN).await;
            if reply.is_ok_and(|reply| reply.status == 200) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let logs: String = self.logs().iter().map(|log| log.tail()).collect();
        let what = format!("nobody leads within {} s; the agents said:\n{logs}", READY_WITHIN.as_secs());
        Err(Failure::new(Exit::No, anyhow::anyhow!(what)))
    }

    /// Ends everything in good order, and removes its files.
    pub(super) async fn end(self) {
        self.agents.end().await;
        self.base.end().await;
    }
}

fn reserve(number: usize) -> Result<Vec<ReservedPort>, Failure> {
    let ports: Result<Vec<_>, _> = (0..number).map(|_| reserve_port(IpAddr::V4(Ipv4Addr::LOCALHOST), PORTS)).collect();
    ports.map_err(|error| Failure::new(Exit::No, error))
}

fn target(port: u16) -> Target {
    Target::Tcp { host: Host::Ip(Ipv4Addr::LOCALHOST.into()), port }
}

/// The gateway's file: what a user would write.
fn config(place: &Path, admin: u16, gateway: u16) -> String {
    let ttl = LEASE_TTL.as_secs();
    format!(
        "state_dir = {:?}\n\n[admin]\nlisten = \"127.0.0.1:{admin}\"\n\n[sets.{SET}]\nkind = \"single\"\n\
         lease_ttl = \"{ttl}s\"\n\n[[listeners]]\nlisten = \"127.0.0.1:{gateway}\"\nlinger = \"0s\"\n\
         routes = [{{ path = \"/\", set = \"{SET}\" }}]\n",
        place.display().to_string()
    )
}

/// The agent's command line: what a user would type.
fn agent(program: &Path, place: &Path, admin: u16, name: &str, probe: u16) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["agent".into()];
    let mut flag = |flag: &str, value: OsString| words.extend([flag.into(), value]);
    flag("--store", format!("http://127.0.0.1:{admin}").into());
    flag("--token-file", place.join("admin.token").into());
    flag("--state-dir", place.into());
    flag("--set", SET.into());
    flag("--instance", name.into());
    flag("--endpoint", "http=auto".into());
    flag("--check", "http://127.0.0.1:{http.port}/healthz".into());
    flag("--advertise", "127.0.0.1".into());
    flag("--probe", format!("127.0.0.1:{probe}").into());
    words.extend(["--".into(), program.into(), "demo-app".into(), "--listen".into(), "127.0.0.1:{http.port}".into()]);
    words
}

/// The whole command. Flags of ours that stand in the environment were meant for the demo, not for its parts.
fn argv(program: &Path, arguments: Vec<OsString>) -> Vec<OsString> {
    let ours =
        std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("STEADFAST_"));
    let mut words: Vec<OsString> = Vec::new();
    for name in ours {
        words.extend(["-u".into(), name]);
    }
    if !words.is_empty() {
        words.insert(0, "env".into());
    }
    words.push(program.into());
    words.extend(arguments);
    words
}

/// Waits until the gateway's process says that it is ready.
async fn wait_ready(admin: u16, child: &Child) -> Result<(), Failure> {
    let client = Client::default();
    let deadline = clock::now() + READY_WITHIN;
    while clock::now() < deadline && !child.gave_up() {
        let reply = client.call(&target(admin), Call::get("/readyz"), LOOK_EVERY * 10).await;
        if reply.is_ok_and(|reply| reply.status == 200) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let what = format!("the gateway's process does not get ready; it said:\n{}", child.log().tail());
    Err(Failure::new(Exit::No, anyhow::anyhow!(what)))
}
