//! The cost of a proxied request: processor time of the proxy, with nginx and HAProxy in the same run.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::client::free_port;
use super::server::{Server, configure};
use super::{median, wrk};

/// The proxy has a core to itself; the load and the back end share the other.
const PROXY_CORE: usize = 0;
const LOAD_CORE: usize = 1;
/// Asked before anything is measured, so that connections to the back end are open and caches are warm.
const WARM_UP: Duration = Duration::from_secs(1);

const BACKEND: &str = include_str!("../../../bench/nginx-backend.conf");
const STEADFAST: &str = include_str!("../../../bench/steadfast-proxy.toml");
const NGINX: &str = include_str!("../../../bench/nginx-proxy.conf");
const HAPROXY: &str = include_str!("../../../bench/haproxy-proxy.cfg");

/// What was measured: Steadfast first, then the peers.
pub(super) struct Measured(Vec<Proxy>);

struct Proxy {
    name: &'static str,
    server: Server,
    url: String,
    runs: Vec<Run>,
}

struct Run {
    cpu_us: f64,
    load: wrk::Load,
}

/// Measures every proxy `runs` times, in turns, so that what else the machine does falls on all of them alike.
pub(super) fn run(steadfast: &Path, runs: usize, time: Duration) -> Result<Measured> {
    let dir = tempfile::tempdir()?;
    let (_backend, mut proxies) = start(steadfast, dir.path())?;
    for proxy in &mut proxies {
        proxy.server.wait_until_answering(&proxy.url)?;
        wrk::run(&proxy.url, WARM_UP, LOAD_CORE)?;
    }
    for round in 1..=runs {
        for proxy in &mut proxies {
            let before = proxy.server.cpu_time();
            let load = wrk::run(&proxy.url, time, LOAD_CORE)?;
            let spent = proxy.server.cpu_time() - before;
            let cpu_us = spent.as_secs_f64() * 1e6 / load.requests.max(1) as f64;
            eprintln!("run {round}: {:10} {:8.0} req/s {cpu_us:6.2} µs", proxy.name, load.per_second);
            proxy.runs.push(Run { cpu_us, load });
        }
    }
    Ok(Measured(proxies))
}

/// The back end and the proxies in front of it.
fn start(steadfast: &Path, dir: &Path) -> Result<(Server, Vec<Proxy>)> {
    let place = dir.display().to_string();
    let (backend_port, admin_port) = (free_port().to_string(), free_port().to_string());
    let values = [("dir", place.as_str()), ("backend", &backend_port)];
    let config = configure(dir, "backend.conf", BACKEND, &values)?;
    let mut backend = Server::start("backend", &["nginx", "-e", "/dev/null", "-c", &config], Some(LOAD_CORE), dir)?;
    backend.wait_until_answering(&format!("http://127.0.0.1:{backend_port}/"))?;

    let program = steadfast.display().to_string();
    let proxies: [(&str, &str, &[&str]); 3] = [
        ("steadfast", STEADFAST, &[&program, "run", "--config"]),
        ("nginx", NGINX, &["nginx", "-e", "/dev/null", "-c"]),
        ("haproxy", HAPROXY, &["haproxy", "-f"]),
    ];
    let started = proxies.into_iter().map(|(name, template, command)| {
        let port = free_port().to_string();
        let values = [&values[..], &[("port", port.as_str()), ("admin", &admin_port)]].concat();
        let config = configure(dir, &format!("{name}.conf"), template, &values)?;
        let server = Server::start(name, &[command, &[config.as_str()]].concat(), Some(PROXY_CORE), dir)?;
        Ok(Proxy { name, server, url: format!("http://127.0.0.1:{port}/stream?client=cam-1"), runs: Vec::new() })
    });
    Ok((backend, started.collect::<Result<_>>()?))
}

impl Proxy {
    fn median(&self, figure: impl Fn(&Run) -> f64) -> f64 {
        median(&self.runs.iter().map(figure).collect::<Vec<_>>())
    }

    fn cpu_us(&self) -> f64 {
        self.median(|run| run.cpu_us)
    }

    fn failed(&self) -> u64 {
        self.runs.iter().map(|run| run.load.failed).sum()
    }
}

impl Measured {
    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "proxy, keep-alive, small body (medians of {} runs)\n{:12} {:>14} {:>10} {:>9} {:>8}  {}\n",
            self.0.first().map_or(0, |proxy| proxy.runs.len()),
            "",
            "CPU µs/request",
            "req/s",
            "p99 ms",
            "failed",
            "steadfast ÷ it"
        );
        for proxy in &self.0 {
            text += &format!(
                "{:12} {:>14.2} {:>10.0} {:>9.2} {:>8}  {:.2}\n",
                proxy.name,
                proxy.cpu_us(),
                proxy.median(|run| run.load.per_second),
                proxy.median(|run| run.load.p99_ms),
                proxy.failed(),
                self.0[0].cpu_us() / proxy.cpu_us(),
            );
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let of = |proxy: &Proxy| {
            json!({
                "name": proxy.name,
                "cpu_us_per_request": proxy.cpu_us(),
                "requests_per_second": proxy.median(|run| run.load.per_second),
                "p99_ms": proxy.median(|run| run.load.p99_ms),
                "failed": proxy.failed(),
                "steadfast_ratio": self.0[0].cpu_us() / proxy.cpu_us(),
            })
        };
        self.0.iter().map(of).collect()
    }
}
