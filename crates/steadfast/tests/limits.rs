//! The limits of the file are those of the gateway, and the open files they need are had.

mod support;

use std::fs;
use std::process::Command;

use support::{SOON, Sandbox, free_port, gateway_config, get, post, wait_until};

const USAGE: i32 = 2;

/// `steadfast run` by a shell that says this first.
fn run_after(sandbox: &Sandbox, first: &str) -> Command {
    let mut command = sandbox.command("sh");
    let program = env!("CARGO_BIN_EXE_steadfast");
    command.args(["-c", &format!("{first}; exec {program} run --config steadfast.toml")]);
    command
}

#[test]
fn the_limits_of_the_file_hold_and_are_shown() {
    let sandbox = Sandbox::new("limits");
    let (port, admin) = (free_port(), free_port());
    let agent = format!(
        "[[agents]]\nset = \"web\"\ninstance = \"a\"\nprobe = \"127.0.0.1:{}\"\n\
         command = [\"sh\", \"-c\", \"ulimit -n > files.new; mv files.new files; exec sleep 600\"]\n",
        free_port()
    );
    let limits = "[limits]\nbody = \"1KiB\"\nconnections = 200\nconnections_per_source = 150\n";
    sandbox.write("steadfast.toml", &(gateway_config(&sandbox, port, admin) + &agent + limits));
    // More connections than the files it is started with: it takes what it may have.
    let _gateway = sandbox.spawn("gateway", &mut run_after(&sandbox, "ulimit -Sn 256"));

    let url = format!("http://127.0.0.1:{port}/");
    let refused = || post(&url, &"x".repeat(1_025)).ok();
    wait_until("the gateway to answer", SOON, || refused().is_some());
    let answer = refused().expect("it answered before");
    assert_eq!(answer.status, 413);
    assert!(String::from_utf8_lossy(&answer.body).contains("body-too-large"), "{answer:?}");
    let metrics = get(&format!("http://127.0.0.1:{admin}/metrics")).expect("the metrics");
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    for line in [
        "steadfast_gateway_connections_max 200",
        "steadfast_gateway_connections_per_source_max 150",
        "steadfast_gateway_limited_total{limit=\"head_within\"} 0",
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line:?} is not in:\n{metrics}");
    }
    let counted = "steadfast_gateway_limited_total{limit=\"body\"} ";
    let times = metrics.lines().find_map(|line| line.strip_prefix(counted)?.parse::<u64>().ok());
    assert!(times.is_some_and(|times| times >= 2), "{metrics}");

    wait_until("the application to start", SOON, || sandbox.path("files").exists());
    let files = fs::read_to_string(sandbox.path("files")).expect("what it may open");
    assert_eq!(files.trim(), "256", "the application has what was the custom before");
}

#[test]
fn more_connections_than_can_be_had_are_refused_with_the_numbers() {
    let sandbox = Sandbox::new("files");
    let limits = "[limits]\nconnections = 1000\n";
    sandbox.write("steadfast.toml", &(gateway_config(&sandbox, free_port(), free_port()) + limits));
    let ended = sandbox.run(&mut run_after(&sandbox, "ulimit -n 1024"));
    assert_eq!(ended.code(), USAGE, "{ended:#?}");
    for words in ["connections = 1000 in [limits] needs 2256 open files", "may have 1024", "at most 384"] {
        assert!(ended.err.contains(words), "{words:?} is not in:\n{}", ended.err);
    }
}
