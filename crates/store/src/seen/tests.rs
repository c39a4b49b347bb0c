use super::*;

fn web() -> Space {
    Space::new("web").expect("a space")
}

fn at(revision: u64, mark: &str) -> Cursor {
    Cursor { revision: Revision(revision), mark: mark.as_bytes().to_vec() }
}

fn sight(floor: u64, known: Option<Cursor>) -> Sight {
    Sight { floor: Revision(floor), known }
}

#[test]
fn the_number_only_grows_and_what_is_known_stays_until_more_is_proved() {
    let seen = Seen::default();
    assert_eq!(seen.of(&web()), sight(0, None));
    seen.saw(&web(), &Cursor::START);
    assert_eq!(seen.of(&web()), sight(0, None));
    seen.saw(&web(), &at(3, "a"));
    seen.saw(&web(), &at(2, "b"));
    assert_eq!(seen.of(&web()), sight(3, Some(at(3, "a"))));
    // It may be of another history: its number counts, and what was known is not forgotten over it.
    seen.saw(&web(), &at(5, "c"));
    seen.read(&web(), [at(4, "d"), at(6, "e")].iter());
    assert_eq!(seen.of(&web()), sight(6, Some(at(3, "a"))));
    seen.read(&web(), [at(3, "a"), at(7, "f")].iter());
    assert_eq!(seen.of(&web()), sight(7, Some(at(7, "f"))));
    seen.committed(&web(), &at(9, "g"));
    // An answer that was overtaken.
    seen.committed(&web(), &at(8, "h"));
    assert_eq!(seen.of(&web()), sight(9, Some(at(9, "g"))));
    assert_eq!(seen.of(&Space::new("other").expect("a space")), sight(0, None));
}

#[test]
fn what_was_of_another_history_leaves_its_number() {
    let seen = Seen::default();
    seen.committed(&web(), &at(9, "a"));
    // Who learns of it late changes nothing of what was seen since.
    seen.was_another(&web(), &sight(7, Some(at(7, "b"))));
    assert_eq!(seen.of(&web()), sight(9, Some(at(9, "a"))));
    seen.was_another(&web(), &seen.of(&web()));
    assert_eq!(seen.of(&web()), sight(9, None));
    seen.saw(&web(), &at(5, "c"));
    assert_eq!(seen.of(&web()), sight(9, None), "it stands where it cannot go on");
    seen.committed(&web(), &at(10, "d"));
    assert_eq!(seen.of(&web()), sight(10, Some(at(10, "d"))));
}
