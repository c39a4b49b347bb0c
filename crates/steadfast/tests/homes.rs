//! Sticky sets as their users see them: cameras that ask a gateway where to go, and the commands that tell why.

mod support;

use std::thread;

use serde_json::Value;
use support::{Home, Homes, SOON, Signal, get, wait_until};

#[test]
fn a_camera_comes_home_whatever_was_restarted() {
    let mut homes = Homes::start("restarts", 2, &[("rec-1", 100), ("rec-2", 100)]);
    let query = "camera=cam-7&mbps=8";
    let home = homes.home(0, query);
    assert!(home.location.ends_with("/ingest/?camera=cam-7&mbps=8"), "{home:?}");
    assert_eq!(get(&home.location).expect("an answer").json()["instance"], home.instance.as_str());
    assert_eq!(homes.home(0, query), home, "asked again");
    assert_eq!(homes.home(1, query), home, "at the second gateway");

    // The first gateway serves the store: with it the store is gone for a moment, and a camera that is known is not.
    homes.kill_gateway(0);
    assert_eq!(homes.home(1, query), home, "while the first gateway is dead");
    homes.restart_gateway(0);
    assert_eq!(homes.home(0, query), home, "at the first gateway, started again");

    let at_home = homes.recorders.iter().position(|one| one.name == home.instance).expect("one of them");
    homes.restart_recorder(at_home);
    for gateway in [0, 1] {
        assert_eq!(homes.home(gateway, query), home, "after the recorder was started again");
    }
    homes.assert_books_agree(1, 1);
}

#[test]
fn many_new_cameras_at_two_gateways_have_one_home_each_and_fill_all_evenly() {
    const CAMERAS: usize = 500;
    let homes = Homes::start("burst", 2, &[("rec-1", 100), ("rec-2", 200), ("rec-3", 400)]);
    let queries: Vec<String> = (0..CAMERAS).map(|number| format!("camera=cam-{number}&mbps=1")).collect();
    let [first, second]: [Vec<Home>; 2] = thread::scope(|scope| {
        let (homes, queries) = (&homes, &queries);
        [0, 1]
            .map(|gateway| scope.spawn(move || homes.homes(gateway, queries)))
            .map(|asked| asked.join().expect("asked"))
    });
    let differing = first.iter().zip(&second).filter(|(one, other)| one != other).count();
    assert_eq!(differing, 0, "cameras with two homes");
    homes.assert_books_agree(0, CAMERAS as u64);

    let instances = homes.instances().expect("the API answers");
    let number = |one: &Value, name: &str| one[name].as_f64().expect("a number");
    let fills: Vec<f64> = instances.iter().map(|one| number(one, "charged") / number(one, "capacity")).collect();
    let charged: f64 = instances.iter().map(|one| number(one, "charged")).sum();
    assert_eq!(charged, CAMERAS as f64, "each is charged once: {instances:#?}");
    let (least, most) = fills.iter().fold((f64::MAX, 0.0_f64), |(low, high), fill| (low.min(*fill), high.max(*fill)));
    // One camera is a hundredth of the smallest.
    assert!(most <= 1.0 && most - least <= 0.03, "not even: {fills:?}");

    a_weight_that_is_said_later_counts(&homes);
}

/// A control connection says nothing of the weight; the stream that follows does.
fn a_weight_that_is_said_later_counts(homes: &Homes) {
    let home = homes.home(0, "camera=late").instance;
    assert_eq!(homes.home(1, "camera=late&mbps=8").instance, home, "the same home");
    let weight = || homes.api("/api/v1/sets/recorder/clients/late").map(|one| one["weight"].clone());
    wait_until("it to be charged what it says", SOON, || weight() == Some(Value::from(8)));
    assert_eq!(homes.home(0, "camera=late").instance, home);
    assert_eq!(weight(), Some(Value::from(8)), "who says nothing changes nothing");
    homes.assert_books_agree(1, 501);
}

