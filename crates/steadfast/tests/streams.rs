//! Ten thousand who would follow the events, and more watches of the store than there may be, none of which reads what
//! it is sent: as many as may are served, the others are told that there is no place, and nobody else notices.

mod support;

use std::collections::BTreeMap;
use std::io;

use serde_json::{Value, json};
use support::{Connection, Process, SOON, Sandbox, free_port, get, wait_for, wait_until};

const HOLD: &str = include_str!("support/hold.py");
const TOKEN: &str = "5eca5eca5eca5eca5eca5eca5eca5eca";

/// Connections that ask for events.
const CROWD: usize = 10_000;
/// Processes that hold them: none needs more files than any machine gives.
const HOLDERS: usize = 10;
/// What a Steadfast serves where it may have as many files as it wants.
const FOLLOWERS: usize = 256;
const WATCHES: usize = 1_024;
/// Its connections then.
const SEATS: usize = 2 * (FOLLOWERS + WATCHES);
/// Memory by which it may grow for all of them: 64 KiB for each of its connections is plenty.
const GROWTH_KIB: u64 = SEATS as u64 * 64;

/// How often each answer was given.
type Told = BTreeMap<String, usize>;

/// A Steadfast with a sticky set, and an agent that reaches its store over HTTP.
struct Desk {
    run: Process,
    _agent: Process,
    port: u16,
    probe_port: u16,
    /// Clients placed so far.
    placed: usize,
    sandbox: Sandbox,
}

