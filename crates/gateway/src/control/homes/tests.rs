use super::*;

fn at(millis: u64) -> Moment {
    Moment::ZERO + Duration::from_millis(millis)
}

fn target(incarnation: u64) -> Target {
    let id = "web-1".parse().unwrap();
    Target::new(id, Some(Incarnation(incarnation)), None, Box::default(), Duration::ZERO, 1)
}

#[test]
fn a_connection_refused_while_a_question_is_under_way_is_asked_about_after_it() {
    let mut asking = BTreeSet::new();
    let target = target(1);
    let life = (target.instance.clone(), target.incarnation);
    // One worker's connection is refused, and the question is sent after it.
    target.refuse(at(10));
    target.doubt();
    assert!(begins_question(&mut asking, &target));
    // Another worker's is refused after that.
    target.refuse(at(30));
    target.doubt();
    assert!(!begins_question(&mut asking, &target), "one question at a time");
    target.vouch(at(20), Moment::MAX);
    assert!(target.is_refused(), "the answer is older than the last refusal");
    asking.remove(&life);
    assert!(begins_question(&mut asking, &target), "so it is asked again");
    target.vouch(at(40), Moment::MAX);
    asking.remove(&life);
    assert!(!target.is_refused() && !begins_question(&mut asking, &target));
}

#[test]
fn a_question_about_a_former_life_does_not_hold_up_the_one_about_the_next() {
    let mut asking = BTreeSet::new();
    let (former, next) = (target(1), target(2));
    for target in [&former, &next] {
        target.doubt();
        assert!(begins_question(&mut asking, target));
    }
}