#[test]
fn commands_tell_where_clients_are_and_why_and_change_it() {
    let homes = Homes::start("commands", 1, &[("rec-1", 20), ("rec-2", 20)]);
    let told = |args: &[&str], code: i32| {
        let ended = homes.run(args);
        assert_eq!(ended.code(), code, "{args:?}: {ended:?}");
        ended
    };
    let home = homes.home(0, "camera=cam-1&mbps=8").instance;
    let other = if home == "rec-1" { "rec-2" } else { "rec-1" };

    let why = told(&["explain", "recorder", "cam-1"], 0).out;
    assert!(why.starts_with(&format!("cam-1 is at home at {home} (weight 8, active) since 2")), "{why}");
    assert!(why.contains("it was new, and gateway "), "{why}");
    assert!(why.contains(&format!("If it came new, it would go to {other}, ")), "{why}");
    assert!(why.contains("(0 % → 40 %)"), "{why}");
    assert_eq!(why.lines().count(), 5, "an answer, and a table below it: {why}");
    let would = told(&["explain", "recorder", "cam-2", "--weight", "8"], 0).out;
    assert!(
        would.starts_with("Nobody knows cam-2 yet. If it came now, with a weight of 8, it would go to "),
        "{would}"
    );
    told(&["explain", "recorder", "cam-2", "--weight", "21"], 1);

    let list = told(&["clients", "recorder"], 0).out;
    assert!(list.lines().nth(1).is_some_and(|line| line.starts_with("cam-1 ") && line.contains(&home)), "{list}");
    assert!(told(&["clients", "recorder", "--home", other], 0).err.contains("knows no such clients"));
    let unknown = told(&["clients", "recoder"], 2).err;
    assert!(unknown.contains("did you mean \"recorder\"?"), "{unknown}");

    told(&["place", "recorder", "cam-2", "--weight", "8", "--on", other], 0);
    told(&["place", "recorder", "cam-2", "--weight", "8", "--on", &home], 1);
    assert_eq!(homes.home(0, "camera=cam-2&mbps=8").instance, other, "it has the home it was given");
    told(&["move", "recorder", "cam-2", "--to", &home], 0);
    wait_until("the gateway to hear of it", SOON, || homes.home(0, "camera=cam-2&mbps=8").instance == home);
    told(&["forget", "recorder", "cam-2"], 0);
    told(&["forget", "recorder", "cam-2"], 1);
    told(&["verify"], 0);

    a_drain_is_waited_for(&homes, &home, other);
}

/// Empties the home of `cam-1`, and then one whose client fits nowhere else.
fn a_drain_is_waited_for(homes: &Homes, home: &str, other: &str) {
    let drained = homes.run(&["drain", "recorder", home, "--move-after", "0s", "--wait"]);
    assert_eq!(drained.code(), 0, "{drained:?}");
    assert!(drained.out.contains("is empty"), "{drained:?}");
    wait_until("the gateway to hear of it", SOON, || homes.home(0, "camera=cam-1&mbps=8").instance == other);
    let why = homes.run(&["explain", "recorder", "cam-1"]).out;
    assert!(why.contains(&format!("{home} was drained, and keeper ")), "{why}");
    let told = format!("{home} is drained: no client is charged there any more");
    wait_until("the event", SOON, || homes.run(&["events", "recorder"]).out.contains(&told));

    assert_eq!(homes.run(&["undrain", "recorder", home]).code(), 0);
    let placed = homes.run(&["place", "recorder", "heavy", "--weight", "15", "--on", home]);
    assert_eq!(placed.code(), 0, "{placed:?}");
    who_stops_waiting_leaves_the_drain_standing(homes, home);
    let stuck = homes.run(&["drain", "recorder", home, "--move-after", "0s", "--wait"]);
    assert_eq!(stuck.code(), 4, "{stuck:?}");
    assert!(stuck.err.contains("heavy: no instance has room"), "{stuck:?}");
    assert_eq!(homes.run(&["undrain", "recorder", home]).code(), 0);
    homes.assert_books_agree(0, 2);
}

fn who_stops_waiting_leaves_the_drain_standing(homes: &Homes, home: &str) {
    let mut waiting = homes.spawn("waiting", &["drain", "recorder", home, "--wait"]);
    wait_until("the wait to be told of", SOON, || waiting.log().contains("1 client of a weight of 15 is still there"));
    waiting.signal(Signal::Int);
    assert_eq!(waiting.wait(SOON).code(), Some(1));
    assert!(waiting.log().contains(&format!("the drain stands; `steadfast undrain recorder {home}` takes it back")));
    let state = homes.instances().expect("the API answers");
    assert!(state.iter().any(|one| one["id"] == home && one["state"] == "draining"), "{state:#?}");
}
