use LedgerState::{Draining, Gone, Leaving, Lost, Open};

use super::*;

fn at(s: u64) -> Moment {
    Moment::from_nanos(s * 1_000_000_000)
}

#[test]
fn what_the_books_show_already_is_not_said() {
    let participation = Participation::default();
    for (wanted, shown) in [(Open, Open), (Open, Draining), (Lost, Lost), (Lost, Gone)] {
        assert_eq!(participation.due(wanted, shown), None, "{wanted} {shown}");
    }
    for (wanted, shown) in [(Open, Lost), (Open, Leaving), (Open, Gone), (Lost, Open), (Lost, Draining)] {
        assert_eq!(participation.due(wanted, shown), Some(Moment::ZERO), "{wanted} {shown}");
    }
}

#[test]
fn one_word_is_under_way_at_a_time_and_another_one_follows_at_once() {
    let mut participation = Participation { under_way: true, ..Participation::default() };
    assert_eq!(participation.due(Open, Lost), None);
    participation.ended(at(7), Lost, true);
    // The books still show what was before: it is the word that counts.
    assert_eq!(participation.due(Open, Open), Some(Moment::ZERO));
}

#[test]
fn books_that_lag_are_waited_for_and_then_told_again() {
    let mut participation = Participation::default();
    participation.ended(at(7), Open, true);
    assert_eq!(participation.due(Open, Lost), Some(at(8)));
    assert_eq!(participation.due(Open, Open), None);
    // What did not reach the store is not forgotten either.
    participation.ended(at(9), Lost, false);
    assert_eq!(participation.due(Lost, Open), Some(at(10)));
    participation.forget();
    assert_eq!(participation.due(Lost, Open), Some(Moment::ZERO));
}
