//! New clients through gateways: how many a second with one and with two, how soon the other gateway knows of a move,
//! and how soon a gateway answers that was killed.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use super::client::{Answer, Connection};
use super::sticky::{Gateway, LOAD_CORE, Scene, camera};
use super::wrk::{self, Cameras, Load};
use super::{median, percentile};

/// Connections on which new clients come, over all gateways.
const CONNECTIONS: usize = 1_024;
/// Moves whose news is timed, quiet and busy each.
const MOVES: usize = 200;
/// Kills of a gateway.
const RESTARTS: usize = 5;
/// How long one exchange may take.
const EXCHANGE: Duration = Duration::from_secs(10);
/// New clients of each way in begin this far apart.
const APART: usize = 50_000_000;

/// What was measured.
pub(super) struct Measured {
    clients: usize,
    /// One gateway, two gateways.
    placing: [Vec<Placing>; 2],
    quiet_lag_ms: Vec<f64>,
    busy_lag_ms: Vec<f64>,
    restarts_ms: Vec<f64>,
}

struct Placing {
    per_second: f64,
    cpu_us: f64,
    p99_ms: f64,
    failed: u64,
}

/// Measures on the books of `scene`, which grow.
pub(super) fn run(scene: &mut Scene, runs: usize, time: Duration) -> Result<Measured> {
    let mut restarts_ms = Vec::new();
    let mut first = scene.first_gateway("first")?;
    for _ in 0..RESTARTS {
        first = scene.restart(first, "first")?;
        restarts_ms.push(first.answered_after.as_secs_f64() * 1e3);
        eprintln!("restarted: the first client was sent home after {:?}", first.answered_after);
    }
    // Each run begins with clients that nobody has asked for.
    let mut next = scene.clients;
    let mut one = Vec::new();
    for _ in 0..runs {
        one.push(place(&[&first], &mut next, time)?);
    }
    let second = scene.gateway("second")?;
    let mut two = Vec::new();
    for _ in 0..runs {
        two.push(place(&[&first, &second], &mut next, time)?);
    }
    let quiet_lag_ms = lags(&first, &second)?;
    let (url, begin) = (first.url.clone(), next);
    let busy = thread::spawn(move || new_clients(&url, CONNECTIONS, begin, 4 * time.max(Duration::from_secs(5))));
    let busy_lag_ms = lags(&first, &second)?;
    busy.join().map_err(|_| anyhow!("the thread that makes load panicked"))??;
    Ok(Measured { clients: scene.clients, placing: [one, two], quiet_lag_ms, busy_lag_ms, restarts_ms })
}

/// New clients through all of `gateways` at once.
fn place(gateways: &[&Gateway], next: &mut usize, time: Duration) -> Result<Placing> {
    let cpu = || gateways.iter().map(|gateway| gateway.server.cpu_time()).sum::<Duration>();
    let before = cpu();
    let connections = CONNECTIONS / gateways.len();
    let loads = gateways.iter().enumerate().map(|(n, gateway)| {
        let (url, start) = (gateway.url.clone(), *next + n * APART);
        thread::spawn(move || new_clients(&url, connections, start, time))
    });
    let loads: Vec<_> = loads.collect();
    let loads = loads.into_iter().map(|load| load.join().map_err(|_| anyhow!("a thread that makes load panicked"))?);
    let loads = loads.collect::<Result<Vec<Load>>>()?;
    let spent = cpu() - before;
    let requests: u64 = loads.iter().map(|load| load.requests).sum();
    *next += usize::try_from(requests)? + connections;
    let placing = Placing {
        per_second: loads.iter().map(|load| load.per_second).sum(),
        cpu_us: spent.as_secs_f64() * 1e6 / requests.max(1) as f64,
        p99_ms: loads.iter().map(|load| load.p99_ms).fold(0.0, f64::max),
        failed: loads.iter().map(|load| load.failed).sum(),
    };
    eprintln!("{} gateways: {:8.0} new/s {:6.2} µs", gateways.len(), placing.per_second, placing.cpu_us);
    Ok(placing)
}

fn new_clients(url: &str, connections: usize, start: usize, time: Duration) -> Result<Load> {
    wrk::ask(url, connections, time, LOAD_CORE, Cameras::Walk { start, count: APART })
}

