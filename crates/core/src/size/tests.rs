use alloc::string::ToString;

use super::*;

#[test]
fn a_size_reads_as_it_is_written() {
    for (text, bytes) in [
        ("0B", 0),
        ("1B", 1),
        ("1023B", 1023),
        ("1KiB", 1024),
        ("1025B", 1025),
        ("32KiB", 32 << 10),
        ("1536KiB", 1536 << 10),
        ("10MiB", 10 << 20),
        ("2GiB", 2 << 30),
        ("16777215TiB", 16_777_215 << 40),
        ("18446744073709551615B", u64::MAX),
    ] {
        assert_eq!(text.parse(), Ok(Size::from_bytes(bytes)), "{text}");
        assert_eq!(Size::from_bytes(bytes).to_string(), text);
    }
    assert_eq!("2048KiB".parse::<Size>().unwrap().to_string(), "2MiB", "the largest unit");
}

#[test]
fn anything_else_is_told_what_would_be_right() {
    for text in
        ["", "32", "KiB", "32 KiB", "32K", "32kib", "32KB", "1.5MiB", "-1B", "+1B", "16777216TiB", "9e9B", "1KiB "]
    {
        let error = text.parse::<Size>().unwrap_err().to_string();
        assert!(error.contains("such as 512B, 32KiB, 10MiB or 2GiB"), "{text:?}: {error}");
    }
}
