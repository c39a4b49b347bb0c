//! Secrets stay where they are: whatever is asked, goes wrong or is logged, nothing that is said has one in it.

mod support;

use std::fs;

use support::{Answer, Connection, Process, SOON, Sandbox, free_port, wait_until};

/// The token of the API and of its store, as a person may choose one.
const TOKEN: &str = "tOkEn-5eca1ab1e";
/// What a variable of the environment holds, which the file names.
const VARIABLE: &str = "vAr-5eca1ab1e";
/// What stands in the file itself, as a password in a URL.
const WRITTEN: &str = "wRiTtEn-5eca1ab1e";
/// What somebody sends who has no token, in the hope of hearing more.
const GUESS: &str = "gUeSs-5eca1ab1e";
/// All of them end so: nothing else does.
const MARK: &str = "5eca1ab1e";

const APP: &str = include_str!("support/app.py");

/// Everything that was said, each with where.
#[derive(Default)]
struct Said(Vec<(String, String)>);

impl Said {
    fn add(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.0.push((place.into(), text.into()));
    }

    fn add_answer(&mut self, place: &str, answer: &Answer) {
        self.add(place, format!("{} {:?} {}", answer.status, answer.headers, answer.text()));
    }

    #[track_caller]
    fn assert_without_secrets(&self) {
        for (place, text) in &self.0 {
            let told: Vec<&str> = text.lines().filter(|line| line.contains(MARK)).collect();
            assert!(told.is_empty(), "{place} tells a secret: {told:#?}");
        }
    }
}

/// A gateway with an agent in it, and an agent of its own that reaches the gateway's store by HTTP; both log everything.
struct Running {
    gateway: Process,
    agent: Process,
    admin_port: u16,
    port: u16,
    probe_port: u16,
    sandbox: Sandbox,
}

fn config(sandbox: &Sandbox, admin_port: u16, port: u16, app_port: u16) -> String {
    format!(
        "store = \"sqlite://{}\"\n[admin]\nlisten = \"127.0.0.1:{admin_port}\"\ntoken_file = \"{}\"\n\
         [sets.recorder]\nkind = \"sticky\"\nclient = \"query:camera\"\npresence = \"report\"\n\
         evict = \"http://127.0.0.1:1/leave?client={{client}}&key=${{EVICT_KEY}}\"\n\
         [sets.web]\nkind = \"single\"\n\
         [[listeners]]\nlisten = \"127.0.0.1:{port}\"\n\
         routes = [{{ path = \"/\", set = \"recorder\", answer = \"redirect\" }}]\n\
         [[agents]]\nset = \"recorder\"\ninstance = \"rec-1\"\ncapacity = 100\n\
         endpoints.http = \"http://127.0.0.1:{app_port}\"\n\
         check = {{ url = \"http://127.0.0.1:{app_port}/healthz?key=${{EVICT_KEY}}\", every = \"200ms\" }}\n\
         command = [\"python3\", \"app.py\", \"rec-1\", \"{app_port}\", \".\"]\n",
        sandbox.path("state.db").display(),
        sandbox.path("shared.token").display(),
    )
}

impl Running {
    fn start() -> Running {
        let sandbox = Sandbox::new("secrets");
        let [admin_port, port, gateway_app, app_port, probe_port] = [(); 5].map(|()| free_port());
        sandbox.write("app.py", APP);
        sandbox.write("shared.token", TOKEN);
        sandbox.write("steadfast.toml", &config(&sandbox, admin_port, port, gateway_app));
        let mut run = sandbox.steadfast(["run", "--config", "steadfast.toml", "--log", "trace"]);
        run.arg("--log-format").arg("json").env("EVICT_KEY", VARIABLE);
        let gateway = sandbox.spawn("gateway", &mut run);

        let mut agent = sandbox.steadfast(["agent", "--set", "recorder", "--instance", "rec-2", "--log", "trace"]);
        agent.args(["--store", &format!("http://127.0.0.1:{admin_port}"), "--capacity", "100"]);
        agent.arg("--token-file").arg(sandbox.path("shared.token"));
        agent.arg("--state-dir").arg(sandbox.path("state-agent"));
        agent.args(["--endpoint", &format!("http=http://127.0.0.1:{app_port}"), "--check-every", "200ms"]);
        agent.args(["--check", &format!("http://127.0.0.1:{app_port}/healthz?key={WRITTEN}")]);
        agent.args(["--probe", &format!("127.0.0.1:{probe_port}")]);
        agent.args(["--", "python3", "app.py", "rec-2", &app_port.to_string(), "."]);
        let agent = sandbox.spawn("agent", &mut agent);
        let running = Running { gateway, agent, admin_port, port, probe_port, sandbox };
        wait_until("both recorders to be open", SOON, || {
            let answer =
                running.ask("GET", "/api/v1/sets/recorder/instances", "").filter(|answer| answer.status == 200);
            answer.is_some_and(|answer| answer.text().matches("\"state\":\"open\"").count() == 2)
        });
        running
    }

