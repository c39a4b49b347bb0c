//! The cost of sending a known client home: processor time of the gateway, with HAProxy, nginx and Envoy in the same
//! run.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::client::free_port;
use super::front::{self, Front};
use super::peers::Peers;
use super::server::{Server, configure};
use super::sticky::{GATEWAY_CORE, LOAD_CORE, Scene};
use super::wrk::{self, Cameras};

/// Connections kept open to the server measured.
const CONNECTIONS: usize = 64;
/// Asked before anything is measured.
const WARM_UP: Duration = Duration::from_secs(1);

const NGINX: &str = include_str!("../../../bench/nginx-redirect.conf");
const HAPROXY: &str = include_str!("../../../bench/haproxy-redirect.cfg");
const ENVOY: &str = include_str!("../../../bench/envoy-redirect.yaml");

/// What was measured: Steadfast first, then the peers.
pub(super) struct Measured {
    clients: usize,
    memory_bytes: f64,
    fronts: Vec<Front>,
}

/// Asks every front that remembers for each client once, and then measures all of them.
pub(super) fn run(scene: &mut Scene, peers: &Peers, runs: usize, time: Duration) -> Result<Measured> {
    let first = scene.first_gateway("serving")?;
    let gateway = scene.gateway("redirecting")?;
    let before = gateway.server.memory_bytes()?;
    scene.walk(&gateway.url)?;
    let memory_bytes = gateway.server.memory_bytes()?.saturating_sub(before) as f64 / scene.clients as f64;
    let mut fronts = vec![Front::new("steadfast", gateway.server, gateway.url)];
    let others: [(&'static str, &str, &[&str]); 3] =
        [("haproxy", HAPROXY, &peers.haproxy()), ("nginx", NGINX, &peers.nginx()), ("envoy", ENVOY, &peers.envoy())];
    for (name, template, command) in others {
        fronts.push(peer(scene, name, &format!("{name}-redirect.{}", peers.ending(name)), template, command)?);
    }
    let everybody = Cameras::Random { below: scene.clients };
    for front in &fronts {
        if front.name == "haproxy" {
            scene.walk(&front.url)?;
        }
        wrk::ask(&front.url, CONNECTIONS, WARM_UP, LOAD_CORE, everybody)?;
    }
    front::measure(&mut fronts, runs, |url| wrk::ask(url, CONNECTIONS, time, LOAD_CORE, everybody))?;
    drop(first);
    Ok(Measured { clients: scene.clients, memory_bytes, fronts })
}

fn peer(scene: &Scene, name: &'static str, file: &str, template: &str, command: &[&str]) -> Result<Front> {
    let dir = scene.dir.path();
    let (place, port, clients) = (dir.display().to_string(), free_port().to_string(), (2 * scene.clients).to_string());
    let values = [("dir", place.as_str()), ("port", &port), ("backend", &scene.backend_port), ("clients", &clients)];
    let config = configure(dir, file, template, &values)?;
    let server = Server::start(name, &[command, &[config.as_str()]].concat(), Some(GATEWAY_CORE), dir)?;
    let url = format!("http://127.0.0.1:{port}");
    super::sticky::wait_until("a peer answers", || super::client::get(&url).is_ok())?;
    Ok(Front::new(name, server, url))
}

impl Measured {
    pub(super) fn table(&self) -> String {
        let title = format!(
            "redirect of one of {} known clients, {:.0} bytes of memory for each",
            self.clients, self.memory_bytes
        );
        front::table(&title, &self.fronts)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "clients": self.clients,
            "memory_bytes_per_client": self.memory_bytes,
            "fronts": front::json(&self.fronts),
        })
    }
}
