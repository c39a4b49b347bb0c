//! The demo's processes: this same program as a gateway with API and store, and as agents with an application each:
//! three copies of a single set, four recorders of a sticky one. They live in a directory of their own, and die with us
//! however we die.

mod child;
mod commands;
mod place;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
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

/// The single set.
pub(super) const SET: &str = "web";
/// The sticky set.
pub(super) const RECORDER_SET: &str = "recorder";
/// How many copies the single set has.
pub(super) const COPIES: usize = 3;
/// What each of the recorders can carry, in Mb/s.
pub(super) const RECORDERS: [u32; 4] = [40, 60, 80, 120];
/// How long the set's lease lasts: what the death of a host costs at most.
pub(super) const LEASE_TTL: Duration = Duration::from_secs(3);
/// Ports no outgoing connection takes by itself.
const PORTS: std::ops::RangeInclusive<u16> = 20_000..=29_999;
/// The socket of the demo's own control, in its directory.
const CONTROL_SOCKET: &str = "demo.sock";
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
    /// The port on which cameras are sent away.
    pub(super) evict: u16,
    /// The copies of the single set.
    pub(super) copies: Vec<Player>,
    /// The recorders.
    pub(super) recorders: Vec<Player>,
    /// The agents end first: they give the lease back to the store that the gateway's process serves.
    agents: Keepers,
    base: Keepers,
    /// Ports that are nobody else's also while whoever listens there is dead: with so many programs on one machine that
    /// take free ones, a recorder that comes back would now and then find its own taken.
    _kept: Vec<ReservedPort>,
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

/// One instance: an agent, and its application.
#[derive(Clone)]
pub(super) struct Player {
    /// The set.
    pub(super) set: &'static str,
    /// The instance.
    pub(super) name: String,
    /// The port of its probe.
    pub(super) probe: u16,
    child: Arc<Child>,
}

impl Player {
    /// The agent's process id, if it runs.
    pub(super) fn agent_pid(&self) -> Option<i32> {
        self.child.pid()
    }

    /// Whether it shall run: it does, or is started again in a moment.
    pub(super) fn is_wanted(&self) -> bool {
        self.child.is_wanted()
    }

    /// Kills the agent and with it the application, as if their host died.
    pub(super) fn kill(&self) {
        self.child.kill();
    }

    /// Brings it back.
    pub(super) fn start(&self) {
        self.child.start();
    }
}

impl Stage {
    /// Sets everything up and waits until the gateway has a leader. Ends of processes are told to `ended`.
    pub(super) async fn open(ended: mpsc::Sender<Ended>) -> Result<Stage, Failure> {
        let place = Place::make()?;
        let program = std::env::current_exe()?;
        let ports = reserve(3 + COPIES + 3 * RECORDERS.len())?;
        let numbers: Vec<u16> = ports.iter().map(ReservedPort::port).collect();
        let mut ports: BTreeMap<u16, ReservedPort> = ports.into_iter().map(|one| (one.port(), one)).collect();
        let (admin, gateway, evict) = (numbers[0], numbers[1], numbers[2]);
        let (probes, of_recorders) = numbers[3..].split_at(COPIES);
        let config = place.write("demo.toml", &commands::config(place.path(), admin, gateway, evict))?;
        let (mut base, mut agents) = (Keepers::default(), Keepers::default());
        let child = |name: &str, arguments| {
            let log = place.path().join(format!("{name}.log"));
            Child::new(name, commands::argv(&program, arguments), log)
        };
        let control = place.path().join(CONTROL_SOCKET);
        let run = vec!["run".into(), "--config".into(), config.into(), "--demo-control".into(), control.into()];
        for port in [admin, gateway] {
            ports.remove(&port);
        }
        let process = base.start(child("gateway", run), &ended);
        wait_ready(admin, &process).await?;
        for probe in probes.iter().copied().chain(of_recorders.chunks_exact(3).map(|ports| ports[2])) {
            ports.remove(&probe);
        }
        // What is left are the addresses of the recorders, and the door by which cameras are sent away.
        for port in ports.values() {
            port.share()?;
        }
        let mut play = |set: &'static str, name: String, probe: u16, arguments: Vec<OsString>| {
            let child = agents.start(child(&name, arguments), &ended);
            Player { set, name, probe, child }
        };
        let ground = commands::Ground { program: &program, place: place.path(), admin };
        let copies = probes.iter().enumerate().map(|(index, probe)| {
            let name = format!("web-{}", index + 1);
            let arguments = ground.copy(&name, *probe);
            play(SET, name, *probe, arguments)
        });
        let copies = copies.collect();
        let recorders =
            RECORDERS.iter().zip(of_recorders.chunks_exact(3)).enumerate().map(|(index, (capacity, ports))| {
                let name = format!("rec-{}", index + 1);
                let arguments = ground.recorder(&name, *capacity, ports[0], ports[1], ports[2]);
                play(RECORDER_SET, name, ports[2], arguments)
            });
        let recorders = recorders.collect();
        let (program, kept) = (program.clone(), ports.into_values().collect());
        let stage = Stage { place, program, admin, gateway, evict, copies, recorders, agents, base, _kept: kept };
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

    /// The page, for who has the token.
    pub(super) fn page_url(&self) -> Result<String, Failure> {
        let token = std::fs::read_to_string(self.token_file())?;
        Ok(format!("{}/#token={}", self.admin_url(), token.trim()))
    }

    /// Where the demo's own control is served.
    pub(super) fn control_socket(&self) -> PathBuf {
        self.place.path().join(CONTROL_SOCKET)
    }

    /// Everything that can be killed and brought back.
    pub(super) fn players(&self) -> Vec<Player> {
        self.copies.iter().chain(&self.recorders).cloned().collect()
    }

    /// Kills an instance, as if its host died.
    pub(super) fn kill(&self, set: &str, name: &str) {
        self.player(set, name).inspect(|player| player.kill());
    }

    /// Brings it back.
    pub(super) fn start(&self, set: &str, name: &str) {
        self.player(set, name).inspect(|player| player.start());
    }

    fn player(&self, set: &str, name: &str) -> Option<&Player> {
        self.copies.iter().chain(&self.recorders).find(|player| player.set == set && player.name == name)
    }

    /// The copy of this name.
    pub(super) fn copy(&self, name: &str) -> Option<&Player> {
        self.copies.iter().find(|copy| copy.name == name)
    }

    /// The last lines that the processes logged, for who wants to know why something did not work.
    pub(super) fn logs(&self) -> Vec<&Log> {
        self.copies.iter().chain(&self.recorders).map(|player| player.child.log()).collect()
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
