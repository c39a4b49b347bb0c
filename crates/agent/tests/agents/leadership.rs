//! Who leads, and how leadership passes on.

use crate::support::{Cluster, TTL, eventually, kill, steadily};
use steadfast_agent::Exit;
use steadfast_core::Span;
use steadfast_core::settings::{SetSettings, SingleSettings};
use steadfast_host::clock;
use steadfast_registry::{LedgerState, ProbeReason, Role};

#[test]
fn one_of_three_leads_and_hands_over_as_it_leaves() {
    steadily(async || {
        let cluster = Cluster::new();
        let mut agents: Vec<_> = ["web-1", "web-2", "web-3"].map(|id| cluster.start(cluster.config(id))).into();
        let (leader, epoch) = cluster.leader(&agents, 0).await;
        assert_eq!(epoch, 1);
        let first = leader.instance.clone();
        let reply = leader.probe().await.asked().await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.headers["steadfast-epoch"].to_str().unwrap()), (200, "1"));
        for agent in agents.iter().filter(|agent| agent.instance != first) {
            let answer = agent.says("a standby", |answer| answer.reason == ProbeReason::Standby).await;
            assert_eq!((answer.role, answer.valid_for_ms), (Role::Standby, 0));
            assert_eq!(agent.probe().await.asked().await.unwrap().status.as_u16(), 503);
        }

        let place = agents.iter().position(|agent| agent.instance == first).unwrap();
        let leaving = agents.remove(place);
        assert_eq!(leaving.left().await.unwrap(), Exit::Left);
        let (leader, epoch) = cluster.leader(&agents, 1).await;
        assert_eq!(epoch, 2);
        let second = leader.instance.clone();
        let gone = cluster.registry.instance(&cluster.set, &first).await.unwrap();
        assert_eq!(gone.ledger.unwrap().record.state, LedgerState::Gone);

        let told = [
            format!("leading {first} 1 first"),
            format!("stopped {first} 1 leaving"),
            format!("leading {second} 2 released"),
        ];
        eventually("the story is written down", async || (cluster.story().await == told).then_some(())).await;
        for agent in agents {
            agent.left().await.unwrap();
        }
    });
}

#[test]
fn the_death_of_the_application_hands_over_at_once_and_it_is_started_again() {
    steadily(async || {
        let cluster = Cluster::new();
        let agents: Vec<_> = ["web-1", "web-2"].map(|id| cluster.start(cluster.config(id))).into();
        let (leader, _) = cluster.leader(&agents, 0).await;
        let first = leader.instance.clone();
        let other = agents.iter().find(|agent| agent.instance != first).unwrap();
        other.says("a standby", |answer| answer.reason == ProbeReason::Standby).await;

        for pid in cluster.processes(first.as_str()) {
            kill(pid);
        }
        let (leader, epoch) = cluster.leader(&agents, 1).await;
        assert_eq!((leader.instance != first, epoch), (true, 2));
        let told = [
            format!("leading {first} 1 first"),
            format!("stopped {first} 1 application-died"),
            format!("leading {} 2 released", leader.instance),
        ];
        eventually("the story is written down", async || (cluster.story().await == told).then_some(())).await;
        eventually("the application runs again", async || {
            (!cluster.processes(first.as_str()).is_empty()).then_some(())
        })
        .await;
        let again = agents.iter().find(|agent| agent.instance == first).unwrap();
        again.says("a standby", |answer| answer.reason == ProbeReason::Standby).await;
    });
}

#[test]
fn the_death_of_an_agent_takes_its_application_with_it_and_hands_over_when_the_lease_expires() {
    steadily(async || {
        let cluster = Cluster::new();
        let mut agents: Vec<_> = ["web-1", "web-2"].map(|id| cluster.start(cluster.config(id))).into();
        let (leader, _) = cluster.leader(&agents, 0).await;
        let first = leader.instance.clone();
        let place = agents.iter().position(|agent| agent.instance == first).unwrap();
        agents[1 - place].says("a standby", |answer| answer.reason == ProbeReason::Standby).await;
        let killed = clock::now();
        agents.remove(place).killed().await;
        let (_, epoch) = cluster.leader(&agents, 1).await;
        let gap = clock::now().since(killed);
        assert_eq!(epoch, 2);
        assert!(gap > TTL / 2, "{gap:?}");
        assert!(cluster.processes(first.as_str()).is_empty());
        cluster.tells("2 expired").await;
    });
}

#[test]
fn an_ordered_switchover_goes_to_the_one_named() {
    steadily(async || {
        let cluster = Cluster::new();
        let agents: Vec<_> = ["web-1", "web-2", "web-3"].map(|id| cluster.start(cluster.config(id))).into();
        let (leader, _) = cluster.leader(&agents, 0).await;
        let others: Vec<_> = agents.iter().filter(|agent| agent.instance != leader.instance).collect();
        for other in &others {
            other.says("a standby", |answer| answer.reason == ProbeReason::Standby).await;
        }
        for named in others.into_iter().chain([leader]) {
            let (leader, before) = cluster.leader(&agents, 0).await;
            cluster.registry.order_switchover(&cluster.set, Some(&named.instance), "operator").await.unwrap();
            let (next, epoch) = cluster.leader(&agents, before).await;
            assert_eq!((next.instance.as_str(), epoch), (named.instance.as_str(), before + 1));
            leader.says("a standby again", |answer| answer.reason == ProbeReason::Standby).await;
        }
    });
}

