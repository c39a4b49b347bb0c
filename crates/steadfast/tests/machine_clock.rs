//! Clocks that are wrong. The time of day may jump as it likes: nothing that is decided looks at it. The clocks of two
//! machines may run at different rates, within what a set allows for.

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::{
    Cluster, DEFAULT_TTL, Home, Homes, Load, Pace, Process, Report, SOON, Sandbox, Signal, free_port, get, holds_for,
    store_url, wait_for, wait_until,
};

const CLOCK_RATE: &str = include_str!("support/clock_rate.c");

/// How long a time of day that is wrong must have had no effect: longer than a lease.
const WRONG_FOR: Duration = DEFAULT_TTL;

/// A time of day that can be set, for processes put behind `prefix`.
struct WallClock {
    file: PathBuf,
    prefix: Vec<String>,
}

impl WallClock {
    fn make(sandbox: &Sandbox) -> WallClock {
        let file = sandbox.write("wall-clock", "+0");
        let mut found = std::fs::read_dir("/usr/lib").expect("list /usr/lib").flatten();
        let library = found.find_map(|entry| {
            let library = entry.path().join("faketime/libfaketimeMT.so.1");
            library.exists().then_some(library)
        });
        let library = library.expect("libfaketime is installed (Debian: faketime)");
        let prefix = vec![
            "env".to_owned(),
            format!("LD_PRELOAD={}", library.display()),
            format!("FAKETIME_TIMESTAMP_FILE={}", file.display()),
            "FAKETIME_NO_CACHE=1".to_owned(),
            "DONT_FAKE_MONOTONIC=1".to_owned(),
        ];
        WallClock { file, prefix }
    }

    /// It is wrong by this from now on: `+30h`, `-1h`, `+0`.
    fn set(&self, offset: &str) {
        let fresh = self.file.with_extension("new");
        std::fs::write(&fresh, offset).expect("write the offset");
        std::fs::rename(fresh, &self.file).expect("set the clock");
    }
}

/// The hour of an RFC 3339 time, as a number that grows by one an hour within a year.
fn hour_of(at: &str) -> i64 {
    let part = |range: std::ops::Range<usize>| at.get(range).and_then(|text| text.parse::<i64>().ok());
    let (month, day, hour) = (part(5..7), part(8..10), part(11..13));
    // Good enough to tell days apart, at the end of a month as well.
    (month.expect("a month") * 31 + day.expect("a day")) * 24 + hour.expect("an hour")
}

#[test]
fn a_leader_leads_on_whatever_the_time_of_day() {
    let sandbox = Sandbox::new("wall-lease");
    let clock = WallClock::make(&sandbox);
    sandbox.put_behind("gateway", clock.prefix.clone());
    sandbox.put_agents_behind(&clock.prefix);
    let cluster = Cluster::start_in(sandbox);
    let (leader, epoch) = (cluster.leader_index(), cluster.epoch());
    let load = Load::start(&cluster.url());
    for offset in ["+1h", "-1h", "+400d", "+0"] {
        clock.set(offset);
        holds_for("the leader leads", WRONG_FOR, || cluster.members[leader].leads());
    }
    assert_eq!(cluster.epoch(), epoch);
    let report = load.stop();
    assert!(report.failures().is_empty(), "{:?}", report.failures().first());

    // That the clock was believed: an event that happens now is told with the wrong time.
    clock.set("+100h");
    let ended = cluster.sandbox.run(&mut cluster.command(&["switchover", "web", "--wait"]));
    assert_eq!(ended.code(), 0, "{ended:?}");
    let events = || {
        let events = cluster.sandbox.run(&mut cluster.command(&["events", "web", "--json"])).out;
        serde_json::from_str::<Value>(&events).ok()?["events"].as_array().cloned()
    };
    let hour = |event: &Value| hour_of(event["at"].as_str().expect("a time"));
    let leading = |epoch: u64| {
        let events = events()?;
        events.iter().find(|event| event["event"] == "leading" && event["epoch"] == epoch).map(hour)
    };
    let successor = cluster.epoch();
    assert!(successor > epoch, "a new leader has a new epoch");
    let (before, after) =
        (wait_for("the first event", SOON, || leading(epoch)), wait_for("the last event", SOON, || leading(successor)));
    assert!(after - before >= 90, "the time of day was not wrong: {before} and {after}");
}

#[test]
fn clients_stay_charged_at_home_whatever_the_time_of_day() {
    let sandbox = Sandbox::new("wall-homes");
    let clock = WallClock::make(&sandbox);
    for name in ["gateway-0", "gateway-1", "agent-rec-1", "agent-rec-2"] {
        sandbox.put_behind(name, clock.prefix.clone());
    }
    let homes = Homes::start_in(sandbox, 2, &[("rec-1", 100), ("rec-2", 100)]);
    let queries: Vec<String> = (0..20).map(|number| format!("camera=cam-{number}&mbps=1")).collect();
    let known: BTreeMap<&String, Home> = queries.iter().zip(homes.homes(0, &queries)).collect();
    // Longer than idle_after (a day) and forget_after (30 days), and back.
    for offset in ["+1h", "-1h", "+40d", "+0"] {
        clock.set(offset);
        holds_for("both instances are open", WRONG_FOR, || {
            homes.instances().is_none_or(|all| all.iter().all(|one| one["state"] == "open"))
        });
    }
    for gateway in [0, 1] {
        for (query, home) in &known {
            assert_eq!(homes.home(gateway, query), *home);
        }
    }
    let charged: f64 = homes.instances().expect("the API").iter().filter_map(|one| one["charged"].as_f64()).sum();
    assert_eq!(charged, 20.0, "nobody fell idle, and nobody was forgotten");
    homes.assert_books_agree(0, 20);
}

