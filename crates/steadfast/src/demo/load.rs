//! The load: clients that ask the gateway again and again, over kept and over new connections, and a look at every
//! probe. Each request becomes a [`Sample`].

use std::time::Duration;

use steadfast_core::Host;
use steadfast_host::clock;
use steadfast_host::http::{Call, Client, ClientLimits, Method, Reply, Target};
use steadfast_host::shutdown::Shutdown;
use steadfast_registry::{EPOCH_HEADER, ProbeAnswer, Role};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::application::Said;
use super::score::{Answered, Failed, Kind, Sample};
use crate::watch::INSTANCE_HEADER;

/// Samples on their way to whoever counts.
pub(super) const SAMPLES_WAITING: usize = 4096;

/// How many clients of each kind, and how often each asks: about 200 requests a second together.
const CLIENTS: [(Kind, Connections, usize, Duration); 3] = [
    (Kind::Get, Connections::Kept, 8, Duration::from_millis(50)),
    (Kind::Get, Connections::New, 1, Duration::from_millis(50)),
    (Kind::Post, Connections::Kept, 2, Duration::from_millis(100)),
];
/// How long a client waits: longer than a gateway holds a request for a new leader.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// How often each probe is asked, and how long that may take.
const PROBE_EVERY: Duration = Duration::from_millis(25);
const PROBE_WITHIN: Duration = Duration::from_millis(300);
/// What a POST carries.
const POST_BYTES: usize = 1024;

/// Whether a client keeps its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connections {
    Kept,
    New,
}

/// The clients. They stop when it is dropped.
pub(super) struct Load {
    clients: JoinSet<()>,
    stop: Shutdown,
}

impl Load {
    /// Starts to ask `gateway` and `probes` (ports of this machine); samples go to `samples`.
    pub(super) fn start(gateway: u16, probes: &[u16], samples: &mpsc::Sender<Sample>) -> Load {
        let stop = Shutdown::new();
        let mut clients = JoinSet::new();
        for (kind, connections, number, every) in CLIENTS {
            for _ in 0..number {
                clients.spawn(ask(kind, connections, gateway, every, samples.clone(), stop.clone()));
            }
        }
        for probe in probes {
            clients.spawn(look(*probe, samples.clone(), stop.clone()));
        }
        Load { clients, stop }
    }

    /// Lets every client finish the request it has begun, and stops.
    pub(super) async fn end(mut self) {
        self.stop.begin();
        while self.clients.join_next().await.is_some() {}
    }
}

fn target(port: u16) -> Target {
    Target::Tcp { host: Host::Ip(std::net::Ipv4Addr::LOCALHOST.into()), port }
}

async fn ask(
    kind: Kind,
    connections: Connections,
    gateway: u16,
    every: Duration,
    samples: mpsc::Sender<Sample>,
    stop: Shutdown,
) {
    let kept = usize::from(connections == Connections::Kept);
    let client = Client::new(ClientLimits { idle_per_target: kept, ..ClientLimits::default() });
    let target = target(gateway);
    // So that the clients do not ask in step.
    tokio::time::sleep(every.mul_f64((steadfast_host::random::u64() % 1024) as f64 / 1024.0)).await;
    while !stop.begun() {
        let mut call = Call::new(if kind == Kind::Post { Method::POST } else { Method::GET }, "/");
        if kind == Kind::Post {
            call.body = vec![b'x'; POST_BYTES].into();
        }
        let sent = clock::now();
        let reply = client.call(&target, call, ANSWER_WITHIN).await;
        let result = match &reply {
            Ok(reply) => read(reply),
            Err(error) => Err(Failed { why: error.to_string(), leader_lost: false }),
        };
        if samples.send(Sample { kind, sent, ended: clock::now(), result }).await.is_err() {
            return;
        }
        tokio::select! {
            () = clock::sleep_until(sent + every) => {}
            () = stop.requested() => {}
        }
    }
}

fn read(reply: &Reply) -> Result<Answered, Failed> {
    let header = |name: &str| reply.headers.get(name).and_then(|value| value.to_str().ok());
    let failed = |why: String, leader_lost| Err(Failed { why, leader_lost });
    if let Some(problem) = reply.problem() {
        let leader_lost = problem.reason == "leader-lost";
        return failed(format!("status {} {}", problem.status, problem.reason), leader_lost);
    }
    let Ok(said) = serde_json::from_slice::<Said>(&reply.body) else {
        return failed("an answer that is not the application's".to_owned(), false);
    };
    match header(EPOCH_HEADER).and_then(|epoch| epoch.parse().ok()) {
        Some(epoch) => {
            let meant = header(INSTANCE_HEADER).map(str::to_owned);
            Ok(Answered { instance: said.instance, meant, epoch, pid: said.pid })
        }
        None => failed("an answer without an epoch".to_owned(), false),
    }
}

/// Asks one probe, and tells of every answer of a leader.
async fn look(probe: u16, samples: mpsc::Sender<Sample>, stop: Shutdown) {
    let client = Client::default();
    let target = target(probe);
    while !stop.begun() {
        let sent = clock::now();
        // A probe that does not answer says no, which is what it is for.
        let reply = client.call(&target, Call::get("/"), PROBE_WITHIN).await.ok().filter(|reply| reply.status == 200);
        let answer = reply.and_then(|reply| serde_json::from_slice::<ProbeAnswer>(&reply.body).ok());
        if let Some(answer) = answer.filter(|answer| answer.role == Role::Leader) {
            let instance = answer.instance.to_string();
            let result = Ok(Answered { instance, meant: None, epoch: answer.epoch, pid: 0 });
            if samples.send(Sample { kind: Kind::Probe, sent, ended: clock::now(), result }).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = clock::sleep_until(sent + PROBE_EVERY) => {}
            () = stop.requested() => {}
        }
    }
}
