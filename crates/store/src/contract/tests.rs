use super::*;

#[test]
fn a_cursor_reads_back_from_its_text_and_nothing_else_does() {
    for cursor in [Cursor::START, Cursor { revision: Revision(u64::MAX), mark: vec![0, 0x9f, 0xff] }] {
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }
    assert_eq!(Cursor { revision: Revision(42), mark: vec![0x9f, 0x3c] }.to_string(), "42.9f3c");
    for text in ["", "1", ".", "1.f", "1.FF", "+1.", "1.é", "99999999999999999999."] {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
    }
}
