//! A sticky set as a user sets it up: recorders, each with its agent, and gateways that send cameras home.

use std::net::TcpStream;
use std::process::Command;
use std::thread;

use serde_json::Value;

use super::cluster::{Member, directly, store_url};
use super::http::{Answer, get};
use super::ports::free_port;
use super::process::{Ended, Process};
use super::sandbox::Sandbox;
use super::signal::Signal;
use super::stores;
use super::{SOON, wait_for, wait_until};

const APP: &str = include_str!("app.py");

/// Gateways, recorders, and the store they share. The processes end before their directory does.
pub struct Homes {
    pub gateways: Vec<Door>,
    pub recorders: Vec<Member>,
    capacities: Vec<u32>,
    pub sandbox: Sandbox,
}

/// A process that takes first requests.
pub struct Door {
    pub process: Process,
    file: String,
    pub port: u16,
    pub admin_port: u16,
}

/// Where a client was sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Home {
    pub instance: String,
    /// The whole address.
    pub location: String,
}

impl Homes {
    /// So many gateways, the first of which serves the store, and these recorders with their capacities, all ready.
    pub fn start(name: &str, gateways: usize, recorders: &[(&str, u32)]) -> Homes {
        Homes::start_in(Sandbox::new(name), gateways, recorders)
    }

    /// Likewise, in a sandbox where something has been prepared.
    pub fn start_in(sandbox: Sandbox, gateways: usize, recorders: &[(&str, u32)]) -> Homes {
        let stores = vec![store_url(&sandbox); gateways];
        Homes::start_apart(sandbox, &stores, recorders)
    }

    /// Likewise, with a gateway for each of these URLs: ways to the store that the recorders share.
    pub fn start_apart(sandbox: Sandbox, stores: &[String], recorders: &[(&str, u32)]) -> Homes {
        sandbox.write("app.py", APP);
        let gateways =
            stores.iter().enumerate().map(|(number, store)| Door::open(&sandbox, number, store, "")).collect();
        let capacities = recorders.iter().map(|(_, capacity)| *capacity).collect();
        let recorders = recorders.iter().map(|(name, capacity)| {
            let (app_port, probe_port) = (free_port(), free_port());
            let agent = recorder(&sandbox, name, *capacity, app_port, probe_port);
            Member { name: (*name).to_owned(), agent, app_port, probe_port }
        });
        let recorders = recorders.collect();
        let homes = Homes { gateways, recorders, capacities, sandbox };
        homes.wait_until_open(homes.recorders.len());
        homes
    }

    /// Machines that each run application, agent and gateway in one process and share one store. Each has this
    /// capacity, and is called `rec-1`, `rec-2` …
    pub fn start_one_tier(sandbox: Sandbox, machines: usize, capacity: u32) -> Homes {
        sandbox.write("app.py", APP);
        let machine = |number: usize| {
            let (id, port) = (format!("rec-{}", number + 1), free_port());
            let agent = format!(
                "[[agents]]\nset = \"recorder\"\ninstance = \"{id}\"\ncapacity = {capacity}\n\
                 endpoints.http = \"http://127.0.0.1:{port}\"\n\
                 check = {{ url = \"http://127.0.0.1:{port}/healthz\", every = \"200ms\", fall = 50 }}\n\
                 command = [\"python3\", \"app.py\", \"{id}\", \"{port}\", \".\"]\n"
            );
            Door::open(&sandbox, number, &store_url(&sandbox), &agent)
        };
        let gateways = (0..machines).map(machine).collect();
        let homes = Homes { gateways, recorders: Vec::new(), capacities: Vec::new(), sandbox };
        homes.wait_until_open(machines);
        homes
    }

    /// Waits until so many instances take clients.
    #[track_caller]
    pub fn wait_until_open(&self, number: usize) {
        let open = || {
            let Some(seen) = self.instances() else { return false };
            seen.iter().filter(|one| one["state"] == "open" && one["role"].is_string()).count() == number
        };
        wait_until("the instances to be open", SOON, open);
    }

    /// The instances, as the first process that answers says.
    pub fn instances(&self) -> Option<Vec<Value>> {
        self.api("/api/v1/sets/recorder/instances")?["instances"].as_array().cloned()
    }

    /// What the API of the first process that answers says.
    pub fn api(&self, path: &str) -> Option<Value> {
        let ask = |door: &Door| get(&format!("http://127.0.0.1:{}{path}", door.admin_port)).ok();
        self.gateways.iter().find_map(ask).filter(|answer| answer.status == 200).map(|answer| answer.json())
    }

    /// Where a gateway sends a camera that asks with this query. While it cannot say, it is asked again.
    #[track_caller]
    pub fn home(&self, gateway: usize, query: &str) -> Home {
        wait_for("a redirect", SOON, || self.gateways[gateway].sends(query))
    }

    /// Where a gateway sends each of these cameras, asked by several at once.
    pub fn homes(&self, gateway: usize, queries: &[String]) -> Vec<Home> {
        let parts = queries.chunks(queries.len().div_ceil(8).max(1));
        thread::scope(|scope| {
            let ask = |part: &'_ [String]| part.iter().map(|query| self.home(gateway, query)).collect::<Vec<Home>>();
            let asked: Vec<_> = parts.map(|part| scope.spawn(move || ask(part))).collect();
            asked.into_iter().flat_map(|asked| asked.join().expect("every camera is sent home")).collect()
        })
    }

