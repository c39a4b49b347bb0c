//! What becomes of the leader, and what its clients notice: crashes, deaths, freezes, and orders, seen through the
//! gateway and through the probes.

mod support;

use std::time::Duration;

use serde_json::Value;
use support::{
    Answer, Cluster, DEFAULT_TTL, Load, Pace, Report, SOON, Signal, get, holds_for, post, wait_for, wait_until,
};

/// How the successor came by the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// The leader said that it had stopped.
    Released,
    /// It could not, and its time ran out.
    Expired,
    /// Whichever came first.
    Either,
}

/// Clients that ask the gateway while something happens to the leader.
struct Clients(Vec<Load>);

impl Clients {
    fn of(cluster: &Cluster) -> Clients {
        let clients = Clients((0..4).map(|_| Load::start(&cluster.url())).collect());
        wait_until("every client is answered", SOON, || clients.0.iter().all(|client| client.served() > 10));
        clients
    }

    /// Waits until every client is answered by another than `former`, and a little longer; then what each saw.
    fn until_not_by(self, former: &str) -> Vec<Report> {
        let changed = |client: &Load| client.so_far().turns().last().is_some_and(|by| *by != former);
        wait_until("every client is answered by another", SOON, || self.0.iter().all(changed));
        let seen: Vec<usize> = self.0.iter().map(Load::served).collect();
        let went_on = || self.0.iter().zip(&seen).all(|(client, seen)| client.served() > seen + 50);
        wait_until("the clients go on", SOON, went_on);
        self.0.into_iter().map(Load::stop).collect()
    }
}

/// Does `blow` to the leader under load: no request may fail, and the successor must have come by the lease as `taken`
/// says. How fast that was belongs into the bench.
#[track_caller]
fn check(cluster: &mut Cluster, taken: Taken, blow: impl FnOnce(&mut Cluster, usize)) {
    let leader = cluster.leader_index();
    let (name, epoch) = (cluster.members[leader].name.clone(), cluster.epoch());
    let clients = Clients::of(cluster);
    blow(cluster, leader);
    let reports = clients.until_not_by(&name);
    let turns: Vec<Vec<&str>> = reports.iter().map(Report::turns).collect();
    assert!(turns.iter().all(|seen| seen.len() == 2 && *seen == turns[0]), "one change, from {name}: {turns:?}");
    let report = Report::merge(reports.clone());
    let failures = report.failures();
    assert!(failures.is_empty(), "{} of {} failed: {:?}", failures.len(), report.samples.len(), failures.first());
    // Not always the next one: whoever tried in vain tries again above what it tried.
    let successor = cluster.epoch();
    assert!(successor > epoch, "a new leader has a new epoch");
    match taken {
        Taken::Released => assert_eq!(reason_of(cluster, successor), "released"),
        Taken::Expired => assert_eq!(reason_of(cluster, successor), "expired"),
        Taken::Either => {}
    }
}

/// Why the lease was free when `epoch` began, as the events tell.
#[track_caller]
fn reason_of(cluster: &Cluster, epoch: u64) -> String {
    wait_for("the event of the new epoch", SOON, || {
        let events = cluster.sandbox.run(&mut cluster.command(&["events", "web", "--json"])).out;
        let events: Vec<Value> = serde_json::from_str::<Value>(&events).ok()?["events"].as_array()?.clone();
        let leading = events.iter().find(|event| event["event"] == "leading" && event["epoch"] == epoch)?;
        leading["reason"].as_str().map(str::to_owned)
    })
}

#[test]
fn the_application_crashes() {
    let mut cluster = Cluster::start("crash");
    let crashed = cluster.leader_index();
    check(&mut cluster, Taken::Released, |cluster, leader| {
        Signal::Kill.send(cluster.members[leader].app_pid(&cluster.sandbox));
    });
    cluster.wait_until_ready();
    assert!(!cluster.members[crashed].leads(), "it is running again, and stands by");
}

#[test]
fn the_host_dies() {
    let mut cluster = Cluster::start_agents_first("death");
    check(&mut cluster, Taken::Expired, |cluster, leader| cluster.members[leader].signal_all(Signal::Kill));
}

#[test]
fn the_agent_dies_and_takes_its_application_with_it() {
    let mut cluster = Cluster::start("agent-death");
    check(&mut cluster, Taken::Expired, |cluster, leader| {
        let member = &cluster.members[leader];
        let app = member.app_pid(&cluster.sandbox);
        member.agent.signal(Signal::Kill);
        wait_until("the application to be gone", SOON, || !cluster.sandbox.running().contains(&app));
    });
}

#[test]
fn the_agent_is_asked_to_stop() {
    let mut cluster = Cluster::start_agents_first("stop");
    check(&mut cluster, Taken::Released, |cluster, leader| {
        let member = &mut cluster.members[leader];
        member.agent.signal(Signal::Term);
        let status = member.agent.wait(SOON);
        assert!(status.success(), "an agent that was asked to stop has not failed: {status}");
    });
}

#[test]
fn the_application_falls_ill() {
    let mut cluster = Cluster::start("ill");
    let ill = cluster.leader_index();
    let file = format!("{}.sick", cluster.members[ill].name);
    check(&mut cluster, Taken::Either, |cluster, _| {
        cluster.sandbox.write(&file, "");
    });
    std::fs::remove_file(cluster.sandbox.path(&file)).expect("well again");
    cluster.wait_until_ready();
    assert!(!cluster.members[ill].leads(), "being well again takes the lease from nobody");
}