    /// Asks the API with the token.
    fn ask(&self, method: &str, path: &str, body: &str) -> Option<Answer> {
        self.ask_as(TOKEN, method, path, body)
    }

    fn ask_as(&self, token: &str, method: &str, path: &str, body: &str) -> Option<Answer> {
        let mut connection = Connection::open(&format!("127.0.0.1:{}", self.admin_port), SOON).ok()?;
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        connection.exchange(method, path, &headers, body.as_bytes()).ok()
    }

    /// `steadfast <args>`, asking the gateway with its token.
    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.sandbox.steadfast(args);
        command.args(["--admin", &format!("http://127.0.0.1:{}", self.admin_port), "--token-file"]);
        command.arg(self.sandbox.path("shared.token")).env("EVICT_KEY", VARIABLE);
        command
    }
}

#[test]
fn nothing_that_is_said_has_a_secret_in_it() {
    let mut said = Said::default();
    let mut running = Running::start();
    the_api(&running, &mut said);
    the_commands(&running, &mut said);
    what_processes_show(&running, &mut said);
    for process in [&mut running.agent, &mut running.gateway] {
        process.signal(support::Signal::Term);
        process.wait(SOON);
    }
    let logs = [running.gateway.log(), running.agent.log()];
    assert!(logs[0].contains("\"DEBUG\""), "everything was logged");
    let [gateway, agent] = logs;
    said.add("the gateway's log", gateway);
    said.add("the agent's log", agent);
    assert!(said.0.len() > 60, "{}", said.0.len());
    let shown = |text: &str| said.0.iter().filter(|(_, said)| said.contains(text)).count();
    assert!(shown("&key=*************") >= 5, "what is concealed is shown as such: this test looks where it would be");
    assert!(shown("${EVICT_KEY}") >= 2, "what a variable stands for is told by its name");
    said.assert_without_secrets();
}

fn the_api(running: &Running, said: &mut Said) {
    let put = "/api/v1/sets/recorder/clients/cam-1";
    for (method, path, body) in [
        ("PUT", put, "{}"),
        ("POST", "/api/v1/sets/recorder/clients/cam-1/move", "{\"instance\":\"rec-1\"}"),
        ("POST", "/api/v1/sets/recorder/clients/cam-1/move", "{\"instance\":\"rec-2\"}"),
        ("POST", "/api/v1/sets/web/switchover", "{}"),
        ("POST", "/api/v1/sets/recorder/instances/rec-1/drain", "{}"),
        ("POST", "/api/v1/sets/recorder/instances/rec-1/undrain", "{}"),
        ("DELETE", put, ""),
        ("PUT", "/api/v1/sets/recorder", "{\"kind\":\"sticky\""),
        ("GET", "/api/v1/status", ""),
        ("GET", "/api/v1/sets", ""),
        ("GET", "/api/v1/sets/recorder", ""),
        ("GET", "/api/v1/sets/recorder/instances", ""),
        ("GET", "/api/v1/sets/recorder/clients", ""),
        ("GET", "/api/v1/sets/recorder/explain?client=cam-1", ""),
        ("GET", "/api/v1/sets/recorder/verify", ""),
        ("GET", "/api/v1/events", ""),
        ("GET", "/store/v1/describe", ""),
        ("POST", "/store/v1/read", "{\"nonsense\":1}"),
        ("POST", "/store/v1/watch", "{"),
        ("GET", "/metrics", ""),
        ("GET", "/healthz", ""),
        ("GET", "/readyz", ""),
        ("GET", "/", ""),
        ("GET", "/page/api.js", ""),
        ("GET", "/nothing", ""),
        ("PATCH", "/api/v1/sets/recorder", ""),
    ] {
        for token in [TOKEN, GUESS] {
            let answer = running.ask_as(token, method, path, body).expect("an answer");
            said.add_answer(&format!("{method} {path} with {}", &token[..5]), &answer);
        }
    }
    for url in [
        format!("http://127.0.0.1:{}/?camera=cam-2", running.port),
        format!("http://127.0.0.1:{}/", running.port),
        format!("http://127.0.0.1:{}/", running.probe_port),
    ] {
        said.add_answer(&url, &support::get(&url).expect("an answer"));
    }
    // Headers as long as they may be, and what is no request at all.
    for bytes in [
        format!("GET /api/v1/sets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {GUESS}\r\n\r\n"),
        format!("GET /api/v1/sets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", GUESS.repeat(2_000)),
        format!("Authorization: Bearer {GUESS}\r\n\r\n"),
        format!("POST /api/v1/sets HTTP/1.1\r\nAuthorization: Bearer {GUESS}\r\nContent-Length: x\r\n\r\n"),
    ] {
        let mut connection = Connection::open(&format!("127.0.0.1:{}", running.admin_port), SOON).expect("connect");
        connection.send(bytes.as_bytes()).expect("sent");
        said.add_answer("what is no request", &connection.answer(true).expect("an answer"));
    }
}

