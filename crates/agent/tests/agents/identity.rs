//! Who an instance is: one name, one life at a time.

use steadfast_agent::{Class, Exit};
use steadfast_core::Incarnation;
use steadfast_host::clock;
use steadfast_registry::{InstanceRecord, LedgerState, ProbeReason, Role};
use steadfast_store::{Batch, Change, Expect, Key, Space, Write};

use crate::support::{Cluster, SOON, eventually, steadily};

#[test]
fn a_second_agent_of_one_name_is_refused_while_the_first_lives() {
    steadily(async || {
        let cluster = Cluster::new();
        let agents = [cluster.start(cluster.config("web-1"))];
        cluster.leader(&agents, 0).await;

        let error = cluster.start(cluster.config("web-1")).ended().await.unwrap_err();
        assert_eq!(error.class(), Class::Refused);
        assert!(
            error
                .to_string()
                .contains(&format!("web-1 of set web already runs on this machine (pid {})", std::process::id())),
            "{error}"
        );

        // Another state directory stands for another machine: there the first one's probe speaks for it.
        let mut elsewhere = cluster.config("web-1");
        elsewhere.state_dir = cluster.path("elsewhere");
        let error = cluster.start(elsewhere).ended().await.unwrap_err();
        assert_eq!(error.class(), Class::Refused);
        assert!(error.to_string().contains("its probe is http://127.0.0.1:"), "{error}");

        let answer = agents[0].ask().await.unwrap();
        assert_eq!((answer.role, answer.epoch), (Role::Leader, 1), "the first one was not disturbed");
    });
}

#[test]
fn a_killed_agent_is_succeeded_at_once_on_its_machine_and_so_is_its_lease() {
    steadily(async || {
        let cluster = Cluster::new();
        let config = cluster.config("web-1");
        let agents = [cluster.start(config.clone())];
        cluster.leader(&agents, 0).await;
        let lease = cluster.lease().await.unwrap();
        let [agent] = agents;
        agent.killed().await;
        let agents = [cluster.start(config)];
        let (_, epoch) = cluster.leader(&agents, 1).await;
        assert_eq!(epoch, 2, "a new epoch, although nobody else led");
        assert!(
            !cluster.lease().await.unwrap().released && lease.incarnation != cluster.lease().await.unwrap().incarnation
        );
        cluster.tells("leading web-1 2 own").await;
    });
}

#[test]
fn a_name_whose_holder_is_silent_elsewhere_is_taken_over_after_a_while() {
    steadily(async || {
        let cluster = Cluster::new();
        let mut elsewhere = cluster.config("web-1");
        elsewhere.state_dir = cluster.path("elsewhere");
        let agents = [cluster.start(elsewhere)];
        cluster.leader(&agents, 0).await;
        let [agent] = agents;
        agent.killed().await;
        let killed = clock::now();
        let agents = [cluster.start(cluster.config("web-1"))];
        let (_, epoch) = cluster.leader(&agents, 1).await;
        assert_eq!(epoch, 2);
        let waited = clock::now().since(killed);
        assert!(waited.as_secs() >= 10, "{waited:?}");
    });
}

#[test]
fn one_that_left_in_good_order_is_not_waited_for() {
    steadily(async || {
        let cluster = Cluster::new();
        let mut elsewhere = cluster.config("web-1");
        elsewhere.state_dir = cluster.path("elsewhere");
        let agents = [cluster.start(elsewhere)];
        cluster.leader(&agents, 0).await;
        let [agent] = agents;
        assert_eq!(agent.left().await.unwrap(), Exit::Left);
        let left = clock::now();
        let agents = [cluster.start(cluster.config("web-1"))];
        agents[0]
            .says("it is back", |answer| answer.reason == ProbeReason::Waiting || answer.role == Role::Leader)
            .await;
        assert!(clock::now().since(left).as_secs() < 5);
    });
}

#[test]
fn an_agent_whose_name_another_one_took_stops() {
    steadily(async || {
        let cluster = Cluster::new();
        let agents = [cluster.start(cluster.config("web-1"))];
        cluster.leader(&agents, 0).await;
        let (set, id) = (&cluster.set, &agents[0].instance);
        let found = cluster.registry.instance(set, id).await.unwrap();
        let probe = "http://10.0.0.9:7401".parse().unwrap();
        let record = InstanceRecord::new(Incarnation(7), [].into(), probe, false, "vm-9".into());
        cluster.registry.register(set, id, &record, steadfast_core::Weight::ZERO, &found).await.unwrap();
        let [agent] = agents;
        let error = agent.ended().await.unwrap_err();
        assert_eq!(error.class(), Class::Refused);
        assert!(error.to_string().contains("vm-9") && error.to_string().contains("web-1"), "{error}");
        assert!(cluster.processes("web-1").is_empty());
        let found = cluster.registry.instance(set, &"web-1".parse().unwrap()).await.unwrap();
        assert_eq!(found.ledger.unwrap().record.state.as_str(), "open", "the other one's state is not ours to write");
    });
}

#[test]
fn a_store_that_forgot_an_instance_is_told_again() {
    steadily(async || {
        let cluster = Cluster::new();
        let agents = [cluster.start(cluster.config("web-1"))];
        cluster.leader(&agents, 0).await;
        let records = ["instance/web-1", "ledger/web-1"];
        let space = Space::new("web").unwrap();
        eventually("the records are gone", async || {
            let mut changes = Vec::new();
            for name in records {
                let found = cluster.registry.store().read(&Key::new(space.clone(), name), SOON).await.unwrap()?;
                changes.push(Change {
                    name: name.into(),
                    expect: Expect::Version(found.version),
                    write: Write::Delete,
                });
            }
            cluster.registry.store().commit(Batch { space: space.clone(), changes }, SOON).await.ok()
        })
        .await;
        cluster.leader(&agents, 1).await;
        assert_eq!(agents[0].state().await, Some(LedgerState::Open));
    });
}