    /// `steadfast <args>` to its end, asking the first gateway.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Ended {
        self.run_at(0, args)
    }

    /// The same, asking this gateway.
    #[track_caller]
    pub fn run_at(&self, gateway: usize, args: &[&str]) -> Ended {
        self.sandbox.run(&mut self.command(gateway, args))
    }

    /// `steadfast <args>`, asking the first gateway, with its output in `<name>.log`.
    pub fn spawn(&self, name: &str, args: &[&str]) -> Process {
        self.sandbox.spawn(name, &mut self.command(0, args))
    }

    fn command(&self, gateway: usize, args: &[&str]) -> Command {
        let mut command = self.sandbox.steadfast(args);
        command.args(["--admin", &format!("http://127.0.0.1:{}", self.gateways[gateway].admin_port)]);
        command.arg("--token-file").arg(self.sandbox.path(&format!("state-{gateway}/admin.token")));
        command
    }

    /// The books agree and know so many clients, says this gateway.
    #[track_caller]
    pub fn assert_books_agree(&self, gateway: usize, clients: u64) {
        let ended = self.run_at(gateway, &["verify", "recorder", "--json"]);
        assert_eq!(ended.code(), 0, "{ended:?}");
        let found: Value = serde_json::from_str(&ended.out).expect("JSON");
        assert_eq!((found["ok"].as_bool(), found["clients"].as_u64()), (Some(true), Some(clients)), "{found}");
    }

    /// Kills a gateway, and everything it has started, as the death of its machine would.
    pub fn kill_gateway(&mut self, gateway: usize) {
        let door = &mut self.gateways[gateway];
        let started = door.process.descendants();
        door.process.signal(Signal::Kill);
        for pid in started {
            Signal::Kill.send(pid);
        }
        door.process.wait(SOON);
    }

    /// Starts a gateway again as it was.
    pub fn restart_gateway(&mut self, gateway: usize) {
        let Door { file, port, .. } = &self.gateways[gateway];
        let process = run(&self.sandbox, file, *port);
        self.gateways[gateway].process = process;
    }

    /// Kills a recorder with its agent, and starts both again at the same addresses.
    pub fn restart_recorder(&mut self, index: usize) {
        let member = &mut self.recorders[index];
        let before = member.probe().map(|probe| probe["incarnation"].clone());
        member.signal_all(Signal::Kill);
        member.agent.wait(SOON);
        let Member { name, app_port, probe_port, .. } = &*member;
        let agent = recorder(&self.sandbox, name, self.capacities[index], *app_port, *probe_port);
        self.recorders[index].agent = agent;
        // Its probe is well a moment before the books say so, and a camera that comes in between is moved.
        let name = self.recorders[index].name.clone();
        let back = || {
            let seen = self.instances()?.into_iter().find(|one| one["id"] == name.as_str())?;
            Some(seen["state"] == "open" && Some(&seen["incarnation"]) != before.as_ref())
        };
        let back = || back().unwrap_or(false);
        wait_until("the recorder to be back", SOON, back);
    }
}

impl Door {
    fn open(sandbox: &Sandbox, number: usize, store: &str, more: &str) -> Door {
        let (port, admin_port) = (free_port(), free_port());
        let file = format!("gateway-{number}.toml");
        let text = format!(
            "{}state_dir = \"{}\"\n[admin]\nlisten = \"127.0.0.1:{admin_port}\"\n\
             [sets.recorder]\nkind = \"sticky\"\nclient = \"query:camera\"\nweight = \"query:mbps\"\n{}\
             [[listeners]]\nlisten = \"127.0.0.1:{port}\"\n\
             routes = [{{ path = \"/through/\", set = \"recorder\", answer = \"proxy\" }}, \
             {{ path = \"/\", set = \"recorder\", answer = \"redirect\" }}]\n{more}",
            stores::lines(sandbox, store),
            sandbox.path(&format!("state-{number}")).display(),
            stores::settings(sandbox, ""),
        );
        sandbox.write(&file, &text);
        let process = run(sandbox, &file, port);
        Door { process, file, port, admin_port }
    }

    /// What it answers a camera.
    pub fn answer(&self, query: &str) -> Option<Answer> {
        get(&format!("http://127.0.0.1:{}/ingest/?{query}", self.port)).ok()
    }

    /// Where it sends a camera, if it does.
    pub fn sends(&self, query: &str) -> Option<Home> {
        let answer = self.answer(query).filter(|answer| answer.status == 307)?;
        let text = |name: &str| answer.header(name).map(str::to_owned);
        Some(Home { instance: text("steadfast-instance")?, location: text("location")? })
    }
}

fn run(sandbox: &Sandbox, file: &str, port: u16) -> Process {
    let process = sandbox.spawn(file.trim_end_matches(".toml"), &mut sandbox.steadfast(["run", "--config", file]));
    wait_until("the gateway to listen", SOON, || TcpStream::connect(("127.0.0.1", port)).is_ok());
    process
}

fn recorder(sandbox: &Sandbox, name: &str, capacity: u32, app_port: u16, probe_port: u16) -> Process {
    let mut command = sandbox.steadfast(["agent", "--set", "recorder", "--instance", name]);
    command.args(directly(sandbox)).args(["--capacity", &capacity.to_string()]);
    command.arg("--state-dir").arg(sandbox.path(&format!("state-{name}")));
    command.args(["--endpoint", &format!("http=http://127.0.0.1:{app_port}")]);
    command.args(["--check", &format!("http://127.0.0.1:{app_port}/healthz")]);
    // On a loaded machine an application may well be silent for a moment, and its clients would be moved.
    command.args(["--check-every", "200ms", "--check-fall", "50", "--probe", &format!("127.0.0.1:{probe_port}")]);
    command.args(["--", "env", "--unset=LD_PRELOAD", "python3", "app.py", name, &app_port.to_string(), "."]);
    sandbox.spawn(&format!("agent-{name}"), &mut command)
}