#[test]
fn an_operator_switches_over() {
    let mut cluster = Cluster::start("switchover");
    let target = cluster.members[(cluster.leader_index() + 1) % 3].name.clone();
    check(&mut cluster, Taken::Released, |cluster, _| {
        let ended = cluster.sandbox.run(&mut cluster.command(&["switchover", "web", "--to", &target, "--wait"]));
        assert_eq!(ended.code(), 0, "{ended:?}");
    });
    assert_eq!(cluster.leader().name, target);
}

#[test]
fn an_operator_drains_the_leader() {
    let mut cluster = Cluster::start_agents_first("drain");
    let drained = cluster.leader_index();
    let name = cluster.members[drained].name.clone();
    check(&mut cluster, Taken::Released, |cluster, _| {
        let ended = cluster.sandbox.run(&mut cluster.command(&["drain", "web", &name]));
        assert_eq!(ended.code(), 0, "{ended:?}");
    });
    let reason = |cluster: &Cluster| cluster.members[drained].probe().map(|probe| probe["reason"].clone());
    assert_eq!(reason(&cluster), Some("draining".into()));
    let ended = cluster.sandbox.run(&mut cluster.command(&["undrain", "web", &name]));
    assert_eq!(ended.code(), 0, "{ended:?}");
    wait_until("the drained one to stand by again", SOON, || reason(&cluster) == Some("standby".into()));
}

#[test]
fn a_frozen_leader_never_answers_beside_its_successor() {
    let cluster = Cluster::start("freeze");
    let frozen = cluster.leader();
    // A probe that hangs is asked again soon, so that a question meets the leader the moment it wakes.
    let impatient = Pace { limit: Duration::from_millis(300), keep_alive: false, ..Pace::default() };
    let probes: Vec<Load> =
        cluster.members.iter().map(|member| Load::at_pace(&member.probe_url(), impatient.clone())).collect();
    let clients = Clients::of(&cluster);

    frozen.signal_all(Signal::Stop);
    let others = || cluster.members.iter().filter(|member| member.name != frozen.name);
    wait_until("another leader", SOON, || others().any(support::Member::leads));
    let frozen_for = DEFAULT_TTL + Duration::from_secs(1);
    holds_for("another one leads", frozen_for, || others().any(support::Member::leads));
    frozen.signal_all(Signal::Cont);
    wait_until("the former leader to stand by", SOON, || {
        frozen.probe().is_some_and(|probe| probe["reason"] == "standby")
    });

    for report in clients.until_not_by(&frozen.name) {
        assert!(report.failures().is_empty(), "{:?}", report.failures().first());
        assert_eq!(report.turns().len(), 2, "one change and no way back: {:?}", report.turns());
    }
    Report::merge(probes.into_iter().map(Load::stop)).assert_one_active();
}

#[test]
fn five_crashes_in_a_row_fail_nothing() {
    let mut cluster = Cluster::start("crashes");
    for _ in 0..5 {
        check(&mut cluster, Taken::Released, |cluster, leader| {
            Signal::Kill.send(cluster.members[leader].app_pid(&cluster.sandbox));
        });
        cluster.wait_until_ready();
    }
}

#[test]
fn all_die_and_come_back_at_a_higher_epoch() {
    let mut cluster = Cluster::start_agents_first("all");
    let epoch = cluster.epoch();
    for member in &cluster.members {
        member.signal_all(Signal::Kill);
    }
    wait_until("no application to be left", SOON, || {
        cluster.members.iter().all(|member| get(&member.probe_url()).is_err())
    });
    for index in 0..cluster.members.len() {
        cluster.restart(index);
    }
    cluster.wait_until_ready();
    let now = wait_for("a leader's epoch", SOON, || cluster.leader().probe()?["epoch"].as_u64());
    assert!(now > epoch, "epoch {now} after epoch {epoch}");
    let answered = || get(&cluster.url()).is_ok_and(|answer| answer.status == 200);
    wait_until("the gateway to answer", SOON, answered);
}

/// A request under way that takes longer than any hand-over waits, and is not one to be sent twice.
fn long_request(cluster: &Cluster) -> std::thread::JoinHandle<std::io::Result<Answer>> {
    let url = format!("{}slow?60000", cluster.url());
    let long = std::thread::spawn(move || post(&url, "{}"));
    wait_until("the request to be under way", SOON, || cluster.sandbox.path("slow").exists());
    long
}

fn switch_over(cluster: &Cluster) {
    let former = cluster.leader().name.clone();
    let ended = cluster.sandbox.run(&mut cluster.command(&["switchover", "web", "--wait"]));
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert_ne!(cluster.leader().name, former);
}

#[test]
fn a_long_request_is_told_and_holds_up_no_switchover() {
    let cluster = Cluster::start("long");
    let long = long_request(&cluster);
    switch_over(&cluster);
    let answer = long.join().expect("the thread ends").expect("an answer");
    assert_eq!((answer.status, answer.json()["reason"].as_str()), (502, Some("leader-lost")), "{}", answer.text());
}

#[test]
fn a_frozen_gateway_holds_up_no_switchover() {
    let cluster = Cluster::start_agents_first("frozen-gateway");
    let long = long_request(&cluster);
    cluster.gateway.signal(Signal::Stop);
    switch_over(&cluster);
    cluster.gateway.signal(Signal::Cont);
    let answer = long.join().expect("the thread ends");
    assert!(!answer.is_ok_and(|answer| answer.status == 200), "the former leader was stopped under it");
}
