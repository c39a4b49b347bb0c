use steadfast_core::lease::Quickness;

use super::*;

fn about() -> Description {
    Description {
        engine: "etcd".to_owned(),
        place: "etcd://db1:2379".to_owned(),
        durable: true,
        push: true,
        one_machine: false,
        may_lose: Some("a restored snapshot".to_owned()),
        pace_ms: 250,
        leases_apart: false,
        lease_lasts_ms: None,
        notes: vec!["polls, because it is behind a pooler".to_owned()],
    }
}

fn view(commit_ms: u64, about: &Description) -> LeaseView {
    let quickness = Quickness {
        commit: Duration::from_millis(commit_ms),
        read: Duration::from_millis(2),
        pace: Duration::from_millis(about.pace_ms),
    };
    LeaseView::of(Some("web".parse().unwrap()), &Timing::default(), quickness, about)
}

fn doctor(leases: Vec<LeaseView>, findings: Vec<Finding>) -> DoctorView {
    let times = || TimesView { p50: 3.7, p99: 9.1, count: 240 };
    DoctorView { store: about(), commit_ms: times(), read_ms: times(), notice_ms: times(), findings, leases }
}

#[test]
fn what_is_wrong_is_told_with_what_would_be_right() {
    let replicas = Finding {
        about: "replicas".into(),
        value: "1, asynchronous".to_owned(),
        grade: Grade::Bad,
        advice: Some("a failover can lose acknowledged writes".to_owned()),
    };
    let found = doctor(vec![view(9, &about()), view(300, &about()), view(600, &about())], vec![replicas]);
    assert!(!found.is_well());
    assert_eq!(
        found.screen(Paint::plain()),
        "\
store      etcd at etcd://db1:2379
           acknowledged writes survive a crash
           changes are pushed, contact every 250 ms
           may lose acknowledged writes: a restored snapshot
           polls, because it is behind a pooler
commit     p50 3.7 ms  p99 9.1 ms  (240 of them)
read       p50 3.7 ms  p99 9.1 ms  (240 of them)
notice     p50 3.7 ms  p99 9.1 ms  (240 of them)
replicas   !! 1, asynchronous
           a failover can lose acknowledged writes
lease_ttl  3s of set web: safe
           2 x commit p99 = 2 x 9 ms <= try_timeout = TTL/6 = 500 ms
           renew_every + 3 x try_timeout = 750 + 1500 ms <= TTL - margin = 2400 ms
           contact every 250 ms + read p99 2 ms <= renew_every = 750 ms
lease_ttl  3s of set web: ! safe, and tight: an ordinary slow moment costs a try
           2 x commit p99 = 2 x 300 ms >  try_timeout = TTL/6 = 500 ms
           renew_every + 3 x try_timeout = 750 + 1500 ms <= TTL - margin = 2400 ms
           contact every 250 ms + read p99 2 ms <= renew_every = 750 ms
           3s600ms or more fits
lease_ttl  3s of set web: !! too short for this store
           2 x commit p99 = 2 x 600 ms >  try_timeout = TTL/6 = 500 ms
           renew_every + 3 x try_timeout = 750 + 1500 ms <= TTL - margin = 2400 ms
           contact every 250 ms + read p99 2 ms <= renew_every = 750 ms
           7s200ms or more fits
"
    );
}

#[test]
fn the_longest_name_has_room() {
    let long = Finding { about: "synchronous_commit".into(), value: "on".to_owned(), grade: Grade::Good, advice: None };
    let screen = doctor(vec![view(9, &about())], vec![long]).screen(Paint::plain());
    assert!(
        screen.contains("\nsynchronous_commit  on\n") && screen.contains("\nlease_ttl           3s of"),
        "{screen}"
    );
}

#[test]
fn only_what_is_bad_makes_it_fail() {
    let note = Finding { about: "version".into(), value: "3.4.23".to_owned(), grade: Grade::Note, advice: None };
    assert!(doctor(vec![view(300, &about())], vec![note]).is_well(), "tight, and a note");
    assert!(!doctor(vec![view(501, &about())], vec![]).is_well());
}

#[test]
fn a_lease_that_the_store_holds_for_less_than_the_ttl_is_never_right() {
    let native = Description { lease_lasts_ms: Some(2_999), ..about() };
    let found = view(9, &native);
    assert_eq!((found.verdict, found.least_ttl_ms), ("too-slow", None));
    let found = view(9, &Description { lease_lasts_ms: Some(3_000), ..about() });
    assert_eq!(found.verdict, "fits");
}
