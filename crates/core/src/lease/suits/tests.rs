use super::*;

const DRIFTS: [u32; 3] = [0, 100, 110];

fn timing(ttl: Span, drift_milli: u32) -> Option<Timing> {
    Timing::new(ttl, drift_milli, Span::ZERO).ok()
}

fn quickness(commit_ms: u64, read_ms: u64, pace_ms: u64) -> Quickness {
    let ms = Duration::from_millis;
    Quickness { commit: ms(commit_ms), read: ms(read_ms), pace: ms(pace_ms) }
}

/// With the default TTL of 3 s a try has 500 ms, and contact is due every 750 ms.
#[test]
fn the_default_lease_on_stores_of_every_kind() {
    for (commit, read, pace, grade, least_ms) in [
        (0, 0, 0, Fit::Fits, 2_475),
        (9, 1, 250, Fit::Fits, 2_475),
        (250, 1, 250, Fit::Fits, 3_000),
        (251, 1, 250, Fit::Tight, 3_012),
        (500, 1, 250, Fit::Tight, 6_000),
        (501, 1, 250, Fit::TooSlow, 6_012),
        (9, 500, 0, Fit::Fits, 3_000),
        (9, 501, 0, Fit::TooSlow, 3_006),
        (9, 1, 749, Fit::Fits, 3_000),
        (9, 2, 749, Fit::TooSlow, 3_004),
        (20, 20, 1_000, Fit::TooSlow, 4_080),
    ] {
        let suits = Timing::default().on(quickness(commit, read, pace));
        let what = (commit, read, pace);
        assert_eq!((suits.fit, suits.least_ttl), (grade, Some(Span::from_millis(least_ms))), "{what:?}");
    }
}

#[test]
fn the_least_ttl_fits_and_a_millisecond_less_does_not() {
    for commit in [0, 1, 25, 26, 40, 300, 5_000] {
        for read in [0, 3, 90, 1_000] {
            for pace in [0, 250, 1_000, 60_000] {
                for drift in DRIFTS {
                    let quickness = quickness(commit, read, pace);
                    let any = timing(LONGEST_TTL, drift).unwrap();
                    let least = any.on(quickness).least_ttl.unwrap();
                    let fits = |ttl| timing(ttl, drift).is_some_and(|it| it.on(quickness).fit == Fit::Fits);
                    assert!(fits(least), "{quickness:?} with drift {drift}: {least}");
                    let less = Span::from_millis(least.as_millis() - 1);
                    assert!(!fits(less), "{quickness:?} with drift {drift}: {less} fits too");
                }
            }
        }
    }
}

#[test]
fn no_ttl_is_right_for_a_store_that_takes_minutes() {
    let suits = Timing::default().on(quickness(600_000, 1, 0));
    assert_eq!((suits.fit, suits.least_ttl), (Fit::TooSlow, None));
    let never = Quickness { commit: Duration::MAX, read: Duration::MAX, pace: Duration::MAX };
    assert_eq!(Timing::default().on(never).least_ttl, None);
}
