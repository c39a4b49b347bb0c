//! The first hour of a new user: the demo, and the commands that look and act. What the documents say is run by the
//! tests of `documents`.

mod support;

use std::time::Duration;

use serde_json::Value;
use support::{Cluster, SOON, Sandbox, Signal, wait_until};

#[test]
fn the_demo_unattended() {
    let sandbox = Sandbox::new("demo");
    let mut demo = sandbox.spawn("demo", &mut sandbox.steadfast(["demo", "--for", "20s", "--json"]));
    // Before a dead recorder is taken for lost its presence is missed for ten seconds, whatever the demo was given.
    let status = demo.wait(Duration::from_secs(180));
    let log = demo.log();
    assert!(status.success(), "{status} {log}");
    let figures: Value = log.lines().rev().find_map(|line| serde_json::from_str(line).ok()).expect("figures");
    assert!(figures["requests"].as_u64().is_some_and(|n| n > 100), "{figures}");
    // A POST that was under way when its leader was killed may fail: nobody may repeat it.
    let broken = (&figures["failed_that_should_not"], &figures["two_answered"]);
    assert_eq!(broken, (&0.into(), &0.into()), "{figures}");
    assert!(figures["takeovers"].as_u64().is_some_and(|n| n >= 2), "a crash and a switchover: {figures}");
    assert!(figures["moved_clients"].as_u64().is_some_and(|n| n > 0), "a recorder was killed: {figures}");
    assert!(figures["highest_fill"].as_f64().is_some_and(|part| part > 0.3 && part <= 1.0), "{figures}");
    let never = (&figures["moved_others"], &figures["double_homes"], &figures["books_faults"]);
    assert_eq!(never, (&0.into(), &0.into(), &0.into()), "{figures}");
    wait_until("nothing to be left of it", SOON, || sandbox.running().is_empty());
}

#[test]
fn the_demo_ends_with_its_terminal() {
    let sandbox = Sandbox::new("demo-int");
    let mut demo = sandbox.spawn("demo", &mut sandbox.steadfast(["demo"]));
    wait_until("the line to paste", SOON, || demo.log().contains("kill -9"));
    demo.signal(Signal::Int);
    demo.wait(SOON);
    wait_until("nothing to be left of it", SOON, || sandbox.running().is_empty());
}

#[test]
fn the_demo_survives_the_line_it_shows() {
    let sandbox = Sandbox::new("demo-kill");
    let mut demo = sandbox.spawn("demo", &mut sandbox.steadfast(["demo"]));
    wait_until("the line to paste", SOON, || demo.log().contains("kill -9"));
    let shown = demo.log();
    let (_, after) = shown.split_once("kill -9 ").expect("it is there");
    let pid: u32 = after.split(|c: char| !c.is_ascii_digit()).next().and_then(|pid| pid.parse().ok()).expect("a pid");
    assert!(Signal::Kill.send(pid), "the line names a process that runs");
    let told = || demo.log()[shown.len()..].to_owned();
    wait_until("what happened to be told", SOON, || told().contains("the original pattern took over a minute"));
    let line = told().lines().find(|line| line.contains(" took over after ")).map(str::to_owned).expect("it is there");
    let excused = line.contains("(POSTs already under way");
    assert!(line.contains(", 0 of ") || excused, "a request failed that should not: {line}");
    assert!(demo.is_running(), "the demo goes on");
}

#[test]
fn status_names_the_leader_and_events_tell_the_story() {
    let cluster = Cluster::start("status");
    let leader = cluster.leader().name.clone();
    let run = |args: &[&str]| cluster.sandbox.run(&mut cluster.command(args));

    let status = run(&["status"]);
    assert_eq!(status.code(), 0, "{status:?}");
    for member in &cluster.members {
        assert!(status.out.contains(&member.name), "{}", status.out);
    }
    assert_eq!(run(&["leader", "web"]).out.trim(), leader);

    let json: Value = serde_json::from_str(&run(&["status", "--json"]).out).expect("JSON");
    assert_eq!(json["sets"][0]["leader"]["instance"], leader.as_str(), "{json}");
    let instances: Value = serde_json::from_str(&run(&["instances", "web", "--json"]).out).expect("JSON");
    assert_eq!(instances["instances"].as_array().map(Vec::len), Some(3), "{instances}");

    assert_eq!(run(&["switchover", "web", "--wait"]).code(), 0);
    let successor = run(&["leader", "web"]).out.trim().to_owned();
    assert_ne!(successor, leader);
    wait_until("the switchover among the events", SOON, || {
        let events = run(&["events", "web"]).out;
        events.contains("switchover") && events.contains(&successor)
    });
}

#[test]
fn watch_shows_who_answers_and_every_change() {
    let cluster = Cluster::start("watch");
    let url = cluster.url();
    let mut watch = cluster.sandbox.spawn("watch", &mut cluster.sandbox.steadfast(["watch", &url, "--every", "10ms"]));
    let leader = cluster.leader().name.clone();
    wait_until("the leader to be shown", SOON, || watch.log().contains(&leader));
    let ended = cluster.sandbox.run(&mut cluster.command(&["switchover", "web", "--wait"]));
    assert_eq!(ended.code(), 0, "{ended:?}");
    wait_until("the successor to be shown", SOON, || watch.log().contains(&cluster.leader().name));
    watch.signal(Signal::Int);
    watch.wait(SOON);
}
