use super::*;

#[test]
fn the_end_of_a_prefix_comes_after_all_of_it() {
    assert_eq!(end_of(b"client/"), Some(b"client0".to_vec()));
    assert_eq!(end_of(b"a\xff\xff"), Some(b"b".to_vec()));
    assert_eq!(end_of(b"\xff\xff"), None);
    assert_eq!(end_of(b""), None);
}
