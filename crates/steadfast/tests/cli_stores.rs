//! `doctor`, `copy` and `store init`, as their users type them.

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
    for part in [
        "sqlite at ",
        "version    SQLite 3.",
        "disk ",
        "commit ",
        "p99 ",
        "lease_ttl  4s of set web: safe",
        "try_timeout = TTL/6 = 666.67 ms",
    ] {
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
        (["nowhere", two.as_str()], 2, "FROM: the store's URL has no scheme"),
        ([one.as_str(), "redis://me:hunter2@db1"], 2, "TO: the store's URL holds a password on the command line"),
    ] {
        let told = steadfast(&sandbox, &["copy", args[0], args[1]], code).err;
        assert!(told.contains(part) && !told.contains("hunter2"), "{args:?}: {told}");
    }
}

#[test]
fn a_store_is_made_ready_or_its_owner_told_how() {
    let sandbox = Sandbox::new("store-init");
    let ours = url(&sandbox, "a.db");
    assert_eq!(steadfast(&sandbox, &["store", "init", &ours], 0).out, "sqlite needs no preparation\n");
    assert_eq!(steadfast(&sandbox, &["store", "init", "etcd://127.0.0.1:1"], 0).out, "etcd needs no preparation\n");
    let none = json(&steadfast(&sandbox, &["store", "init", "etcd://127.0.0.1:1", "--json"], 0));
    assert_eq!(none, serde_json::json!({ "engine": "etcd", "made": [] }));

    // No server, no secret, no file of TLS.
    let there = "postgres://db1/steadfast?schema=ours&ca=/nowhere/ca.pem";
    let owner = "postgres://app@db1/steadfast?schema=ours&ca=/nowhere/ca.pem";
    let said = steadfast(&sandbox, &["store", "init", there, "--print-sql"], 2).err;
    assert!(said.contains("names no user"), "{said}");
    let sql = steadfast(&sandbox, &["store", "init", owner, "--print-sql", "--role", "we\"ird"], 0).out;
    for part in
        ["BEGIN;\n", "CREATE SCHEMA \"ours\"", "GRANT USAGE ON SCHEMA \"ours\" TO \"we\"\"ird\";", "\nCOMMIT;\n"]
    {
        assert!(sql.contains(part), "no `{part}` in\n{sql}");
    }
    assert!(!steadfast(&sandbox, &["store", "init", owner, "--print-sql"], 0).out.contains("GRANT"));

    for (args, code, part) in [
        (&["azure://account/books", "--print-sql"][..], 2, "az storage container create"),
        (&["etcd://db1", "--role", "app"], 2, "a role is a database's, and etcd has none"),
        (&["postgres://app:hunter2@db1/steadfast"], 2, "holds a password on the command line"),
        (&["postgres://app@db1/steadfast?shema=ours", "--print-sql"], 2, "did you mean `schema`"),
        (&["postgres://app@127.0.0.1:1/steadfast"], 3, "cannot reach 127.0.0.1:1"),
        (&[], 2, "<URL>"),
    ] {
        let told = steadfast(&sandbox, &[&["store", "init"], args].concat(), code).err;
        assert!(told.contains(part) && !told.contains("hunter2"), "{args:?}: {told}");
    }
    assert_eq!(steadfast(&sandbox, &["store"], 2).out, "");
}
