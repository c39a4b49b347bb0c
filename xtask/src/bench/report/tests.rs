use serde_json::json;

use super::super::peers;
use super::*;

/// Figures that look like a run's, and are easy to find again in the page.
fn results() -> Value {
    let front = |name: &str, cpu_us: f64, ratio: f64| {
        json!({
            "name": name, "cpu_us_per_request": cpu_us, "requests_per_second": 65_432.1, "p99_ms": 1.234, "failed": 0,
            "steadfast_ratio": ratio,
        })
    };
    let phase = |present: u64, per_second: f64| json!({ "present": present, "placed": 100_000, "per_second": per_second, "cpu_us_per_client": 12.345 });
    let placing = json!({ "clients_per_second": 14_000.4, "cpu_us_per_client": 74.0, "p99_ms": 90.04, "failed": 509 });
    let gap = |p99: u64| json!({ "min": 1, "p50": 12, "p99": p99, "max": 321 });
    let event = |front: &str, event: &str, p99: u64, failed: u64| json!({ "front": front, "event": event, "events": 20, "gap_ms": gap(p99), "requests": 12_345, "failed": failed });
    json!({
        "proxy": [
            front("steadfast", 13.2, 1.0), front("nginx", 10.0, 1.32), front("haproxy", 10.6, 1.24),
            front("envoy", 37.0, 0.3),
        ],
        "redirect": {
            "clients": 1_100_000, "memory_bytes_per_client": 98.7,
            "fronts": [front("steadfast", 5.1, 1.0), front("haproxy", 6.0, 0.85), front("nginx", 3.7, 1.38)],
        },
        "books": { "placer": { "empty": phase(0, 82_000.0), "steady": phase(100_000, 75_000.0), "full": phase(1_000_000, 32_000.0) } },
        "place": {
            "clients": 1_100_000, "connections": 1_024, "one_gateway": placing, "two_gateways": placing,
            "mirror_lag_ms": { "quiet": { "p50": 1.0, "p99": 1.61, "max": 3.0 }, "busy": { "p50": 1.0, "p99": 3.49, "max": 9.0 } },
            "restart_ms": { "p50": 187.2, "max": 201.9 },
        },
        "failover": [
            event("steadfast", "crash", 123, 0), event("steadfast", "switchover", 51, 2), event("haproxy", "crash", 1_999, 77),
        ],
    })
}

fn about() -> About {
    About {
        date: "2026-01-02".to_owned(),
        commit: "0.1.0 (abc1234)".to_owned(),
        processor: "A Processor".to_owned(),
        cores: 2,
        memory_gib: 23.54,
        kernel: "6.1.0".to_owned(),
        versions: vec![("nginx", "1.22.1".to_owned()), ("Envoy", "1.40.0".to_owned())],
        options: " --runs 2".to_owned(),
    }
}

#[test]
fn a_run_makes_the_page_it_has_always_made() {
    let page = page(&results(), &about()).expect("a page");
    let golden = include_str!("golden.txt");
    // A page that is meant to change is looked at, and taken over: `--nocapture` prints it.
    if page != golden {
        println!("{page}");
    }
    assert!(page == golden, "the page is another one");
}

#[test]
fn a_goal_is_met_at_its_bound_and_missed_beyond() {
    let page = page(&results(), &about()).expect("a page");
    let line = |start: &str| {
        page.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no line {start:?}")).to_owned()
    };
    assert!(line("| a known client sent home beside HAProxy").ends_with("| 0.85 × | ≤ 0.85 × | met |"));
    assert!(line("| planned switchover").ends_with("| 51 ms | ≤ 50 ms | **missed** |"));
    assert!(line("| new clients placed without a pause").ends_with("| 75 000/s | ≥ 75 000/s | met |"));
    assert!(line("| new clients placed in a burst").ends_with("| 32 000/s | ≥ 75 000/s | **missed** |"));
    assert!(line("| requests that failed").ends_with("| 2 | ≤ 0 | **missed** |"));
    assert!(page.contains("- **planned switchover: p99**: "), "why it was missed");
    assert!(!page.contains("**a known client sent home beside HAProxy"), "nothing to say of what was met");
}

#[test]
fn a_figure_that_is_missing_is_no_page() {
    for part in ["proxy", "redirect", "books", "place", "failover"] {
        let mut results = results();
        results[part] = Value::Null;
        assert!(page(&results, &about()).is_err(), "without {part}");
    }
}

#[test]
fn numbers_are_grouped() {
    let check = |figure: f64, text: &str| assert_eq!(count(figure), text);
    check(0.0, "0");
    check(999.4, "999");
    check(1_000.0, "1 000");
    check(1_234_567.0, "1 234 567");
}

#[test]
fn versions_are_found_in_what_programs_say() {
    let check = |said: &str, version: &str| assert_eq!(peers::number(said).as_deref(), Some(version));
    check("nginx version: nginx/1.22.1\n", "1.22.1");
    check("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/", "2.6.12");
    check("envoy  version: 9e5580933739775e8bce/1.40.0/Clean/RELEASE/BoringSSL", "1.40.0");
    check("wrk debian/4.1.0-3+b2 [epoll]", "4.1.0");
    assert_eq!(peers::number("no such program"), None);
}

/// One store as a run finds it, with so many placements a trip.
fn store(name: &str, a_trip: f64) -> Value {
    let row = |gateways: u64, a_trip: f64| {
        json!({
            "gateways": gateways, "callers": 64, "per_second": 12_345.6, "p50_ms": 4.56, "p99_ms": 19.2,
            "round_trips_per_second": 302.2, "placements_per_round_trip": a_trip, "against_plain": 9.12,
        })
    };
    let death = json!({ "front": "steadfast", "event": "host death", "events": 5, "gap_ms": { "p50": 3_012, "max": 3_456 }, "requests": 987, "failed": 0 });
    let idle = json!({ "agents": 100, "requests_per_second": 133.4, "bytes_per_second": 20_480.0, "server_cores": 0.0123, "agent_bytes": 9 << 20 });
    json!({ "store": name, "plain": { "per_second": 1_345.0 }, "placements": [row(1, a_trip), row(2, 8.8)], "failover": [death], "idle": idle })
}

#[test]
fn stores_are_shown_with_whether_group_commit_shows() {
    let tables = |azure: f64| stores(&json!([store("etcd", 40.4), store("azure", azure)])).expect("tables");
    let text = tables(38.6);
    for line in [
        "| etcd | host death | 5 | 3 012 | 3 456 | 987 | 0 |",
        "| azure | 1 345 | 1 | 64 | 12 346 | 4.6 | 19.2 | 302 | 39 | 9.1 |",
        "| etcd | 100 | 133 | 1.3 | 20 | 0.012 | 9 |",
        "39 × at the least (on azure), met.",
    ] {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
    assert!(tables(19.9).contains("(on azure), **missed**."));
}
