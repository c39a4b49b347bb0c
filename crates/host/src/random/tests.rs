use super::*;

#[test]
fn no_two_tokens_are_equal() {
    let (one, other) = (token(), token());
    assert_eq!(one.len(), 64);
    assert!(one.bytes().all(|b| b.is_ascii_hexdigit()));
    assert_ne!(one, other);
}

#[test]
fn secrets_are_compared_whole() {
    for (one, other, equal) in
        [("", "", true), ("abc", "abc", true), ("abc", "abd", false), ("abc", "xbc", false), ("abc", "abcd", false)]
    {
        assert_eq!(secrets_equal(one.as_bytes(), other.as_bytes()), equal, "{one:?} {other:?}");
    }
}
