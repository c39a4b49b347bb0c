use steadfast_core::Incarnation;

use super::*;

fn ledger(state: LedgerState) -> LedgerRecord {
    LedgerRecord { charged_milli: 8_000, clients: 3, ..LedgerRecord::new(Incarnation(1), state, "rec-1") }
}

#[test]
fn a_drain_keeps_its_deadline_until_another_is_said() {
    let draining = ledger(LedgerState::Open).draining(Some(Tick(20)));
    assert_eq!((draining.state, draining.move_at, draining.clients), (LedgerState::Draining, Some(20), 3));
    assert_eq!(draining.draining(None), draining, "said again without a deadline, the first one stands");
    assert_eq!(draining.draining(Some(Tick(9))).move_at, Some(9));
    assert_eq!(ledger(LedgerState::Open).draining(None).move_at, None);
}

#[test]
fn who_is_lost_stays_lost_and_drains_when_it_is_back() {
    let lost = LedgerRecord { lost_at: Some(3), ..ledger(LedgerState::Lost) };
    let drained = lost.draining(None);
    assert_eq!((drained.state, drained.drained, drained.lost_at), (LedgerState::Lost, true, Some(3)));
    assert_eq!(drained.standing(LedgerState::Open, Tick(9), "rec-1").state, LedgerState::Draining);
}
