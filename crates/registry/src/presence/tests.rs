use super::*;

fn at(ms: u64) -> Moment {
    Moment::from_nanos(ms * 1_000_000)
}

fn beat(number: u64) -> Vec<(InstanceId, BeatRecord)> {
    vec![("rec-1".parse().unwrap(), BeatRecord::new(Incarnation(1), number))]
}

fn changed(beats: &Beats) -> Moment {
    beats.values().next().unwrap().changed
}

#[test]
fn a_beat_that_stands_still_grows_old() {
    let first = compare(&Beats::new(), beat(1), None, at(10_000));
    assert_eq!(changed(&first), at(10_000));
    let second = compare(&first, beat(1), Some(at(10_000)), at(12_000));
    assert_eq!(changed(&second), at(10_000));
    let third = compare(&second, beat(2), Some(at(12_000)), at(14_000));
    assert_eq!(changed(&third), at(14_000));
}

#[test]
fn while_the_store_is_not_heard_nobody_grows_old() {
    let first = compare(&Beats::new(), beat(1), None, at(10_000));
    let after_an_outage = compare(&first, beat(1), Some(at(12_000)), at(74_000));
    assert_eq!(changed(&after_an_outage), at(70_000));
}

#[test]
fn another_life_with_the_same_number_is_news() {
    let first = compare(&Beats::new(), beat(1), None, at(10_000));
    let reborn = vec![("rec-1".parse().unwrap(), BeatRecord::new(Incarnation(2), 1))];
    assert_eq!(changed(&compare(&first, reborn, Some(at(10_000)), at(12_000))), at(12_000));
}
