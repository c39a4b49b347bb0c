use super::*;
use crate::Revision;

#[test]
fn the_highest_counts_and_its_mark_until_it_is_known_to_be_another_history() {
    let (web, at) = (Space::new("web").expect("a space"), |revision, mark: &[u8]| Cursor {
        revision: Revision(revision),
        mark: mark.to_vec(),
    });
    let seen = Seen::default();
    assert_eq!(seen.of(&web), Cursor::START);
    for (saw, highest) in [(at(3, b"a"), at(3, b"a")), (at(2, b"b"), at(3, b"a")), (at(3, b"c"), at(3, b"a"))] {
        seen.saw(&web, &saw);
        assert_eq!(seen.of(&web), highest);
    }
    assert_eq!(seen.of(&Space::new("other").expect("a space")), Cursor::START);
    // Who learns of it late changes nothing of what was seen since.
    seen.was_another(&web, &at(2, b"b"));
    assert_eq!(seen.of(&web), at(3, b"a"));
    seen.was_another(&web, &at(3, b"a"));
    assert_eq!(seen.of(&web), at(3, b""));
    seen.saw(&web, &at(4, b"d"));
    assert_eq!(seen.of(&web), at(4, b"d"));
}
