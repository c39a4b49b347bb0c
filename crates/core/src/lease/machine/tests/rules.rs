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

#[test]
fn losing_the_store_for_longer_than_a_renewal_takes_restarts_the_watch() {
    let mut stage = Stage::watching(held_by_other(4));
    stage.keep_in_touch(TTL_MS - 800);
    stage.pass(900);
    assert!(!stage.asked_for_attempt(), "its time came while the store was silent");
    stage.event(Event::Contact);
    stage.keep_in_touch(TTL_MS - 1);
    assert!(!stage.asked_for_attempt());
    stage.keep_in_touch(1);
    assert_eq!(stage.attempt(Hold::Take).record.epoch, Epoch(5));

    let mut witness = Stage::watching(held_by_other(4));
    witness.keep_in_touch(TTL_MS / 2);
    witness.pass(RENEW_EVERY_MS + 1);
    witness.sees(11, released(held_by_other(4)));
    assert!(!witness.asked_for_attempt(), "what it saw before the silence does not count");
}

#[test]
fn a_backlog_from_before_the_silence_earns_nothing() {
    let mut stage = Stage::watching(held_by_other(4));
    stage.freeze(10_000);
    stage.sees(11, LeaseRecord { nonce: Nonce(5), ..held_by_other(4) });
    stage.sees(12, released(held_by_other(4)));
    assert!(!stage.asked_for_attempt());
}

#[test]
fn no_record_is_watched_for_a_ttl_and_the_longest_one_known_if_one_was_there() {
    let mut stage = Stage::new();
    stage.event(Event::Fit(true));
    stage.event(Event::Seen(None));
    stage.keep_in_touch(TTL_MS - 1);
    assert!(!stage.asked_for_attempt());
    stage.keep_in_touch(1);
    assert_eq!(stage.attempt(Hold::Take).expect, Expect::Absent);

    let mut emptied = Stage::watching(LeaseRecord { ttl: Span::from_millis(7_000), ..held_by_other(4) });
    emptied.event(Event::StoreReset);
    emptied.event(Event::Seen(None));
    emptied.keep_in_touch(6_999);
    assert!(!emptied.asked_for_attempt(), "its holder may go by what is lost");
    emptied.keep_in_touch(1);
    assert_eq!(emptied.attempt(Hold::Take).record.epoch, Epoch(5), "and its epoch is remembered");
}

#[test]
fn a_store_that_went_back_is_watched_anew() {
    let mut stage = Stage::watching(held_by_other(4));
    stage.keep_in_touch(TTL_MS - 100);
    stage.sees(8, held_by_other(3));
    stage.keep_in_touch(TTL_MS - 1);
    assert!(!stage.asked_for_attempt());
    stage.keep_in_touch(1);
    let take = stage.attempt(Hold::Take);
    assert_eq!((take.expect, take.record.epoch), (Expect::Version(Version(8)), Epoch(5)));

    let mut replaced = Stage::watching(held_by_other(4));
    replaced.keep_in_touch(TTL_MS - 100);
    replaced.sees(10, LeaseRecord { nonce: Nonce(5), ..held_by_other(4) });
    replaced.keep_in_touch(TTL_MS - 1);
    assert!(!replaced.asked_for_attempt(), "the same version, but not the same record");

    let mut told = Stage::watching(held_by_other(4));
    told.keep_in_touch(TTL_MS);
    let take = told.attempt(Hold::Take);
    let shown = Observed { version: Version(8), record: held_by_other(3) };
    told.settles(take.record.nonce, Outcome::Conflict(Some(shown)));
    told.keep_in_touch(TTL_MS - 1);
    assert!(!told.asked_for_attempt(), "a conflict with an older version tells the same");
}

#[test]
fn an_epoch_is_remembered_before_it_is_tried() {
    let mut stage = Stage::remembering(Memory { epoch: Epoch(40), promised_until: Moment::ZERO });
    stage.event(Event::Fit(true));
    stage.sees(10, held_by_other(4));
    stage.keep_in_touch(TTL_MS);
    let order: Vec<_> = stage.asked.iter().filter(|action| !matches!(action, Action::Read { .. })).collect();
    let [Action::Remember(memory), Action::Attempt(take)] = order[..] else { panic!("{order:?}") };
    assert_eq!((memory.epoch, take.record.epoch), (Epoch(41), Epoch(41)));
    assert_eq!(stage.machine.standing().epoch, Epoch(4), "a candidate shows what it saw, not what it tries");
}