/// Moves clients through `at`, and times from its answer until `elsewhere` sends them to their new home. A gateway
/// asks the store for no client it knows: it can have heard of it by its watch alone.
fn lags(at: &Gateway, elsewhere: &Gateway) -> Result<Vec<f64>> {
    let authorization = format!("Bearer {}", at.token()?);
    let mut admin = Connection::open(&at.admin, EXCHANGE)?;
    let address = elsewhere.url.trim_start_matches("http://");
    let mut asking = Connection::open(address, EXCHANGE)?;
    let mut lags = Vec::with_capacity(MOVES);
    for n in 0..MOVES {
        let path = format!("/ingest/stream?camera={}", camera(n));
        let home = home(&asking.exchange("GET", &path, &[], b"")?)?;
        let to = if home == "rec-1" { "rec-2" } else { "rec-1" };
        let order = format!("/api/v1/sets/recorder/clients/{}/move", camera(n));
        let headers = [("content-type", "application/json"), ("authorization", authorization.as_str())];
        let body = json!({ "to": to }).to_string();
        let lag = thread::scope(|scope| {
            let moved = scope.spawn(|| {
                let answer = admin.exchange("POST", &order, &headers, body.as_bytes())?;
                match answer.status {
                    200 => Ok(Instant::now()),
                    status => bail!("a move was answered with {status}: {}", answer.text()),
                }
            });
            let deadline = Instant::now() + EXCHANGE;
            while self::home(&asking.exchange("GET", &path, &[], b"")?)? != to {
                if Instant::now() > deadline {
                    bail!("{} was not heard of within {EXCHANGE:?}", camera(n));
                }
            }
            let heard = Instant::now();
            let moved = moved.join().map_err(|_| anyhow!("the thread that moves panicked"))??;
            Ok(heard.saturating_duration_since(moved))
        })?;
        lags.push(lag.as_secs_f64() * 1e3);
    }
    Ok(lags)
}

/// Where an answer sends its client.
fn home(answer: &Answer) -> Result<String> {
    let home = answer.header("steadfast-instance").filter(|_| answer.status == 307);
    home.map(str::to_owned).with_context(|| format!("find a home in an answer {}: {}", answer.status, answer.text()))
}

impl Measured {
    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "new clients beside {} known ones, durable, {CONNECTIONS} connections (medians)\n{:12} {:>12} {:>14} {:>9} {:>8}\n",
            self.clients, "", "clients/s", "CPU µs/client", "p99 ms", "failed"
        );
        for (name, runs) in [("1 gateway", &self.placing[0]), ("2 gateways", &self.placing[1])] {
            let of = |figure: fn(&Placing) -> f64| median(&runs.iter().map(figure).collect::<Vec<_>>());
            text += &format!(
                "{name:12} {:>12.0} {:>14.2} {:>9.1} {:>8}\n",
                of(|run| run.per_second),
                of(|run| run.cpu_us),
                of(|run| run.p99_ms),
                runs.iter().map(|run| run.failed).sum::<u64>(),
            );
        }
        for (name, lags) in [("quiet", &self.quiet_lag_ms), ("while others are placed", &self.busy_lag_ms)] {
            text += &format!(
                "a move known at the other gateway, {name}: p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms\n",
                percentile(lags, 50),
                percentile(lags, 99),
                percentile(lags, 100),
            );
        }
        let (median, most) = (median(&self.restarts_ms), percentile(&self.restarts_ms, 100));
        text += &format!(
            "a killed gateway, started again, sends its first client home after {median:.0} ms (longest {most:.0} ms)\n"
        );
        text
    }

    pub(super) fn json(&self) -> Value {
        let placing = |runs: &Vec<Placing>| {
            let of = |figure: fn(&Placing) -> f64| median(&runs.iter().map(figure).collect::<Vec<_>>());
            json!({
                "clients_per_second": of(|run| run.per_second),
                "cpu_us_per_client": of(|run| run.cpu_us),
                "p99_ms": of(|run| run.p99_ms),
                "failed": runs.iter().map(|run| run.failed).sum::<u64>(),
            })
        };
        let lag = |lags: &[f64]| json!({ "p50": percentile(lags, 50), "p99": percentile(lags, 99), "max": percentile(lags, 100) });
        json!({
            "clients": self.clients,
            "connections": CONNECTIONS,
            "one_gateway": placing(&self.placing[0]),
            "two_gateways": placing(&self.placing[1]),
            "mirror_lag_ms": { "quiet": lag(&self.quiet_lag_ms), "busy": lag(&self.busy_lag_ms) },
            "restart_ms": { "p50": percentile(&self.restarts_ms, 50), "max": percentile(&self.restarts_ms, 100) },
        })
    }
}
