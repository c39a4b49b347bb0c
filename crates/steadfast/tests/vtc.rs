//! Scenarios for varnishtest, in `vtc/`: clients and applications that say word for word what goes over the wire, around
//! a real Steadfast.
//!
//! A scenario finds Steadfast running, as `vtc/single.toml` or `vtc/sticky.toml` says: a gateway with one worker, and two
//! agents, in one process. It plays the clients and the applications. What it needs to know of the place stands in
//! macros, [`Stage::macros`]. One of them alone: `cargo test -p steadfast --test vtc failover`.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use serde_json::Value;
use support::{Process, SOON, Sandbox, free_port, get, wait_until};

const SINGLE: &str = include_str!("vtc/single.toml");
const STICKY: &str = include_str!("vtc/sticky.toml");
/// Waits until a page has a line that matches.
const SEEN: &str = include_str!("vtc/seen.sh");

/// How long varnishtest may take for one scenario, in seconds; for one message it waits half as long.
const SCENARIO_LIMIT_S: &str = "100";
/// What the line begins with that says why a scenario failed.
const FAILURE: &str = "----";

/// Makes a test of each scenario, so that each is counted, and fails, by its name.
macro_rules! scenarios {
    ($($set:ident: $($name:ident)+;)+) => {
        const PLAYED: &[&str] = &[$($(stringify!($name)),+),+];
        $($(#[test] fn $name() { Stage::$set(stringify!($name)).play(); })+)+
    };
}

scenarios! {
    sticky: bodiless chunked closing heads homes interim pipelining ranges redirect slow stickiness;
    single: failover kept_connections parking probe;
    impatient: park_over;
}

#[test]
fn every_scenario_is_played() {
    let files = fs::read_dir(scenarios()).expect("list the scenarios").flatten().map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|ending| ending == "vtc"));
    let files: BTreeSet<String> = files.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    assert_eq!(files, PLAYED.iter().map(|name| (*name).to_owned()).collect());
}

/// A running Steadfast, and where its applications are to be. The process ends before its directory does.
struct Stage {
    name: &'static str,
    steadfast: Process,
    ports: Ports,
    sandbox: Sandbox,
}

#[derive(Clone, Copy)]
struct Ports {
    gateway: u16,
    admin: u16,
    apps: [u16; 2],
    probes: [u16; 2],
    health: u16,
}

impl Stage {
    /// A single set, led by `web-1`; `web-2` stands by. Requests wait for a leader for as long as they are let.
    fn single(name: &'static str) -> Stage {
        Stage::led_by_the_first(name, "60s")
    }

    /// The same, where requests wait for a leader no longer than a moment.
    fn impatient(name: &'static str) -> Stage {
        Stage::led_by_the_first(name, "300ms")
    }

    fn led_by_the_first(name: &'static str, park_for: &str) -> Stage {
        let stage = Stage::start(name, &SINGLE.replace("{{park_for}}", park_for), &["web-2"]);
        let reason = |probe: usize| {
            let answer = get(&format!("http://127.0.0.1:{}/", stage.ports.probes[probe])).ok()?;
            answer.json()["reason"].as_str().map(str::to_owned)
        };
        wait_until("web-1 to lead", SOON, || reason(0).as_deref() == Some("leading"));
        fs::remove_file(stage.sandbox.path("web-2.sick")).expect("let web-2 be well");
        wait_until("web-2 to stand by", SOON, || reason(1).as_deref() == Some("standby"));
        let metrics = format!("http://127.0.0.1:{}/metrics", stage.ports.admin);
        let forwards = |page: &str| page.lines().any(|line| line == "steadfast_gateway_forwards{set=\"web\"} 1");
        wait_until("the gateway to know", SOON, || get(&metrics).is_ok_and(|answer| forwards(&answer.text())));
        stage
    }

    /// A sticky set of `rec-1` and `rec-2`, both open, and nobody placed.
    fn sticky(name: &'static str) -> Stage {
        let stage = Stage::start(name, STICKY, &[]);
        let instances = format!("http://127.0.0.1:{}/api/v1/sets/recorder/instances", stage.ports.admin);
        let open = |instance: &Value| instance["state"] == "open" && instance["role"].is_string();
        wait_until("two open instances", SOON, || {
            let Some(answer) = get(&instances).ok().filter(|answer| answer.status == 200) else { return false };
            answer.json()["instances"].as_array().is_some_and(|all| all.len() == 2 && all.iter().all(open))
        });
        stage
    }

