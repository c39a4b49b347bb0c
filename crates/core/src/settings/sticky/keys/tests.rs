use alloc::format;
use alloc::vec;

use super::*;

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn number(digits: &str) -> Value {
    Value::Number(digits.into())
}

fn read(entries: &[(&'static str, Value)]) -> Result<StickySettings, Vec<BadSticky>> {
    StickySettings::read(|key| entries.iter().find(|(known, _)| *known == key).map(|(_, value)| value.clone()))
}

/// A value for every key, none of them the default.
fn every() -> Vec<(&'static str, Value)> {
    let label = |name: &str, value| Value::Table([(name.into(), value)].into());
    vec![
        ("client", Value::List(vec!["query:camera".into(), "header:x-camera".into()])),
        ("weight", number("2.5")),
        ("weight_default", number("2")),
        ("weight_max", number("64")),
        ("policy", text("pack")),
        ("admit_below", number("0.85")),
        ("presence", text("report")),
        ("claim_within", text("20s")),
        ("idle_after", text("2m")),
        ("forget_after", text("never")),
        ("home_wait", text("1m")),
        ("on_home_lost", text("fail")),
        ("return_home", text("when-idle")),
        ("home_full", text("overflow")),
        ("require", label("region", text("query:region"))),
        ("prefer", label("zone", Value::List(vec!["query:zone".into(), "header:zone".into()]))),
        ("max_clients", number("1000")),
        ("new_per_source", number("5")),
        ("evict", text("http://h/{client}")),
    ]
}

#[test]
fn every_key_is_read_and_written_again() {
    let settings = read(&every()).expect("all of it is right");
    assert_eq!(settings.entries(), every());
    let (plain, keys): (Sticky, Vec<_>) = (Sticky::default(), every().iter().map(|(key, _)| *key).collect());
    assert_eq!(keys, StickySettings::KEYS);
    for (key, value) in plain.entries() {
        assert!(!every().contains(&(key, value)), "{key} is the default: the test would not see it being passed over");
    }
}

#[test]
fn what_is_not_said_has_its_default() {
    let settings = read(&[("client", text("query:camera"))]).expect("nothing else is needed");
    assert_eq!(*settings, Sticky { client: settings.client.clone(), ..Sticky::default() });
    let settings = read(&[("client", text("query:camera")), ("presence", text("connection"))]).expect("as before");
    assert_eq!(settings.idle_after, Span::from_millis(60_000), "which goes by presence");
}

#[test]
fn everything_that_cannot_be_read_is_told() {
    let problems = |entries: &[(&'static str, Value)]| -> Vec<String> {
        read(entries).expect_err("refused").iter().map(ToString::to_string).collect()
    };
    assert_eq!(problems(&[]).len(), 1, "client is needed");
    for (key, value, expected) in [
        (
            "client",
            number("7"),
            "client is to be a place in a request, such as \"query:camera\", or a list of such, not a number",
        ),
        ("client", text("camera"), "client: \"camera\" is not a place in a request: expected query:NAME, "),
        (
            "weight",
            Value::Other("a boolean"),
            "weight is to be a number, a place in a request, such as \"query:mbps\", or a list of such, not a boolean",
        ),
        ("weight", number("0.0001"), "weight: \"0.0001\" is not a weight: expected a decimal"),
        ("weight_default", Value::List(vec![]), "weight_default is to be a number, such as 8 or 0.5, not a list"),
        ("policy", text("sprad"), "policy: \"sprad\" is not a policy: expected spread, pack or two-choice"),
        (
            "admit_below",
            text("1"),
            "admit_below is to be a number with at most three places, such as 0.85, not a string",
        ),
        (
            "admit_below",
            number("0.0001"),
            "admit_below is to be a number with at most three places, such as 0.85, not 0.0001",
        ),
        ("idle_after", number("60"), "idle_after is to be a string, not a number"),
        ("idle_after", text("60"), "idle_after: \"60\" is not a span: expected"),
        (
            "require",
            text("query:region"),
            "require is to be a table of labels and places, such as { region = \"query:region\" }, not a string",
        ),
        ("max_clients", number("-1"), "max_clients is to be a whole number that is not too large, not -1"),
        (
            "new_per_source",
            number("4294967296"),
            "new_per_source is to be a whole number that is not too large, not 4294967296",
        ),
    ] {
        let found = problems(&[("client", text("query:camera")), (key, value)].into_iter().rev().collect::<Vec<_>>());
        assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
    }
    assert_eq!(problems(&[("policy", number("1")), ("presence", number("1"))]).len(), 2);
}

#[test]
fn a_value_is_written_as_toml() {
    let shown: Vec<String> = every().iter().map(|(key, value)| format!("{key} = {value}")).collect();
    assert!(shown.contains(&"client = [\"query:camera\", \"header:x-camera\"]".into()), "{shown:#?}");
    assert!(shown.contains(&"require = { region = \"query:region\" }".into()), "{shown:#?}");
    assert!(shown.contains(&"admit_below = 0.85".into()), "{shown:#?}");
    assert_eq!(text("a\"\\\n").to_string(), r#""a\"\\\u000A""#);
}
