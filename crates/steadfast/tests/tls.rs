//! TLS, and secrets that change, as whoever runs Steadfast meets them: curl, the commands, a second process, and files
//! that are replaced while all of it runs.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use steadfast_host::tls::certs::{Authority, Pair, Valid};
use support::{Ended, Process, SOON, Sandbox, free_port, wait_until};

/// Tokens as the program makes them.
const TOKEN: &str = "5eca5eca5eca5eca5eca5eca5eca5eca5eca5eca5eca5eca5eca5eca5eca5eca";
const SUCCESSOR: &str = "0ddc0ddc0ddc0ddc0ddc0ddc0ddc0ddc0ddc0ddc0ddc0ddc0ddc0ddc0ddc0ddc";

/// A running Steadfast whose API speaks TLS, under a certificate for 127.0.0.1.
struct Secured {
    process: Process,
    port: u16,
    ca: Authority,
    certs: PathBuf,
    sandbox: Sandbox,
}

impl Secured {
    fn start(name: &str, client_ca: bool) -> Secured {
        let sandbox = Sandbox::new(name);
        let port = free_port();
        let certs = sandbox.path("certs");
        std::fs::create_dir(&certs).expect("make a directory");
        let ca = Authority::new(&certs, "ca");
        let Pair { cert, key } = ca.issue("server", &["127.0.0.1"], Valid::Now);
        let clients = if client_ca { format!(", client_ca = \"{}\"", ca.file().display()) } else { String::new() };
        sandbox.write("state/admin.token", &format!("{TOKEN}\n"));
        sandbox.write(
            "steadfast.toml",
            &format!(
                "[admin]\nlisten = \"127.0.0.1:{port}\"\ntls = {{ cert = \"{}\", key = \"{}\"{clients} }}\n\
                 [sets.web]\nkind = \"single\"\n",
                cert.display(),
                key.display()
            ),
        );
        let process = spawn(&sandbox);
        Secured { process, port, ca, certs, sandbox }
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// What curl gets from `path`, trusting this authority: the status; `None` where there was no answer.
    fn curl(&self, ca: &Path, path: &str, more: &[&str]) -> Option<String> {
        let mut curl = self.sandbox.command("curl");
        curl.args(["--silent", "--noproxy", "*", "--max-time", "30", "--output", "/dev/null"]);
        curl.args(["--write-out", "%{http_code}", "--cacert"]).arg(ca).args(more);
        let ended = self.sandbox.run(curl.arg(format!("{}{path}", self.url())));
        (ended.code() == 0).then_some(ended.out)
    }

    fn wait_until_ready(&self, more: &[&str]) {
        let ca = self.ca.file();
        wait_until("it to be ready", SOON, || self.curl(&ca, "/readyz", more).as_deref() == Some("200"));
    }

    /// `steadfast instances web`, over the API at `url`.
    fn ask(&self, url: &str, more: &[&str]) -> Ended {
        let mut command = self.sandbox.steadfast(["instances", "web", "--admin", url]);
        self.sandbox.run(command.args(more))
    }

    /// It ends with this code, and says this.
    #[track_caller]
    fn refused(&self, url: &str, more: &[&str], code: i32, said: &str) {
        let ended = self.ask(url, more);
        assert_eq!(ended.code(), code, "{ended:?}");
        assert!(ended.err.contains(said), "{said:?} is not in {:?}", ended.err);
    }
}

fn spawn(sandbox: &Sandbox) -> Process {
    sandbox.spawn("run", &mut sandbox.steadfast(["run", "--config", "steadfast.toml"]))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

#[test]
fn the_api_is_asked_by_whoever_trusts_its_authority() {
    let secured = Secured::start("tls-ask", false);
    secured.wait_until_ready(&[]);
    let ca = secured.ca.file();
    let trusting = ["--tls-ca", text(&ca)];
    let ended = secured.ask(&secured.url(), &trusting);
    assert_eq!(ended.code(), 0, "{ended:?}");

    let stranger = Authority::new(&secured.certs, "stranger").file();
    assert_eq!(secured.curl(&stranger, "/readyz", &[]), None);
    let said = format!("is signed by no authority that {} knows", stranger.display());
    secured.refused(&secured.url(), &["--tls-ca", text(&stranger)], 3, &said);

    let by_name = format!("https://localhost:{}", secured.port);
    let said = "is for 127.0.0.1, not localhost (add name=127.0.0.1 if that is meant)";
    secured.refused(&by_name, &trusting, 3, said);
    let named = secured.ask(&by_name, &["--tls-ca", text(&ca), "--tls-name", "127.0.0.1"]);
    assert_eq!(named.code(), 0, "{named:?}");

    let plain = format!("http://127.0.0.1:{}", secured.port);
    assert_ne!(secured.ask(&plain, &[]).code(), 0);
    assert!(secured.ask(&plain, &[]).err.contains("this port speaks TLS"), "{:?}", secured.ask(&plain, &[]));
    secured.refused(&plain, &trusting, 2, "is not asked over TLS, and files for TLS are given: write https");
    secured.refused(&secured.url(), &["--tls-ca", "/nowhere/ca.pem"], 2, "cannot read /nowhere/ca.pem");
}

#[test]
fn a_certificate_is_replaced_while_it_runs() {
    let mut secured = Secured::start("tls-replace", false);
    secured.wait_until_ready(&[]);
    let successor = Authority::new(&secured.certs, "successor");
    assert_eq!(secured.curl(&successor.file(), "/readyz", &[]), None);
    successor.issue("server", &["127.0.0.1"], Valid::Now);
    wait_until("the new certificate", SOON, || {
        secured.curl(&successor.file(), "/readyz", &[]).as_deref() == Some("200")
    });
    assert_eq!(secured.curl(&secured.ca.file(), "/readyz", &[]), None, "the old one is shown no more");
    assert!(secured.process.is_running());
}

#[test]
fn a_client_certificate_is_wanted_where_that_is_said_and_the_token_all_the_same() {
    let secured = Secured::start("tls-client", true);
    let own = secured.ca.issue("operator", &["operator"], Valid::Now);
    let shown = ["--cert", text(&own.cert), "--key", text(&own.key)];
    secured.wait_until_ready(&shown);
    let ca = secured.ca.file();
    assert_eq!(secured.curl(&ca, "/readyz", &[]), None);
    let files = ["--tls-ca", text(&ca), "--tls-cert", text(&own.cert), "--tls-key", text(&own.key)];
    let ended = secured.ask(&secured.url(), &files);
    assert_eq!(ended.code(), 0, "{ended:?}");
    secured.refused(&secured.url(), &files[..2], 3, "wants a client certificate, and none is given");
    secured.refused(&secured.url(), &files[..4], 2, "--tls-key");

    let change = ["--request", "POST", "--header", "Content-Type: application/json", "--data", "{}"];
    let change = [&shown[..], &change[..]].concat();
    assert_eq!(secured.curl(&ca, "/api/v1/sets/web/switchover", &change).as_deref(), Some("401"));
}

#[test]
fn a_store_is_shared_over_tls_and_its_token_is_changed_while_a_peer_runs() {
    let mut secured = Secured::start("tls-store", false);
    secured.wait_until_ready(&[]);
    let ca = secured.ca.file();
    let peer_port = free_port();
    let token_file = secured.sandbox.write("store.token", TOKEN);
    secured.sandbox.write(
        "peer.toml",
        &format!(
            "store = \"{}\"\nstore_tls = {{ ca = \"{}\" }}\nstore_token_file = \"{}\"\nstate_dir = \"{}\"\n\
             [admin]\nlisten = \"127.0.0.1:{peer_port}\"\n",
            secured.url(),
            ca.display(),
            token_file.display(),
            secured.sandbox.path("state-peer").display(),
        ),
    );
    let mut peer = secured.sandbox.spawn("peer", &mut secured.sandbox.steadfast(["run", "--config", "peer.toml"]));
    // Asks the peer for what it can only read in the store.
    let through_peer = |secured: &Secured| {
        let peer = format!("http://127.0.0.1:{peer_port}");
        let events = ["events", "--admin", &peer, "--token-file", "state-peer/admin.token"];
        secured.sandbox.run(&mut secured.sandbox.steadfast(events)).code()
    };
    wait_until("the peer to reach the store", SOON, || through_peer(&secured) == 0);
    let direct = |secured: &Secured, more: &[&str]| {
        let store = ["instances", "web", "--store"];
        let command: &mut Command = &mut secured.sandbox.steadfast(store);
        secured.sandbox.run(command.arg(secured.url()).args(more)).code()
    };
    assert_eq!(direct(&secured, &["--tls-ca", text(&ca)]), 0);

    // The new token counts as soon as it is written, and the old one, which the peer has, meanwhile.
    let known = |token: &str| format!("Authorization: Bearer {token}");
    let status = |secured: &Secured, token| {
        secured.curl(&ca, "/store/v1/describe", &["--header", &known(token)]).unwrap_or_default()
    };
    assert_eq!(status(&secured, SUCCESSOR), "401");
    secured.sandbox.write("state/admin.token", SUCCESSOR);
    assert_eq!((status(&secured, SUCCESSOR), status(&secured, TOKEN)), ("200".to_owned(), "200".to_owned()));
    wait_until("the peer to be let in as before", SOON, || through_peer(&secured) == 0);

    // Started again, it knows the new one alone.
    secured.process.signal(support::Signal::Term);
    secured.process.wait(SOON);
    secured.process = spawn(&secured.sandbox);
    secured.wait_until_ready(&[]);
    assert_eq!(status(&secured, TOKEN), "401");
    wait_until("the peer to be refused", SOON, || through_peer(&secured) == 4);
    secured.sandbox.write("store.token", SUCCESSOR);
    wait_until("the peer to be let in with the new token", SOON, || through_peer(&secured) == 0);
    assert!(peer.is_running(), "{}", peer.log());
}