/// A leader whose clock is a tenth slow is cut off from the store, and one whose clock is a tenth fast takes over.
#[test]
fn a_slow_leader_stops_before_a_fast_candidate_leads() {
    let sandbox = Sandbox::new("rates");
    sandbox.write("app.py", include_str!("support/app.py"));
    // One process serves the file, another one stands between it and the leader.
    let between = free_port();
    for (name, port) in [("store", free_port()), ("between", between)] {
        sandbox.write(
            &format!("{name}.toml"),
            &format!(
                "store = \"{}\"\nstate_dir = \"{}\"\n[admin]\nlisten = \"127.0.0.1:{port}\"\n[sets.web]\nkind = \"single\"\n",
                store_url(&sandbox),
                sandbox.path(&format!("state-{name}")).display()
            ),
        );
    }
    let run = |name: &str| {
        let process = sandbox.spawn(name, &mut sandbox.steadfast(["run", "--config", &format!("{name}.toml")]));
        wait_until("it to run", SOON, || process.log().contains("running"));
        process
    };
    let (_store, middle) = (run("store"), run("between"));
    let token = sandbox.path("state-between/admin.token").display().to_string();
    let through = ["--store".to_owned(), format!("http://127.0.0.1:{between}"), "--token-file".to_owned(), token];
    let slow = Clocked::start(&sandbox, "slow", 909, &through);
    wait_until("the slow one to lead", SOON, || slow.leads());
    let fast = Clocked::start(&sandbox, "fast", 1_100, &["--store".to_owned(), store_url(&sandbox)]);
    wait_until("the fast one to stand by", SOON, || fast.probe().is_some_and(|probe| probe["reason"] == "standby"));
    for name in ["slow", "fast"] {
        assert!(sandbox.path(&format!("{name}.seen")).exists(), "the boot clock is read where it can be changed");
    }
    let pace = Pace { pause: Duration::ZERO, limit: Duration::from_millis(500), keep_alive: true };
    let probes = [&slow, &fast].map(|one| Load::at_pace(&one.probe_url(), pace.clone()));
    for _ in 0..2 {
        middle.signal(Signal::Stop);
        wait_until("the fast one to lead", SOON, || fast.leads());
        middle.signal(Signal::Cont);
        wait_until("the slow one to stand by", SOON, || slow.probe().is_some_and(|probe| probe["reason"] == "standby"));
        // It stands by before it has followed the store for a lease's time, and until then the other one may be faster.
        wait_until("the slow one to lead again", SOON, || {
            if fast.leads() {
                let mut switch = sandbox.steadfast(["switchover", "web", "--to", "slow", "--wait", "--store"]);
                sandbox.run(switch.arg(store_url(&sandbox)));
            }
            slow.leads()
        });
    }
    Report::merge(probes.into_iter().map(Load::stop)).assert_one_active();
}

/// An agent and its application, on a machine whose clocks run at another rate.
struct Clocked {
    _agent: Process,
    probe_port: u16,
}

impl Clocked {
    fn start(sandbox: &Sandbox, name: &str, permille: u32, reach: &[String]) -> Clocked {
        let library = sandbox.path("clock_rate.so");
        if !library.exists() {
            let source = sandbox.write("clock_rate.c", CLOCK_RATE);
            let mut compile = Command::new("cc");
            compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl");
            assert!(compile.status().expect("start cc").success(), "the clock compiles");
        }
        let process = format!("agent-{name}");
        sandbox.put_behind(
            &process,
            vec![
                "env".to_owned(),
                format!("LD_PRELOAD={}", library.display()),
                format!("CLOCK_PERMILLE={permille}"),
                format!("CLOCK_SEEN={}", sandbox.path(&format!("{name}.seen")).display()),
            ],
        );
        let (app_port, probe_port) = (free_port(), free_port());
        let mut command = sandbox.steadfast(["agent", "--set", "web", "--instance", name]);
        command.args(reach).arg("--state-dir").arg(sandbox.path(&format!("state-{name}")));
        command.args(["--endpoint", &format!("http=http://127.0.0.1:{app_port}")]);
        command.args([
            "--check",
            &format!("http://127.0.0.1:{app_port}/healthz"),
            "--check-every",
            "200ms",
            "--check-fall",
            "50",
        ]);
        command.args(["--probe", &format!("127.0.0.1:{probe_port}")]);
        command.args(["--", "env", "--unset=LD_PRELOAD", "python3", "app.py", name, &app_port.to_string(), "."]);
        Clocked { _agent: sandbox.spawn(&process, &mut command), probe_port }
    }

    fn probe_url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.probe_port)
    }

    fn probe(&self) -> Option<Value> {
        get(&self.probe_url()).ok().map(|answer| answer.json())
    }

    fn leads(&self) -> bool {
        get(&self.probe_url()).is_ok_and(|answer| answer.status == 200)
    }
}
