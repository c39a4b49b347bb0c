//! More peers than a process may have files open. Who is there goes on, who comes waits or takes the place of one who
//! says nothing, the lease is kept, and nothing runs hot.

mod support;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::{Cluster, Load, Member, Pace, SOON, Sandbox, free_port, gateway_config, get, holds_for, wait_until};

/// Files a process may have open in these tests.
const FILES: u32 = 256;
/// Peers that say nothing: more than that.
const CROWD: usize = 500;
/// How long they stay.
const STAY: Duration = Duration::from_secs(3);

fn few_files() -> Vec<String> {
    ["prlimit", &format!("--nofile={FILES}:{FILES}")].map(str::to_owned).into()
}

fn crowd(port: u16) -> Vec<TcpStream> {
    (0..CROWD).filter_map(|_| TcpStream::connect(("127.0.0.1", port)).ok()).collect()
}

/// What a process does with its time.
struct Meter {
    pid: u32,
    began: Instant,
    used: u128,
}

impl Meter {
    fn start(pid: u32) -> Meter {
        Meter { pid, began: Instant::now(), used: used(pid) }
    }

    /// Its share of one processor since then stays under half: a loop that rests nowhere takes all it can get.
    fn assert_calm(&self) {
        let (used, passed) = (used(self.pid) - self.used, self.began.elapsed().as_millis() / 10);
        assert!(used < passed / 2, "it ran hot: {used} hundredths of a second in {passed}");
    }
}

/// The processor time a process has used, in hundredths of a second.
fn used(pid: u32) -> u128 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // The name stands in parentheses, and may have blanks.
    let (_, after) = stat.rsplit_once(") ").expect("a name");
    after.split(' ').skip(11).take(2).filter_map(|text| text.parse::<u128>().ok()).sum()
}

#[test]
fn a_gateway_serves_on() {
    let sandbox = Sandbox::new("files-gateway");
    sandbox.put_agents_behind(&[]);
    let cluster = Cluster::start_in(sandbox);
    let (port, admin_port) = (free_port(), free_port());
    let front = format!(
        "state_dir = \"{}\"\n{}[limits]\nconnections_per_source = 60\n",
        cluster.sandbox.path("state-front").display(),
        gateway_config(&cluster.sandbox, port, admin_port)
    );
    cluster.sandbox.write("front.toml", &front);
    cluster.sandbox.put_behind("front", few_files());
    let front = cluster.sandbox.spawn("front", &mut cluster.sandbox.steadfast(["run", "--config", "front.toml"]));
    let url = format!("http://127.0.0.1:{port}/");
    let answers = || get(&url).is_ok_and(|answer| answer.status == 200);
    wait_until("the gateway to answer", SOON, answers);
    // Established, and never idle for long.
    let load = Load::at_pace(&url, Pace { pause: Duration::from_millis(20), ..Pace::default() });
    wait_until("answers", SOON, || load.served() > 5);

    let meter = Meter::start(front.pid());
    let peers = crowd(port);
    assert!(peers.len() > FILES as usize, "{}", peers.len());
    let served = load.served();
    holds_for("it looks", STAY, || true);
    meter.assert_calm();
    wait_until("who was there to be served on", SOON, || load.served() > served + 20);
    let admin = get(&format!("http://127.0.0.1:{admin_port}/readyz")).expect("an answer of the API");
    assert_eq!(admin.status, 200);
    drop(peers);
    wait_until("who comes to be served", SOON, answers);
    let report = load.stop();
    assert!(report.failures().is_empty(), "{:?}", report.failures().first());
}

#[test]
fn a_probe_goes_on_answering() {
    let sandbox = Sandbox::new("files-probe");
    sandbox.put_agents_behind(&few_files());
    let cluster = Cluster::start_in(sandbox);
    let (leader, epoch) = (cluster.leader_index(), cluster.epoch());
    let meter = Meter::start(cluster.members[leader].agent.pid());
    let peers: Vec<_> = cluster.members.iter().map(|member| crowd(member.probe_port)).collect();
    for member in &cluster.members {
        wait_until("an answer of the probe", SOON, || member.probe().is_some());
    }
    holds_for("the leader says so", STAY, || cluster.members[leader].leads());
    meter.assert_calm();
    drop(peers);
    assert_eq!(cluster.epoch(), epoch, "it led on");
}

#[test]
fn a_store_for_other_machines_goes_on_serving() {
    let sandbox = Sandbox::new("files-store");
    sandbox.put_agents_behind(&[]);
    sandbox.put_behind("gateway", few_files());
    let cluster = Cluster::start_over_http_in(sandbox);
    let epoch = cluster.epoch();
    let peers = crowd(cluster.admin_port);
    holds_for("somebody leads", STAY * 2, || cluster.members.iter().any(Member::leads));
    let ended = cluster.sandbox.run(&mut cluster.command(&["leader", "web"]));
    assert_eq!(ended.code(), 0, "{ended:?}");
    drop(peers);
    assert_eq!(cluster.epoch(), epoch, "the lease was renewed all the time");
}
