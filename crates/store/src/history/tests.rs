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

const EVERY: Duration = Duration::from_secs(1);

/// What a watch says within ten of its intervals; `None`: nothing.
async fn said(watch: &mut HistoryWatch) -> Option<Result<Notice, Error>> {
    tokio::time::timeout(10 * EVERY, watch.next()).await.ok()
}

fn at(revision: u64, mark: u8) -> Cursor {
    Cursor { revision: Revision(revision), mark: vec![mark] }
}

fn progress(cursor: &Cursor) -> Option<Result<Notice, Error>> {
    Some(Ok(Notice::Progress(cursor.clone())))
}

fn is_compacted(watch: Result<HistoryWatch, Error>) -> bool {
    matches!(watch, Err(Error::Compacted(..)))
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_here_says_that_it_is_there_without_being_asked() {
    let history = Arc::new(History::new(LogBound::default(), Revision::default()));
    let mut watch = history.watch(&[b""], Cursor::START, EVERY).expect("the beginning");
    for _ in 0..3 {
        assert_eq!(said(&mut watch).await, progress(&Cursor::START));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_fed_says_nothing_that_its_feed_has_not_heard() {
    let begin = at(7, 1);
    let history = Arc::new(History::fed(LogBound::default(), begin.clone()));
    let mut watch = history.watch(&[b""], begin.clone(), EVERY).expect("where it begins");
    assert_eq!(said(&mut watch).await, None, "no proof without contact");
    history.contact(begin.clone());
    assert_eq!(said(&mut watch).await, progress(&begin));
    assert_eq!(said(&mut watch).await, None, "one contact is told once");

    // Due already, it is told when it comes, and stands where the log's keeper says.
    let later = at(9, 2);
    let contact = async {
        tokio::time::sleep(3 * EVERY / 2).await;
        history.contact(later.clone());
    };
    let (told, ()) = tokio::join!(watch.next(), contact);
    assert_eq!(Some(told), progress(&later));

    // A commit is contact, and the next silence is silence.
    history.push(commit(10));
    assert!(matches!(said(&mut watch).await, Some(Ok(Notice::Committed(_)))));
    assert_eq!(said(&mut watch).await, None);
    // Who joins learns nothing from before it came.
    let mut second = history.watch(&[b""], begin, EVERY).expect("where it begins");
    assert_eq!(said(&mut second).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_wait_given_up_does_not_put_progress_off() {
    let history = Arc::new(History::fed(LogBound::default(), at(7, 1)));
    let mut watch = history.watch(&[b""], at(7, 1), EVERY).expect("where it begins");
    history.contact(at(7, 1));
    assert_eq!(said(&mut watch).await, progress(&at(7, 1)));
    assert!(tokio::time::timeout(3 * EVERY / 2, watch.next()).await.is_err(), "no contact yet");
    history.contact(at(7, 1));
    let at_once = tokio::time::timeout(EVERY / 4, watch.next()).await;
    assert_eq!(at_once.ok(), progress(&at(7, 1)), "it was due already");
}

#[tokio::test(start_paused = true)]
async fn what_is_fed_is_joined_where_it_begins_and_not_before() {
    let bound = LogBound { commits: 2, ..LogBound::default() };
    let history = Arc::new(History::fed(bound, at(7, 1)));
    let watch = |from: Cursor| history.watch(&[b""], from, EVERY);
    assert!(is_compacted(watch(at(6, 1))) && is_compacted(watch(Cursor::START)));
    assert!(is_compacted(watch(at(7, 2))), "another history");
    assert!(is_compacted(watch(at(8, 1))), "further than was fed");
    assert!(watch(at(7, 1)).is_ok());

    // The commit where it begins may come first, and is shown as such.
    let first = Committed { cursor: at(7, 1), ..commit(7) };
    history.push(first.clone());
    let mut joined = watch(at(7, 1)).expect("the commit where it begins");
    history.contact(at(7, 1));
    assert_eq!(said(&mut joined).await, Some(Ok(Notice::Committed(first))));
    history.push(commit(8));
    assert!(watch(at(7, 1)).is_ok());
    history.push(commit(9));
    assert!(is_compacted(watch(at(7, 1))), "it was trimmed");
}
