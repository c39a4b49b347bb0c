use steadfast_core::Incarnation;

use super::*;

fn ledger(state: LedgerState) -> LedgerRecord {
    LedgerRecord { charged_milli: 8_000, clients: 3, ..LedgerRecord::new(Incarnation(1), state, "operator") }
}

#[test]
fn who_is_lost_is_lost_since_the_first_word_of_it_and_keeps_its_clients() {
    let open = ledger(LedgerState::Open);
    let lost = open.standing(LedgerState::Lost, Tick(7), "rec-1");
    assert_eq!((lost.state, lost.lost_at, lost.by.as_str()), (LedgerState::Lost, Some(7), "rec-1"));
    assert_eq!((lost.charged_milli, lost.clients), (8_000, 3));
    assert_eq!(lost.standing(LedgerState::Leaving, Tick(8), "rec-1"), lost, "leaving brings nobody back");
    let gone = lost.standing(LedgerState::Gone, Tick(9), "rec-1");
    assert_eq!((gone.state, gone.lost_at), (LedgerState::Gone, Some(7)));
    let back = gone.standing(LedgerState::Open, Tick(11), "rec-1");
    assert_eq!((back.state, back.lost_at, back.clients), (LedgerState::Open, None, 3));
    assert_eq!(back.standing(LedgerState::Open, Tick(12), "rec-1"), back, "the same word again changes nothing");
}

#[test]
fn a_drain_outlives_whatever_the_agent_says() {
    let draining = LedgerRecord { move_at: Some(20), ..ledger(LedgerState::Draining) };
    let leaving = draining.standing(LedgerState::Leaving, Tick(7), "rec-1");
    assert_eq!(leaving, draining);
    for end in [LedgerState::Lost, LedgerState::Gone] {
        let ended = draining.standing(end, Tick(7), "rec-1");
        assert_eq!((ended.state, ended.lost_at, ended.drained), (end, Some(7), true));
        let back = ended.standing(LedgerState::Open, Tick(8), "rec-1");
        assert_eq!((back.state, back.lost_at, back.drained), (LedgerState::Draining, None, false));
        assert_eq!(back.move_at, Some(20));
    }
}
