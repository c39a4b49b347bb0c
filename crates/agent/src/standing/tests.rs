use steadfast_core::Epoch;
use steadfast_core::lease::Phase;

use super::*;

fn speaker(posted: Posted) -> Speaker {
    let cell = Cell::new();
    cell.post(posted);
    Speaker { set: "web".parse().unwrap(), instance: "web-1".parse().unwrap(), incarnation: Incarnation(0xa1), cell }
}

#[test]
fn the_deadline_speaks_when_the_driver_does_not() {
    let until = Moment::from_nanos(10);
    let standing = Standing { phase: Phase::Leading, epoch: Epoch(7), serve_until: until, ..Standing::NEW };
    let serving = Serving::Leased { standing, carry_until: until };
    let speaker = speaker(Posted { serving, reason: ProbeReason::Standby });
    assert_eq!((speaker.cell.serve_until(), speaker.cell.carry_until()), (until, until));
    let says = |nanos| {
        let answer = speaker.answer(Moment::from_nanos(nanos));
        (answer.role, answer.reason)
    };
    assert_eq!(says(9), (Role::Leader, ProbeReason::Leading));
    assert_eq!(says(10), (Role::Standby, ProbeReason::LeaseLost));
}

#[test]
fn nobody_serves_before_the_driver_has_said_so() {
    let cell = Cell::new();
    assert_eq!((cell.serve_until(), cell.read().reason), (Moment::ZERO, ProbeReason::Starting));
}

#[test]
fn a_member_needs_no_lease_and_vouches_for_none() {
    for (able, role, until) in [(true, Role::Member, Moment::MAX), (false, Role::Standby, Moment::ZERO)] {
        let speaker = speaker(Posted { serving: Serving::Member { able }, reason: ProbeReason::Draining });
        let answer = speaker.answer(Moment::from_nanos(9));
        assert_eq!((answer.role, answer.epoch, answer.valid_for_ms), (role, 0, 0));
        assert_eq!((answer.reason, speaker.cell.serve_until()), (ProbeReason::Draining, until));
    }
}
