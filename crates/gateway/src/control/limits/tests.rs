use super::*;

#[test]
fn a_storm_is_told_when_it_begins_and_then_now_and_then() {
    let mut told = Told { limit: Limit::ConnectionsPerSource, times: 0, at: None };
    let at = |seconds| Moment::ZERO + Duration::from_secs(1_000 + seconds);
    assert_eq!(told.news(0, at(0)), None);
    assert_eq!(told.news(5, at(1)), Some(5), "at once");
    // A thousand a second for ten minutes.
    let lines: Vec<u64> = (2..=600).filter_map(|second| told.news(5 + second * 1_000, at(second))).collect();
    assert_eq!(lines.len(), 9, "{lines:?}");
    assert_eq!(lines[1..], [60_000; 8], "what was not told meanwhile is in the next line");
    assert_eq!(told.news(601_000, at(700)), Some(601_000 - 5 - 541_000), "what came after the last line is told, too");
    assert_eq!(told.news(601_000, at(9_000)), None);
}
