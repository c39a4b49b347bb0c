use alloc::string::ToString;

use super::*;

fn settings(ttl_ms: u64, drift_milli: u32, park_ms: u64) -> Result<SingleSettings, BadSettings> {
    SingleSettings::new(Span::from_millis(ttl_ms), drift_milli, Span::ZERO, Span::from_millis(park_ms))
}

#[test]
fn the_defaults_are_what_the_file_says_and_pass() {
    assert_eq!(settings(3_000, 100, 10_000), Ok(SingleSettings::default()));
    assert_eq!(SetSettings::Single(SingleSettings::default()).kind(), "single");
}

#[test]
fn a_value_out_of_bounds_is_refused_with_what_would_be_right() {
    assert!(settings(3_000, 100, 0).is_ok(), "no parking");
    assert!(settings(3_000, 100, 600_000).is_ok());
    assert_eq!(settings(3_000, 100, 600_001).unwrap_err().to_string(), "park_for 10m1ms is too long: 10m at most");
    assert!(settings(1_000, 100, 0).unwrap_err().to_string().contains("lease_ttl must be 2s475ms or more"));
}
