use super::*;

fn tag(version: u64) -> Tag {
    Tag { version: Revision(version), etag: format!("W/\"{version}\"") }
}

#[test]
fn what_was_learnt_is_certain_until_the_head_is_another_one() {
    let mut tags = Tags::default();
    tags.learn(b"a", tag(1));
    assert_eq!(tags.get(b"a"), Some((&tag(1), true)));
    tags.doubt();
    assert_eq!(tags.get(b"a"), Some((&tag(1), false)));
    tags.learn(b"b", tag(2));
    assert_eq!(tags.get(b"b"), Some((&tag(2), true)));
    tags.forget(b"a");
    assert_eq!(tags.get(b"a"), None);
}

#[test]
fn no_more_is_remembered_than_two_generations() {
    let mut tags = Tags::default();
    let name = |n: usize| n.to_be_bytes();
    for n in 0..3 * GENERATION {
        tags.learn(&name(n), tag(1));
        tags.learn(&name(n), tag(2));
    }
    assert!(tags.young.len() + tags.old.len() <= 2 * GENERATION);
    assert_eq!(tags.get(&name(0)), None);
    assert_eq!(tags.get(&name(3 * GENERATION - 1)), Some((&tag(2), true)));
    assert_eq!(tags.get(&name(2 * GENERATION - 1)), Some((&tag(2), true)), "the generation before is still there");
}