#[test]
fn a_transport_error_does_not_demote_the_deadline_does() {
    let mut stage = Stage::leading();
    for outcome in [Outcome::Unavailable, Outcome::Unknown] {
        stage.keep_in_touch(RENEW_EVERY_MS);
        let renewal = stage.attempt(Hold::Renew);
        stage.settles(renewal.record.nonce, outcome);
        assert_eq!(stage.phase(), Phase::Leading);
    }
    stage.keep_in_touch(LASTS_MS - 2 * RENEW_EVERY_MS - 1);
    assert_eq!(stage.serves_ms(), Some(1));
    stage.keep_in_touch(1);
    assert_eq!((stage.serves_ms(), stage.phase()), (None, Phase::Watching));
    assert!(stage.asked.contains(&Action::Stop(StopCause::Lost)));
}

#[test]
fn refusals_are_not_answered_with_a_storm() {
    let mut stage = Stage::leading();
    stage.keep_in_touch(RENEW_EVERY_MS);
    let mut tries = 0;
    while stage.phase() == Phase::Leading {
        let renewal = stage.attempt(Hold::Renew);
        tries += 1;
        stage.settles(renewal.record.nonce, Outcome::Unavailable);
        while !stage.asked_for_attempt() && stage.phase() == Phase::Leading {
            stage.keep_in_touch(1);
        }
    }
    assert_eq!(tries, (LASTS_MS - RENEW_EVERY_MS).div_ceil(125), "one each 125 ms until the deadline");
}

#[test]
fn whoever_sees_another_one_in_the_record_stops_at_once() {
    for shown in [
        Some(held_by_other(6)),
        Some(record(ME, 9, 6, 1)),
        Some(record(ME, 1, 4, 1)),
        Some(released(record(ME, 1, 5, 1))),
        None,
    ] {
        let seen = |version| shown.clone().map(|record| Observed { version: Version(version), record });
        let mut stage = Stage::leading();
        stage.event(Event::Seen(seen(11)));
        assert_eq!((stage.serves_ms(), stage.phase()), (None, Phase::Watching), "{shown:?}");
        assert!(stage.asked.contains(&Action::Stop(StopCause::Lost)), "{shown:?}");

        let mut stage = Stage::leading();
        stage.keep_in_touch(RENEW_EVERY_MS);
        let renewal = stage.attempt(Hold::Renew);
        stage.settles(renewal.record.nonce, Outcome::Conflict(seen(11)));
        assert_eq!((stage.serves_ms(), stage.phase()), (None, Phase::Watching), "conflict with {shown:?}");
    }
}

#[test]
fn a_stale_showing_does_not_disturb_a_leader() {
    let mut stage = Stage::leading();
    let before = stage.machine.standing();
    stage.sees(9, held_by_other(4));
    assert_eq!(stage.machine.standing(), before);
}

#[test]
fn an_expired_holder_serves_again_only_at_a_new_epoch_and_like_everybody_else() {
    let mut stage = Stage::leading();
    // The store answers, but no renewal gets through.
    stage.keep_in_touch(LASTS_MS);
    assert_eq!(stage.phase(), Phase::Watching);
    stage.asked.clear();
    stage.keep_in_touch(TTL_MS - LASTS_MS - 1);
    assert!(!stage.asked_for_attempt());
    stage.keep_in_touch(1);
    let take = stage.attempt(Hold::Take);
    assert_eq!((take.expect, take.record.epoch), (Expect::Version(Version(10)), Epoch(6)));
}

#[test]
fn a_renewal_of_an_earlier_try_found_in_the_record_after_eight_more_extends_nothing() {
    let mut stage = Stage::leading();
    stage.keep_in_touch(RENEW_EVERY_MS);
    let first = stage.attempt(Hold::Renew);
    stage.settles(first.record.nonce, Outcome::Unknown);
    for _ in 0..8 {
        while !stage.asked_for_attempt() {
            stage.keep_in_touch(1);
        }
        let next = stage.attempt(Hold::Renew);
        stage.settles(next.record.nonce, Outcome::Unknown);
    }
    let deadline = stage.machine.standing().serve_until;
    stage.sees(11, first.record);
    assert_eq!(stage.machine.standing().serve_until, deadline);
    stage.keep_in_touch(200);
    assert_eq!(stage.attempt(Hold::Renew).expect, Expect::Version(Version(11)), "but it is renewed from there");
}

