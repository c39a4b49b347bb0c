use super::*;

fn key(text: &str) -> ClientKey {
    text.parse().unwrap()
}

fn due(index: &mut Index, tick: u64) -> Vec<String> {
    let mut due: Vec<String> = index.take_due(Tick(tick), 1_000).iter().map(ToString::to_string).collect();
    due.sort();
    due
}

#[test]
fn who_is_refreshed_ends_when_the_last_refresh_says() {
    let mut index = Index::default();
    index.learn(&key("a"), Some(Tick(10)));
    index.learn(&key("b"), Some(Tick(10)));
    index.learn(&key("a"), Some(Tick(20)));
    assert_eq!(due(&mut index, 9), Vec::<String>::new());
    assert_eq!(due(&mut index, 10), ["b"]);
    assert_eq!(due(&mut index, 19), Vec::<String>::new());
    assert_eq!(due(&mut index, 20), ["a"]);
    assert_eq!((due(&mut index, 30).len(), index.len()), (0, 0));
}

#[test]
fn an_end_that_comes_sooner_counts_and_is_told_once() {
    let mut index = Index::default();
    index.learn(&key("a"), Some(Tick(100)));
    index.learn(&key("a"), Some(Tick(5)));
    assert_eq!(due(&mut index, 5), ["a"]);
    assert_eq!(due(&mut index, 200), Vec::<String>::new());
}

#[test]
fn what_is_far_ahead_or_never_or_forgotten_is_not_lost_and_not_kept() {
    let mut index = Index::default();
    index.learn(&key("far"), Some(Tick(500_000)));
    index.learn(&key("never"), Some(Tick::NEVER));
    index.learn(&key("gone"), Some(Tick(3)));
    index.learn(&key("gone"), None);
    assert_eq!(index.len(), 1);
    for tick in [4, 120, 240, 499_999] {
        assert_eq!(due(&mut index, tick), Vec::<String>::new());
    }
    assert_eq!(due(&mut index, 500_000), ["far"]);
}

#[test]
fn cycling_between_near_and_far_leaves_no_entries_behind() {
    let mut index = Index::default();
    for tick in 0..5_000 {
        index.learn(&key("a"), Some(Tick(tick + 2)));
        index.take_due(Tick(tick), 10);
        index.learn(&key("a"), Some(Tick(tick + 500_000)));
    }
    let entries: usize = index.due.values().map(Vec::len).sum();
    assert!(entries <= HORIZON_TICKS as usize + 1, "{entries}");
}

#[test]
fn no_more_than_asked_for_at_once_and_what_was_read_late_does_not_overrule_what_was_heard() {
    let mut index = Index::default();
    for n in 0..10 {
        index.learn(&key(&format!("c{n}")), Some(Tick(1)));
        index.learn_if_new(&key(&format!("c{n}")), Tick(900));
    }
    assert_eq!(index.take_due(Tick(1), 4).len(), 4);
    assert_eq!(index.take_due(Tick(1), 100).len(), 6);
}
