//! What a person gets wrong on the first day: every refusal says what, where, and what would be right, and has the
//! exit code a script can act on.

mod support;

use std::net::TcpListener;

use support::{Cluster, Ended, SOON, Sandbox, free_port, gateway_config, store_url, wait_until};

const USAGE: i32 = 2;
const UNREACHABLE: i32 = 3;
const REFUSED: i32 = 4;

/// The program refuses with `code`, and its message has all of `words`.
#[track_caller]
fn check(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code(), code, "{ended:#?}");
    let missing: Vec<&&str> = words.iter().filter(|word| !ended.err.contains(**word)).collect();
    assert!(missing.is_empty(), "{missing:?} is not in:\n{}", ended.err);
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
}

fn run_with(sandbox: &Sandbox, config: &str) -> Ended {
    sandbox.write("steadfast.toml", config);
    sandbox.run(&mut sandbox.steadfast(["run", "--config", "steadfast.toml"]))
}

/// An agent without a command, with these flags besides what every agent needs.
fn agent_with(sandbox: &Sandbox, more: &[&str]) -> Ended {
    let mut command = sandbox.steadfast(["agent", "--kind", "single", "--set", "web", "--instance", "web-1"]);
    let app = format!("http://127.0.0.1:{}", free_port());
    command.args(["--store", &store_url(sandbox), "--endpoint", &format!("http={app}"), "--check", &app]);
    sandbox.run(command.args(more))
}

#[test]
fn a_wrong_key() {
    let sandbox = Sandbox::new("key");
    let config = gateway_config(&sandbox, free_port(), free_port()).replace("kind = ", "lease_tll = \"3s\"\nkind = ");
    let words = ["steadfast.toml:5:1", "lease_tll", "did you mean", "lease_ttl"];
    check(&run_with(&sandbox, &config), USAGE, &words);
    check(&sandbox.run(&mut sandbox.steadfast(["check", "steadfast.toml"])), USAGE, &words);
}

#[test]
fn a_file_that_is_not_there_or_no_toml() {
    let sandbox = Sandbox::new("file");
    check(&sandbox.run(&mut sandbox.steadfast(["run", "--config", "missing.toml"])), USAGE, &["missing.toml"]);
    check(&run_with(&sandbox, "[sets.web\nkind = 1\n"), USAGE, &["steadfast.toml:1:"]);
}

#[test]
fn a_store_or_a_certificate_that_a_start_would_refuse_is_found_by_check() {
    let sandbox = Sandbox::new("access");
    let here = sandbox.write("here.pem", "no certificate").display().to_string();
    let tls = |cert: &str| format!("[admin]\nlisten = \"127.0.0.1:{}\"\ntls = {cert}\n", free_port());
    for (config, what) in [
        ("store = \"redis://me:hunter2@db1/x?db=two\"\n".to_owned(), "gives `db` the value `two`"),
        ("store = \"sqlite:state.db\"\n".to_owned(), "names no absolute path"),
        (format!("store = \"http://db1:7400\"\nstore_tls = {{ ca = \"{here}\" }}\n"), "write `https:`"),
        (tls(&format!("{{ cert = \"{here}\", key = \"{here}\" }}")), "holds no certificate"),
    ] {
        check(&run_with(&sandbox, &config), USAGE, &[what]);
        let checked = sandbox.run(&mut sandbox.steadfast(["check", "steadfast.toml"]));
        check(&checked, USAGE, &[what]);
        assert!(!checked.err.contains("hunter2"), "{}", checked.err);
    }
    // What is on another machine may be right.
    let elsewhere = "store = \"https://db1:7400\"\nstore_tls = { ca = \"/nowhere/ca.pem\" }\n";
    sandbox.write("steadfast.toml", elsewhere);
    let checked = sandbox.run(&mut sandbox.steadfast(["check", "steadfast.toml"]));
    check(&checked, 0, &["warning: store_tls.ca names /nowhere/ca.pem, which is not on this machine"]);
}

#[test]
fn a_token_may_come_through_a_pipe() {
    let sandbox = Sandbox::new("pipe");
    let program = env!("CARGO_BIN_EXE_steadfast");
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let mut shell = sandbox.command("bash");
    shell.args(["-c", &format!("exec {program} status --admin {nobody} --token-file <(echo token)")]);
    check(&sandbox.run(&mut shell), UNREACHABLE, &["cannot reach"]);
}

#[test]
fn a_lease_that_would_not_be_safe() {
    let sandbox = Sandbox::new("ttl");
    for (setting, why) in [
        ("lease_ttl = \"200ms\"", "200ms is too short"),
        ("lease_ttl = \"200ms\"", "must be 2s475ms or more"),
        ("clock_drift = 0.4", "0.11 or less"),
    ] {
        let config =
            gateway_config(&sandbox, free_port(), free_port()).replace("kind = ", &format!("{setting}\nkind = "));
        check(&run_with(&sandbox, &config), USAGE, &["steadfast.toml:5:", why]);
    }
}

