//! Who leads, and how leadership passes on.

use crate::support::{Cluster, eventually};
use steadfast_agent::Exit;
use steadfast_registry::{LedgerState, ProbeReason, Role};

#[tokio::test]
async fn one_of_three_leads_and_hands_over_as_it_leaves() {
    let cluster = Cluster::new();
    let mut agents: Vec<_> = ["web-1", "web-2", "web-3"].map(|id| cluster.start(cluster.config(id))).into();
    let (leader, epoch) = cluster.leader(&agents, 0).await;
    assert_eq!(epoch, 1);
    let first = leader.instance.clone();
    let reply = leader.asked().await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.headers["steadfast-epoch"].to_str().unwrap()), (200, "1"));
    for agent in agents.iter().filter(|agent| agent.instance != first) {
        let answer = agent.says("a standby", |answer| answer.reason == ProbeReason::Standby).await;
        assert_eq!((answer.role, answer.valid_for_ms), (Role::Standby, 0));
        assert_eq!(agent.asked().await.unwrap().status.as_u16(), 503);
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
}
