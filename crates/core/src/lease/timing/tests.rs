use alloc::string::ToString;

use super::*;

fn timing(ttl_ms: u64, drift_milli: u32) -> Result<Timing, Unsafe> {
    Timing::new(Span::from_millis(ttl_ms), drift_milli, Span::ZERO)
}

/// What two agents must agree on.
#[test]
fn golden_spans() {
    for (ttl, margin, renew, timeout, retry, progress) in [
        (3_000, 600_000, 750_000, 500_000, 125_000, 250_000),
        (2_475, 495_000, 618_750, 412_500, 103_125, 206_250),
        (10_000, 2_000_000, 2_500_000, 1_666_666, 416_666, 833_333),
        (60_000, 12_000_000, 15_000_000, 10_000_000, 2_500_000, 5_000_000),
    ] {
        let timing = timing(ttl, 100).unwrap();
        let pace = timing.pace();
        let spans =
            [timing.margin(), timing.renew_every(), timing.try_timeout(), pace.retry_after(), timing.progress_every()];
        assert_eq!(spans.map(|s| s.as_micros()), [margin, renew, timeout, retry, progress], "{ttl}ms");
    }
    assert_eq!(Timing::new(Timing::DEFAULT_TTL, Timing::DEFAULT_DRIFT_MILLI, Span::ZERO), Ok(Timing::default()));
}

#[test]
fn the_smallest_ttl_is_right_and_a_millisecond_less_is_not() {
    for (drift, smallest_ms) in [(0, 273), (10, 275), (50, 454), (80, 888), (100, 2_475), (110, 24_698)] {
        assert_eq!(smallest(drift).as_millis(), smallest_ms, "drift {drift}");
        assert!(timing(smallest_ms, drift).is_ok(), "{smallest_ms}ms at drift {drift}");
        assert!(timing(smallest_ms - 1, drift).is_err(), "{}ms at drift {drift}", smallest_ms - 1);
    }
}

#[test]
fn a_refusal_says_which_inequality_and_what_would_be_right() {
    for (ttl, drift, expected) in [
        (
            1_000,
            100,
            "lease_ttl 1s is too short with clock_drift 0.1: a holder may serve (TTL - margin)/(1 - drift) + cut = \
            (1s - 200ms)/(1 - 0.1) + 50ms = 939ms, a successor may wait only TTL/(1 + drift) = 909ms; lease_ttl must be 2s475ms or more",
        ),
        (
            260,
            0,
            "lease_ttl 260ms is too short: renew_every + tries x try_timeout = 65ms + 3 x 50ms is more than \
            TTL - margin = 208ms; lease_ttl must be 273ms or more",
        ),
        (
            0,
            0,
            "lease_ttl 0s is too short with clock_drift 0.0: a holder may serve (TTL - margin)/(1 - drift) + cut = \
            (0s - 0ms)/(1 - 0.0) + 50ms = 50ms, a successor may wait only TTL/(1 + drift) = 0ms; lease_ttl must be 273ms or more",
        ),
        (
            3_000,
            125,
            "clock_drift 0.125 is too much: the margin of 0.2 TTL covers clocks that differ by up to 0.11 \
            (set clock_drift to 0.11 or less)",
        ),
        (3_600_001, 100, "lease_ttl 1h1ms is too long: 1h at most"),
        (u64::MAX, 0, "lease_ttl 213503982334d14h25m51s615ms is too long: 1h at most"),
    ] {
        assert_eq!(timing(ttl, drift).unwrap_err().to_string(), expected);
    }
    let error = Timing::new(Timing::DEFAULT_TTL, 100, Span::from_millis(7_200_000)).unwrap_err();
    assert_eq!(error.to_string(), "release_after 2h is too long: 1h at most");
}

#[test]
fn the_shortest_ttl_that_lasts() {
    for ms in [0_u64, 1, 2, 4, 5, 799, 800, 801, 2_400] {
        for nanos in [0, 1, 999_999] {
            let span = Duration::from_nanos(ms * 1_000_000 + nanos);
            let pace = Pace::lasting(span);
            assert!(pace.lasts() >= span, "{span:?}");
            let shorter = Pace(Span::from_millis(pace.0.as_millis().saturating_sub(1)));
            assert!(shorter.lasts() < span || span.is_zero(), "{span:?}");
        }
    }
    assert_eq!(Pace::lasting(Duration::MAX).0, LONGEST_TTL);
}
