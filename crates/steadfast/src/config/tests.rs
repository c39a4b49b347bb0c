use super::*;

/// Every key with its default, as the documentation shows it.
const DOCUMENTED: &str = include_str!("../../../../docs/config.toml");
/// The same file with nothing in it that has a default.
const NEEDED: &str = r#"
[sets.web]
kind = "single"
[[sets.web.instances]]
id = "b1"
endpoints.http = "http://10.0.0.5:80"
[sets.recorder]
kind = "sticky"
client = "query:camera"
[[listeners]]
listen = "0.0.0.0:8080"
routes = [{ set = "web" }]
[[agents]]
set = "web"
instance = "web-1"
endpoints.http = "http://10.0.0.4:8081"
check = "http://127.0.0.1:8081/healthz"
"#;

fn environment(name: &str) -> Option<String> {
    (name == "SECRET").then(|| "hunter2".to_owned())
}

fn parse(text: &str) -> Result<Config, Problems> {
    Config::parse("test.toml", text, &environment)
}

/// The problems of `text`, as they are printed.
#[track_caller]
fn problems(text: &str) -> String {
    parse(text).expect_err("there is something wrong with it").to_string()
}

/// `text` has exactly one problem: its first line is `first`.
#[track_caller]
fn check(text: &str, first: &str) {
    let problems = problems(text);
    assert_eq!(problems.lines().next(), Some(first), "all of it:\n{problems}");
    assert_eq!(problems.matches("test.toml:").count(), 1, "more than one:\n{problems}");
}

#[test]
fn the_documented_defaults_are_the_codes() {
    let documented = Config::parse("docs/config.toml", DOCUMENTED, &environment).unwrap_or_else(|e| panic!("{e}"));
    let needed = parse(NEEDED).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(format!("{documented:#?}"), format!("{needed:#?}"));
}

#[test]
fn every_key_is_documented() {
    for table in [
        "",
        "[admin]\n",
        "[admin.tls]\n",
        "[store_tls]\n",
        "[limits]\n",
        "[sets.web]\nkind = \"single\"\n",
        "[sets.rec]\nkind = \"sticky\"\n",
        "[[sets.web.instances]]\n",
        "[[listeners]]\n",
    ] {
        document_knows(table);
    }
    document_knows(
        "[sets.web]\nkind = \"single\"\n[[sets.web.instances]]\nid = \"b\"\nendpoints.http = \"http://h:1\"\n[sets.web.instances.check]\n",
    );
    document_knows("[[listeners]]\nlisten = \"0.0.0.0:1\"\n[[listeners.routes]]\n");
    document_knows("[[agents]]\n");
    document_knows("[[agents]]\n[agents.check]\n");
}

/// Every key that the code knows in a table stands in the documentation, as a value or as an example.
#[track_caller]
fn document_knows(table: &str) {
    let problems = problems(&format!("{table}zzzzzzzzzzzz = 1\n"));
    let known = problems.lines().find_map(|line| line.split_once("known here: ")).expect("the known keys are listed").1;
    for key in known.split(", ") {
        let shown = DOCUMENTED.lines().any(|line| {
            let line = line.trim_start_matches("# example: ").trim_start_matches(['[', ' ']);
            line.starts_with(key) || line.contains(&format!(" {key} = ")) || line.contains(&format!(".{key}"))
        });
        assert!(shown, "docs/config.toml does not show {key:?} of {table:?}");
    }
}

#[test]
fn an_unknown_key_is_told_with_its_place_and_the_nearest() {
    check(
        "[sets.web]\nkind = \"single\"\n  lease_tll = \"3s\"\n",
        r#"test.toml:3:3: unknown key "lease_tll" in [sets.web]; did you mean "lease_ttl"?"#,
    );
    check(
        "[[listeners]]\nlisten = \"0.0.0.0:80\"\nroutes = [{ set = \"web\", answr = \"proxy\" }]\n",
        r#"test.toml:3:26: unknown key "answr" in [[listeners.routes]]; did you mean "answer"?"#,
    );
    check(
        "weight = 1\n",
        "test.toml:1:1: unknown key \"weight\" in the file; known here: admin, sets, listeners, agents, store, \
         store_token_file, store_tls, state_dir, workers, trusted_proxies, limits",
    );
}