#[test]
fn a_lease_is_released_only_when_what_served_has_stopped_and_load_balancers_have_noticed() {
    let mut stage = Stage::leading();
    let timing = Timing::new(Span::from_millis(TTL_MS), 100, Span::from_millis(1_000)).unwrap();
    stage.event(Event::Retune(timing));
    stage.event(Event::Fit(false));
    assert_eq!((stage.serves_ms(), stage.phase()), (None, Phase::Stepping));
    assert_eq!(stage.asked[0], Action::Stop(StopCause::Unfit));
    assert!(stage.machine.standing().holding(stage.now()), "what it carries may finish");

    // Longer than a TTL: nobody else must start meanwhile.
    for version in 11..16 {
        stage.keep_in_touch(RENEW_EVERY_MS);
        let renewal = stage.attempt(Hold::Renew);
        stage.commits(renewal.record.nonce, version);
        assert_eq!(stage.serves_ms(), None, "it renews, and does not serve");
    }
    stage.event(Event::Stopped);
    assert!(!stage.machine.standing().holding(stage.now()));
    let release = stage.attempt(Hold::Release);
    assert_eq!((release.expect, release.record.epoch), (Expect::Version(Version(15)), Epoch(5)));
    assert!(release.record.released);

    let mut quick = Stage::leading();
    quick.event(Event::Retune(timing));
    quick.event(Event::HandOver { to: None });
    quick.event(Event::Stopped);
    quick.keep_in_touch(999);
    assert_eq!(quick.phase(), Phase::Stepping);
    quick.keep_in_touch(1);
    quick.attempt(Hold::Release);
}

#[test]
fn a_promise_is_on_disk_before_the_release_goes_out() {
    let mut stage = Stage::leading();
    let promised_until = stage.now() + Duration::from_millis(LASTS_MS);
    stage.event(Event::HandOver { to: None });
    let memory = Memory { epoch: Epoch(5), promised_until };
    assert_eq!(stage.asked[..2], [Action::Stop(StopCause::HandOver), Action::Remember(memory)]);

    let heir = Stage::remembering(memory);
    assert!(heir.machine.standing().promised_until >= promised_until, "and its successor keeps it");
}

#[test]
fn a_release_of_unknown_outcome_ends_the_epoch_and_is_sent_again() {
    let mut stage = Stage::releasing();
    let first = stage.attempt(Hold::Release);
    stage.settles(first.record.nonce, Outcome::Unknown);
    stage.event(Event::Fit(true));
    assert_eq!((stage.serves_ms(), stage.phase()), (None, Phase::Releasing));
    stage.keep_in_touch(200);
    let second = stage.attempt(Hold::Release);
    assert_eq!(second.expect, first.expect);
    let shown = Observed { version: Version(11), record: first.record };
    stage.settles(second.record.nonce, Outcome::Conflict(Some(shown)));
    assert_eq!(stage.phase(), Phase::Watching);
    stage.keep_in_touch(TTL_MS - 1);
    assert!(!stage.asked_for_attempt(), "whoever gave it back does not take it back at once");
    stage.keep_in_touch(1);
    assert_eq!(stage.attempt(Hold::Take).record.epoch, Epoch(6));
}

#[test]
fn a_renewal_that_overtook_the_release_is_released_too() {
    let mut stage = Stage::leading();
    stage.keep_in_touch(RENEW_EVERY_MS);
    let renewal = stage.attempt(Hold::Renew);
    stage.event(Event::HandOver { to: None });
    stage.event(Event::Stopped);
    let release = stage.attempt(Hold::Release);
    assert_eq!(release.expect, renewal.expect, "it does not wait for the renewal");
    let shown = Observed { version: Version(11), record: renewal.record };
    stage.settles(release.record.nonce, Outcome::Conflict(Some(shown)));
    assert_eq!(stage.attempt(Hold::Release).expect, Expect::Version(Version(11)));
}

#[test]
fn a_silent_store_gets_no_second_release() {
    let mut stage = Stage::releasing();
    stage.pass(RENEW_EVERY_MS);
    stage.asked.clear();
    stage.pass(10_000);
    assert!(!stage.asked_for_attempt(), "it may come back with an older history");
}