#[test]
fn a_port_in_use() {
    let sandbox = Sandbox::new("port");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("has one").port();
    let address = format!("127.0.0.1:{port}");
    check(&run_with(&sandbox, &gateway_config(&sandbox, port, free_port())), USAGE, &[&address, "in use"]);
    check(&agent_with(&sandbox, &["--probe", &address]), USAGE, &[&address, "in use", "probe"]);
}

#[test]
fn a_state_directory_that_cannot_be_written() {
    let sandbox = Sandbox::new("state");
    // A directory that not even root can make.
    check(&agent_with(&sandbox, &["--state-dir", "/proc/steadfast"]), USAGE, &["/proc/steadfast", "state directory"]);
    let file = sandbox.write("file", "");
    let below = file.join("state").display().to_string();
    check(&agent_with(&sandbox, &["--state-dir", &below]), USAGE, &[&below, "state directory"]);
}

#[test]
fn a_second_agent_of_the_same_name() {
    let mut cluster = Cluster::start("name");
    let name = cluster.members[0].name.clone();
    let second = |cluster: &Cluster| {
        let mut command = cluster.command(&["agent", "--kind", "single", "--set", "web", "--instance", &name]);
        let app = format!("http://127.0.0.1:{}", free_port());
        let state = cluster.sandbox.path("state-second").display().to_string();
        command.args(["--state-dir", &state, "--endpoint", &format!("http={app}"), "--check", &app]);
        cluster.sandbox.run(&mut command)
    };
    check(&second(&cluster), REFUSED, &[&name, "already runs", "--instance"]);
    cluster.wait_until_ready();

    // After kill -9 on the same machine the name is free at once.
    cluster.members[0].agent.signal(support::Signal::Kill);
    cluster.members[0].agent.wait(SOON);
    cluster.restart(0);
    cluster.wait_until_ready();
}

#[test]
fn a_store_of_a_newer_format() {
    let sandbox = Sandbox::new("newer");
    sandbox.write("steadfast.toml", &gateway_config(&sandbox, free_port(), free_port()));
    let mut gateway = sandbox.spawn("gateway", &mut sandbox.steadfast(["run", "--config", "steadfast.toml"]));
    wait_until("the store", SOON, || sandbox.path("state.db").exists());
    let status = || sandbox.run(&mut sandbox.steadfast(["status", "--store", &store_url(&sandbox)]));
    wait_until("the set", SOON, || status().out.contains("web"));
    gateway.signal(support::Signal::Term);
    gateway.wait(SOON);

    let bump = "import sqlite3; c = sqlite3.connect('state.db'); c.execute('PRAGMA user_version = 99'); c.commit()";
    assert_eq!(sandbox.run(sandbox.command("python3").args(["-c", bump])).code(), 0);
    let refused = sandbox.run(&mut sandbox.steadfast(["run", "--config", "steadfast.toml"]));
    check(&refused, USAGE, &["state.db", "newer", "99"]);
    check(&status(), USAGE, &["state.db", "newer", "99"]);
}

#[test]
fn a_store_that_is_no_store() {
    let sandbox = Sandbox::new("store");
    sandbox.write("state.db", "This is somebody's diary, and not to be touched.\n");
    check(&agent_with(&sandbox, &[]), USAGE, &["state.db"]);
    let diary = std::fs::read_to_string(sandbox.path("state.db")).expect("still there");
    assert!(diary.starts_with("This is somebody's diary"), "it was touched");
}

#[test]
fn nobody_there() {
    let sandbox = Sandbox::new("nobody");
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let status = sandbox.run(&mut sandbox.steadfast(["status", "--admin", &nowhere]));
    check(&status, UNREACHABLE, &[nowhere.trim_start_matches("http://")]);
}

#[test]
fn words_that_are_none() {
    let sandbox = Sandbox::new("words");
    check(&sandbox.run(&mut sandbox.steadfast(["statsu"])), USAGE, &["statsu", "status"]);
    check(&sandbox.run(&mut sandbox.steadfast(["leader", "Not A Set"])), USAGE, &["Not A Set"]);
    check(&agent_with(&sandbox, &["--check-every", "soon"]), USAGE, &["soon", "check-every"]);
    check(&agent_with(&sandbox, &["--endpoint", "http"]), USAGE, &["NAME"]);
}

#[test]
fn an_application_that_cannot_be_started() {
    let sandbox = Sandbox::new("command");
    let ended = agent_with(&sandbox, &["--", "no-such-program-anywhere"]);
    check(&ended, USAGE, &["no-such-program-anywhere"]);
}