#[test]
fn what_later_versions_know_is_refused_with_what_this_one_does() {
    check(
        "[sets.rec]\nkind = \"mirrored\"\n",
        r#"test.toml:2:8: kind = "mirrored" is not known by this version: it knows "single" and "sticky""#,
    );
    check(
        "[[listeners]]\nlisten = \"0.0.0.0:80\"\nroutes = [{ set = \"web\", answer = \"teleport\" }]\n",
        r#"test.toml:3:35: answer = "teleport" is not known by this version: it knows "proxy", "redirect" and "assign""#,
    );
}

#[test]
fn bad_values_say_what_would_be_right() {
    for (text, first) in [
        ("a = \n", "test.toml:1:5: string values must be quoted, expected literal string"),
        ("workers = 0", "test.toml:1:11: workers is to be a whole number, 1 or more"),
        (
            "[admin]\ntls = { cert = \"/a.pem\" }",
            "test.toml:2:7: [admin.tls] needs key, such as key = \"/etc/steadfast/server.key\"",
        ),
        (
            "[admin]\ntls = { cert = \"a.pem\", key = \"/a.key\" }",
            "test.toml:2:16: cert is to be an absolute path: a service has no directory of its own to start from",
        ),
        ("store_tls = { key = \"/a.key\" }", "test.toml:1:13: store_tls is to have both cert and key, or neither"),
        (
            "store_tls = { name = \"a b\" }",
            "test.toml:1:22: name: \"a b\" is not a host: expected a DNS name, an IPv4 address, or an IPv6 address in []",
        ),
        (
            "state_dir = \"here\"",
            "test.toml:1:13: state_dir is to be an absolute path: a service has no directory of its own to start from",
        ),
        ("admin = 1", "test.toml:1:9: admin is to be a table: [admin], not of type integer"),
        (
            "[admin]\nlisten = \":7400\"",
            "test.toml:2:10: listen: \":7400\" cannot be listened on: write 0.0.0.0:7400 (or [::]:7400) for every address of this machine",
        ),
        (
            "[admin]\nlisten = \"localhost:7400\"",
            "test.toml:2:10: listen: \"localhost:7400\" cannot be listened on: write 127.0.0.1:7400",
        ),
        (
            "trusted_proxies = [\"10.0.0.0/33\"]",
            "test.toml:1:20: \"10.0.0.0/33\" is not a network: expected an address or a prefix, such as 10.0.0.0/8",
        ),
        (
            "[sets.Web]\nkind = \"single\"",
            "test.toml:1:7: in [sets]: \"Web\" is not a set's name: expected 1 to 63 of a-z, 0-9, - and _, starting with a letter or digit",
        ),
        (
            "[sets.web]\nlease_ttl = \"3s\"",
            "test.toml:1:7: [sets.web] needs kind, such as kind = \"single\" or \"sticky\"",
        ),
        (
            "[sets.web]\nkind = \"single\"\npark_for = \"10 s\"",
            "test.toml:3:12: park_for: \"10 s\" is not a span: expected a number and a unit, such as 250ms, 3s, 1m30s, 24h or 30d",
        ),
        (
            "[[listeners]]\nlisten = \"0.0.0.0:80\"",
            "test.toml:1:1: [[listeners]] needs routes, such as routes = [{ path = \"/\", set = \"web\" }]",
        ),
        ("[[agents]]\ninstance = \"a\"", "test.toml:1:1: [[agents]] needs set, such as set = \"web\""),
        (
            "[[agents]]\nset = \"web\"\nports = \"9-8\"",
            "test.toml:3:9: ports: \"9-8\" is not a range of ports: expected first-last, such as 20000-29999",
        ),
        (
            "store = \"mysql://h\"",
            &format!("test.toml:1:9: {}", steadfast_store::check_scheme("mysql://h").unwrap_err()),
        ),
    ] {
        let found = problems(text);
        assert_eq!(found.lines().next(), Some(first), "for:\n{text}\nall of it:\n{found}");
    }
}