#[test]
fn what_cannot_be_stopped_is_left_to_expire() {
    let mut stage = Stage::leading();
    stage.event(Event::HandOver { to: None });
    stage.event(Event::CannotStop);
    stage.asked.clear();
    stage.keep_in_touch(TTL_MS - 1);
    assert_eq!((stage.phase(), stage.asked_for_attempt()), (Phase::Stepping, false));
    stage.keep_in_touch(1);
    assert_eq!(stage.phase(), Phase::Watching);
    stage.keep_in_touch(TTL_MS - 1);
    assert!(!stage.asked_for_attempt(), "others come first");
    stage.keep_in_touch(1);
    assert_eq!(stage.attempt(Hold::Take).record.epoch, Epoch(6));
}

#[test]
fn a_hold_that_runs_out_while_stopping_makes_the_stop_urgent() {
    let mut stage = Stage::leading();
    stage.event(Event::ApplicationDied);
    assert_eq!(stage.asked[0], Action::Stop(StopCause::Died));
    stage.keep_in_touch(LASTS_MS);
    assert_eq!(stage.phase(), Phase::Idle, "a dead application includes unfit");
    assert!(stage.asked.contains(&Action::Stop(StopCause::Lost)));
    assert!(!stage.machine.standing().holding(stage.now()));
}

#[test]
fn a_take_that_succeeds_after_all_is_given_back_by_whoever_wants_it_no_more() {
    let mut stage = Stage::watching(held_by_other(4));
    stage.keep_in_touch(TTL_MS);
    let take = stage.attempt(Hold::Take);
    stage.event(Event::Fit(false));
    assert_eq!(stage.phase(), Phase::Idle);
    stage.commits(take.record.nonce, 11);
    assert_eq!((stage.serves_ms(), stage.phase()), (None, Phase::Releasing));
    assert_eq!(stage.attempt(Hold::Release).expect, Expect::Version(Version(11)));
}

#[test]
fn a_take_confirmed_after_a_silence_is_not_served() {
    let mut stage = Stage::watching(held_by_other(4));
    stage.keep_in_touch(TTL_MS);
    let take = stage.attempt(Hold::Take);
    stage.freeze(RENEW_EVERY_MS + 1);
    stage.commits(take.record.nonce, 11);
    assert_eq!((stage.serves_ms(), stage.phase()), (None, Phase::Watching));
}

#[test]
fn only_the_named_successor_takes_a_released_lease_at_once() {
    for (named, at_once) in [(None, true), (Some(ME), true), (Some("web-3"), false)] {
        let mut stage = Stage::watching(held_by_other(4));
        stage.event(Event::HandOver { to: named.map(|name| name.parse().unwrap()) });
        stage.sees(11, LeaseRecord { nonce: Nonce(5), ..held_by_other(4) });
        stage.sees(12, released(held_by_other(4)));
        assert_eq!(stage.asked_for_attempt(), at_once, "{named:?}");
        stage.keep_in_touch(TTL_MS);
        assert!(stage.asked_for_attempt(), "{named:?}: the named one may be gone");
    }
    let mut leader = Stage::leading();
    leader.event(Event::HandOver { to: Some(ME.parse().unwrap()) });
    assert_eq!(leader.phase(), Phase::Leading, "it has it already");
}

#[test]
fn an_heir_takes_what_its_former_life_holds_at_once_and_nothing_else() {
    let former = record(ME, 7, 4, 1);
    let newer_known = Memory { epoch: Epoch(5), promised_until: Moment::ZERO };
    for (memory, shown, at_once) in [
        (Memory { epoch: Epoch(4), promised_until: Moment::ZERO }, former.clone(), true),
        (Memory::default(), former.clone(), true),
        (newer_known, former.clone(), false),
        (Memory::default(), released(former.clone()), false),
        (Memory::default(), record(ME, 8, 4, 1), false),
        (Memory::default(), record(OTHER, 7, 4, 1), false),
    ] {
        let mut stage = Stage::remembering(memory);
        stage.machine.succeed(Incarnation(7));
        stage.event(Event::Fit(true));
        stage.sees(10, shown.clone());
        assert_eq!(stage.asked_for_attempt(), at_once, "{memory:?} {shown:?}");
    }
    let mut late = Stage::new();
    late.machine.succeed(Incarnation(7));
    late.sees(10, former.clone());
    late.pass(RENEW_EVERY_MS + 1);
    late.sees(11, LeaseRecord { nonce: Nonce(2), ..former });
    late.event(Event::Fit(true));
    assert!(!late.asked_for_attempt(), "not after the store was silent");
}

