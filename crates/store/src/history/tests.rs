use super::*;

fn commit(revision: u64) -> Committed {
    let cursor = Cursor { revision: Revision(revision), mark: fresh_mark() };
    Committed { cursor, changes: vec![(b"a".to_vec(), None)] }
}

#[test]
fn what_is_old_is_not_kept_but_for_the_last_ones() {
    let kept = |age| {
        let history = History::new(LogBound { age, ..LogBound::default() }, Revision::default());
        (1..=1_000).for_each(|revision| history.push(commit(revision)));
        let kept = history.kept();
        (
            kept.entries.len(),
            kept.base,
            kept.bytes == kept.entries.iter().map(|(_, one)| entry_bytes(one)).sum::<usize>(),
        )
    };
    // Nothing is older than an hour here, and all but what comes in the same instant is older than no time at all.
    assert_eq!(kept(Duration::from_secs(3_600)), (1_000, Revision(0), true));
    let (entries, base, adds_up) = kept(Duration::ZERO);
    assert!((KEPT_AT_LEAST..1_000).contains(&entries) && base == Revision(1_000 - entries as u64) && adds_up);
}