#[test]
fn an_unsafe_lease_is_refused_with_the_numbers() {
    let found = problems("[sets.web]\nkind = \"single\"\nlease_ttl = \"1s\"\n");
    assert!(found.starts_with("test.toml:3:13: lease_ttl 1s is too short with clock_drift 0.1: "), "{found}");
    assert!(found.contains("lease_ttl must be "), "{found}");
    let all = "[sets.web]\nkind = \"single\"\nlease_ttl = \"3s\"\npark_for = \"1s\"\n";
    let found = problems(&format!("{all}clock_drift = 0.4\n"));
    assert!(found.starts_with("test.toml:5:15: clock_drift 0.4 is too much"), "what is wrong is shown: {found}");
    let found = problems(&all.replace("1s", "11m"));
    assert!(found.starts_with("test.toml:4:12: park_for 11m is too long"), "{found}");
}

#[test]
fn what_does_not_fit_together_is_told() {
    check(
        "[sets.web]\nkind = \"single\"\n[[listeners]]\nlisten = \"0.0.0.0:80\"\nroutes = [{ set = \"wbe\" }]\n",
        r#"test.toml:5:19: there is no set "wbe": did you mean "web"?"#,
    );
    check(
        "[sets.web]\nkind = \"single\"\n[[agents]]\nset = \"other\"\ninstance = \"a\"\n",
        r#"test.toml:4:7: there is no set "other": this file has "web"; add [sets.other]"#,
    );
    check(
        "[[listeners]]\nlisten = \"0.0.0.0:7400\"\nroutes = [{ set = \"web\" }]\n",
        "test.toml:2:10: one of [[listeners]] cannot listen on 0.0.0.0:7400: [admin], where nothing else is said listens on 127.0.0.1:7400",
    );
    check(
        "[[listeners]]\nlisten = \"127.0.0.1:80\"\nroutes = [{ set = \"web\" }]\n[[agents]]\nset = \"web\"\ninstance = \"a\"\nprobe = \"0.0.0.0:80\"",
        "test.toml:7:9: the probe of a cannot listen on 0.0.0.0:80: one of [[listeners]] listens on 127.0.0.1:80",
    );
    check(
        "[sets.web]\nkind = \"single\"\n[[sets.web.instances]]\nid = \"b1\"\n",
        "test.toml:3:1: [[sets.web.instances]] needs endpoints, such as endpoints = { http = \"http://10.0.0.5:80\" }",
    );
    check(
        "[[agents]]\nset = \"web\"\ninstance = \"a\"\n[[agents]]\nset = \"web\"\ninstance = \"a\"\n",
        "test.toml:4:1: instance \"a\" of set \"web\" is there twice",
    );
}

#[test]
fn limits_are_read_and_those_that_cannot_be_are_told() {
    let limits = parse(
        "[limits]\nrequest_line = \"2KiB\"\nhead = \"4KiB\"\nhead_fields = 20\nbody = \"1MiB\"\nhead_within = \"1s\"\n\
         body_stalled = \"2s\"\nbody_rate = \"0B\"\nidle = \"3s\"\nreader_stalled = \"4s\"\nanswer_stalled = \"5s\"\n\
         connect_within = \"6s\"\nanswer_within = \"7s\"\ntunnel_idle = \"8s\"\nconnections = 90\nconnections_per_source = 9\n",
    );
    let seconds = std::time::Duration::from_secs;
    let expected = Bounds {
        request_line_bytes: 2 << 10,
        head_bytes: 4 << 10,
        head_fields: 20,
        body_bytes: Some(1 << 20),
        head_within: seconds(1),
        body_stalled_for: seconds(2),
        body_rate: 0,
        idle_for: seconds(3),
        reader_stalled_for: seconds(4),
        stalled_for: seconds(5),
        connect_within: seconds(6),
        answer_within: seconds(7),
        tunnel_idle_for: seconds(8),
        connections: Some(90),
        connections_per_source: Some(9),
        ..Bounds::default()
    };
    assert_eq!(limits.unwrap().limits, expected);
    let lines = |text: &str| {
        let bounds = parse(&format!("[limits]\n{text}\n")).unwrap().limits;
        (bounds.request_line_bytes, bounds.head_bytes)
    };
    assert_eq!(lines("head = \"2KiB\""), (2 << 10, 2 << 10), "the line goes with the head");
    assert_eq!(lines("request_line = \"64KiB\""), (64 << 10, 64 << 10), "and the head with the line");
    for (text, first) in [
        (
            "head = \"32K\"",
            "8: head: \"32K\" is not a size: expected a whole number and a unit, such as 512B, 32KiB, 10MiB or 2GiB",
        ),
        ("head = 32768", "8: head is to be a string in quotes, not of type integer"),
        ("head = \"512B\"", "8: head is to be a size from 1KiB to 1MiB"),
        ("request_line = \"1MiB\"", "16: request_line is to be a size from 256B to 64KiB"),
        (
            "request_line = \"8KiB\"\nhead = \"4KiB\"",
            "16: request_line 8KiB is more than the whole head may have, which is 4KiB",
        ),
        ("head_fields = 0", "15: head_fields is to be a whole number, 1 or more"),
        ("head_fields = 1001", "15: head_fields is to be at most 1000"),
        (
            "body = \"none\"",
            "8: body: \"none\" is not a size: expected a whole number and a unit, such as 512B, 32KiB, 10MiB or 2GiB, or \"unlimited\"",
        ),
        ("idle = \"0s\"", "8: idle is to be longer than 0s"),
        ("connections = 0", "15: connections is to be a whole number, 1 or more"),
        (
            "connections = 5\nconnections_per_source = 6",
            "26: connections_per_source 6 is more than connections, which is 5",
        ),
        ("head_withn = \"1s\"", "1: unknown key \"head_withn\" in [limits]; did you mean \"head_within\"?"),
    ] {
        let found = problems(&format!("[limits]\n{text}\n"));
        let place = found
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("test.toml:2:")
            .trim_start_matches("test.toml:3:");
        assert_eq!(place, first, "for:\n{text}\nall of it:\n{found}");
    }
}

