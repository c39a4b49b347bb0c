//! WebSocket through the gateway, by the cases of the Autobahn test suite, which kosoku plays: what an echo server does
//! right when it is asked directly it does right through the gateway, however the frames come.
//!
//! `STEADFAST_WEBSOCKET_CASES=all` plays all of them, large and compressed messages too; that takes a quarter of an hour.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::{SOON, Sandbox, free_port, get, wait_until};

const ECHO: &str = include_str!("support/echo.py");
/// Set to `all` to play every case.
const CASES: &str = "STEADFAST_WEBSOCKET_CASES";
/// What is played otherwise: framing, pings, reserved bits, opcodes, fragments, UTF-8, closing, and of the large and the
/// compressed messages a few.
const USUAL: [&str; 16] = [
    "1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*", "9.1.1", "9.1.2", "9.1.3", "9.2.1", "9.2.3", "9.5.4",
    "12.1.1", "13.4.3",
];
/// Fewer cases than these, and the selection no longer says what it should.
const FEWEST: usize = 250;
/// How often a case that went otherwise is played again, alone: some wait for a time of their own.
const AGAIN: usize = 3;
/// How long all of them may take.
const ALL_LIMIT: Duration = Duration::from_secs(60 * 60);

/// How a case went: what the suite says of it, and of the end of its connection.
type Outcomes = BTreeMap<String, (String, String)>;

#[test]
fn what_passes_directly_passes_through_the_gateway() {
    let sandbox = Sandbox::new("websocket");
    let (echo_port, port) = (free_port(), free_port());
    sandbox.write("echo.py", ECHO);
    let _echo = sandbox.spawn("echo", python(&sandbox).args(["echo.py", &echo_port.to_string()]));
    let well = format!("http://127.0.0.1:{echo_port}/healthz");
    wait_until("the echo server to answer", SOON, || get(&well).is_ok_and(|answer| answer.status == 200));
    let instance = format!(
        "[[sets.web.instances]]\nid = \"echo\"\nendpoints.http = \"http://127.0.0.1:{echo_port}\"\n\
         check = {{ path = \"/healthz\", every = \"5s\", timeout = \"5s\" }}\n[[listeners]]"
    );
    let config = support::gateway_config(&sandbox, port, free_port()).replace("[[listeners]]", &instance);
    sandbox.write("gateway.toml", &config);
    let _gateway = sandbox.spawn("gateway", &mut sandbox.steadfast(["run", "--config", "gateway.toml"]));
    let through = format!("http://127.0.0.1:{port}/healthz");
    wait_until("the gateway to pass on", SOON, || get(&through).is_ok_and(|answer| answer.status == 200));

    let all = std::env::var(CASES).is_ok_and(|value| value == "all");
    let (cases, limit) = if all { (&[][..], ALL_LIMIT) } else { (&USUAL[..], 2 * SOON) };
    let direct = play(&sandbox, "direct", echo_port, cases, limit);
    let proxied = play(&sandbox, "proxied", port, cases, limit);
    assert!(direct.len() >= FEWEST, "only {} cases were played", direct.len());
    assert!(direct.keys().eq(proxied.keys()), "not the same cases were played");
    let right = direct.values().filter(|outcome| passed(outcome)).count();
    assert!(right * 10 >= direct.len() * 9, "the echo server itself is wrong in {} cases", direct.len() - right);

    let differing = direct.iter().filter(|(case, outcome)| proxied[*case] != **outcome);
    let mut broken = Vec::new();
    for (case, outcome) in differing {
        println!("{case}: directly {outcome:?}, through the gateway {:?}", proxied[case]);
        let again = |_| passed(&play(&sandbox, "again", port, &[case], 2 * SOON)[case]);
        if passed(outcome) && !passed(&proxied[case]) && !(0..AGAIN).any(again) {
            broken.push(case);
        }
    }
    assert!(broken.is_empty(), "these pass only without the gateway: {broken:?}");
}

fn passed((behavior, closing): &(String, String)) -> bool {
    let fine = ["OK", "NON-STRICT", "INFORMATIONAL"];
    fine.contains(&behavior.as_str()) && fine.contains(&closing.as_str())
}

/// Plays these cases (all, if none is named) against the server at this port.
#[track_caller]
fn play(sandbox: &Sandbox, name: &str, port: u16, cases: &[&str], limit: Duration) -> Outcomes {
    let mut command = python(sandbox);
    command.args(["-c", "from kosoku._cli import main; main()", &format!("127.0.0.1:{port}")]);
    command.args(["--parallelism", "4", "--outdir", name]);
    for case in cases {
        command.args(["--include", case]);
    }
    // That some case failed is told by its status too; which one, by its report.
    let mut run = sandbox.spawn(name, &mut command);
    run.wait(limit);
    let report = fs::read_to_string(sandbox.path(&format!("{name}/index.json")));
    let report = report.unwrap_or_else(|error| panic!("no report of {name} ({error}): {}", run.log()));
    let report: Value = serde_json::from_str(&report).expect("a report in JSON");
    let servers = report.as_object().expect("cases by server").values();
    let cases = servers.filter_map(Value::as_object).flatten();
    let text = |case: &Value, field: &str| case[field].as_str().unwrap_or_default().to_owned();
    cases.map(|(id, case)| (id.clone(), (text(case, "behavior"), text(case, "behaviorClose")))).collect()
}

/// Python, with what `cargo xtask test` installs for this test.
fn python(sandbox: &Sandbox) -> Command {
    let packages = packages();
    assert!(packages.is_dir(), "{} is missing: `cargo xtask test blackbox` installs it", packages.display());
    let mut command = sandbox.command("python3");
    command.env("PYTHONPATH", packages);
    command
}

fn packages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/outside/websocket")
}
