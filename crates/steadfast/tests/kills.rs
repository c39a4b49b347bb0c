//! kill -9 of every role inside an operation, on real processes: whoever it was, what had been answered stays true,
//! the operation comes to its end, and nobody has to do anything but start the dead one again.
//!
//! The moment is one that can be seen from outside (an answer counted, an order acknowledged, a log line), not a span
//! of time. Every single step is visited in `crates/registry/tests/placing/kills` and its siblings.

mod support;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;
use support::{Cluster, Home, Homes, SOON, Signal, get, wait_until};

const CAMERAS: usize = 300;

#[test]
fn gateways_that_are_killed_while_placements_run_have_told_nobody_anything_untrue() {
    let mut homes = Homes::start("kills-burst", 2, &[("rec-1", 200), ("rec-2", 400)]);
    let ports: Vec<u16> = homes.gateways.iter().map(|door| door.port).collect();
    let told: Mutex<BTreeMap<usize, Vec<Home>>> = Mutex::default();
    let (answered, next) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // A camera asks both gateways in turn until one of them sends it home, and remembers where.
    let camera = |number: usize| {
        wait_until("a camera is sent home", SOON, || {
            let answer = get(&format!("http://127.0.0.1:{}/ingest/?camera=cam-{number}&mbps=1", ports[number % 2]));
            let Some(answer) = answer.ok().filter(|answer| answer.status == 307) else { return false };
            let text = |name: &str| answer.header(name).expect("a redirect names the home").to_owned();
            let home = Home { instance: text("steadfast-instance"), location: text("location") };
            told.lock().expect("nobody panics with it").entry(number).or_default().push(home);
            true
        });
        answered.fetch_add(1, Ordering::SeqCst);
    };
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(number) = Some(next.fetch_add(1, Ordering::SeqCst)).filter(|number| *number < CAMERAS) {
                    camera(number);
                }
            });
        }
        // The first serves the store's file; when it is back the second does, and is killed as well.
        for (gateway, after) in [(0, CAMERAS / 4), (1, CAMERAS / 2)] {
            wait_until("so many to be answered", SOON, || answered.load(Ordering::SeqCst) >= after);
            homes.kill_gateway(gateway);
            homes.restart_gateway(gateway);
        }
    });
    let told = told.into_inner().expect("nobody panicked with it");
    assert_eq!(told.len(), CAMERAS);
    let queries: Vec<String> = (0..CAMERAS).map(|number| format!("camera=cam-{number}&mbps=1")).collect();
    for gateway in [0, 1] {
        for (number, home) in homes.homes(gateway, &queries).into_iter().enumerate() {
            assert!(told[&number].iter().all(|before| *before == home), "cam-{number}: {:?}, {home:?}", told[&number]);
        }
        homes.assert_books_agree(gateway, CAMERAS as u64);
    }
}

#[test]
fn a_drain_whose_keeper_is_killed_as_it_was_ordered_comes_to_its_end() {
    let mut homes = Homes::start("kills-drain", 2, &[("rec-1", 100), ("rec-2", 100)]);
    let keeps = |homes: &Homes, gateway: usize| homes.gateways[gateway].process.log().contains("is the keeper");
    wait_until("a keeper", SOON, || keeps(&homes, 0) || keeps(&homes, 1));
    let keeper = usize::from(!keeps(&homes, 0));
    let other = 1 - keeper;
    for number in 0..20 {
        let placed = homes.run(&["place", "recorder", &format!("cam-{number}"), "--weight", "1", "--on", "rec-1"]);
        assert_eq!(placed.code(), 0, "{placed:?}");
    }
    let drained = homes.run_at(keeper, &["drain", "recorder", "rec-1", "--move-after", "0s"]);
    assert_eq!(drained.code(), 0, "{drained:?}");
    homes.kill_gateway(keeper);
    let charged = |homes: &Homes, id: &str| {
        let url = format!("http://127.0.0.1:{}/api/v1/sets/recorder/instances", homes.gateways[other].admin_port);
        let seen = get(&url).ok().filter(|answer| answer.status == 200)?.json();
        seen["instances"].as_array()?.iter().find(|one| one["id"] == id)?["charged"].as_f64()
    };
    wait_until("everybody to be moved", SOON, || charged(&homes, "rec-1") == Some(0.0));
    assert_eq!(charged(&homes, "rec-2"), Some(20.0));
    assert_eq!(homes.home(other, "camera=cam-0&mbps=1").instance, "rec-2");
    homes.restart_gateway(keeper);
    homes.assert_books_agree(keeper, 20);
    let state = homes.instances().expect("the API answers");
    assert!(state.iter().any(|one| one["id"] == "rec-1" && one["state"] == "draining"), "{state:#?}");
    // An agent that is killed does not forget what an operator wants of its instance.
    let first = &homes.recorders[0];
    first.signal_all(Signal::Kill);
    let undrained = homes.run_at(other, &["undrain", "recorder", "rec-1"]);
    assert_eq!(undrained.code(), 0, "{undrained:?}");
    homes.restart_recorder(0);
    homes.assert_books_agree(other, 20);
}

/// Who is killed once a switchover was ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Leader,
    Successor,
    /// It serves the store's file.
    Gateway,
}

#[test]
fn a_switchover_in_which_somebody_is_killed_ends_with_one_leader() {
    let mut cluster = Cluster::start("kills-switchover");
    for victim in [Victim::Leader, Victim::Successor, Victim::Gateway] {
        let (leader, epoch) = (cluster.leader_index(), cluster.epoch());
        let successor = (leader + 1) % cluster.members.len();
        let to = cluster.members[successor].name.clone();
        let ordered = cluster.sandbox.run(&mut cluster.command(&["switchover", "web", "--to", &to]));
        assert_eq!(ordered.code(), 0, "{victim:?}: {ordered:?}");
        match victim {
            Victim::Gateway => cluster.gateway.signal(Signal::Kill),
            Victim::Leader | Victim::Successor => {
                let dead = if victim == Victim::Leader { leader } else { successor };
                cluster.members[dead].signal_all(Signal::Kill);
                cluster.members[dead].agent.wait(SOON);
            }
        }
        // What was acknowledged is done: whoever leads now does so at another epoch.
        wait_until("a leader at a new epoch", SOON, || {
            cluster.members.iter().filter_map(|member| member.probe()).any(|probe| leads_after(&probe, epoch))
        });
        match victim {
            Victim::Gateway => cluster.restart_gateway(),
            Victim::Leader => cluster.restart(leader),
            Victim::Successor => cluster.restart(successor),
        }
        cluster.wait_until_ready();
        assert!(cluster.epoch() > epoch, "{victim:?}");
        wait_until("the gateway to answer", SOON, || get(&cluster.url()).is_ok_and(|answer| answer.status == 200));
    }
    // No order is left over: the next one is obeyed like the first.
    let ordered = cluster.sandbox.run(&mut cluster.command(&["switchover", "web", "--wait"]));
    assert_eq!(ordered.code(), 0, "{ordered:?}");
}

fn leads_after(probe: &Value, epoch: u64) -> bool {
    probe["role"] == "leader" && probe["epoch"].as_u64().is_some_and(|now| now > epoch)
}
