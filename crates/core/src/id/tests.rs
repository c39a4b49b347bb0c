use alloc::string::ToString;

use super::*;

#[test]
fn names_are_kept_as_written_or_refused() {
    for text in ["web", "a", "web-1_b", "0"] {
        assert_eq!(text.parse::<SetName>().unwrap().to_string(), text);
    }
    for text in ["", "-web", "Web", "we b", "web/1", "wéb", &"x".repeat(64)] {
        assert!(text.parse::<SetName>().is_err(), "{text:?} must be refused");
    }
    for text in ["web-1", "Host.example.org", "10.0.0.4"] {
        assert_eq!(text.parse::<InstanceId>().unwrap().to_string(), text);
    }
    for text in ["", ".hidden", "a/b", "a b", "a\n", &"x".repeat(129)] {
        assert!(text.parse::<InstanceId>().is_err(), "{text:?} must be refused");
    }
}

#[test]
fn numbers_have_one_text_form() {
    assert_eq!(Incarnation(0xab).to_string(), "00000000000000ab");
    assert_eq!("00000000000000ab".parse(), Ok(Incarnation(0xab)));
    for text in ["", "ab", "00000000000000AB", "+0000000000000ab", "00000000000000abc"] {
        assert!(text.parse::<Nonce>().is_err(), "{text:?} must be refused");
    }
    assert_eq!("7".parse(), Ok(Epoch(7)));
    assert!("-1".parse::<Epoch>().is_err());
}

#[test]
fn an_error_says_what_was_found_and_what_would_be_right() {
    let error = "We b".parse::<SetName>().unwrap_err().to_string();
    assert!(error.contains("\"We b\"") && error.contains("a set's name") && error.contains("a-z"), "{error}");
}
