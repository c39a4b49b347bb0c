//! The process that serves the store stands still under load, longer than any lease and any presence, and goes on.

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use support::{
    Cluster, Home, Homes, Load, Member, Pace, Report, SOON, Sandbox, Signal, free_port, gateway_config, get, holds_for,
    wait_until,
};

/// How long it stands still: longer than the lease (3 s) and than an instance may be silent (10 s).
const STANDS_STILL: Duration = Duration::from_secs(12);

#[test]
fn leaders_stop_in_time_and_one_leads_when_the_store_goes_on() {
    let sandbox = Sandbox::new("stopped-lease");
    sandbox.put_agents_behind(&[]);
    let cluster = Cluster::start_in(sandbox);
    let (port, admin_port) = (free_port(), free_port());
    let front = format!(
        "state_dir = \"{}\"\n{}",
        cluster.sandbox.path("state-front").display(),
        gateway_config(&cluster.sandbox, port, admin_port)
    );
    cluster.sandbox.write("front.toml", &front);
    let _front = cluster.sandbox.spawn("front", &mut cluster.sandbox.steadfast(["run", "--config", "front.toml"]));
    let url = format!("http://127.0.0.1:{port}/");
    let answers = || get(&url).is_ok_and(|answer| answer.status == 200);
    wait_until("the second gateway to answer", SOON, answers);
    let epoch = cluster.epoch();
    let impatient = Pace { limit: Duration::from_millis(300), keep_alive: false, ..Pace::default() };
    let probes: Vec<Load> =
        cluster.members.iter().map(|member| Load::at_pace(&member.probe_url(), impatient.clone())).collect();
    let load = Load::start(&url);
    wait_until("answers", SOON, || load.served() > 10);

    let stopped = Instant::now();
    cluster.gateway.signal(Signal::Stop);
    let nobody = || !cluster.members.iter().any(Member::leads);
    wait_until("the leader to stop", SOON, nobody);
    let served = load.served();
    holds_for("nobody leads while the store stands still", STANDS_STILL.saturating_sub(stopped.elapsed()), nobody);
    // A request that had been answered at the very end of the lease may only be counted now.
    assert!(load.served() <= served + 1, "the second gateway forwards to nobody either");
    cluster.gateway.signal(Signal::Cont);
    cluster.wait_until_ready();
    assert!(cluster.epoch() > epoch, "after its deadline a holder serves again only at a new epoch");
    let served = load.served();
    wait_until("the second gateway to answer", SOON, || load.served() > served + 50);
    wait_until("the first gateway to answer", SOON, || get(&cluster.url()).is_ok_and(|answer| answer.status == 200));
    Report::merge(probes.into_iter().map(Load::stop)).assert_one_active();
    let report = load.stop();
    assert!(report.turns().len() <= 2, "one leader before and one after: {:?}", report.turns());
}

#[test]
fn who_has_a_home_goes_home_and_nobody_is_lost_or_moved() {
    let homes = Homes::start("stopped-homes", 2, &[("rec-1", 1_000), ("rec-2", 1_000)]);
    let query = |number: usize| format!("camera=cam-{number}&mbps=1");
    let mut known: BTreeMap<String, Home> = BTreeMap::new();
    for number in 0..40 {
        known.insert(query(number), homes.home(1, &query(number)));
    }
    let at_home = || {
        let sent = |query: &str| homes.gateways[1].answer(query).filter(|answer| answer.status == 307);
        known.iter().all(|(query, home)| {
            sent(query).is_some_and(|answer| answer.header("location") == Some(home.location.as_str()))
        })
    };
    let stopped = Instant::now();
    homes.gateways[0].process.signal(Signal::Stop);
    let refused = homes.gateways[1].answer("camera=new&mbps=1").expect("an answer");
    assert_eq!(refused.status, 503, "{}", refused.text());
    let reason = refused.json()["reason"].as_str().map(str::to_owned);
    assert!(matches!(reason.as_deref(), Some("store-unavailable" | "placing-timed-out")), "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    let left = STANDS_STILL.saturating_sub(stopped.elapsed());
    holds_for("everybody goes home while the store stands still", left, at_home);

    homes.gateways[0].process.signal(Signal::Cont);
    homes.home(1, "camera=new&mbps=1");
    homes.wait_until_open(2);
    for gateway in [0, 1] {
        for (query, home) in &known {
            assert_eq!(homes.home(gateway, query), *home, "at gateway {gateway}");
        }
    }
    for recorder in &homes.recorders {
        let log = recorder.agent.log();
        assert!(!log.contains("declared lost"), "it was silent, and so was the store:\n{log}");
    }
    // One is new, and the other was refused but may have been written all the same.
    homes.assert_books_agree(1, 41);
}
