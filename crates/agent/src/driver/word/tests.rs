use LedgerState::{Draining, Gone, Leaving, Lost, Open};

use super::*;

fn at(s: u64) -> Moment {
    Moment::from_nanos(s * 1_000_000_000)
}

#[test]
fn what_the_books_show_already_is_not_said() {
    let word = Word::default();
    for (wanted, shown) in [(Open, Open), (Open, Draining), (Lost, Lost), (Lost, Gone)] {
        assert_eq!(word.due(wanted, shown), None, "{wanted} {shown}");
    }
    for (wanted, shown) in [(Open, Lost), (Open, Leaving), (Open, Gone), (Lost, Open), (Lost, Draining)] {
        assert_eq!(word.due(wanted, shown), Some(Moment::ZERO), "{wanted} {shown}");
    }
}

#[test]
fn one_word_is_under_way_at_a_time_and_another_one_follows_at_once() {
    let mut word = Word { under_way: true, ..Word::default() };
    assert_eq!(word.due(Open, Lost), None);
    word.ended(at(7), Lost, true);
    // The books still show what was before: it is the word that counts.
    assert_eq!(word.due(Open, Open), Some(Moment::ZERO));
}

#[test]
fn books_that_lag_are_waited_for_and_then_told_again() {
    let mut word = Word::default();
    word.ended(at(7), Open, true);
    assert_eq!(word.due(Open, Lost), Some(at(8)));
    assert_eq!(word.due(Open, Open), None);
    // What did not reach the store is not forgotten either.
    word.ended(at(9), Lost, false);
    assert_eq!(word.due(Lost, Open), Some(at(10)));
    word.forget();
    assert_eq!(word.due(Lost, Open), Some(Moment::ZERO));
}
