//! Gates: through them only while the lease is valid.

use std::net::SocketAddr;
use std::sync::Arc;

use steadfast_agent::{AgentConfig, EndpointSource};
use steadfast_core::{Endpoint, EndpointName, Host};
use steadfast_registry::{ProbeReason, Role};
use steadfast_store::faulty::Fault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::support::{Agent, Cluster, SOON, TTL, holds_for, steadily};

/// An application that answers each byte with the next one; 100 only when it is told to.
struct Counting {
    address: SocketAddr,
    answer: Arc<Notify>,
    /// Told with every 100 that has come.
    asked: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Counting {
    async fn start() -> Counting {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, asked) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (may_answer, was_asked) = (Arc::clone(&answer), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (may_answer, was_asked) = (Arc::clone(&may_answer), Arc::clone(&was_asked));
                tokio::spawn(async move {
                    while let Ok(byte) = stream.read_u8().await {
                        if byte == 100 {
                            was_asked.notify_one();
                            may_answer.notified().await;
                        }
                        if stream.write_u8(byte + 1).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Counting { address, answer, asked, task }
    }

    /// Asks through `stream` what is answered only when told to, and waits until the question has come.
    async fn keep_waiting(&self, stream: &mut TcpStream) {
        stream.write_u8(100).await.unwrap();
        tokio::time::timeout(SOON, self.asked.notified()).await.expect("the question comes");
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn tcp() -> EndpointName {
    "tcp".parse().unwrap()
}

/// An agent beside an application it does not run, with a gate in front of it.
fn gated(cluster: &Cluster, id: &str, application: &Counting) -> AgentConfig {
    let mut config = cluster.config(id);
    config.command = None;
    let direct: Endpoint = format!("tcp://{}", application.address).parse().unwrap();
    config.endpoints.insert(tcp(), EndpointSource::Fixed(direct));
    config.gates.insert(tcp(), "127.0.0.1:0".parse().unwrap());
    config
}

/// A connection through the gate of `agent`, as the books name it.
async fn connect(cluster: &Cluster, agent: &Agent) -> std::io::Result<TcpStream> {
    let found = cluster.registry.instance(&cluster.set, &agent.instance).await.unwrap();
    let record = found.description.unwrap().record;
    assert!(record.gate);
    let endpoint = record.endpoint(&tcp()).unwrap();
    let Host::Ip(ip) = endpoint.host() else { panic!("{endpoint}") };
    TcpStream::connect((*ip, endpoint.port())).await
}

async fn answers(stream: &mut TcpStream) -> std::io::Result<u8> {
    stream.write_u8(41).await?;
    tokio::time::timeout(SOON, stream.read_u8()).await.expect("an answer or an end")
}

/// A question through a new connection.
async fn asked(cluster: &Cluster, agent: &Agent) -> std::io::Result<u8> {
    answers(&mut connect(cluster, agent).await?).await
}

/// Which of the two leads, and the other, as soon as it is ready to take over.
async fn leader_and_standby<'a>(cluster: &Cluster, agents: &'a [Agent; 2]) -> (&'a Agent, &'a Agent) {
    let (leader, _) = cluster.leader(agents, 0).await;
    let [first, second] = agents;
    let other = if first.instance == leader.instance { second } else { first };
    other.says("a standby", |answer| answer.reason == ProbeReason::Standby).await;
    (leader, other)
}

#[test]
fn only_the_leaders_gate_is_open() {
    steadily(async || {
        let cluster = Cluster::new();
        let application = Counting::start().await;
        let agents = ["web-1", "web-2"].map(|id| cluster.start(gated(&cluster, id, &application)));
        let (leader, other) = leader_and_standby(&cluster, &agents).await;
        assert_eq!(asked(&cluster, leader).await.unwrap(), 42);
        asked(&cluster, other).await.unwrap_err();
    });
}

#[test]
fn with_the_lease_everything_it_carries_is_reset() {
    steadily(async || {
        let cluster = Cluster::new();
        let application = Counting::start().await;
        let agents = [cluster.start(gated(&cluster, "web-1", &application))];
        cluster.leader(&agents, 0).await;
        let probe = agents[0].probe().await;
        let (mut busy, mut quiet) =
            (connect(&cluster, &agents[0]).await.unwrap(), connect(&cluster, &agents[0]).await.unwrap());
        assert_eq!(answers(&mut quiet).await.unwrap(), 42);
        cluster.faults.always(Fault::Hang);
        cluster.faults.cut_watches();
        while answers(&mut busy).await.is_ok() {}
        // What was asked just before the deadline may be answered after it, but the probe has said no by now.
        assert_eq!(probe.ask().await.unwrap().role, Role::Standby);
        let end = tokio::time::timeout(SOON, quiet.read_u8()).await.unwrap().unwrap_err();
        assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
        let found = probe.ask().await.unwrap();
        assert_eq!((found.role, found.valid_for_ms), (Role::Standby, 0));
    });
}

#[test]
fn a_planned_hand_over_lets_what_is_carried_end_and_takes_on_nothing() {
    steadily(async || {
        let cluster = Cluster::new();
        let application = Counting::start().await;
        let agents = ["web-1", "web-2"].map(|id| cluster.start(gated(&cluster, id, &application)));
        let (leader, other) = leader_and_standby(&cluster, &agents).await;

        let mut kept_alive = connect(&cluster, leader).await.unwrap();
        assert_eq!(answers(&mut kept_alive).await.unwrap(), 42);
        let mut waiting = connect(&cluster, leader).await.unwrap();
        application.keep_waiting(&mut waiting).await;
        cluster.registry.order_switchover(&cluster.set, None, "operator").await.unwrap();
        leader.says("stepping down", |answer| answer.reason == ProbeReason::SteppingDown).await;
        asked(&cluster, leader).await.unwrap_err();
        // Longer than what was left of the lease as the order came: it is renewed for those who are finishing.
        let kept = async || assert!(!cluster.lease().await.unwrap().released, "somebody waits for an answer");
        holds_for(TTL, kept).await;
        application.answer.notify_one();
        assert_eq!(waiting.read_u8().await.unwrap(), 101, "what was begun is ended");
        let (next, epoch) = cluster.leader(&agents, 1).await;
        assert_eq!((next.instance.as_str(), epoch), (other.instance.as_str(), 2));
        cluster.tells("2 released").await;
        assert_eq!(asked(&cluster, next).await.unwrap(), 42);
        answers(&mut kept_alive).await.unwrap_err();
    });
}

#[test]
fn one_that_never_ends_does_not_keep_the_lease() {
    steadily(async || {
        let cluster = Cluster::new();
        let application = Counting::start().await;
        let agents = ["web-1", "web-2"].map(|id| cluster.start(gated(&cluster, id, &application)));
        let (leader, _) = leader_and_standby(&cluster, &agents).await;
        let mut stays = connect(&cluster, leader).await.unwrap();
        application.keep_waiting(&mut stays).await;
        cluster.registry.order_switchover(&cluster.set, None, "operator").await.unwrap();
        cluster.leader(&agents, 1).await;
        let end = tokio::time::timeout(SOON, stays.read_u8()).await.unwrap().unwrap_err();
        assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
        cluster.tells("1 hand-over").await;
    });
}