    /// Starts Steadfast. The applications' health is answered from here: sick while a file says so.
    fn start(name: &'static str, config: &str, sick: &[&str]) -> Stage {
        let sandbox = Sandbox::new(name);
        for app in sick {
            sandbox.write(&format!("{app}.sick"), "");
        }
        let ports = Ports {
            gateway: free_port(),
            admin: free_port(),
            apps: [free_port(), free_port()],
            probes: [free_port(), free_port()],
            health: serve_health(sandbox.dir()),
        };
        let values = ports.named();
        let config = values
            .iter()
            .fold(config.to_owned(), |text, (name, port)| text.replace(&format!("{{{{{name}}}}}"), &port.to_string()));
        assert!(!config.contains("{{"), "nothing to put in: {config}");
        sandbox.write("steadfast.toml", &config);
        sandbox.write("seen.sh", SEEN);
        let mut steadfast = sandbox.spawn("steadfast", &mut sandbox.steadfast(["run", "--config", "steadfast.toml"]));
        wait_until("Steadfast to listen", SOON, || {
            assert!(steadfast.is_running(), "Steadfast did not start");
            TcpStream::connect(("127.0.0.1", ports.gateway)).is_ok()
        });
        Stage { name, steadfast, ports, sandbox }
    }

    /// What a scenario can name: `${gateway}` and the other ports, `${dir}`, where a file `<instance>.sick` makes an
    /// application sick, `${seen}`, which waits until the metrics have a line that matches, and `${steadfast}`, which
    /// runs its command against this Steadfast.
    fn macros(&self) -> Vec<(&'static str, String)> {
        let mut macros: Vec<_> = self.ports.named().map(|(name, port)| (name, port.to_string())).into();
        let dir = self.sandbox.dir().display();
        macros.push(("dir", dir.to_string()));
        macros.push(("seen", format!("sh {dir}/seen.sh http://127.0.0.1:{}/metrics", self.ports.admin)));
        let reach = format!(
            "STEADFAST_ADMIN=http://127.0.0.1:{} STEADFAST_TOKEN_FILE={dir}/state/admin.token",
            self.ports.admin
        );
        macros.push(("steadfast", format!("env {reach} {}", env!("CARGO_BIN_EXE_steadfast"))));
        macros
    }

    fn play(mut self) {
        let mut command = self.sandbox.command("varnishtest");
        command.args(["-t", SCENARIO_LIMIT_S]).env("TMPDIR", self.sandbox.dir());
        for (name, value) in self.macros() {
            command.arg("-D").arg(format!("{name}={value}"));
        }
        command.arg(scenarios().join(format!("{}.vtc", self.name)));
        let mut test = self.sandbox.spawn("varnishtest", &mut command);
        let status = test.wait(2 * SOON);
        // A skip (77) is no pass.
        let log = test.log();
        let why: Vec<&str> = log.lines().filter(|line| line.starts_with(FAILURE)).collect();
        assert_eq!(status.code(), Some(0), "{}: {why:#?}", self.name);
        assert!(self.steadfast.is_running(), "Steadfast ended");
    }
}

impl Ports {
    fn named(&self) -> [(&'static str, u16); 7] {
        let Ports { gateway, admin, apps, probes, health } = *self;
        [
            ("gateway", gateway),
            ("admin", admin),
            ("app1", apps[0]),
            ("app2", apps[1]),
            ("probe1", probes[0]),
            ("probe2", probes[1]),
            ("health", health),
        ]
    }
}

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vtc")
}

/// Answers `GET /<instance>` with 200, or with 503 while `<dir>/<instance>.sick` is there. The applications that
/// varnishtest plays cannot: each of their connections is a part of the scenario.
fn serve_health(dir: &Path) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = listener.local_addr().expect("has one").port();
    let dir = dir.to_owned();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = String::new();
            let read = stream.try_clone().and_then(|stream| BufReader::new(stream).read_line(&mut request));
            let instance = request.split(['/', ' ']).nth(2).unwrap_or_default();
            let well = read.is_ok() && !dir.join(format!("{instance}.sick")).exists();
            let status = if well { "200 OK" } else { "503 Service Unavailable" };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            // Who no longer wants its answer asks again.
            stream.write_all(answer.as_bytes()).ok();
        }
    });
    port
}
