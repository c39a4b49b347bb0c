use alloc::string::ToString;

use super::*;

#[test]
fn spans_read_as_they_are_written() {
    for (text, ms) in [
        ("0s", 0),
        ("1ms", 1),
        ("250ms", 250),
        ("3s", 3_000),
        ("1s500ms", 1_500),
        ("1m30s", 90_000),
        ("1d", 86_400_000),
        ("30d", 2_592_000_000),
    ] {
        assert_eq!(text.parse(), Ok(Span::from_millis(ms)), "{text}");
        assert_eq!(Span::from_millis(ms).to_string(), text);
    }
    assert_eq!("24h".parse(), Ok(Span::from_millis(86_400_000)));
    for text in
        ["", "3", "s", "3 s", "-1s", "1.5s", "1s1m", "1s1s", "3sec", "99999999999999999999s", "1000000000000000d"]
    {
        assert!(text.parse::<Span>().is_err(), "{text:?} must be refused");
    }
}

#[test]
fn moments_saturate_instead_of_wrapping() {
    assert_eq!(Moment::MAX + Duration::from_secs(1), Moment::MAX);
    assert_eq!(Moment::ZERO - Duration::from_secs(1), Moment::ZERO);
    assert_eq!(Moment::ZERO.since(Moment::MAX), Duration::ZERO);
}
