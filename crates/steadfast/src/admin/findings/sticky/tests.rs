use steadfast_core::placement::Tick;

use super::*;

fn snapshot(ticked: Option<Moment>, trouble: Option<&str>) -> Snapshot {
    Snapshot {
        complete: true,
        contact: Some(clock::now()),
        trouble: trouble.map(str::to_owned),
        tick: Tick(7),
        ticked,
        ..Snapshot::blank("recorder".parse().unwrap())
    }
}

/// Whether it is told that nobody keeps a set, which is followed for so long and has ticked so long ago.
fn told(followed_for: Duration, ticked_before: Option<Duration>, trouble: Option<&str>) -> bool {
    let ago = |span: Duration| Moment::from_nanos(clock::now().as_nanos().saturating_sub(span.as_nanos() as u64));
    let warn = |reason: &str, detail: String, advice: &str| Warning {
        reason: reason.to_owned(),
        set: None,
        detail,
        advice: advice.to_owned(),
    };
    nobody_keeps(&snapshot(ticked_before.map(ago), trouble), ago(followed_for), &warn).is_some()
}

#[test]
fn a_set_whose_clock_stands_still_is_told_unless_the_store_is_away() {
    let (long, short) = (STANDS_STILL_AFTER * 2, Duration::from_secs(1));
    assert!(told(long, Some(long), None));
    assert!(!told(long, Some(short), None));
    assert!(!told(long, Some(long), Some("the store is away")), "then nobody could know");
    assert!(told(long, None, None), "nobody ever kept it");
    assert!(!told(short, None, None), "it may just have begun");
}
