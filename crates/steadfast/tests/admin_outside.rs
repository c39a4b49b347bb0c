//! The API as somebody hostile meets it, over real sockets: a page of another site, a name that was made to point here,
//! a guess at the token, a body without an end. Each is told why, in a problem document, and the books stay as they are.

mod support;

use std::io::ErrorKind;

use serde_json::{Value, json};
use support::{Answer, Connection, Process, SOON, Sandbox, free_port, wait_until};

/// A token as the program makes them.
const TOKEN: &str = "5eca5eca5eca5eca5eca5eca5eca5eca5eca5eca5eca5eca5eca5eca5eca5eca";
/// What most rows try to do, as whoever may: give the set another lease.
const PUT: &str = "PUT /api/v1/sets/web HTTP/1.1\r\n";
const SETTINGS: &str = r#"{"kind":"single","lease_ttl":"7s","clock_drift":0.1,"park_for":"10s","release_after":"0s"}"#;
const JSON: &str = "Content-Type: application/json\r\n";

/// A running Steadfast with a single and a sticky set, and nothing but its API.
struct Outside {
    process: Process,
    port: u16,
    _sandbox: Sandbox,
}

impl Outside {
    fn start(name: &str, listen: &str) -> Outside {
        let sandbox = Sandbox::new(name);
        let port = free_port();
        sandbox.write("state/admin.token", &format!("{TOKEN}\n"));
        let config = format!(
            "[admin]\nlisten = \"{listen}:{port}\"\n[sets.web]\nkind = \"single\"\n\
             [sets.recorder]\nkind = \"sticky\"\nclient = \"query:camera\"\n"
        );
        sandbox.write("steadfast.toml", &config);
        let process = sandbox.spawn("run", &mut sandbox.steadfast(["run", "--config", "steadfast.toml"]));
        let outside = Outside { process, port, _sandbox: sandbox };
        wait_until("it to be ready", SOON, || outside.get("/readyz").is_some_and(|answer| answer.status == 200));
        outside
    }

    fn connect(&self) -> Connection {
        Connection::open(&format!("127.0.0.1:{}", self.port), SOON).expect("connect")
    }

    fn get(&self, path: &str) -> Option<Answer> {
        let mut connection = Connection::open(&format!("127.0.0.1:{}", self.port), SOON).ok()?;
        connection.exchange("GET", path, &[("authorization", &format!("Bearer {TOKEN}"))], b"").ok()
    }

