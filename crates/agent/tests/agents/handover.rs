//! A planned hand-over waits for the gateways that still carry requests, and not for ever.

use std::path::PathBuf;
use std::time::Duration;

use steadfast_core::Span;
use steadfast_host::clock;
use steadfast_registry::{ProbeReason, Role};

use crate::support::{Agent, Cluster, TTL, eventually, holds_for, shell, steadily};

/// Two agents, the first of which leads; its application writes a file when it is asked to end.
async fn two(cluster: &Cluster, stop_within: Duration) -> (Vec<Agent>, PathBuf) {
    let ended = cluster.path("ended");
    let mut config = cluster.config("web-1");
    config.stop_within = Span::from_millis(stop_within.as_millis() as u64);
    let script = format!("trap 'echo > {}; exit 0' TERM; while true; do sleep 0.02; done", ended.display());
    config.command = shell(&script);
    let mut agents = vec![cluster.start(config)];
    cluster.leader(&agents, 0).await;
    agents.push(cluster.start(cluster.config("web-2")));
    agents[1].says("a standby", |answer| answer.reason == ProbeReason::Standby).await;
    (agents, ended)
}

#[test]
fn the_application_goes_on_until_gateways_have_let_go() {
    steadily(async || {
        let cluster = Cluster::new();
        let (agents, ended) = two(&cluster, Duration::from_secs(5)).await;
        let probe = agents[0].probe().await;
        assert_eq!(probe.ask_as("gateway", 3).await.role, Role::Leader);
        cluster.registry.order_switchover(&cluster.set, None, "operator").await.unwrap();
        holds_for(TTL / 2, async || {
            let answer = probe.ask_as("gateway", 1).await;
            assert!(!ended.exists() && !cluster.lease().await.unwrap().released, "{answer:?}");
        })
        .await;
        assert_eq!(probe.ask_as("gateway", 0).await.reason, ProbeReason::SteppingDown);
        eventually("it is asked to end", async || ended.exists().then_some(())).await;
        let (leader, epoch) = cluster.leader(&agents, 1).await;
        assert_eq!((leader.instance.as_str(), epoch), ("web-2", 2));
    });
}

#[test]
fn a_gateway_that_never_lets_go_does_not_keep_the_lease() {
    steadily(async || {
        let cluster = Cluster::new();
        // Longer than what was promised lasts: the application must not be started again before it was missed.
        let (agents, ended) = two(&cluster, TTL + TTL / 5).await;
        let probe = agents[0].probe().await;
        probe.ask_as("gateway", 1).await;
        cluster.registry.order_switchover(&cluster.set, None, "operator").await.unwrap();
        let ordered = clock::now();
        eventually("it is asked to end", async || {
            probe.ask_as("gateway", 1).await;
            ended.exists().then_some(())
        })
        .await;
        assert!(clock::now().since(ordered) > TTL);
        let (leader, epoch) = cluster.leader(&agents, 1).await;
        assert_eq!((leader.instance.as_str(), epoch), ("web-2", 2));
        cluster.tells("2 released").await;
        agents[0].says("a standby again", |answer| answer.reason == ProbeReason::Standby).await;
    });
}

#[test]
fn a_gateway_not_heard_of_for_long_is_not_waited_for() {
    steadily(async || {
        let cluster = Cluster::new();
        let grace = Duration::from_secs(5);
        let (agents, _) = two(&cluster, grace).await;
        let (mut leader, mut epoch) = (&agents[0], 1);
        // If a grace were given, none would be faster. Without one a busy machine may slow some of them down.
        for _ in 0..10 {
            leader.probe().await.ask_as("gateway", 1).await;
            // Whatever it was told is over by then, twice.
            clock::sleep_until(clock::now() + TTL * 8 / 5 + Duration::from_millis(1)).await;
            let order = async || cluster.registry.order_switchover(&cluster.set, None, "operator").await.ok();
            eventually("there is a successor", order).await;
            let ordered = clock::now();
            (leader, epoch) = cluster.leader(&agents, epoch).await;
            if clock::now().since(ordered) < grace {
                return;
            }
        }
        panic!("a grace was given each time");
    });
}
