//! The cost of sending a known client home: processor time of the gateway, with HAProxy and nginx in the same run.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::client::free_port;
use super::median;
use super::server::{Server, configure};
use super::sticky::{GATEWAY_CORE, LOAD_CORE, Scene};
use super::wrk::{self, Cameras, Load};

/// Connections kept open to the server measured.
const CONNECTIONS: usize = 64;
/// Asked before anything is measured.
const WARM_UP: Duration = Duration::from_secs(1);

const NGINX: &str = include_str!("../../../bench/nginx-redirect.conf");
const HAPROXY: &str = include_str!("../../../bench/haproxy-redirect.cfg");

/// What was measured: Steadfast first, then the peers.
pub(super) struct Measured {
    clients: usize,
    memory_bytes: f64,
    fronts: Vec<Front>,
}

struct Front {
    name: &'static str,
    server: Server,
    url: String,
    runs: Vec<(f64, Load)>,
}

/// Asks every front for each client once, and then measures all of them in turns.
pub(super) fn run(scene: &mut Scene, runs: usize, time: Duration) -> Result<Measured> {
    let first = scene.first_gateway("serving")?;
    let gateway = scene.gateway("redirecting")?;
    let before = gateway.server.memory_bytes()?;
    scene.walk(&gateway.url)?;
    let memory_bytes = gateway.server.memory_bytes()?.saturating_sub(before) as f64 / scene.clients as f64;
    let mut fronts = vec![Front { name: "steadfast", server: gateway.server, url: gateway.url, runs: Vec::new() }];
    let peers: [(&'static str, &str, &[&str]); 2] =
        [("haproxy", HAPROXY, &["haproxy", "-f"]), ("nginx", NGINX, &["nginx", "-e", "/dev/null", "-c"])];
    for (name, template, command) in peers {
        fronts.push(peer(scene, name, template, command)?);
    }
    for front in &fronts {
        if front.name == "haproxy" {
            scene.walk(&front.url)?;
        }
        wrk::ask(&front.url, CONNECTIONS, WARM_UP, LOAD_CORE, Cameras::Random { below: scene.clients })?;
    }
    for round in 1..=runs {
        for front in &mut fronts {
            let before = front.server.cpu_time();
            let load = wrk::ask(&front.url, CONNECTIONS, time, LOAD_CORE, Cameras::Random { below: scene.clients })?;
            let spent = front.server.cpu_time() - before;
            let cpu_us = spent.as_secs_f64() * 1e6 / load.requests.max(1) as f64;
            eprintln!("run {round}: {:10} {:8.0} req/s {cpu_us:6.2} µs", front.name, load.per_second);
            front.runs.push((cpu_us, load));
        }
    }
    drop(first);
    Ok(Measured { clients: scene.clients, memory_bytes, fronts })
}

fn peer(scene: &Scene, name: &'static str, template: &str, command: &[&str]) -> Result<Front> {
    let dir = scene.dir.path();
    let (place, port, clients) = (dir.display().to_string(), free_port().to_string(), (2 * scene.clients).to_string());
    let values = [("dir", place.as_str()), ("port", &port), ("backend", &scene.backend_port), ("clients", &clients)];
    let config = configure(dir, &format!("{name}-redirect.conf"), template, &values)?;
    let server = Server::start(name, &[command, &[config.as_str()]].concat(), Some(GATEWAY_CORE), dir)?;
    let url = format!("http://127.0.0.1:{port}");
    super::sticky::wait_until("a peer answers", || super::client::get(&url).is_ok())?;
    Ok(Front { name, server, url, runs: Vec::new() })
}

impl Front {
    fn median(&self, figure: impl Fn(&(f64, Load)) -> f64) -> f64 {
        median(&self.runs.iter().map(figure).collect::<Vec<_>>())
    }

    fn cpu_us(&self) -> f64 {
        self.median(|(cpu_us, _)| *cpu_us)
    }

    fn failed(&self) -> u64 {
        self.runs.iter().map(|(_, load)| load.failed).sum()
    }
}

impl Measured {
    pub(super) fn table(&self) -> String {
        let runs = self.fronts.first().map_or(0, |front| front.runs.len());
        let mut text = format!(
            "redirect of one of {} known clients (medians of {runs} runs); {:.0} bytes of memory for each\n\
             {:12} {:>14} {:>10} {:>9} {:>8}  {}\n",
            self.clients, self.memory_bytes, "", "CPU µs/request", "req/s", "p99 ms", "failed", "steadfast ÷ it"
        );
        for front in &self.fronts {
            text += &format!(
                "{:12} {:>14.2} {:>10.0} {:>9.2} {:>8}  {:.2}\n",
                front.name,
                front.cpu_us(),
                front.median(|(_, load)| load.per_second),
                front.median(|(_, load)| load.p99_ms),
                front.failed(),
                self.fronts[0].cpu_us() / front.cpu_us(),
            );
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let of = |front: &Front| {
            json!({
                "name": front.name,
                "cpu_us_per_request": front.cpu_us(),
                "requests_per_second": front.median(|(_, load)| load.per_second),
                "p99_ms": front.median(|(_, load)| load.p99_ms),
                "failed": front.failed(),
                "steadfast_ratio": self.fronts[0].cpu_us() / front.cpu_us(),
            })
        };
        json!({
            "clients": self.clients,
            "memory_bytes_per_client": self.memory_bytes,
            "fronts": self.fronts.iter().map(of).collect::<Value>(),
        })
    }
}