#[test]
fn secrets_come_from_the_environment() {
    let config = parse("store = \"http://${SECRET}:7400\"\nstate_dir = \"/a/$${b}\"\n").unwrap();
    assert_eq!(config.store.as_deref(), Some("http://hunter2:7400"));
    assert_eq!(config.state_dir.as_deref(), Some(Path::new("/a/${b}")));
    check(
        "store = \"http://${NOPE}\"",
        "test.toml:1:9: the environment variable \"NOPE\" is not set; write \"$${\" where no variable is meant",
    );
}

#[test]
fn what_is_wrong_is_told_without_the_secret_in_it() {
    let sticky = "[sets.recorder]\nkind = \"sticky\"\nclient = \"query:camera\"\n";
    for (text, shown) in [
        ("[admin]\nlisten = \"${SECRET}\"\n".to_owned(), "${SECRET}"),
        ("[sets.web]\nkind = \"${SECRET}\"\n".to_owned(), "${SECRET}"),
        ("[sets.web]\nkind = \"single\"\nlease_ttl = \"${SECRET}\"\n".to_owned(), "${SECRET}"),
        // Cut in the middle by the error that quotes it.
        (format!("[sets.web]\nkind = \"single\"\nlease_ttl = \"{}${{SECRET}}\"\n", "x".repeat(75)), "${SECRET}"),
        (format!("{sticky}evict = \"http://h/leave?key=${{SECRET}}\"\n"), "evict"),
        (format!("{sticky}evict = \"http://h/leave?key=hunter2\"\n"), "?key=*******"),
        (format!("{sticky}evict = \"http://me:hunter2@h/leave\"\n"), "http://**********@h/leave"),
        ("stroe = \"redis://:hunter2@h\"\n".to_owned(), "unknown key \"stroe\""),
        ("[store]\nurl = \"redis://:hunter2@h\"\n".to_owned(), "store"),
    ] {
        let found = problems(&text);
        assert!(found.contains(shown), "{shown} is not in:\n{found}");
        assert!(!found.contains("hunt"), "told a secret:\n{found}");
    }
}

#[test]
fn part_of_a_file_is_a_file() {
    for text in [
        "",
        "[[agents]]\nset = \"web\"\ninstance = \"a\"\n",
        "[[listeners]]\nlisten = \"0.0.0.0:80\"\nroutes = [{ set = \"web\" }]\n",
    ] {
        parse(text).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let found = problems("a = 1\nb = 2\nworkers = \"x\"\n");
    assert_eq!(found.matches("test.toml:").count(), 3, "{found}");
}
