use super::*;

fn at(ms: u64) -> Moment {
    Moment::from_nanos(ms * 1_000_000)
}

fn by(who: &str, epoch: u64) -> Result<Answer, String> {
    Ok(Answer { who: who.to_owned(), epoch: Some(epoch) })
}

fn news(who: &str, epoch: u64, from: Option<&str>, gap: Option<u64>, failed: u64) -> Option<News> {
    let gap = gap.map(Duration::from_millis);
    Some(News::Answers { who: who.to_owned(), epoch: Some(epoch), from: from.map(str::to_owned), gap, failed })
}

#[test]
fn what_is_new_is_told_and_nothing_else() {
    let mut tally = Tally::new(at(0));
    assert_eq!(tally.take(at(10), by("a", 1)), news("a", 1, None, None, 0));
    assert_eq!(tally.take(at(60), by("a", 1)), None);
    assert_eq!(tally.take(at(244), by("b", 2)), news("b", 2, Some("a"), Some(184), 0));
    assert_eq!(tally.take(at(300), Err("refused".into())), Some(News::Fails { reason: "refused".into() }));
    assert_eq!(tally.take(at(350), Err("refused".into())), None, "told once");
    assert_eq!(tally.take(at(400), by("b", 2)), news("b", 2, None, Some(156), 2));
    assert_eq!(tally.take(at(450), by("b", 3)), news("b", 3, None, Some(50), 0), "the same, newly elected");
    assert_eq!((tally.requests, tally.failed, tally.changes), (7, 2, 1));
    assert_eq!(tally.longest_gap, Duration::from_millis(184));
}

#[test]
fn a_gap_that_has_not_ended_counts() {
    let mut tally = Tally::new(at(0));
    tally.take(at(10), by("a", 1));
    tally.take(at(5_010), Err("timed out".into()));
    assert_eq!(tally.longest_gap, Duration::from_secs(5));
}
