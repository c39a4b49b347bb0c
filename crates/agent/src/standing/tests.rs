use steadfast_core::Epoch;
use steadfast_core::lease::Phase;

use super::*;

#[test]
fn the_deadline_speaks_when_the_driver_does_not() {
    let until = Moment::from_nanos(10);
    let standing = Standing { phase: Phase::Leading, epoch: Epoch(7), serve_until: until, ..Standing::NEW };
    let cell = Cell::new();
    assert_eq!(cell.read().reason_at(Moment::from_nanos(9)), ProbeReason::Starting);
    cell.post(Posted { standing, carry_until: until, reason: ProbeReason::Standby });
    assert_eq!((cell.serve_until(), cell.carry_until()), (until, until));
    assert_eq!(cell.read().reason_at(Moment::from_nanos(9)), ProbeReason::Leading);
    assert_eq!(cell.read().reason_at(Moment::from_nanos(10)), ProbeReason::LeaseLost);
}
