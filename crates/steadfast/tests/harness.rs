//! The harness itself: a test that trusts a harness which sees nothing proves nothing.

mod support;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use support::{Connection, Load, Outcome, Report, SOON, Sample, Sandbox, Signal, free_port, get, wait_for, wait_until};

/// Serves one connection with `answer`, whatever it is asked.
fn serve_once(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = listener.local_addr().expect("has one").to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accept");
        let mut request = [0; 4096];
        if stream.read(&mut request).is_ok_and(|n| n > 0) {
            stream.write_all(answer).ok();
        }
    });
    address
}

#[test]
fn answers_are_read_in_every_framing() {
    let check = |answer: &'static [u8], body: &str| {
        let got = get(&format!("http://{}/", serve_once(answer))).expect("an answer");
        assert_eq!((got.status, got.text().as_str()), (200, body));
        assert_eq!(got.header("x-a"), Some("b"));
    };
    check(b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi", "hi");
    check(b"HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n2;e=1\r\nhi\r\n1\r\n!\r\n0\r\n\r\n", "hi!");
    check(b"HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nto the end", "to the end");
    check(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 0\r\n\r\n", "");
}

#[test]
fn broken_answers_are_errors() {
    let error = |answer| get(&format!("http://{}/", serve_once(answer))).expect_err("broken").to_string();
    assert!(error(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi").contains("in the middle"));
    assert!(error(b"").contains("before an answer"));
    assert!(error(b"hello there\r\n\r\n").contains("the first line"));
    assert!(error(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").contains("chunk size"));
}

#[test]
fn a_silent_server_is_not_waited_for_without_end() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = listener.local_addr().expect("has one").to_string();
    let mut connection = Connection::open(&address, Duration::from_millis(100)).expect("connected");
    assert!(connection.exchange("GET", "/", &[], b"").is_err());
}

#[test]
fn ports_are_free_and_given_once() {
    let ports: Vec<u16> = (0..20).map(|_| free_port()).collect();
    let listeners = ports.iter().map(|port| TcpListener::bind(("127.0.0.1", *port)).expect("free"));
    assert_eq!(listeners.collect::<Vec<_>>().len(), 20);
    assert_eq!(ports.iter().collect::<HashSet<_>>().len(), 20, "given once each");
}

#[test]
fn a_process_is_seen_signalled_and_collected() {
    let sandbox = Sandbox::new("process");
    let mut process = sandbox.spawn("shell", sandbox.command("sh").args(["-c", "echo ready; sleep 60 & wait"]));
    wait_until("the shell to speak", SOON, || process.log().contains("ready"));
    wait_until("its child", SOON, || process.descendants().len() == 1);
    assert!(process.is_running());
    process.signal_group(Signal::Term);
    assert!(process.wait(SOON).code().is_none(), "it died of the signal");
    wait_until("an empty sandbox", SOON, || sandbox.running().is_empty());
}

#[test]
fn nothing_is_left_of_a_sandbox() {
    let sandbox = Sandbox::new("leftover");
    // A child in a session of its own is in no group that is killed with its parent.
    let mut process = sandbox.spawn("shell", sandbox.command("sh").args(["-c", "setsid sleep 61 & echo started"]));
    process.wait(SOON);
    let left = wait_for("the stray", SOON, || sandbox.running().first().copied());
    drop(process);
    drop(sandbox);
    wait_until("the stray to be gone", SOON, || {
        let stat = std::fs::read_to_string(format!("/proc/{left}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
}

#[test]
fn a_command_is_run_to_its_end() {
    let sandbox = Sandbox::new("run");
    let ended = sandbox.run(sandbox.command("sh").args(["-c", "echo out; echo err >&2; exit 3"]));
    assert_eq!((ended.code(), ended.out.as_str(), ended.err.as_str()), (3, "out\n", "err\n"));
}

#[test]
fn the_steady_client_sees_failures_and_gaps() {
    let address =
        serve_once(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSteadfast-Instance: a\r\nSteadfast-Epoch: 3\r\n\r\n");
    let load = Load::start(&format!("http://{address}/"));
    wait_until("the only answer", SOON, || load.served() == 1);
    wait_until("a failure", SOON, || !load.so_far().failures().is_empty());
    let report = load.stop();
    assert_eq!(report.turns(), ["a"]);
    report.assert_one_active();
}

#[test]
fn two_at_once_are_noticed() {
    let began = Instant::now();
    let sample = |sent_ms, done_ms, by: &str, epoch| Sample {
        sent: began + Duration::from_millis(sent_ms),
        done: began + Duration::from_millis(done_ms),
        outcome: Outcome::Answered { status: 200, by: by.to_owned(), epoch },
    };
    let verdict = |samples: Vec<Sample>| std::panic::catch_unwind(|| Report { samples }.assert_one_active()).is_ok();
    assert!(verdict(vec![sample(0, 10, "a", 1), sample(11, 20, "b", 2)]), "one after the other");
    assert!(verdict(vec![sample(0, 30, "a", 1), sample(11, 20, "b", 2)]), "asked before, answered late: no proof");
    assert!(!verdict(vec![sample(0, 10, "b", 2), sample(11, 20, "a", 1)]), "an older epoch afterwards");
    assert!(!verdict(vec![sample(0, 10, "a", 1), sample(5, 20, "b", 1)]), "one epoch, two holders");
    assert!(!verdict(vec![sample(0, 10, "a", 0)]), "no epoch at all");
}
