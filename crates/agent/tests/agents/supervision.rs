//! The application: what it is given, how it ends, and what its end means.

use steadfast_agent::{Class, EndpointSource, Exit, Restart};
use steadfast_core::Span;
use steadfast_core::health::CheckPolicy;
use steadfast_host::process::Signal;
use steadfast_host::shutdown::Shutdown;
use steadfast_registry::{ProbeReason, Role};

use crate::support::{Cluster, eventually, kill, shell, steadily};

#[test]
fn it_is_told_who_it_is_and_which_port_to_take() {
    steadily(async || {
        let cluster = Cluster::new();
        let mut config = cluster.config("web-1");
        let out = cluster.path("out");
        config.endpoints.insert("http".parse().unwrap(), EndpointSource::Auto);
        config.endpoints.insert("stream-2".parse().unwrap(), "tcp://127.0.0.1:4711".parse().unwrap());
        config.check = Some("exec:true".parse().unwrap());
        config.ports = 21_000..=28_000;
        let script = format!(
            "echo $STEADFAST_SET $STEADFAST_INSTANCE $STEADFAST_PORT_HTTP $STEADFAST_PORT_STREAM_2 $1 > {out}.new; mv {out}.new {out}; exec sleep 1000",
            out = out.display()
        );
        config.command = Some(["sh", "-c", &script, "app", "--port={http.port}"].map(str::to_owned).into());
        let agents = [cluster.start(config)];
        cluster.leader(&agents, 0).await;
        let told = eventually("what it was told", async || std::fs::read_to_string(&out).ok()).await;
        let found = cluster.registry.instance(&cluster.set, &agents[0].instance).await.unwrap();
        let endpoint = found.description.unwrap().record.endpoint(&"http".parse().unwrap()).unwrap().clone();
        assert!((21_000..=28_000).contains(&endpoint.port()) && endpoint.scheme() == "http");
        assert_eq!(told.trim(), format!("web web-1 {port} 4711 --port={port}", port = endpoint.port()));

        let epoch = cluster.path("state/agents/web/web-1/epoch");
        let reads = async |wanted: &str| {
            let read = async || std::fs::read_to_string(&epoch).ok().filter(|text| text == wanted);
            eventually("the epoch file", read).await
        };
        reads("1\n").await;
        let [agent] = agents;
        agent.left().await.unwrap();
        reads("").await;
    });
}

#[test]
fn all_of_it_ends_before_the_lease_is_released() {
    steadily(async || {
        let cluster = Cluster::new();
        let mut config = cluster.config("web-1");
        // A grandchild that ignores SIGTERM, left behind by a program that dies.
        config.command = shell("(trap '' TERM; while true; do sleep 0.1; done) & exec sleep 1000");
        let mut agents = vec![cluster.start(config)];
        cluster.leader(&agents, 0).await;
        agents.push(cluster.start(cluster.config("web-2")));
        agents[1].says("a standby", |answer| answer.reason == ProbeReason::Standby).await;
        let before = cluster.lease().await.unwrap();
        let group = cluster.processes("web-1");
        assert!(group.len() >= 2, "{group:?}");
        kill(cluster.main_process("web-1"));
        eventually("the lease is given back", async || {
            let lease = cluster.lease().await.unwrap();
            let left: Vec<i32> = cluster.processes("web-1").intersection(&group).copied().collect();
            let passed_on = lease.released || lease.epoch > before.epoch;
            assert!(!passed_on || left.is_empty(), "{left:?} outlived the lease");
            passed_on.then_some(())
        })
        .await;
    });
}

#[test]
fn an_unhealthy_leader_stops_then_releases_then_starts_again() {
    steadily(async || {
        let cluster = Cluster::new();
        let sick = cluster.path("sick");
        let stopping = cluster.path("stopping");
        let mut config = cluster.config("web-1");
        config.check = Some(format!("exec:test ! -e {}", sick.display()).parse().unwrap());
        config.check_policy = CheckPolicy::new(Span::from_millis(500), Span::from_millis(500), 1, 2).unwrap();
        // It takes a second to end, in which the lease must not be given away.
        config.command = shell(&format!(
            "trap 'echo > {stopping}; sleep 1; rm {stopping} {sick}; exit 0' TERM; while true; do sleep 0.05; done",
            stopping = stopping.display(),
            sick = sick.display()
        ));
        let agents = [cluster.start(config)];
        cluster.leader(&agents, 0).await;
        std::fs::write(&sick, "").unwrap();
        agents[0].says("no more", |answer| answer.role == Role::Standby).await;
        eventually("it is asked to end", async || stopping.exists().then_some(())).await;
        eventually("it ends", async || {
            let still = stopping.exists();
            let lease = cluster.lease().await.unwrap();
            assert!(!(still && lease.released), "given back while something ran");
            (!still).then_some(())
        })
        .await;
        eventually("it is released", async || cluster.lease().await.filter(|lease| lease.released)).await;
        let (_, epoch) = cluster.leader(&agents, 1).await;
        assert_eq!(epoch, 2);
        cluster.tells("stopped web-1 1 unhealthy").await;
    });
}

