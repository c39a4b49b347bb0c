use std::fs;

use super::*;

fn known(text: &str) -> Known {
    Known { now: Arc::new(text.to_owned()), before: None }
}

#[test]
fn the_token_of_before_counts_for_a_while_and_the_one_before_that_not_at_all() {
    let start = Moment::from_nanos(1_000_000_000);
    let mut known = known("one");
    known.learn(start, Arc::new("two".to_owned()));
    let end = start + BEFORE_COUNTS;
    let almost = start + (BEFORE_COUNTS - Duration::from_millis(1));
    assert!(known.has(almost, b"one") && known.has(almost, b"two"));
    assert!(!known.has(end, b"one") && known.has(end, b"two"));
    assert!(!known.has(almost, b"") && !known.has(almost, b"three"));

    known.learn(almost, Arc::new("three".to_owned()));
    assert!(!known.has(almost, b"one") && known.has(almost, b"two") && known.has(almost, b"three"));
    known.learn(almost + BEFORE_COUNTS, Arc::new("three".to_owned()));
    assert!(known.before.is_none(), "nothing is kept of what counts no more");
}

#[test]
fn a_token_that_was_just_written_counts_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    fs::write(&path, "one").unwrap();
    let file = Reread::open(vec![path.clone()], 64, |contents| {
        String::from_utf8(contents[0].clone()).map_err(|error| error.to_string())
    });
    let token = OwnToken::from(file.unwrap());
    assert!(token.is(b"one") && !token.is(b"two"));
    fs::write(&path, "two").unwrap();
    assert!(token.is(b"two") && token.is(b"one"));
}