    /// Sends these bytes, in which `PORT`, `HOST` and `AUTH` stand for what is right, and reads one answer.
    #[track_caller]
    fn say(&self, bytes: &[u8]) -> Answer {
        let mut connection = self.connect();
        // Who refuses early may close before all of it was sent; the answer was sent before that.
        let sent = connection.send(&self.filled(bytes));
        connection.answer(!bytes.starts_with(b"HEAD")).unwrap_or_else(|error| {
            panic!("{error} ({sent:?}) after {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(200)]))
        })
    }

    fn filled(&self, bytes: &[u8]) -> Vec<u8> {
        let words: [(&[u8], String); 3] = [
            (b"HOST\r\n", format!("Host: 127.0.0.1:{}\r\n", self.port)),
            (b"AUTH\r\n", format!("Authorization: Bearer {TOKEN}\r\n")),
            (b"PORT", self.port.to_string()),
        ];
        let mut bytes = bytes.to_vec();
        for (word, meant) in words {
            while let Some(at) = bytes.windows(word.len()).position(|found| found == word) {
                bytes.splice(at..at + word.len(), meant.bytes());
            }
        }
        bytes
    }

    /// It refuses with this status and reason, in a problem document that no browser takes for anything else.
    #[track_caller]
    fn refuses(&self, bytes: &[u8], status: u16, reason: &str) -> Answer {
        let answer = self.say(bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        assert_eq!(answer.status, status, "{shown}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{shown}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{shown}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{shown}");
        let allowed = answer.headers.iter().any(|(name, _)| name.starts_with("access-control"));
        assert!(!allowed, "nothing is opened to other sites: {shown}: {:?}", answer.headers);
        if !bytes.starts_with(b"HEAD") {
            let document = answer.json();
            assert_eq!(
                (&document["status"], &document["reason"]),
                (&json!(status), &json!(reason)),
                "{shown}: {document}"
            );
            assert!(document["detail"].as_str().is_some_and(|detail| detail.len() > 8), "{document}");
        }
        assert!(!answer.text().contains(TOKEN), "{shown}");
        answer
    }

    /// A change that would be one, with these lines in its head instead of the right ones.
    #[track_caller]
    fn refuses_change(&self, lines: &str, status: u16, reason: &str) -> Answer {
        self.refuses(change(lines, SETTINGS.as_bytes()).as_slice(), status, reason)
    }

    /// All that could have been changed.
    #[track_caller]
    fn books(&self) -> Value {
        let look = |path: &str| self.get(path).expect("an answer").json();
        let of_sets = json!([look("/api/v1/sets"), look("/api/v1/sets/recorder/clients")]);
        json!([of_sets, look("/api/v1/events")])
    }

    /// What `steadfast_admin_refused_total` counts for a reason.
    fn counted(&self, reason: &str) -> u64 {
        let page = self.get("/metrics").expect("metrics").text();
        let name = format!("steadfast_admin_refused_total{{reason=\"{reason}\"}} ");
        let line = page.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap_or_else(|| panic!("{name} is not in {page}")).parse().expect("a number")
    }
}

fn change(lines: &str, body: &[u8]) -> Vec<u8> {
    [format!("{PUT}{lines}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

#[test]
fn whoever_may_not_is_told_why_and_changes_nothing() {
    let outside = Outside::start("outside", "127.0.0.1");
    let before = outside.books();
    names_of_others(&outside);
    pages_of_others(&outside);
    what_a_form_can_send(&outside);
    without_the_token(&outside);
    bodies(&outside);
    places_that_are_none(&outside);
    wrong_methods(&outside);
    questions_without_sense(&outside);
    not_http(&outside);
    assert_eq!(outside.books(), before, "something was changed");

    for (reason, least) in [("foreign-host", 10), ("cross-site", 10), ("token-needed", 10), ("not-json", 5)] {
        assert!(outside.counted(reason) >= least, "{reason}: {}", outside.counted(reason));
    }
    // The same with everything right is done: what was refused was not refused for a slip of this test.
    let done = outside.say(&change(&format!("HOST\r\nAUTH\r\n{JSON}"), SETTINGS.as_bytes()));
    assert_eq!(done.status, 200, "{}", done.text());
    assert_ne!(outside.books(), before);
}

/// DNS rebinding: a page of a name that was made to point here says that name.
fn names_of_others(outside: &Outside) {
    for host in [
        "evil.example",
        "evil.example:PORT",
        "localhost.evil.example:PORT",
        "127.0.0.1.evil.example",
        "127.0.0.1.nip.io:PORT",
        "localhostevil.example",
        "evil.example.",
        "10.0.0.1:PORT",
        "0.0.0.0:PORT",
        "[2001:db8::1]:PORT",
        "[::ffff:127.0.0.1]:PORT",
        "2130706433:PORT",
        "0x7f000001:PORT",
        "127.1:PORT",
        "localhost@evil.example",
        "localhost,evil.example",
        "localhost:PORT:PORT",
        ".",
        "",
    ] {
        outside.refuses_change(&format!("Host: {host}\r\nAUTH\r\n{JSON}"), 421, "foreign-host");
        for path in ["/api/v1/sets", "/metrics", "/healthz", "/store/v1/describe", "/", "/page/main.js", "/nothing"] {
            let read = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAUTH\r\n\r\n");
            outside.refuses(read.as_bytes(), 421, "foreign-host");
        }
    }
    outside.refuses_change(&format!("AUTH\r\n{JSON}"), 421, "foreign-host");
    for twice in ["Host: localhost\r\nHost: evil.example\r\n", "Host: evil.example\r\nHost: localhost\r\n"] {
        outside.refuses_change(&format!("{twice}AUTH\r\n{JSON}"), 400, "bad-host");
    }
    let absolute = "GET http://evil.example/api/v1/sets HTTP/1.1\r\nHOST\r\n\r\n";
    outside.refuses(absolute.as_bytes(), 400, "bad-host");
    for host in ["localhost", "LOCALHOST:PORT", "localhost.:PORT", "127.0.0.1", "127.0.0.2:PORT", "[::1]:PORT"] {
        let read = outside.say(format!("GET /api/v1/sets HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        assert_eq!(read.status, 200, "{host}: {}", read.text());
    }
}

/// What a browser says of the page that asks.
fn pages_of_others(outside: &Outside) {
    for said in [
        "Origin: http://evil.example",
        "Origin: null",
        "Origin: http://127.0.0.1:1",
        "Origin: http://localhost:PORT",
        "Origin: http://127.0.0.1:PORT.evil.example",
        "Origin: ",
        "Origin: \u{ff}",
        "Origin: http://127.0.0.1:PORT\r\nOrigin: http://evil.example",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Sec-Fetch-Site: \u{ff}",
        "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site",
    ] {
        outside.refuses_change(&format!("HOST\r\nAUTH\r\n{JSON}{said}\r\n"), 403, "cross-site");
        let read = format!("GET /api/v1/events HTTP/1.1\r\nHOST\r\nAUTH\r\n{said}\r\n\r\n");
        outside.refuses(read.as_bytes(), 403, "cross-site");
    }
    let preflight = "OPTIONS /api/v1/sets/web HTTP/1.1\r\nHOST\r\nOrigin: http://evil.example\r\n\
                     Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: authorization\r\n\r\n";
    outside.refuses(preflight.as_bytes(), 403, "cross-site");
    let ours =
        "GET /api/v1/sets HTTP/1.1\r\nHOST\r\nOrigin: http://127.0.0.1:PORT\r\nSec-Fetch-Site: same-origin\r\n\r\n";
    assert_eq!(outside.say(ours.as_bytes()).status, 200);
}

/// A form can send a body of three types, and a script without asking first no other.
fn what_a_form_can_send(outside: &Outside) {
    for line in [
        "",
        "Content-Type:\r\n",
        "Content-Type: text/plain\r\n",
        "Content-Type: text/plain; application/json\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: multipart/form-data; boundary=x\r\n",
        "Content-Type: application/jsonx\r\n",
        "Content-Type: application/json, text/plain\r\n",
    ] {
        outside.refuses_change(&format!("HOST\r\nAUTH\r\n{line}"), 415, "not-json");
    }
}

fn without_the_token(outside: &Outside) {
    let (prefix, longer) = (&TOKEN[..TOKEN.len() - 1], format!("{TOKEN}0"));
    let (upper, long) = (TOKEN.to_uppercase(), TOKEN.repeat(200));
    let said = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let mut heard: Vec<(Vec<(String, String)>, String)> = Vec::new();
    for line in [
        String::new(),
        "Authorization:\r\n".to_owned(),
        "Authorization: Bearer\r\n".to_owned(),
        said(""),
        said("0"),
        said(&format!("0{}", &TOKEN[1..])),
        said(prefix),
        said(&longer),
        said(&upper),
        said(&long),
        said(&format!("\"{TOKEN}\"")),
        said(&format!("{TOKEN} {TOKEN}")),
        said(&format!("{TOKEN},")),
        said("\u{ff}"),
        format!("Authorization: Basic {TOKEN}\r\n"),
        format!("Authorization: {TOKEN}\r\n"),
        format!("Authorization: Bearer: {TOKEN}\r\n"),
        format!("{}{}", said(TOKEN), said("0")),
        format!("Cookie: token={TOKEN}; authorization=Bearer {TOKEN}\r\n"),
        format!("X-Token: {TOKEN}\r\nProxy-Authorization: Bearer {TOKEN}\r\n"),
    ] {
        let answer = outside.refuses_change(&format!("HOST\r\n{line}{JSON}"), 401, "token-needed");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        let telling = answer.headers.iter().filter(|(name, _)| name != "date").cloned().collect();
        heard.push((telling, answer.text()));
    }
    assert!(heard.iter().all(|one| *one == heard[0]), "every wrong token is answered alike: {heard:?}");
    for name in ["token", "access_token", "authorization"] {
        let path = format!("PUT /api/v1/sets/web?{name}={TOKEN} HTTP/1.1\r\n");
        let bytes = String::from_utf8(change(&format!("HOST\r\n{JSON}"), SETTINGS.as_bytes())).expect("text");
        outside.refuses(bytes.replace(PUT, &path).as_bytes(), 401, "token-needed");
    }
    for path in ["describe", "read", "commit", "scan", "watch"] {
        for method in ["GET", "POST"] {
            let bytes = format!("{method} /store/v1/{path} HTTP/1.1\r\nHOST\r\n{JSON}Content-Length: 2\r\n\r\n{{}}");
            outside.refuses(bytes.as_bytes(), 401, "token-needed");
        }
    }
    // Before the body, and without asking for it.
    let waiting = format!("{PUT}HOST\r\n{JSON}Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n");
    outside.refuses(waiting.as_bytes(), 401, "token-needed");
    let mut kept = outside.connect();
    for scheme in ["bearer", "BEARER", "bEaReR  "] {
        let described =
            kept.exchange("GET", "/store/v1/describe", &[("authorization", &format!("{scheme} {TOKEN}"))], b"");
        assert_eq!(described.expect("an answer").status, 200, "{scheme}");
    }
}

fn bodies(outside: &Outside) {
    let head = format!("HOST\r\nAUTH\r\n{JSON}");
    let deep = "[".repeat(100_000);
    let with = |more: &str| SETTINGS.replace(r#""kind":"single""#, &format!(r#""kind":"single",{more}"#));
    for body in [
        &b"{"[..],
        br#"{"kind":"single","lease_ttl":"#,
        br#"{"kind":"single"}"#,
        br#"{"kind":"octopus"}"#,
        b"[]",
        b"null",
        b"\"text\"",
        b"{}",
        b"",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"{\"kind\":\"sing\xffle\"}",
        deep.as_bytes(),
        with(&format!(r#""more":{deep}"#)).as_bytes(),
        with(r#""more":1"#).as_bytes(),
        with(r#""kind":"single""#).as_bytes(),
        with(r#""lease_ttl":"8s""#).as_bytes(),
        with(r#""lease\u005fttl":"8s""#).as_bytes(),
        SETTINGS.replace("0.1", "1e999").as_bytes(),
        SETTINGS.replace("\"7s\"", "7").as_bytes(),
        SETTINGS.replace("\"7s\"", "\"-7s\"").as_bytes(),
        SETTINGS.replace("\"7s\"", "\"99999999999999999999s\"").as_bytes(),
        SETTINGS.replace("\"7s\"", "null").as_bytes(),
        format!("{SETTINGS}{SETTINGS}").as_bytes(),
    ] {
        outside.refuses(&change(&head, body), 400, "bad-body");
    }
    for settings in [SETTINGS.replace("7s", "1ms"), SETTINGS.replace("0.1", "0.4"), SETTINGS.replace("0.1", "-1")] {
        outside.refuses(&change(&head, settings.as_bytes()), 422, "bad-settings");
    }
    for wrong in [
        r#"{"kind":"sticky"}"#,
        r#"{"kind":"sticky","client":"query:camera","weight":1e400}"#,
        r#"{"kind":"sticky","client":"query:camera","client":"query:other"}"#,
        r#"{"kind":"sticky","client":"query:camera","polciy":"pack"}"#,
        r#"{"kind":"sticky","client":[[["query:camera"]]]}"#,
    ] {
        let bytes = String::from_utf8(change(&head, wrong.as_bytes())).expect("text");
        let answer = outside.say(bytes.replace("/sets/web", "/sets/recorder").as_bytes());
        assert!(matches!(answer.status, 400 | 422), "{wrong}: {} {}", answer.status, answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{wrong}");
    }
    for order in ["switchover", "instances/web-1/drain", "instances/web-1/undrain", "instances/web-1/lost"] {
        let half = format!("POST /api/v1/sets/web/{order} HTTP/1.1\r\n{head}Content-Length: 6\r\n\r\n{{\"to\":");
        outside.refuses(half.as_bytes(), 400, "bad-body");
        let unknown =
            format!("POST /api/v1/sets/web/{order} HTTP/1.1\r\n{head}Content-Length: 11\r\n\r\n{{\"nobody\":1}}");
        outside.refuses(unknown.as_bytes(), 400, "bad-body");
    }
    let giant = format!("{PUT}{head}Content-Length: 1073741824\r\n\r\n{{");
    assert_eq!(outside.refuses(giant.as_bytes(), 413, "body-too-large").header("connection"), Some("close"));
    // Where a body means nothing, nobody without a token fills our memory by it.
    for path in ["/", "/healthz", "/metrics", "/api/v1/sets"] {
        let idle = format!("GET {path} HTTP/1.1\r\nHOST\r\nContent-Length: 4097\r\n\r\n");
        outside.refuses(idle.as_bytes(), 413, "body-too-large");
    }
    let both = format!("{PUT}{head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{{\"}}\r\n0\r\n\r\n");
    outside.refuses(both.as_bytes(), 400, "bad-body");
    let broken = format!("{PUT}{head}Transfer-Encoding: chunked\r\n\r\nnonsense\r\n");
    outside.refuses(broken.as_bytes(), 400, "body-broken");
}

fn places_that_are_none(outside: &Outside) {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHOST\r\n\r\n");
    let key = "k".repeat(257);
    for (path, status, reason) in [
        ("/nothing", 404, "not-found"),
        ("//", 404, "not-found"),
        ("/api", 404, "not-found"),
        ("/api/v1", 404, "not-found"),
        ("/api/v2/sets", 404, "not-found"),
        ("/api/v1/sets/web/nothing", 404, "not-found"),
        ("/api/v1/sets/web/leader/", 404, "not-found"),
        ("/api/v1/sets/web/../../../metrics", 404, "not-found"),
        ("/page/../../../etc/passwd", 404, "not-found"),
        ("/page/nothing.js", 404, "not-found"),
        ("/demo/v1", 404, "not-found"),
        ("/api/v1/sets/", 400, "bad-name"),
        ("/api/v1/sets/..", 400, "bad-name"),
        ("/api/v1/sets/..%2f..%2fetc", 400, "bad-name"),
        ("/api/v1/sets/web%00", 400, "bad-name"),
        ("/api/v1/sets/web%0d%0aX:y", 400, "bad-name"),
        ("/api/v1/sets/%ff", 400, "bad-path"),
        ("/api/v1/sets/%", 400, "bad-path"),
        ("/api/v1/sets/%zz", 400, "bad-path"),
        ("/api/v1/sets/nobody", 404, "no-set"),
        ("/api/v1/sets/nobody/instances", 404, "no-set"),
        ("/api/v1/sets/nobody/clients/cam-1", 404, "no-set"),
        ("/api/v1/events?set=nobody", 404, "no-set"),
        ("/api/v1/sets/web/clients/cam-1", 409, "not-sticky"),
        ("/api/v1/sets/recorder/leader", 409, "not-single"),
        ("/api/v1/sets/recorder/clients/nobody", 404, "no-client"),
        ("/api/v1/sets/recorder/clients/a%2F..%2F%00%ff", 404, "no-client"),
        ("/api/v1/sets/recorder/clients/", 400, "bad-client"),
        ("/api/v1/sets/recorder/clients/%4", 400, "bad-client"),
        (&format!("/api/v1/sets/recorder/clients/{key}"), 400, "bad-client"),
        ("/api/v1/sets/recorder/instances/nobody/drain", 404, "no-instance"),
        ("/api/v1/sets/recorder/instances/%00/drain", 400, "bad-name"),
    ] {
        outside.refuses(get(path).as_bytes(), status, reason);
    }
    for order in ["drain", "undrain", "lost"] {
        let bytes = format!("POST /api/v1/sets/web/instances/no%2Fbody/{order} HTTP/1.1\r\nHOST\r\nAUTH\r\n{JSON}\r\n");
        outside.refuses(bytes.as_bytes(), 400, "bad-name");
        let bytes =
            format!("POST /api/v1/sets/recorder/instances/nobody/{order} HTTP/1.1\r\nHOST\r\nAUTH\r\n{JSON}\r\n");
        outside.refuses(bytes.as_bytes(), 404, "no-instance");
    }
    for (path, reason) in [("nobody", "no-set"), ("web", "no-leader")] {
        let bytes = format!("POST /api/v1/sets/{path}/switchover HTTP/1.1\r\nHOST\r\nAUTH\r\n{JSON}\r\n");
        let status = if reason == "no-set" { 404 } else { 409 };
        outside.refuses(bytes.as_bytes(), status, reason);
    }
}

fn wrong_methods(outside: &Outside) {
    for (method, path, allow) in [
        ("POST", "/healthz", "GET, HEAD"),
        ("PUT", "/metrics", "GET, HEAD"),
        ("DELETE", "/api/v1/status", "GET, HEAD"),
        ("POST", "/api/v1/events", "GET, HEAD"),
        ("DELETE", "/api/v1/sets/web", "GET, HEAD, PUT"),
        ("PATCH", "/api/v1/sets/web", "GET, HEAD, PUT"),
        ("OPTIONS", "/api/v1/sets/web", "GET, HEAD, PUT"),
        ("TRACE", "/api/v1/sets/web", "GET, HEAD, PUT"),
        ("QUACK", "/api/v1/sets/web", "GET, HEAD, PUT"),
        ("POST", "/api/v1/sets/web/leader", "GET, HEAD"),
        ("GET", "/api/v1/sets/web/switchover", "POST"),
        ("HEAD", "/api/v1/sets/web/switchover", "POST"),
        ("POST", "/api/v1/sets/recorder/clients/a", "GET, HEAD, PUT, DELETE"),
        ("GET", "/api/v1/sets/recorder/clients/a/move", "POST"),
        ("DELETE", "/api/v1/sets/web/instances/web-1/drain", "GET, HEAD, POST"),
        ("GET", "/api/v1/sets/web/instances/web-1/lost", "POST"),
        ("GET", "/store/v1/read", "POST"),
        ("POST", "/store/v1/describe", "GET"),
    ] {
        let bytes = format!("{method} {path} HTTP/1.1\r\nHOST\r\nAUTH\r\n{JSON}\r\n");
        let answer = outside.refuses(bytes.as_bytes(), 405, "method-not-allowed");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
    let head = outside.say(b"HEAD /api/v1/sets HTTP/1.1\r\nHOST\r\n\r\n");
    assert_eq!((head.status, head.header("content-type")), (200, Some("application/json")));
}

fn questions_without_sense(outside: &Outside) {
    let clients = "/api/v1/sets/recorder/clients";
    for path in [
        format!("{clients}?limit=-1"),
        format!("{clients}?limit=1e9"),
        format!("{clients}?limit="),
        format!("{clients}?limit=99999999999999999999"),
        format!("{clients}?limit=1&limit=2"),
        format!("{clients}?limit=%zz"),
        format!("{clients}?phase=asleep"),
        format!("{clients}?home=%ff"),
        format!("{clients}?hme=rec-1"),
        "/api/v1/events?since=yesterday".to_owned(),
        "/api/v1/events?since=web:1&since=web:2".to_owned(),
        "/api/v1/events?set=web&set=recorder".to_owned(),
        "/api/v1/events?set=%zz".to_owned(),
        "/api/v1/events?sicne=web:1".to_owned(),
        "/api/v1/sets/recorder/explain".to_owned(),
        "/api/v1/sets/recorder/explain?client=a&weight=NaN".to_owned(),
        "/api/v1/sets/recorder/explain?client=a&weight=-1".to_owned(),
        "/api/v1/sets/recorder/explain?client=a&Not%20A%20Label=1".to_owned(),
    ] {
        outside.refuses(format!("GET {path} HTTP/1.1\r\nHOST\r\n\r\n").as_bytes(), 400, "bad-query");
    }
    for path in [format!("{clients}?after="), format!("{clients}?after={}", "k".repeat(257))] {
        outside.refuses(format!("GET {path} HTTP/1.1\r\nHOST\r\n\r\n").as_bytes(), 400, "bad-client");
    }
    for accept in ["nonsense", "text/html", "*/*;q=nonsense", "text/event-streams", ", ,"] {
        let answer = outside.say(format!("GET /api/v1/events HTTP/1.1\r\nHOST\r\nAccept: {accept}\r\n\r\n").as_bytes());
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{accept}");
    }
    let many = outside.say(format!("GET {clients}?limit=4000000000 HTTP/1.1\r\nHOST\r\n\r\n").as_bytes());
    assert_eq!((many.status, many.json()["clients"].clone()), (200, json!([])), "as many as a page has");
}

fn not_http(outside: &Outside) {
    let long = "y".repeat(20_000);
    for (bytes, status, reason) in [
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\r\n\r\n".to_owned(), 400, "not-http"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400, "not-http"),
        ("hello\r\n\r\n".to_owned(), 400, "not-http"),
        (format!("GET /{long} HTTP/1.1\r\nHOST\r\n\r\n"), 414, "line-too-long"),
        (format!("GET / HTTP/1.1\r\nHOST\r\nX: {long}\r\n\r\n"), 431, "head-too-large"),
        (format!("{PUT}HOST\r\nAuthorization: Bearer {long}\r\n\r\n"), 431, "head-too-large"),
    ] {
        let before = outside.counted(reason);
        outside.refuses(bytes.as_bytes(), status, reason);
        assert!(outside.counted(reason) > before, "{reason} is counted");
    }
}

#[test]
fn a_gigabyte_is_refused_while_it_comes() {
    const CHUNK: usize = 1 << 20;
    let outside = Outside::start("gigabyte", "127.0.0.1");
    let chunk = [format!("{CHUNK:x}\r\n").as_bytes(), &vec![b' '; CHUNK], b"\r\n"].concat();
    let head = outside.filled(format!("{PUT}HOST\r\nAUTH\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n").as_bytes());
    let before = resident_bytes(&outside.process);
    let mut connection = outside.connect();
    connection.send(&head).expect("sent");
    let sent = (0..1024).take_while(|_| match connection.send(&chunk) {
        Ok(()) => true,
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
            false
        }
    });
    assert!(sent.count() < 1024, "all of it was taken");
    let grown = resident_bytes(&outside.process).saturating_sub(before);
    assert!(grown < 64 << 20, "memory grew by {grown} bytes");
    assert_eq!(outside.counted("body-too-large"), 1);
    assert_eq!(outside.get("/healthz").map(|answer| answer.status), Some(200));
}

/// The memory of a process that is there at the moment.
fn resident_bytes(process: &Process) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

#[test]
fn off_loopback_reading_needs_the_token_too() {
    let outside = Outside::start("wide", "0.0.0.0");
    for path in ["/api/v1/status", "/api/v1/sets", "/api/v1/events", "/api/v1/sets/recorder/clients", "/nothing"] {
        let read = |more: &str| format!("GET {path} HTTP/1.1\r\nHOST\r\n{more}\r\n");
        outside.refuses(read("").as_bytes(), 401, "token-needed");
        outside.refuses(read("Accept: text/event-stream\r\n").as_bytes(), 401, "token-needed");
        outside.refuses(read("Authorization: Bearer 0\r\n").as_bytes(), 401, "token-needed");
        let known = outside.say(read("AUTH\r\n").as_bytes());
        assert!(matches!(known.status, 200 | 404), "{path}: {}", known.text());
        let rebound = format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n");
        outside.refuses(rebound.as_bytes(), 421, "foreign-host");
    }
    let by_any_name = outside.say(b"GET / HTTP/1.1\r\nHost: steadfast.example\r\n\r\n");
    assert_eq!(by_any_name.status, 200, "the page, which holds nothing, is found by names that we cannot know");
    for path in ["/metrics", "/healthz", "/readyz", "/", "/page/main.js"] {
        let open = outside.say(format!("GET {path} HTTP/1.1\r\nHOST\r\n\r\n").as_bytes());
        assert_eq!(open.status, 200, "{path}: {}", open.text());
    }
    assert!(outside.process.log().contains("running"));
}

#[test]
fn a_token_file_is_read_with_care() {
    let start = |name: &str, token: &[u8], mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        let sandbox = Sandbox::new(name);
        let path = sandbox.write("state/admin.token", "");
        std::fs::write(&path, token).expect("write the token");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set its mode");
        let config = format!("store = \"memory:\"\n[admin]\nlisten = \"127.0.0.1:{}\"\n", free_port());
        sandbox.write("steadfast.toml", &config);
        sandbox
    };
    for (token, word) in [
        (&b""[..], "empty"),
        (b" \n", "empty"),
        (b"one\ntwo\n", "one line"),
        (b"tok\x00en", "one line"),
        (b"tok\xffen", "UTF-8"),
        (b"two words", "one line"),
    ] {
        let sandbox = start("token", token, 0o600);
        let ended = sandbox.run(&mut sandbox.steadfast(["run", "--config", "steadfast.toml"]));
        assert_eq!(ended.code(), 2, "{ended:#?}");
        assert!(ended.err.contains("admin.token") && ended.err.contains(word), "{word}: {}", ended.err);
    }
    for (mode, warned) in [(0o600, false), (0o400, false), (0o644, true), (0o660, true)] {
        let sandbox = start("mode", format!("{TOKEN}\n").as_bytes(), mode);
        let process = sandbox.spawn("run", &mut sandbox.steadfast(["run", "--config", "steadfast.toml"]));
        wait_until("it to run", SOON, || process.log().contains("running"));
        let log = process.log();
        assert_eq!(log.contains("chmod 600"), warned, "{mode:o}: {log}");
        assert!(!log.contains(TOKEN), "{log}");
    }
}

#[test]
fn a_server_cannot_write_on_the_terminal() {
    use std::io::{Read, Write};
    const DETAIL: &str = r"no\u001b[2J\u001b]0;mine\u0007 \u009b31m\u202e\rdone";
    let body = format!("{{\"status\":403,\"reason\":\"no\",\"detail\":\"{DETAIL}\"}}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = listener.local_addr().expect("has one");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), mut asked) = (stream, [0; 4096]) else { return };
            let head = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/problem+json\r\nConnection: close";
            let _ = stream.read(&mut asked);
            let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
    });
    let sandbox = Sandbox::new("terminal");
    for log in ["error", "trace"] {
        let url = format!("http://{address}");
        let ended = sandbox.run(&mut sandbox.steadfast(["status", "--admin", &url, "--log", log]));
        assert_eq!(ended.code(), 4, "{ended:?}");
        assert!(ended.err.contains(r"no\u{1b}[2J\u{1b}]0;mine\u{7} \u{9b}31m\u{202e}\u{d}done"), "{}", ended.err);
        let obeyed = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!format!("{}{}", ended.out, ended.err).contains(obeyed), "{ended:?}");
    }
}