fn the_commands(running: &Running, said: &mut Said) {
    let sandbox = &running.sandbox;
    let mut ended = |name: &str, command: &mut std::process::Command| {
        let ended = sandbox.run(command);
        said.add(name, format!("{}{}", ended.out, ended.err));
        assert!(!ended.err.contains("panicked"), "{ended:?}");
    };
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["instances", "recorder", "--json"],
        &["clients", "recorder"],
        &["events", "--json"],
        &["explain", "recorder", "cam-2"],
        &["verify", "recorder", "--json"],
        &["status", "--json", "--log", "trace"],
        &["drain", "recorder", "nobody", "--log", "trace"],
        &["apply", "steadfast.toml", "--log", "trace"],
        &["apply", "steadfast.toml", "--json"],
    ] {
        ended(&args.join(" "), &mut running.command(args));
    }
    let other = fs::read_to_string(sandbox.path("steadfast.toml")).expect("the file").replace("/leave", "/go");
    sandbox.write("other.toml", &other);
    ended("apply a change", &mut running.command(&["apply", "other.toml"]));
    sandbox.write("guess.token", GUESS);
    let mut guess = sandbox.steadfast(["drain", "recorder", "rec-1", "--log", "trace", "--token-file", "guess.token"]);
    ended("a wrong token", guess.args(["--admin", &format!("http://127.0.0.1:{}", running.admin_port)]));
    let mut guess = sandbox.steadfast(["status", "--log", "trace", "--token-file", "guess.token"]);
    ended("a wrong token at the store", guess.args(["--store", &format!("http://127.0.0.1:{}", running.admin_port)]));
    sandbox.write("two.token", &format!("{TOKEN}\n{TOKEN}\n"));
    ended("a file of two tokens", &mut sandbox.steadfast(["status", "--token-file", "two.token"]));

    // Every line of the file as the wrong one, with the secret in it.
    for (name, line) in [
        ("variable", "store = \"http://me:${EVICT_KEY}@h:1/x\"".to_owned()),
        ("password", format!("store = \"http://me:{WRITTEN}@h:1/x\"")),
        ("unknown", format!("stroe = \"http://me:{WRITTEN}@h:1/x\"")),
        ("listen", "[admin]\nlisten = \"${EVICT_KEY}\"".to_owned()),
        ("evict", format!("[sets.a]\nkind = \"sticky\"\nclient = \"query:a\"\nevict = \"http://h/?key={WRITTEN}\"")),
        ("check", format!("[[agents]]\nset = \"a\"\ncheck = \"ftp://h/?key={WRITTEN}\"")),
        ("endpoint", "[[agents]]\nset = \"a\"\nendpoints.http = \"http://${EVICT_KEY}\"".to_owned()),
    ] {
        sandbox.write("wrong.toml", &format!("{line}\n"));
        for verb in [&["check", "wrong.toml"][..], &["run", "--config", "wrong.toml"]] {
            let mut command = sandbox.steadfast(verb);
            ended(name, command.env("EVICT_KEY", VARIABLE).env("STATE_DIRECTORY", sandbox.path("state-wrong")));
        }
    }
    for args in [&["--help"][..], &["run", "--help"], &["agent", "--help"], &["status", "--help"], &["agent", "-h"]] {
        let mut command = sandbox.steadfast(args);
        command.env("STEADFAST_STORE", format!("redis://:{WRITTEN}@h")).env("STEADFAST_CHECK", WRITTEN);
        ended(&args.join(" "), &mut command);
    }
    for url in [format!("redis://:{WRITTEN}@h"), format!("http://:{WRITTEN}@h:1"), format!("sqlite:///a?key={WRITTEN}")]
    {
        ended("a store's URL", sandbox.steadfast(["status", "--log", "trace"]).env("STEADFAST_STORE", url));
    }
}

/// What `ps` shows, and what the applications were given.
fn what_processes_show(running: &Running, said: &mut Said) {
    for (name, process) in [("gateway", &running.gateway), ("agent", &running.agent)] {
        let started = process.descendants();
        assert!(!started.is_empty(), "{name} has an application");
        for pid in started.into_iter().chain([process.pid()]) {
            let read = |file: &str| {
                let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
                String::from_utf8_lossy(&bytes).replace('\0', "\n")
            };
            // The check's address, with what this test put into it, is the one thing given on a command line.
            let shown = read("cmdline").replace(&format!("?key={WRITTEN}"), "");
            said.add(format!("the command line of {pid} under {name}"), shown);
            // What the file names by a variable is in the environment, since that is where it was put. The application
            // has it from there too: it is the one that the key is for.
            let environment = read("environ");
            let there = environment.lines().any(|line| line == format!("EVICT_KEY={VARIABLE}"));
            assert_eq!(there, name == "gateway", "{pid} under {name}: {environment}");
            said.add(format!("the environment of {pid} under {name}"), environment.replace(VARIABLE, ""));
        }
    }
}