#[test]
fn a_drained_leader_hands_over_and_stays_away_until_undrained() {
    steadily(async || {
        let cluster = Cluster::new();
        let agents: Vec<_> = ["web-1", "web-2"].map(|id| cluster.start(cluster.config(id))).into();
        let (leader, _) = cluster.leader(&agents, 0).await;
        let other = agents.iter().find(|agent| agent.instance != leader.instance).unwrap();
        other.says("a standby", |answer| answer.reason == ProbeReason::Standby).await;
        let set = |state| cluster.registry.set_state(&cluster.set, &leader.instance, None, state, "operator");
        set(LedgerState::Draining).await.unwrap();
        let (next, _) = cluster.leader(&agents, 1).await;
        assert_eq!(next.instance, other.instance);
        leader.says("drained", |answer| answer.reason == ProbeReason::Draining).await;
        set(LedgerState::Open).await.unwrap();
        leader.says("a standby", |answer| answer.reason == ProbeReason::Standby).await;
        cluster.tells(&format!("stopped {} 1 draining", leader.instance)).await;
    });
}

#[test]
fn without_a_command_or_a_gate_the_lease_is_left_to_expire() {
    steadily(async || {
        let cluster = Cluster::new();
        let bare = |id: &str| {
            let mut config = cluster.config(id);
            config.command = None;
            cluster.start(config)
        };
        let mut agents = vec![bare("web-1"), bare("web-2")];
        let (leader, _) = cluster.leader(&agents, 0).await;
        let place = agents.iter().position(|agent| agent.instance == leader.instance).unwrap();
        agents.remove(place).left().await.unwrap();
        let lease = cluster.lease().await.unwrap();
        assert!(!lease.released, "nobody knows whether what served has stopped");
        let (_, epoch) = cluster.leader(&agents, 1).await;
        assert_eq!(epoch, 2);
        cluster.tells("2 expired").await;
    });
}

#[test]
fn new_settings_are_taken_over_while_leading() {
    steadily(async || {
        let cluster = Cluster::new();
        let agents = [cluster.start(cluster.config("web-1"))];
        cluster.leader(&agents, 0).await;
        let longer = SingleSettings::new(Span::from_millis(6_000), 10, Span::ZERO, Span::ZERO).unwrap();
        cluster.registry.change_set(&cluster.set, &SetSettings::Single(longer), "operator").await.unwrap();
        let answer = agents[0].says("a longer lease", |answer| u128::from(answer.valid_for_ms) > TTL.as_millis()).await;
        assert_eq!(answer.epoch, 1);
        assert_eq!(cluster.lease().await.unwrap().ttl, Span::from_millis(6_000));
    });
}

#[test]
fn of_many_who_come_at_once_one_leads() {
    steadily(async || {
        let cluster = Cluster::new();
        let bare = |n| {
            let mut config = cluster.config(&format!("web-{n}"));
            config.command = None;
            cluster.start(config)
        };
        let agents: Vec<_> = (0..20).map(bare).collect();
        let (leader, epoch) = cluster.leader(&agents, 0).await;
        assert_eq!(epoch, 1);
        for agent in agents.iter().filter(|agent| agent.instance != leader.instance) {
            agent.says("a standby", |answer| answer.reason == ProbeReason::Standby && answer.epoch == 1).await;
        }
        let told = [format!("leading {} 1 first", leader.instance)];
        eventually("the story", async || (cluster.story().await == told).then_some(())).await;
    });
}

#[test]
fn load_balancers_are_given_their_time_before_the_lease_is() {
    steadily(async || {
        let cluster = Cluster::new();
        let release_after = TTL + TTL / 2;
        let span = |d: std::time::Duration| Span::from_millis(d.as_millis() as u64);
        let settings = SingleSettings::new(span(TTL), 10, span(release_after), Span::ZERO).unwrap();
        let start = |id: &str| {
            let mut config = cluster.config(id);
            config.introduce = Some(SetSettings::Single(settings));
            cluster.start(config)
        };
        let mut agents = vec![start("web-1"), start("web-2")];
        let (leader, _) = cluster.leader(&agents, 0).await;
        let place = agents.iter().position(|agent| agent.instance == leader.instance).unwrap();
        agents[1 - place].says("a standby", |answer| answer.reason == ProbeReason::Standby).await;
        let leaving = agents.remove(place);
        let probe = leaving.probe().await;
        let asked = clock::now();
        let left = tokio::spawn(leaving.left());
        while !left.is_finished() {
            // It answers, and says no, until it has given the lease back.
            if let Some(answer) = probe.ask().await {
                assert_eq!(answer.role == Role::Leader, answer.reason == ProbeReason::Leading);
            }
            assert!(!cluster.lease().await.unwrap().released || clock::now().since(asked) >= release_after);
        }
        left.await.unwrap().unwrap();
        let (_, epoch) = cluster.leader(&agents, 1).await;
        let took = clock::now().since(asked);
        assert!(epoch == 2 && took >= release_after, "epoch {epoch} after {took:?}: {:?}", cluster.story().await);
        cluster.tells("2 released").await;
    });
}