#[test]
fn its_end_is_the_agents_where_it_is_not_to_be_restarted() {
    steadily(async || {
        for (policy, script, expected) in
            [(Restart::Never, "exit 7", 7), (Restart::Never, "kill -9 $$", 137), (Restart::OnFailure, "exit 0", 0)]
        {
            let cluster = Cluster::new();
            let go = cluster.path("go");
            let mut config = cluster.config("web-1");
            config.restart = policy;
            config.command = shell(&format!("while ! test -e {}; do sleep 0.02; done; {script}", go.display()));
            let agents = [cluster.start(config)];
            cluster.leader(&agents, 0).await;
            std::fs::write(go, "").unwrap();
            let [agent] = agents;
            assert_eq!(agent.ended().await.unwrap(), Exit::Application { code: expected }, "{script}");
            assert!(cluster.lease().await.unwrap().released, "in good order");
            let found = cluster.registry.instance(&cluster.set, &"web-1".parse().unwrap()).await.unwrap();
            assert_eq!(found.ledger.unwrap().record.state.as_str(), "gone");
        }
    });
}

#[test]
fn one_that_cannot_be_started_is_told() {
    steadily(async || {
        let cluster = Cluster::new();
        let mut config = cluster.config("web-1");
        config.command = Some(vec!["/nowhere/app".into()]);
        let error = cluster.start(config).ended().await.unwrap_err();
        assert_eq!(error.class(), Class::Configuration);
        assert!(error.to_string().contains("/nowhere/app"), "{error}");
        let found = cluster.registry.instance(&cluster.set, &"web-1".parse().unwrap()).await.unwrap();
        assert!(found.description.is_none() && found.ledger.is_none(), "a typing mistake leaves no trace in the books");
    });
}

#[test]
fn one_that_dies_is_started_again_and_signals_reach_it() {
    steadily(async || {
        let cluster = Cluster::new();
        let out = cluster.path("out");
        let mut config = cluster.config("web-1");
        config.command = shell(&format!("trap 'echo > {}' USR1; while true; do sleep 0.05; done", out.display()));
        let (agent, forward) = cluster.start_with_signals(config);
        let agents = [agent];
        cluster.leader(&agents, 0).await;
        let first = cluster.processes("web-1");
        kill(cluster.main_process("web-1"));
        cluster.leader(&agents, 1).await;
        // The trap may not be set yet as the shell starts: a signal too early would end it.
        let second = cluster.processes("web-1");
        assert!(!second.is_empty() && second.is_disjoint(&first));
        eventually("the signal", async || {
            let ready = cluster.processes("web-1").len() > 1;
            if ready {
                forward.send(Signal::USR1);
            }
            out.exists().then_some(())
        })
        .await;
    });
}

#[test]
fn a_second_wish_to_end_waits_for_nobody() {
    steadily(async || {
        let cluster = Cluster::new();
        let started = cluster.path("started");
        let mut config = cluster.config("web-1");
        config.stop_within = Span::from_millis(600_000);
        config.command = shell(&format!("trap '' TERM; echo > {}; while true; do sleep 0.05; done", started.display()));
        let agents = [cluster.start(config)];
        cluster.leader(&agents, 0).await;
        eventually("it ignores SIGTERM", async || started.exists().then_some(())).await;
        let [agent] = agents;
        agent.leave.begin();
        agent.says("leaving", |answer| answer.reason == ProbeReason::Leaving).await;
        let at_once: Shutdown = agent.at_once.clone();
        at_once.begin();
        assert_eq!(agent.ended().await.unwrap(), Exit::Left);
        assert!(cluster.processes("web-1").is_empty() && cluster.lease().await.unwrap().released);
    });
}
