//! Standard error that nobody reads: the reader is gone, stands still, or the disk under the log is full. It costs
//! lines, and nothing else.

mod support;

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use support::{Cluster, SOON, Sandbox, Signal, SmallDisk, get, wait_until};

/// More of the log than a pipe and the queue in front of it hold is written while this many requests are logged.
const REQUESTS: usize = 300;

/// A gateway whose standard error goes where `redirection` (of the shell) says, logging all it can.
fn cluster_logging_to(sandbox: Sandbox, redirection: &str) -> Cluster {
    // `exec`, so that the process is the one that was started.
    let script = format!("STEADFAST_LOG=trace exec \"$@\" 2>{redirection}");
    let prefix = ["sh", "-c", &script, "sh"].map(str::to_owned);
    sandbox.put_behind("gateway", prefix.into());
    sandbox.put_agents_behind(&[]);
    Cluster::start_in(sandbox)
}

/// All goes on as if the log were read: requests, a hand-over, and an end in good order.
fn assert_goes_on(mut cluster: Cluster) {
    let served = || get(&cluster.url()).is_ok_and(|answer| answer.status == 200);
    for _ in 0..REQUESTS {
        assert!(served());
    }
    let epoch = cluster.epoch();
    Signal::Kill.send(cluster.leader().app_pid(&cluster.sandbox));
    wait_until("another leader", SOON, || {
        cluster.members.iter().any(support::Member::leads) && cluster.epoch() > epoch
    });
    wait_until("the gateway to answer", SOON, served);
    cluster.gateway.signal(Signal::Term);
    assert_eq!(cluster.gateway.wait(SOON).code(), Some(0));
}

#[test]
fn a_reader_of_the_log_that_is_gone_costs_lines_and_nothing_else() {
    let sandbox = Sandbox::new("log-gone");
    let pipe = fifo(&sandbox);
    let reader = std::fs::File::options().read(true).custom_flags(NONBLOCK).open(&pipe).expect("open the pipe");
    let cluster = cluster_logging_to(sandbox, "log.pipe");
    drop(reader);
    assert_goes_on(cluster);
}

#[test]
fn a_reader_of_the_log_that_stands_still_costs_lines_and_nothing_else() {
    let sandbox = Sandbox::new("log-still");
    let pipe = fifo(&sandbox);
    let reader = std::fs::File::options().read(true).custom_flags(NONBLOCK).open(&pipe).expect("open the pipe");
    let cluster = cluster_logging_to(sandbox, "log.pipe");
    assert_goes_on(cluster);
    drop(reader);
}

#[test]
fn a_full_disk_under_the_log_costs_lines_and_nothing_else() {
    let sandbox = Sandbox::new("log-full");
    let disk = SmallDisk::mount(&sandbox, "log", 256 << 10);
    let script = "STEADFAST_LOG=trace exec \"$@\" 2>>log/gateway";
    let behind = disk.prefix().into_iter().chain(["sh", "-c", script, "sh"].map(str::to_owned));
    sandbox.put_behind("gateway", behind.collect());
    let cluster = Cluster::start_in(sandbox);
    let ballast = disk.fill();
    assert_goes_on(cluster);
    drop(ballast);
}

/// `O_NONBLOCK`: a pipe is opened for reading without waiting for a writer.
const NONBLOCK: i32 = 0o4000;

fn fifo(sandbox: &Sandbox) -> std::path::PathBuf {
    let path = sandbox.path("log.pipe");
    let made = sandbox.run(sandbox.command("mkfifo").arg(Path::new("log.pipe")));
    assert_eq!(made.code(), 0, "{made:?}");
    path
}
