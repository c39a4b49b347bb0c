use bytes::Bytes;

use super::*;

fn server(change: impl FnOnce(&mut Says)) -> Says {
    let mut says = Says {
        version: Some("Redis 7.0.15".to_owned()),
        replicas: Some(0),
        appends: Some(true),
        fsync: Some("always".to_owned()),
        maxmemory: Some(100 << 20),
        eviction: Some("noeviction".to_owned()),
        used_memory: Some(10 << 20),
        ..Says::default()
    };
    change(&mut says);
    says
}

fn bad(says: &Says, behind_sentinels: bool) -> Vec<String> {
    let findings = findings(says, behind_sentinels, 0);
    assert!(findings.iter().all(|found| (found.grade == Grade::Bad) <= found.advice.is_some()), "{findings:?}");
    findings.iter().filter(|found| found.grade == Grade::Bad).map(|found| found.about.to_string()).collect()
}

#[test]
fn what_breaks_a_promise_is_bad_and_says_what_to_do() {
    assert_eq!(bad(&server(|_| {}), false), [""; 0]);
    assert_eq!(bad(&server(|_| {}), true), ["replicas"]);
    assert_eq!(bad(&server(|says| says.replicas = Some(1)), false), ["replicas"]);
    assert_eq!(bad(&server(|says| says.fsync = Some("everysec".to_owned())), false), ["fsync"]);
    assert_eq!(bad(&server(|says| says.appends = Some(false)), false), ["fsync"]);
    assert_eq!(bad(&server(|says| says.eviction = Some("allkeys-lru".to_owned())), false), ["eviction"]);
    assert_eq!(bad(&server(|says| says.lax_on_rewrite = true), false), ["fsync"]);
    assert_eq!(bad(&server(|says| says.writes_fail = true), false), ["fsync"]);
    assert_eq!(bad(&server(|says| says.eviction = Some("volatile-lru".to_owned())), false), [""; 0]);
    assert_eq!(bad(&server(|says| says.used_memory = Some(80 << 20)), false), ["memory"]);
    assert_eq!(bad(&Says::default(), false), [""; 0], "who says nothing is not called bad");
}

#[test]
fn replicas_are_counted_and_held_against_what_is_waited_for() {
    let found = |replicas, wait| {
        let findings = findings(&server(|says| says.replicas = Some(replicas)), false, wait);
        let found = findings.into_iter().find(|found| found.about == "replicas").expect("replicas");
        (found.value, found.advice.unwrap_or_default())
    };
    assert_eq!(found(0, 0), ("none".to_owned(), String::new()));
    assert_eq!(found(1, 0).0, "1, asynchronous");
    let (value, advice) = found(1, 2);
    assert_eq!(value, "1, of which 2 are waited for");
    assert!(advice.contains("in doubt"), "{advice}");
}

#[test]
fn the_servers_clock_is_compared_with_the_middle_of_the_call() {
    let string = |text: &'static str| Reply::String(Bytes::from_static(text.as_bytes()));
    let said = |seconds, micros| {
        offset(&Reply::Array(vec![string(seconds), string(micros)]), 10_000, 10_200).map(|found| found.value)
    };
    assert_eq!(said("10", "112000").as_deref(), Some("12 ms ahead of this machine's"));
    assert_eq!(said("9", "100000").as_deref(), Some("1000 ms behind this machine's"));
    assert_eq!(said("now", "0"), None);
    assert_eq!(said("9223372036854775807", "0"), None);
}
