//! The cost of a proxied request: processor time of the proxy, with nginx, HAProxy and Envoy in the same run.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::client::free_port;
use super::front::{self, Front};
use super::peers::Peers;
use super::server::{Server, configure};
use super::wrk;

/// The proxy has a core to itself; the load and the back end share the other.
const PROXY_CORE: usize = 0;
const LOAD_CORE: usize = 1;
/// Asked before anything is measured, so that connections to the back end are open and caches are warm.
const WARM_UP: Duration = Duration::from_secs(1);

const BACKEND: &str = include_str!("../../../bench/nginx-backend.conf");
const STEADFAST: &str = include_str!("../../../bench/steadfast-proxy.toml");
const NGINX: &str = include_str!("../../../bench/nginx-proxy.conf");
const HAPROXY: &str = include_str!("../../../bench/haproxy-proxy.cfg");
const ENVOY: &str = include_str!("../../../bench/envoy-proxy.yaml");

/// What was measured: Steadfast first, then the peers.
pub(super) struct Measured(Vec<Front>);

/// Measures every proxy `runs` times.
pub(super) fn run(steadfast: &Path, peers: &Peers, runs: usize, time: Duration) -> Result<Measured> {
    let dir = tempfile::tempdir()?;
    let (_backend, mut proxies) = start(steadfast, peers, dir.path())?;
    for proxy in &mut proxies {
        proxy.server.wait_until_answering(&proxy.url)?;
        wrk::run(&proxy.url, WARM_UP, LOAD_CORE)?;
    }
    front::measure(&mut proxies, runs, |url| wrk::run(url, time, LOAD_CORE))?;
    Ok(Measured(proxies))
}

/// The back end and the proxies in front of it.
fn start(steadfast: &Path, peers: &Peers, dir: &Path) -> Result<(Server, Vec<Front>)> {
    let place = dir.display().to_string();
    let (backend_port, admin_port) = (free_port().to_string(), free_port().to_string());
    let values = [("dir", place.as_str()), ("backend", &backend_port)];
    let config = configure(dir, "backend.conf", BACKEND, &values)?;
    let mut backend = Server::start("backend", &["nginx", "-e", "/dev/null", "-c", &config], Some(LOAD_CORE), dir)?;
    backend.wait_until_answering(&format!("http://127.0.0.1:{backend_port}/"))?;

    let program = steadfast.display().to_string();
    let proxies: [(&str, &str, &[&str]); 4] = [
        ("steadfast", STEADFAST, &[&program, "run", "--config"]),
        ("nginx", NGINX, &peers.nginx()),
        ("haproxy", HAPROXY, &peers.haproxy()),
        ("envoy", ENVOY, &peers.envoy()),
    ];
    let started = proxies.into_iter().map(|(name, template, command)| {
        let port = free_port().to_string();
        let values = [&values[..], &[("port", port.as_str()), ("admin", &admin_port)]].concat();
        let config = configure(dir, &format!("{name}.{}", peers.ending(name)), template, &values)?;
        let server = Server::start(name, &[command, &[config.as_str()]].concat(), Some(PROXY_CORE), dir)?;
        Ok(Front::new(name, server, format!("http://127.0.0.1:{port}/stream?client=cam-1")))
    });
    Ok((backend, started.collect::<Result<_>>()?))
}

impl Measured {
    pub(super) fn table(&self) -> String {
        front::table("proxy, keep-alive, small body", &self.0)
    }

    pub(super) fn json(&self) -> Value {
        front::json(&self.0)
    }
}
