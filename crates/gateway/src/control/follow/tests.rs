use std::collections::BTreeMap;

use steadfast_core::lease::{LeaseRecord, Observed, Version};
use steadfast_core::settings::SingleSettings;
use steadfast_core::{Nonce, Span};
use steadfast_registry::{InstanceRecord, InstanceSeen, LeaseSeen, LedgerRecord, Role};

use super::*;

const LIFE: Incarnation = Incarnation(1);
const EPOCH: u64 = 7;
const TTL_MS: u64 = 3_000;

fn at(ms: u64) -> Moment {
    Moment::from_nanos(ms * 1_000_000)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn books(state: LedgerState) -> Snapshot {
    let leader: InstanceId = "web-1".parse().unwrap();
    let record = LeaseRecord {
        epoch: Epoch(EPOCH),
        holder: leader.clone(),
        incarnation: LIFE,
        ttl: Span::from_millis(TTL_MS),
        nonce: Nonce(1),
        released: false,
    };
    let endpoints = [("http".parse().unwrap(), "http://10.0.0.4:8080".parse().unwrap())].into();
    let probe = "http://10.0.0.4:7401".parse().unwrap();
    let seen = InstanceSeen {
        description: Some(InstanceRecord::new(LIFE, endpoints, probe, false, "vm-4".into())),
        ledger: Some(LedgerRecord::new(LIFE, state, "web-1")),
        ..InstanceSeen::default()
    };
    Snapshot {
        complete: true,
        contact: Some(at(1)),
        settings: Some(SetSettings::Single(SingleSettings::default())),
        lease: Some(LeaseSeen { received: at(1), observed: Observed { version: Version(1), record } }),
        instances: BTreeMap::from([(leader, seen)]),
        ..Snapshot::blank("web".parse().unwrap())
    }
}

/// The probe's answer to a question sent at `asked`.
fn told(asked: Moment, role: Role, reason: ProbeReason) -> Answered {
    let valid_for_ms = if role == Role::Leader { TTL_MS } else { 0 };
    let (set, instance) = ("web".parse().unwrap(), "web-1".parse().unwrap());
    let answer = ProbeAnswer { set, instance, incarnation: LIFE, role, epoch: EPOCH, valid_for_ms, reason };
    Answered { asked, answer: Ok((answer, Box::new([Some(([10, 0, 0, 4], 8080).into())]))) }
}

fn leads(asked: Moment) -> Answered {
    told(asked, Role::Leader, ProbeReason::Leading)
}

fn denies(asked: Moment) -> Answered {
    told(asked, Role::Standby, ProbeReason::SteppingDown)
}

fn silent(asked: Moment) -> Answered {
    Answered { asked, answer: Err("connection refused".to_owned()) }
}

/// A leader that the books have named and its probe has vouched for, both at `now`.
fn led(now: Moment) -> (Arc<SetShared>, Follow) {
    let endpoints = vec!["http".parse().unwrap()];
    let set = SetShared::new("web".parse().unwrap(), endpoints, Span::from_millis(1_000), Arc::new([]));
    let set = Arc::new(set);
    let mut follow = Follow::new(set.clone(), 1);
    follow.books(now, &books(LedgerState::Open));
    follow.answered(now, leads(now));
    // Answers what the books' news called for.
    follow.answered(now, leads(now));
    assert!(set.target().is_some_and(|target| !target.closed()));
    (set, follow)
}

/// Puts the next question at its time; its answer takes no time. Returns when.
fn ask(follow: &mut Follow, answer: fn(Moment) -> Answered) -> Moment {
    let now = follow.deadline(false);
    assert!(follow.question(now).is_some(), "no question at {now:?}");
    follow.answered(now, answer(now));
    now
}

#[test]
fn one_that_hands_over_is_asked_again_at_once_after_its_first_denial() {
    let (set, mut follow) = led(at(1_000));
    follow.books(at(1_100), &books(LedgerState::Leaving));
    assert!(set.target().unwrap().closed());
    // Others wait for it to let go, so it is asked more often than a leader otherwise.
    ask(&mut follow, leads);
    let mut last = ask(&mut follow, leads);
    for _ in 0..8 {
        let next = ask(&mut follow, leads);
        assert!(next.since(last) <= ASK_HANDING_OVER_EVERY, "a pause of {:?}", next.since(last));
        last = next;
    }
    let denied = ask(&mut follow, denies);
    let again = ask(&mut follow, denies);
    assert_eq!(again.since(denied), ms(2));
    // What runs there is waited for.
    let mut last = again;
    for _ in 0..20 {
        let next = ask(&mut follow, denies);
        assert!(next.since(last) <= ASK_HANDING_OVER_EVERY, "a pause of {:?}", next.since(last));
        last = next;
    }
}

#[test]
fn a_leader_that_denies_is_asked_slowly_once_nothing_can_run_there_or_it_is_silent() {
    let (set, mut follow) = led(at(1_000));
    for _ in 0..8 {
        ask(&mut follow, denies);
    }
    assert!(set.target().unwrap().closed());
    let last = ask(&mut follow, silent);
    assert_eq!(follow.deadline(false).since(last), ms(250));
    let end = set.target().unwrap().until();
    follow.tick(end);
    assert!(set.target().is_none());
    follow.answered(end, denies(end));
    assert_eq!(follow.deadline(false).since(end), ms(250));
}

#[test]
fn alarm_upon_alarm_is_paced_though_every_one_was_answered() {
    // The alarm comes after the answer, or while the question is under way.
    for during in [false, true] {
        let (_set, mut follow) = led(at(1_000));
        let mut asked = Vec::new();
        let mut now = at(1_010);
        follow.alarm(now);
        while now < at(1_110) {
            now = now.max(follow.deadline(false));
            assert!(follow.question(now).is_some());
            asked.push(now);
            let done = now + Duration::from_micros(500);
            if during {
                follow.alarm(now + Duration::from_micros(250));
            }
            follow.answered(done, leads(now));
            if !during {
                follow.alarm(done);
            }
            now = done;
        }
        assert_eq!(asked[0], at(1_010), "the first alarm is no reason to wait");
        assert!((3..=7).contains(&asked.len()), "during: {during}, asked at {asked:?}");
    }
}

#[test]
fn alarms_far_apart_are_asked_about_at_once() {
    let (_set, mut follow) = led(at(1_000));
    for _ in 0..4 {
        let now = ask(&mut follow, leads) + ALARMS_APART + ms(1);
        follow.answered(now, leads(now));
        follow.alarm(now);
        assert_eq!(follow.deadline(false), now);
    }
}

#[test]
fn an_answer_wakes_those_whom_the_reserve_kept_out() {
    let now = clock::now();
    let (set, mut follow) = led(now);
    let target = set.target().unwrap();
    // Alive, but too near to its end for anything new to begin.
    target.vouch(now, clock::now() + target.reserve() - ms(10));
    assert!(!target.enter(0, clock::now()));
    let version = set.version();
    let asked = clock::now();
    follow.answered(asked, leads(asked));
    assert!(target.enter(0, asked));
    assert_ne!(set.version(), version, "nobody was woken");
}

#[test]
fn the_end_of_the_last_request_at_a_closed_target_is_told_at_once() {
    let (set, mut follow) = led(at(1_000));
    let target = set.target().unwrap();
    assert!(target.enter(0, at(1_001)));
    for _ in 0..8 {
        follow.alarm(follow.deadline(false).min(at(1_001)));
    }
    follow.books(at(1_010), &books(LedgerState::Leaving));
    ask(&mut follow, denies);
    for _ in 0..8 {
        let now = ask(&mut follow, denies);
        follow.alarm(now);
        assert!(follow.deadline(false) > now, "one still runs");
    }
    let now = ask(&mut follow, denies);
    assert!(target.leave(0));
    follow.alarm(now);
    assert_eq!(follow.deadline(false), now);
    assert_eq!(follow.question(now).map(|question| question.running), Some(0));
}
