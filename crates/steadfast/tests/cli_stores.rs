//! `doctor` and `copy`, as their users type them.

mod support;

use serde_json::Value;
use support::{Ended, Homes, SOON, Sandbox, Signal, store_url};

fn url(sandbox: &Sandbox, name: &str) -> String {
    format!("sqlite://{}", sandbox.path(name).display())
}

#[track_caller]
fn steadfast(sandbox: &Sandbox, args: &[&str], code: i32) -> Ended {
    let ended = sandbox.run(&mut sandbox.steadfast(args));
    assert_eq!(ended.code(), code, "{args:?}: {ended:?}");
    ended
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[test]
fn a_doctor_measures_and_reckons() {
    let sandbox = Sandbox::new("doctor");
    let file = format!("store = \"{}\"\n[sets.web]\nkind = \"single\"\nlease_ttl = \"4s\"\n", url(&sandbox, "a.db"));
    sandbox.write("web.toml", &file);
    let told = steadfast(&sandbox, &["doctor", "--config", "web.toml", "--for", "100ms"], 0).out;
    for part in ["sqlite at ", "commit ", "p99 ", "lease_ttl  4s of set web: safe", "try_timeout = TTL/6 = 666.67 ms"] {
        assert!(told.contains(part), "no `{part}` in\n{told}");
    }
    let store = url(&sandbox, "a.db");
    let view =
        json(&steadfast(&sandbox, &["doctor", "--store", &store, "--ttl", "2500ms", "--for", "0s", "--json"], 0));
    assert_eq!(view["store"]["engine"], "sqlite");
    assert_eq!((&view["commit_ms"]["count"], &view["leases"][0]["ttl_ms"]), (&20.into(), &2500.into()), "{view}");
    assert_eq!((&view["leases"][0]["verdict"], &view["leases"][0]["set"]), (&"fits".into(), &Value::Null), "{view}");

    let told = steadfast(&sandbox, &["doctor", "--store", &store, "--ttl", "1s"], 2).err;
    assert!(told.contains("lease_ttl must be 2s475ms or more"), "{told}");
    let told = steadfast(&sandbox, &["doctor", "--store", &store, "--set", "nobody"], 2).err;
    assert!(told.contains("there is no set nobody in the store"), "{told}");
    let nobody = format!("http://127.0.0.1:{}", support::free_port());
    let told = steadfast(&sandbox, &["doctor", "--store", &nobody], 3).err;
    assert!(told.contains(&nobody) && told.contains("refused"), "{told}");
}

#[test]
fn cameras_keep_their_homes_when_the_store_is_moved() {
    let mut homes = Homes::start("copied", 1, &[("rec-1", 100), ("rec-2", 100)]);
    let queries: Vec<String> = (0..40).map(|number| format!("camera=cam-{number}&mbps=1")).collect();
    let before = homes.homes(0, &queries);
    let from = store_url(&homes.sandbox);
    let to = url(&homes.sandbox, "other.db");
    let copy = |sandbox: &Sandbox, more: &[&str], code| {
        steadfast(sandbox, &[&["copy", from.as_str(), to.as_str()], more].concat(), code)
    };

    let told = copy(&homes.sandbox, &[], 1).err;
    assert!(told.contains("FROM is in use (") && told.contains("stop every Steadfast"), "{told}");
    homes.gateways[0].process.signal(Signal::Term);
    homes.gateways[0].process.wait(SOON);
    let told = copy(&homes.sandbox, &[], 1).err;
    assert!(told.contains("FROM is in use (instance rec-") && told.contains("signs of life"), "{told}");
    for recorder in &mut homes.recorders {
        recorder.agent.signal(Signal::Term);
        recorder.agent.wait(SOON);
    }

    let dry = json(&copy(&homes.sandbox, &["--dry-run", "--json"], 0));
    assert_eq!((&dry["equal"], &dry["dry_run"]), (&false.into(), &true.into()), "{dry}");
    let done = json(&copy(&homes.sandbox, &["--json"], 0));
    assert_eq!((&done["equal"], &done["records"]), (&true.into(), &dry["written"]), "{done}");
    let told = copy(&homes.sandbox, &[], 1).err;
    assert!(told.contains("TO is not empty: there are records in `recorder`, `@catalog` (--update"), "{told}");
    let again = copy(&homes.sandbox, &["--update"], 0).out;
    assert!(again.contains("written: 0, deleted: 0; both hold the same at recorder@"), "{again}");

    let books = json(&steadfast(&homes.sandbox, &["verify", "recorder", "--store", &to, "--json"], 0));
    assert_eq!((&books["ok"], &books["clients"]), (&true.into(), &40.into()), "{books}");
    let told = steadfast(&homes.sandbox, &["clients", "recorder", "--store", &to, "--json"], 0);
    let clients = json(&told)["clients"].as_array().cloned().unwrap_or_default();
    for (number, home) in before.iter().enumerate() {
        let name = format!("cam-{number}");
        let client = clients.iter().find(|client| client["client"] == name.as_str());
        assert_eq!(client.map(|client| &client["instance"]), Some(&home.instance.as_str().into()), "{name}");
    }
}

#[test]
fn what_cannot_be_copied_is_told() {
    let sandbox = Sandbox::new("copy-wrong");
    let (one, two) = (url(&sandbox, "one.db"), url(&sandbox, "two.db"));
    for (args, code, part) in [
        ([one.as_str(), one.as_str()], 2, "FROM and TO are one store"),
        ([one.as_str(), two.as_str()], 4, "FROM holds no set"),
        (["nowhere", two.as_str()], 2, "the store's URL has no scheme"),
    ] {
        let told = steadfast(&sandbox, &["copy", args[0], args[1]], code).err;
        assert!(told.contains(part), "{args:?}: {told}");
    }
}
