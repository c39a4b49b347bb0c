//! A whole installation on one machine: two gateways, a single set and a sticky one with three instances each, and
//! the store they share. Each process can be ended and started again as it was.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::cluster::store_url;
use super::http::get;
use super::ports::free_port;
use super::process::Process;
use super::sandbox::Sandbox;
use super::signal::Signal;
use super::{SOON, wait_until};

const APP: &str = include_str!("app.py");
const INSTANCES: usize = 3;
const GATEWAYS: usize = 2;

/// See the module.
pub struct Installation {
    pub roles: BTreeMap<String, Role>,
    pub sandbox: Sandbox,
}

/// One process of Steadfast, with what it has started.
pub struct Role {
    pub process: Process,
    args: Vec<String>,
    /// Where clients or applications are; of a gateway, its listener.
    pub port: u16,
    /// The probe, or a gateway's API.
    pub look_port: u16,
}

impl Installation {
    /// Everything, started and well.
    pub fn start(name: &str) -> Installation {
        let sandbox = Sandbox::new(name);
        sandbox.write("app.py", APP);
        let mut all = Installation { roles: BTreeMap::new(), sandbox };
        for number in 0..GATEWAYS {
            all.add_gateway(&format!("gateway-{number}"));
        }
        for number in 1..=INSTANCES {
            all.add_instance("web", &format!("web-{number}"), &["--kind", "single"]);
            all.add_instance("recorder", &format!("rec-{number}"), &["--capacity", "1000"]);
        }
        wait_until("the installation to be well", SOON, || all.ailment().is_none());
        all
    }

    fn add_gateway(&mut self, name: &str) {
        let (port, look_port) = (free_port(), free_port());
        let text = format!(
            "store = \"{}\"\nstate_dir = \"{}\"\n[admin]\nlisten = \"127.0.0.1:{look_port}\"\n\
             [sets.web]\nkind = \"single\"\n\
             [sets.recorder]\nkind = \"sticky\"\nclient = \"query:camera\"\nweight = \"query:mbps\"\n\
             [[listeners]]\nlisten = \"127.0.0.1:{port}\"\nroutes = [\n\
             {{ path = \"/ingest/\", set = \"recorder\", answer = \"redirect\" }},\n\
             {{ path = \"/\", set = \"web\", answer = \"proxy\" }},\n]\n",
            store_url(&self.sandbox),
            self.sandbox.path(&format!("state-{name}")).display(),
        );
        let file = format!("{name}.toml");
        self.sandbox.write(&file, &text);
        self.add(name, vec!["run".to_owned(), "--config".to_owned(), file], port, look_port);
    }

    fn add_instance(&mut self, set: &str, name: &str, more: &[&str]) {
        let (port, look_port) = (free_port(), free_port());
        let state = self.sandbox.path(&format!("state-{name}")).display().to_string();
        let (store, address) = (store_url(&self.sandbox), format!("http://127.0.0.1:{port}"));
        let (endpoint, check, probe) =
            (format!("http={address}"), format!("{address}/healthz"), format!("127.0.0.1:{look_port}"));
        let mut args = vec!["agent", "--set", set, "--instance", name, "--store", &store, "--state-dir", &state];
        args.extend(["--endpoint", &endpoint, "--check", &check, "--check-every", "200ms", "--check-fall", "50"]);
        args.extend(["--probe", &probe]);
        args.extend(more);
        let port_text = port.to_string();
        args.extend(["--", "env", "--unset=LD_PRELOAD", "python3", "app.py", name, &port_text, "."]);
        let args = args.into_iter().map(str::to_owned).collect();
        self.add(name, args, port, look_port);
    }

    fn add(&mut self, name: &str, args: Vec<String>, port: u16, look_port: u16) {
        let process = self.sandbox.spawn(name, &mut self.sandbox.steadfast(&args));
        self.roles.insert(name.to_owned(), Role { process, args, port, look_port });
    }

    /// Starts a process again as it was. What it had started must have ended.
    pub fn restart(&mut self, name: &str) {
        let args = self.roles[name].args.clone();
        let process = self.sandbox.spawn(name, &mut self.sandbox.steadfast(&args));
        self.role_mut(name).process = process;
    }

    pub fn role_mut(&mut self, name: &str) -> &mut Role {
        self.roles.get_mut(name).expect("there is such a process")
    }

    /// Kills a process and all it has started, as the death of its machine would.
    pub fn kill(&mut self, name: &str) {
        let role = self.role_mut(name);
        role.signal_all(Signal::Kill);
        role.process.wait(SOON);
    }

    pub fn gateways(&self) -> impl Iterator<Item = &Role> {
        self.roles.iter().filter(|(name, _)| name.starts_with("gateway-")).map(|(_, role)| role)
    }

    pub fn of_single_set(&self) -> impl Iterator<Item = (&String, &Role)> {
        self.roles.iter().filter(|(name, _)| name.starts_with("web-"))
    }

    /// What is not as it should be while nothing is wrong with the machine; the first thing found.
    pub fn ailment(&self) -> Option<String> {
        for (name, role) in self.roles.iter().filter(|(name, _)| name.starts_with("gateway-")) {
            let answer = get(&role.url());
            if !answer.as_ref().is_ok_and(|answer| answer.status == 200) {
                return Some(format!("{name} answers {answer:?}"));
            }
            let found = role.api("/api/v1/sets/recorder/instances");
            let Some(instances) = found.as_ref().and_then(|found| found["instances"].as_array()) else {
                return Some(format!("the API of {name} answers {found:?}"));
            };
            let open = |one: &&Value| one["state"] == "open" && one["role"].is_string();
            if instances.iter().filter(open).count() != INSTANCES {
                return Some(format!("{name} sees the recorders as {instances:?}"));
            }
        }
        let probes: Vec<Value> = self.of_single_set().filter_map(|(_, role)| role.probe()).collect();
        let count = |reason: &str| probes.iter().filter(|probe| probe["reason"] == reason).count();
        let well = count("leading") == 1 && count("standby") == INSTANCES - 1;
        (!well).then(|| format!("the single set's probes say {probes:?}"))
    }
}

impl Role {
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    pub fn look_url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.look_port)
    }

    /// What the probe says, if it answers.
    pub fn probe(&self) -> Option<Value> {
        serde_json::from_slice(&get(&self.look_url()).ok()?.body).ok()
    }

    /// What a gateway's API says, if it answers well.
    pub fn api(&self, path: &str) -> Option<Value> {
        let answer = get(&format!("http://127.0.0.1:{}{path}", self.look_port)).ok()?;
        (answer.status == 200).then(|| answer.json())
    }

    /// Sends a signal to the process and to everything it has started, in this order.
    pub fn signal_all(&self, signal: Signal) {
        let started = self.process.descendants();
        self.process.signal(signal);
        for pid in started {
            signal.send(pid);
        }
    }

    /// Memory that is the process' own and present, in KiB.
    pub fn rss_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.pid())).ok()?;
        status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
    }
}
