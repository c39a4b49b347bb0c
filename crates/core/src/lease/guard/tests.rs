use super::*;

#[test]
fn golden_vouches() {
    for (valid_ns, drift, expected_ns) in [
        (2_400_000_000, 100, 1_963_636_363),
        (2_400_000_000, 0, 2_400_000_000),
        (1, 100, 0),
        (0, 100, 0),
        (u64::MAX, 110, 14_790_632_635_677_027_871),
        (1_000, 5_000, 0),
    ] {
        let until = RouteGuard::default().vouched(Moment::ZERO, Epoch(1), Duration::from_nanos(valid_ns), drift);
        assert_eq!(until, Some(Moment::from_nanos(expected_ns)), "{valid_ns}ns at {drift}");
    }
    let late = RouteGuard::default().vouched(Moment::MAX, Epoch(1), Duration::MAX, 100);
    assert_eq!(late, Some(Moment::MAX), "saturates");
}

#[test]
fn an_overtaken_epoch_is_never_forwarded_to() {
    let (mut guard, second) = (RouteGuard::default(), Duration::from_secs(1));
    assert!(guard.vouched(Moment::ZERO, Epoch(5), second, 100).is_some());
    assert!(guard.vouched(Moment::ZERO, Epoch(4), second, 100).is_none(), "lower than one that vouched");
    guard.saw(Epoch(7));
    assert!(!guard.admits(Epoch(5)), "a record overtook the one in use");
    assert!(guard.vouched(Moment::ZERO, Epoch(6), second, 100).is_none(), "lower than one in a record");
    assert!(guard.vouched(Moment::ZERO, Epoch(7), second, 100).is_some());
    guard.saw(Epoch(2));
    assert_eq!(guard.highest(), Epoch(7));
}
