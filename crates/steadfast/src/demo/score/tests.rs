use super::*;

fn at(ms: u64) -> Moment {
    Moment::from_nanos(ms * 1_000_000)
}

fn answer(sent: u64, ended: u64, instance: &str, epoch: u64) -> Sample {
    let answered = Answered { instance: instance.into(), meant: Some(instance.into()), epoch, pid: 7 };
    Sample { kind: Kind::Get, sent: at(sent), ended: at(ended), result: Ok(answered) }
}

fn failure(kind: Kind, leader_lost: bool) -> Sample {
    Sample { kind, sent: at(0), ended: at(1), result: Err(Failed { why: "status 502".into(), leader_lost }) }
}

#[test]
fn a_takeover_is_told_with_its_gap() {
    let mut score = Score::default();
    assert_eq!(score.take(answer(0, 1, "a", 1)), None, "the first answer is no takeover");
    assert_eq!(score.take(answer(5, 6, "a", 1)), None);
    let takeover = score.take(answer(7, 190, "b", 2)).unwrap();
    assert_eq!((takeover.from.as_str(), takeover.to.as_str(), takeover.epoch), ("a", "b", 2));
    assert_eq!(takeover.gap, Duration::from_millis(184));
    assert_eq!(score.take(answer(191, 192, "b", 2)), None);
    assert_eq!(score.take(answer(193, 195, "b", 3)).unwrap().to, "b", "the same one, newly elected");
    assert_eq!((score.requests, score.failed, score.two_answered, score.takeovers), (5, 0, 0, 2));
}

#[test]
fn what_was_asked_before_the_takeover_may_arrive_after_it() {
    let mut score = Score::default();
    score.take(answer(0, 1, "a", 1));
    score.take(answer(10, 20, "b", 2));
    assert_eq!(score.take(answer(15, 25, "a", 1)), None, "it may have been answered before 20");
    assert_eq!(score.two_answered, 0);
    assert_eq!(score.leader.as_ref().unwrap().instance, "b");
}

#[test]
fn two_at_once_are_found() {
    let mut score = Score::default();
    score.take(answer(0, 1, "a", 1));
    score.take(answer(10, 20, "b", 2));
    score.take(answer(21, 22, "a", 1));
    assert_eq!(score.two_answered, 1, "it was asked after the later epoch had answered");
    score.take(answer(30, 31, "c", 2));
    assert_eq!(score.two_answered, 2, "one epoch has one instance");
    let mut other = answer(40, 41, "b", 3);
    if let Ok(answered) = &mut other.result {
        answered.meant = Some("a".into());
    }
    score.take(other);
    assert_eq!(score.two_answered, 3, "another one answered than the gateway meant");
    let probe = Sample { kind: Kind::Probe, ..answer(50, 51, "a", 1) };
    score.take(probe);
    assert_eq!((score.two_answered, score.requests), (4, 5), "a probe is no request, but it counts here");
}

#[test]
fn only_what_could_not_be_repeated_may_fail() {
    for (kind, leader_lost, should_not) in
        [(Kind::Get, false, 1), (Kind::Get, true, 1), (Kind::Post, false, 1), (Kind::Post, true, 0)]
    {
        let mut score = Score::default();
        score.take(failure(kind, leader_lost));
        assert_eq!((score.requests, score.failed, score.should_not), (1, 1, should_not), "{kind:?} {leader_lost}");
        assert_eq!(score.reasons["status 502"], 1);
    }
}