#[test]
fn an_heir_keeps_the_promises_of_its_former_life() {
    let mut stage = Stage::new();
    stage.machine.succeed(Incarnation(7));
    stage.event(Event::Fit(true));
    stage.sees(10, LeaseRecord { ttl: Span::from_millis(10_000), ..record(ME, 7, 4, 1) });
    let take = stage.attempt(Hold::Take);
    assert_eq!(take.record.ttl.as_millis(), 10_000, "others wait as long as a gateway may go by what it was told");
}

#[test]
fn a_ttl_is_shortened_only_as_fast_as_promises_run_out() {
    let ttl = |ms| Timing::new(Span::from_millis(ms), 100, Span::ZERO).unwrap();
    let mut stage = Stage::leading();
    stage.event(Event::Retune(ttl(12_000)));
    stage.keep_in_touch(RENEW_EVERY_MS);
    let renewal = stage.attempt(Hold::Renew);
    assert_eq!(renewal.record.ttl.as_millis(), 12_000);
    stage.commits(renewal.record.nonce, 11);
    assert_eq!(stage.serves_ms(), Some(9_600));

    stage.event(Event::Retune(ttl(3_000)));
    let (mut version, mut ttls) = (12, Vec::new());
    while ttls.last() != Some(&3_000) {
        let before = stage.machine.standing().serve_until;
        stage.keep_in_touch(RENEW_EVERY_MS);
        let renewal = stage.attempt(Hold::Renew);
        assert!(stage.machine.standing().serve_until >= before, "a promise given is kept");
        ttls.push(renewal.record.ttl.as_millis());
        stage.commits(renewal.record.nonce, version);
        version += 1;
    }
    assert!(ttls.is_sorted_by(|a, b| a > b), "{ttls:?}");
    assert_eq!(ttls.len(), 10, "from 12 s to 3 s in 9 s x 0.8: {ttls:?}");
}

#[test]
fn a_shorter_ttl_sent_while_stepping_down_lowers_the_hold_before_its_reply() {
    let ttl = |ms| Timing::new(Span::from_millis(ms), 100, Span::ZERO).unwrap();
    let mut stage = Stage::leading();
    stage.event(Event::HandOver { to: None });
    stage.event(Event::Retune(ttl(12_000)));
    stage.keep_in_touch(RENEW_EVERY_MS);
    let long = stage.attempt(Hold::Renew);
    stage.commits(long.record.nonce, 11);
    stage.event(Event::Retune(ttl(3_000)));
    stage.keep_in_touch(RENEW_EVERY_MS);
    let short = stage.attempt(Hold::Renew);
    assert_eq!(short.record.ttl.as_millis(), 3_000, "nothing was promised under the longer one");
    assert_eq!(stage.machine.standing().held_until, stage.now() + Duration::from_millis(LASTS_MS));
}

#[test]
fn nobody_takes_a_lease_above_which_there_is_no_epoch() {
    let mut stage = Stage::watching(record(OTHER, 2, u64::MAX, 1));
    stage.keep_in_touch(3 * TTL_MS);
    assert!(!stage.asked_for_attempt());
}

#[test]
fn a_ttl_beyond_all_measure_is_waited_for_without_overflow() {
    let mut stage = Stage::watching(LeaseRecord { ttl: Span::from_millis(u64::MAX), ..held_by_other(4) });
    stage.keep_in_touch(3 * TTL_MS);
    assert!(!stage.asked_for_attempt());
}

#[test]
fn a_take_confirmed_after_its_own_deadline_is_not_served() {
    let mut stage = Stage::watching(held_by_other(4));
    stage.keep_in_touch(TTL_MS);
    let take = stage.attempt(Hold::Take);
    stage.keep_in_touch(LASTS_MS);
    stage.asked.clear();
    stage.commits(take.record.nonce, 11);
    assert_eq!((stage.phase(), &stage.asked[..]), (Phase::Watching, &[][..]), "and nothing is there to be stopped");
}
