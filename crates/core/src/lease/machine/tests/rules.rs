//! The rules of the lease, one story each.

use super::*;

#[test]
fn a_live_foreign_record_is_waited_for_by_its_own_ttl_from_its_receipt() {
    let mut stage = Stage::new();
    stage.event(Event::Fit(true));
    stage.event(Event::Contact);
    stage.sees(9, held_by_other(4));
    stage.keep_in_touch(100);
    // A change of version: from here on the record's own TTL counts, longer than ours or shorter.
    stage.sees(10, LeaseRecord { ttl: Span::from_millis(5_000), ..record(OTHER, 2, 4, 77) });
    stage.keep_in_touch(4_999);
    assert_eq!(stage.phase(), Phase::Watching);
    stage.keep_in_touch(1);
    assert_eq!(stage.phase(), Phase::Taking);
    let take = stage.attempt(Hold::Take);
    assert_eq!((take.expect, take.record.epoch), (Expect::Version(Version(10)), Epoch(5)));
}

#[test]
fn the_deadline_counts_from_the_sending_not_from_the_reply() {
    let mut stage = Stage::leading();
    assert_eq!(stage.serves_ms(), Some(u128::from(LASTS_MS)));
    stage.keep_in_touch(750);
    let renewal = stage.attempt(Hold::Renew);
    assert_eq!(renewal.expect, Expect::Version(Version(10)));
    stage.keep_in_touch(400);
    stage.commits(renewal.record.nonce, 11);
    assert_eq!(stage.serves_ms(), Some(u128::from(LASTS_MS - 400)));
}

#[test]
fn a_reply_that_never_came_is_settled_by_what_the_store_shows() {
    let mut stage = Stage::leading();
    stage.keep_in_touch(750);
    let first = stage.attempt(Hold::Renew);
    stage.settles(first.record.nonce, Outcome::Unknown);
    stage.keep_in_touch(200);
    let second = stage.attempt(Hold::Renew);
    assert_ne!(first.record.nonce, second.record.nonce);
    assert_eq!(first.expect, second.expect);
    let shown = Observed { version: Version(11), record: first.record.clone() };
    stage.settles(second.record.nonce, Outcome::Conflict(Some(shown)));
    assert_eq!(
        stage.serves_ms(),
        Some(u128::from(LASTS_MS - 200)),
        "from the sending of the first, not from the reading"
    );
    stage.settles(first.record.nonce, Outcome::Committed(Version(11)));
    assert_eq!(stage.serves_ms(), Some(u128::from(LASTS_MS - 200)), "its own late reply changes nothing");
    stage.keep_in_touch(550);
    assert_eq!(stage.attempt(Hold::Renew).expect, Expect::Version(Version(11)));
}

#[test]
fn a_paused_leader_wakes_up_expired_whatever_runs_first() {
    let mut stage = Stage::leading();
    stage.keep_in_touch(750);
    let renewal = stage.attempt(Hold::Renew);
    stage.freeze(TTL_MS);
    assert_eq!(stage.serves_ms(), None, "before any timer has run");
    stage.commits(renewal.record.nonce, 11);
    assert_eq!(stage.serves_ms(), None, "a late success does not bring an epoch back");
    assert_eq!((stage.phase(), &stage.asked[..]), (Phase::Watching, &[Action::Stop(StopCause::Lost), READ][..]));
}

#[test]
fn a_released_lease_is_taken_at_once_only_by_whoever_saw_it_held() {
    let mut witness = Stage::new();
    witness.event(Event::Fit(true));
    witness.sees(9, held_by_other(4));
    witness.keep_in_touch(750);
    witness.sees(10, released(held_by_other(4)));
    assert_eq!(witness.attempt(Hold::Take).record.epoch, Epoch(5));

    let mut newcomer = Stage::new();
    newcomer.event(Event::Fit(true));
    newcomer.sees(10, released(held_by_other(4)));
    newcomer.keep_in_touch(TTL_MS - 1);
    assert!(!newcomer.asked_for_attempt());
    newcomer.keep_in_touch(1);
    assert_eq!(newcomer.attempt(Hold::Take).record.epoch, Epoch(5));
}
