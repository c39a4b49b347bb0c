//! The store is away, or the agent stands still: the deadline speaks.

use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use steadfast_agent::{Class, Exit};
use steadfast_core::Moment;
use steadfast_host::clock;
use steadfast_registry::{ProbeAnswer, ProbeReason, Role};
use steadfast_store::faulty::Fault;

use crate::support::{Cluster, Probe, TTL, eventually, holds_for, runtime, steadily, told_again};

/// Every call, and the watches, meet this from now on.
fn away(cluster: &Cluster, fault: Fault) {
    cluster.faults.always(fault);
    cluster.faults.cut_watches();
}

/// Asks until the answer is no: nothing said yes to, without a renewal since `began`, may last longer than a lease.
async fn vouches_no_longer_than_a_lease(probe: &Probe, began: Moment) -> ProbeAnswer {
    eventually("no", async || {
        let asked = clock::now();
        let answer = probe.ask().await?;
        let valid_until = asked + Duration::from_millis(answer.valid_for_ms);
        assert!(valid_until < began + TTL, "{answer:?}");
        (answer.role == Role::Standby).then_some(answer)
    })
    .await
}

#[test]
fn an_outage_shorter_than_the_lease_is_not_noticed() {
    steadily(async || {
        let survives = async |fault| {
            let cluster = Cluster::new();
            let agents = [cluster.start(cluster.config("web-1"))];
            cluster.leader(&agents, 0).await;
            let probe = agents[0].probe().await;
            let leads_for = async |span: Duration| {
                holds_for(span, async || {
                    let answer = probe.ask().await.unwrap();
                    assert_eq!((answer.role, answer.epoch), (Role::Leader, 1), "{fault:?}");
                })
                .await;
            };
            away(&cluster, fault);
            leads_for(TTL / 4).await;
            cluster.faults.heal();
            leads_for(TTL + TTL / 2).await;
        };
        tokio::join!(survives(Fault::Hang), survives(Fault::Refuse), survives(Fault::LoseReply));
    });
}

#[test]
fn in_a_longer_one_the_probe_says_no_at_the_deadline_and_leads_anew_afterwards() {
    steadily(async || {
        let recovers = async |fault| {
            let cluster = Cluster::new();
            let agents = [cluster.start(cluster.config("web-1"))];
            cluster.leader(&agents, 0).await;
            let probe = agents[0].probe().await;
            let application = cluster.processes("web-1");
            away(&cluster, fault);
            let began = clock::now();
            let answer = vouches_no_longer_than_a_lease(&probe, began).await;
            assert!(answer.valid_for_ms == 0 && answer.reason != ProbeReason::Leading, "{answer:?}");
            cluster.faults.heal();
            let answer = probe.says("it leads", |answer| answer.role == Role::Leader).await;
            assert!(answer.epoch >= 2, "{fault:?}");
            assert_eq!(cluster.processes("web-1"), application, "an outage of the store is not the application's");
            // Although the store was away as it happened.
            cluster.tells("stopped web-1 1 lost").await;
        };
        tokio::join!(recovers(Fault::Hang), recovers(Fault::Refuse));
    });
}

#[test]
fn an_agent_ends_although_the_store_is_away() {
    steadily(async || {
        let cluster = Cluster::new();
        let agents = [cluster.start(cluster.config("web-1"))];
        cluster.leader(&agents, 0).await;
        away(&cluster, Fault::Hang);
        let [agent] = agents;
        assert_eq!(agent.left().await.unwrap(), Exit::Left);
        assert!(cluster.processes("web-1").is_empty());
    });
}

#[test]
fn an_agent_asked_to_leave_before_it_began_leaves() {
    steadily(async || {
        let cluster = Cluster::new();
        away(&cluster, Fault::Refuse);
        let agent = cluster.start(cluster.config("web-1"));
        assert_eq!(agent.left().await.unwrap(), Exit::Left);
    });
}

#[test]
fn a_store_that_stays_away_at_the_start_is_told() {
    steadily(async || {
        let cluster = Cluster::new();
        away(&cluster, Fault::Refuse);
        let error = cluster.start(cluster.config("web-1")).ended().await.unwrap_err();
        assert_eq!(error.class(), Class::Unreachable);
        assert!(cluster.processes("web-1").is_empty());
    });
}

/// Runs an agent on a thread of its own until it leads, then `beside` with its probe on this one; what `meanwhile`
/// does then on the agent's own thread, it does to all of the agent but its probe.
fn beside_an_agent(meanwhile: impl AsyncFnOnce(&Cluster, Receiver<()>) + Send, beside: impl AsyncFnOnce(Probe)) {
    let cluster = Cluster::new();
    let (leads, probe) = channel();
    let (done, until) = channel();
    std::thread::scope(|scope| {
        let (cluster, config) = (&cluster, cluster.config("web-1"));
        scope.spawn(move || {
            runtime().block_on(async {
                let agents = [cluster.start(config)];
                cluster.leader(&agents, 0).await;
                leads.send(agents[0].probe().await).unwrap();
                meanwhile(cluster, until).await;
                let [agent] = agents;
                assert_eq!(agent.left().await.unwrap(), Exit::Left);
            });
        });
        let (probe, done) = (probe.recv().unwrap(), done);
        runtime().block_on(beside(probe));
        done.send(()).unwrap();
    });
}

#[test]
fn the_probe_answers_while_the_agent_stands_still_and_says_no_in_time() {
    beside_an_agent(
        async |cluster, until| {
            // Nothing else runs on this thread until the other one has seen enough.
            until.recv().unwrap();
            eventually("it leads again", async || cluster.lease().await.filter(|lease| lease.epoch.0 >= 2)).await;
        },
        async |probe| {
            let began = clock::now();
            let answer = vouches_no_longer_than_a_lease(&probe, began).await;
            assert_eq!(answer.reason, ProbeReason::LeaseLost);
            assert_eq!(probe.ask().await.unwrap().role, Role::Standby);
        },
    );
}

#[test]
fn a_storm_of_probes_does_not_cost_the_lease() {
    told_again(|gap| {
        beside_an_agent(
            async |_, until| {
                let over = async || (until.try_recv() != Err(TryRecvError::Empty)).then_some(());
                gap.watched(eventually("the end of the storm", over)).await;
            },
            async |probe| {
                let until = clock::now() + TTL * 2;
                let mut storm = tokio::task::JoinSet::new();
                for _ in 0..200 {
                    let probe = probe.clone();
                    storm.spawn(async move {
                        let mut answers = 0;
                        while clock::now() < until {
                            // On a connection of its own each time.
                            if let Some(answer) = probe.ask().await {
                                assert_eq!((answer.role, answer.epoch), (Role::Leader, 1));
                                answers += 1;
                            }
                        }
                        answers
                    });
                }
                let answers: u64 = storm.join_all().await.into_iter().sum();
                assert!(answers > 200, "{answers}");
            },
        )
    });
}