impl Desk {
    /// Where `run` may have this many files open; as many as the machine gives where none is said.
    fn start(name: &str, files: Option<usize>) -> Desk {
        let sandbox = Sandbox::new(name);
        let (port, probe_port) = (free_port(), free_port());
        sandbox.write("hold.py", HOLD);
        let token = sandbox.write("state/admin.token", TOKEN).display().to_string();
        let config = format!(
            "[admin]\nlisten = \"127.0.0.1:{port}\"\n\
             [sets.recorder]\nkind = \"sticky\"\nclient = \"query:camera\"\n"
        );
        sandbox.write("steadfast.toml", &config);
        if let Some(files) = files {
            sandbox.put_behind("run", vec!["prlimit".to_owned(), format!("--nofile={files}:{files}")]);
        }
        let run = sandbox.spawn("run", &mut sandbox.steadfast(["run", "--config", "steadfast.toml"]));
        let mut agent = sandbox.steadfast(["agent", "--set", "recorder", "--instance", "rec-1", "--capacity", "1000"]);
        agent.args(["--store", &format!("http://127.0.0.1:{port}"), "--token-file", &token]);
        agent.arg("--state-dir").arg(sandbox.path("state-agent"));
        agent.args(["--endpoint", "http=http://127.0.0.1:9", "--check", "exec:true"]);
        agent.args(["--probe", &format!("127.0.0.1:{probe_port}")]);
        let agent = sandbox.spawn("agent", &mut agent);
        let desk = Desk { run, _agent: agent, port, probe_port, placed: 0, sandbox };
        wait_until("the instance to be open", SOON, || {
            let answer = get(&desk.url("/api/v1/sets/recorder/instances")).ok().filter(|answer| answer.status == 200);
            answer.is_some_and(|answer| answer.json()["instances"][0]["state"] == "open")
        });
        desk
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn events(&self) -> Vec<u8> {
        let port = self.port;
        format!("GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\n\r\n")
            .into_bytes()
    }

    fn watch(&self) -> Vec<u8> {
        // `client/`
        let body = r#"{"space":"recorder","prefixes":["Y2xpZW50Lw=="],"from":"0.","progress_ms":1000}"#;
        let (port, length) = (self.port, body.len());
        format!(
            "POST /store/v1/watch HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {TOKEN}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }

    /// So many connections that ask this, each held without being read, until what is returned is dropped.
    fn crowd(&self, name: &str, number: usize, request: &[u8]) -> (Vec<Process>, Told) {
        std::fs::write(self.sandbox.path(name), request).expect("write the request");
        let (port, each) = (self.port.to_string(), (number / HOLDERS).to_string());
        let holders: Vec<Process> = (0..HOLDERS)
            .map(|holder| {
                let mut command = self.sandbox.command("python3");
                command.args(["hold.py", &port, &each, name]);
                self.sandbox.spawn(&format!("{name}-{holder}"), &mut command)
            })
            .collect();
        let mut told = Told::new();
        for holder in &holders {
            let heard = || serde_json::from_str::<Told>(&holder.log()).ok();
            for (answer, count) in wait_for("all to be answered", SOON, heard) {
                *told.entry(answer).or_default() += count;
            }
        }
        (holders, told)
    }

    /// `steadfast <args>` to its end, which is a good one.
    #[track_caller]
    fn steadfast(&self, args: &[&str]) -> Value {
        let mut command = self.sandbox.steadfast(args);
        command.args(["--admin", &self.url(""), "--json", "--token-file"]).arg(self.sandbox.path("state/admin.token"));
        let ended = self.sandbox.run(&mut command);
        assert_eq!(ended.code(), 0, "{ended:?}");
        serde_json::from_str(&ended.out).expect("JSON")
    }

    /// Everything else goes on: the probe, the API, a placement, and a watch that is read.
    #[track_caller]
    fn goes_on(&mut self, watch: &mut Connection) {
        let probe = get(&format!("http://127.0.0.1:{}/", self.probe_port)).expect("the probe answers");
        assert_eq!((probe.status, &probe.json()["reason"]), (200, &json!("healthy")));
        for path in ["/healthz", "/readyz", "/", "/api/v1/events"] {
            assert_eq!(get(&self.url(path)).expect("an answer").status, 200, "{path}");
        }
        assert_eq!(self.steadfast(&["status"])["sets"][0]["instances"][0]["state"], "open");
        self.placed += 1;
        let placed = self.steadfast(&["place", "recorder", &format!("cam-{}", self.placed)]);
        assert_eq!(placed["instance"], "rec-1", "{placed}");
        // `client/cam-1` and so on, as the store's protocol writes names.
        let name = ["bS0x", "bS0y", "bS0z", "bS00", "bS01", "bS02"][self.placed - 1];
        let name = format!("\"Y2xpZW50L2Nh{name}\"");
        let mut heard = String::new();
        wait_until("the watch to hear of it", SOON, || {
            heard.push_str(&String::from_utf8_lossy(&watch.receive().expect("the watch goes on")));
            heard.contains(&name)
        });
    }

    /// A connection that asked this, once the answer is 200.
    fn asked(&self, request: &[u8]) -> Connection {
        let address = format!("127.0.0.1:{}", self.port);
        let ask = || -> io::Result<Option<Connection>> {
            let mut connection = Connection::open(&address, SOON)?;
            connection.send(request)?;
            let heard = connection.receive()?;
            Ok(heard.starts_with(b"HTTP/1.1 200").then_some(connection))
        };
        wait_for("a place", SOON, || ask().ok().flatten())
    }

    /// What `/proc` says of the process: a number that follows this word.
    fn number(&self, file: &str, word: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", self.run.pid())).expect("it runs");
        let rest = text.lines().find_map(|line| line.strip_prefix(word)).expect("a line of it");
        rest.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(u64::MAX)
    }

    /// Of so many places, those there are with the files that the process may have open.
    fn places(&self, most: usize) -> usize {
        let files = usize::try_from(self.number("limits", "Max open files")).expect("a number");
        most * (files / 4).min(SEATS) / SEATS
    }

    #[track_caller]
    fn counts(&self, name: &str, value: usize) {
        let page = get(&self.url("/metrics")).expect("metrics").text();
        assert!(page.contains(&format!("\n{name} {value}\n")), "{name} is not {value}: {page}");
    }
}

/// What whoever has a place is told, and whoever has none.
fn told(places: usize, of: usize) -> Told {
    [("200".to_owned(), places), ("503 too-many-streams".to_owned(), of - places)].into()
}

#[test]
fn ten_thousand_event_streams_and_all_the_watches_there_may_be() {
    let mut desk = Desk::start("streams", None);
    let mut watch = desk.asked(&desk.watch());
    desk.goes_on(&mut watch);
    let memory = desk.number("status", "VmRSS:");

    let followers = desk.places(FOLLOWERS);
    let (crowd, answers) = desk.crowd("events", CROWD, &desk.events());
    assert_eq!(answers, told(followers, CROWD), "each is answered");
    desk.counts("steadfast_admin_followers", followers);
    let mut late = Connection::open(&format!("127.0.0.1:{}", desk.port), SOON).expect("connect");
    late.send(&desk.events()).expect("sent");
    let refusal = late.answer(true).expect("an answer");
    assert_eq!((refusal.status, refusal.header("retry-after")), (503, Some("5")), "when to come again");
    desk.goes_on(&mut watch);

    // Ours, and those of the agent, are taken already.
    let watches = desk.places(WATCHES);
    let (watchers, answers) = desk.crowd("watches", watches.next_multiple_of(HOLDERS), &desk.watch());
    let refused = answers.get("503 too-many-streams").copied().unwrap_or_default();
    assert!((1..=32).contains(&refused) && answers.len() == 2, "{watches} may watch: {answers:?}");
    desk.goes_on(&mut watch);
    let grown = desk.number("status", "VmRSS:").saturating_sub(memory);
    assert!(grown < GROWTH_KIB, "memory grew by {grown} KiB");

    drop(crowd);
    let _follower = desk.asked(&desk.events());
    desk.goes_on(&mut watch);
    drop(watchers);
    let _watch = desk.asked(&desk.watch());
    desk.goes_on(&mut watch);
}

#[test]
fn where_files_are_few_streams_are_fewer_and_nobody_is_kept_out() {
    const FILES: usize = 400;
    let mut desk = Desk::start("few-streams", Some(FILES));
    let mut watch = desk.asked(&desk.watch());
    let followers = desk.places(FOLLOWERS);
    assert!((1..FILES / 16).contains(&followers), "{followers}");
    let (_crowd, answers) = desk.crowd("events", FILES, &desk.events());
    assert_eq!(answers, told(followers, FILES));
    let (_watchers, answers) = desk.crowd("watches", FILES, &desk.watch());
    assert!(answers["503 too-many-streams"] > 0 && answers.len() == 2, "{answers:?}");
    desk.goes_on(&mut watch);
}
