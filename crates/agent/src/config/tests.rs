use super::*;

fn config() -> AgentConfig {
    AgentConfig::new("web".parse().unwrap(), "web-1".parse().unwrap(), "/tmp".into())
}

fn http() -> EndpointName {
    "http".parse().unwrap()
}

#[test]
fn checks_read_as_they_are_written() {
    for (text, expected) in [
        ("http://127.0.0.1:8081/healthz", "http://127.0.0.1:8081/healthz"),
        ("http://127.0.0.1:8081", "http://127.0.0.1:8081/"),
        ("http://app?deep=1", "http://app:80/?deep=1"),
        ("tcp://[::1]:5432", "tcp://[::1]:5432"),
        ("exec: pg_isready -q", "exec:pg_isready -q"),
        ("http://127.0.0.1:{http.port}/x", "http://127.0.0.1:7/x"),
    ] {
        let target = text.parse::<Check>().and_then(|check| check.target(|_| Some(7)));
        assert_eq!(target.map(|target| target.to_string()).ok().as_deref(), Some(expected), "{text}");
    }
    for text in ["", "8081", "https://h:1/", "tcp://h:1/path", "exec:", "http://", "ftp://h:1", "http://h:{}/"] {
        let error = text.parse::<Check>().unwrap_err().to_string();
        assert!(error.contains("expected"), "{text}: {error}");
    }
}

#[test]
fn only_the_ports_of_endpoints_are_filled_in() {
    let port_of = |name: &str| (name == "http").then_some(8081);
    for (text, expected) in [
        ("--port={http.port}", "--port=8081"),
        ("{http.port}{http.port}", "80818081"),
        (r#"{"a":{"b":1}}"#, r#"{"a":{"b":1}}"#),
        ("{", "{"),
        ("{{http.port}}", "{8081}"),
        ("{http}", "{http}"),
        ("{Http.port}", "{Http.port}"),
    ] {
        assert_eq!(Template::new(text).fill(port_of).ok().as_deref(), Some(expected), "{text}");
    }
    let error = Template::new("--port {stream.port}").fill(port_of).unwrap_err().to_string();
    assert!(error.contains("stream") && error.contains("--endpoint stream="), "{error}");
}

#[test]
fn endpoints_come_from_where_they_say() {
    for text in ["auto", "env:PUBLIC_PORT", "exec:curl -s http://meta/port", "http://10.0.0.4:8081"] {
        assert_eq!(text.parse::<EndpointSource>().unwrap().to_string(), text);
    }
    for text in ["", "env:", "exec: ", "Auto", "10.0.0.4:80"] {
        assert!(text.parse::<EndpointSource>().is_err(), "{text:?} must be refused");
    }
}

#[test]
fn parts_that_do_not_fit_are_told() {
    assert!(config().check().is_ok());
    let refused = |change: fn(&mut AgentConfig)| {
        let mut config = config();
        change(&mut config);
        config.check().unwrap_err().to_string()
    };
    let gate = refused(|c| assert!(c.gates.insert(http(), c.probe).is_none()));
    assert!(gate.contains("gate") && gate.contains("web-1"), "{gate}");
    let auto = refused(|c| assert!(c.endpoints.insert(http(), EndpointSource::Auto).is_none()));
    assert!(auto.contains("auto") && auto.contains("command"), "{auto}");
    assert!(refused(|c| c.command = Some(vec![])).contains("command is empty"));
    assert!(refused(|c| c.command = Some(vec!["app".into(), "{http.port}".into()])).contains("{http.port}"));
    assert!(refused(|c| c.check = "tcp://h:{db.port}".parse().ok()).contains("db"));
}

#[test]
fn the_applications_api_is_for_this_machine_alone() {
    for text in ["unix:/run/app.sock", "127.0.0.1:7402", "[::1]:0"] {
        assert_eq!(text.parse::<ApiAddress>().unwrap().to_string(), text);
    }
    for text in ["", "unix:", "unix:app.sock", "/run/app.sock", "7402", "0.0.0.0:7402", "10.0.0.4:7402"] {
        let error = text.parse::<ApiAddress>().unwrap_err().to_string();
        assert!(error.contains("expected unix:/path"), "{text}: {error}");
    }
}
