//! The store goes away, or whoever serves it does: a leader leads on while it may, and everything heals by itself.

mod support;

use std::time::Duration;

use support::{Cluster, DEFAULT_TTL, Load, SOON, Signal, get, holds_for, wait_until};

#[test]
fn whoever_serves_the_store_dies_and_the_leader_leads_on() {
    let mut cluster = Cluster::start("serving");
    let (leader, epoch) = (cluster.leader_index(), cluster.epoch());
    cluster.gateway.signal(Signal::Kill);
    holds_for("the leader leads", DEFAULT_TTL * 2, || cluster.members[leader].leads());
    assert_eq!(cluster.epoch(), epoch, "another process serves the file, and the lease was renewed there");

    cluster.restart_gateway();
    wait_until("the new gateway to answer", SOON, || get(&cluster.url()).is_ok_and(|answer| answer.status == 200));
    assert_eq!(cluster.epoch(), epoch);
}

#[test]
fn a_store_over_http_carries_a_failover() {
    let cluster = Cluster::start_over_http("http");
    let former = cluster.leader().name.clone();
    let load = Load::start(&cluster.url());
    wait_until("answers", SOON, || load.served() > 10);
    Signal::Kill.send(cluster.leader().app_pid(&cluster.sandbox));
    wait_until("another to answer", SOON, || load.so_far().turns().last().is_some_and(|by| *by != former));
    let report = load.stop();
    assert!(report.failures().is_empty(), "{:?}", report.failures().first());
}

#[test]
fn a_leader_without_a_store_stops_in_time_and_comes_back() {
    let mut cluster = Cluster::start_over_http("outage");
    let epoch = cluster.epoch();
    let nobody = |cluster: &Cluster| !cluster.members.iter().any(support::Member::leads);
    cluster.gateway.signal(Signal::Kill);
    wait_until("the leader to stop", SOON, || nobody(&cluster));
    holds_for("nobody leads without a store", Duration::from_secs(1), || nobody(&cluster));
    for member in &cluster.members {
        let running = get(&format!("http://127.0.0.1:{}/", member.app_port));
        assert!(running.is_ok(), "liveness never depends on the store: {running:?}");
    }

    cluster.restart_gateway();
    cluster.wait_until_ready();
    assert!(cluster.epoch() > epoch, "after its deadline a holder serves again only at a new epoch");
    wait_until("the gateway to answer", SOON, || get(&cluster.url()).is_ok_and(|answer| answer.status == 200));
}
