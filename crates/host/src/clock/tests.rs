use super::*;

#[test]
fn the_clock_goes_forward() {
    let earlier = now();
    assert!(earlier > Moment::ZERO);
    assert!(now() >= earlier);
}

#[tokio::test]
async fn a_sleeper_never_wakes_early() {
    for ms in [0, 1, 7, 30] {
        let deadline = now() + Duration::from_millis(ms);
        sleep_until(deadline).await;
        assert!(now() >= deadline);
    }
}

#[tokio::test]
async fn a_deadline_ends_waiting_and_a_finished_piece_of_work_wins() {
    assert_eq!(timeout_at(now() + Duration::from_millis(5), std::future::pending::<()>()).await, None);
    assert_eq!(timeout_at(Moment::ZERO, async { 7 }).await, Some(7), "what is ready is not lost to a past deadline");
}

#[test]
fn wall_times_are_written_as_rfc_3339() {
    for (ms, text) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (951_868_799_999, "2000-02-29T23:59:59.999Z"),
        (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
        (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
        (1_740_787_200_000, "2025-03-01T00:00:00.000Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (1_234_567_890_123, "2009-02-13T23:31:30.123Z"),
    ] {
        assert_eq!(WallTime::from_unix_millis(ms).to_string(), text);
        assert_eq!(text.parse(), Ok(WallTime::from_unix_millis(ms)));
    }
    for text in [
        "",
        "now",
        "2026-02-30T00:00:00.000Z",
        "2026-01-01T24:00:00.000Z",
        "2026-01-01T00:00:00Z",
        "2026-01-01 00:00:00.000Z",
    ] {
        assert!(text.parse::<WallTime>().is_err(), "{text:?} must be refused");
    }
    assert!(wall().unix_millis() > 1_700_000_000_000);
}

#[test]
fn the_boot_has_a_name_that_stays() {
    let id = boot_id().unwrap();
    assert_eq!(id.len(), 36);
    assert_eq!(id, boot_id().unwrap());
}
