use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::time::sleep;

use super::tail::{Entry, Head, LogPage, Paged, Pages};
use super::*;
use crate::history::fresh_mark;
use crate::{Named, Record};

const EVERY: Duration = Duration::from_secs(1);

/// An engine in memory that can do what engines do: lose, trim, be rolled back, fail, hang.
#[derive(Debug, Default)]
struct Engine {
    state: Mutex<State>,
    pages: AtomicUsize,
    heads: AtomicUsize,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// Counts beats, too.
    revision: u64,
    log: Vec<Entry>,
    logged: Option<Cursor>,
    base: Revision,
    failing: bool,
    hanging: bool,
    /// How long an answer is under way.
    late: Duration,
}

impl Engine {
    fn commit(&self, names: &[&str]) -> Cursor {
        let mut state = locked(&self.state);
        state.revision += 1;
        let cursor = Cursor { revision: Revision(state.revision), mark: fresh_mark() };
        let record = Record { version: cursor.revision, value: Bytes::from_static(b"x") };
        let changes = names.iter().map(|name| (name.as_bytes().to_vec(), Some(record.clone()))).collect();
        let prev = state.logged.replace(cursor.clone()).map_or_else(Vec::new, |before| before.mark);
        state.log.push(Entry { cursor: cursor.clone(), prev, changes });
        cursor
    }

    fn on<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut locked(&self.state))
    }

    /// All as it was then.
    fn bring_back(&self, then: &State) {
        *locked(&self.state) = then.clone();
    }

    fn trim(&self, upto: &Cursor) {
        self.on(|state| {
            state.log.retain(|entry| entry.cursor.revision > upto.revision);
            state.base = upto.revision;
        });
    }

    async fn look(&self, count: &AtomicUsize) -> Result<State, Error> {
        count.fetch_add(1, Ordering::Relaxed);
        let state = locked(&self.state).clone();
        if state.hanging {
            sleep(Duration::from_secs(3)).await;
            return Err(Error::Unavailable("no answer".to_owned()));
        }
        sleep(state.late).await;
        if state.failing { Err(Error::Unavailable("it fails".to_owned())) } else { Ok(state) }
    }

    fn looks(&self) -> (usize, usize) {
        (self.pages.swap(0, Ordering::Relaxed), self.heads.swap(0, Ordering::Relaxed))
    }
}

impl State {
    fn head(&self) -> Head {
        Head { logged: self.logged.clone().unwrap_or(Cursor::START), base: self.base }
    }
}

#[async_trait]
impl Pages for Engine {
    async fn page(
        &self,
        _space: &Space,
        bulk: bool,
        from: Revision,
        limit: usize,
        _within: Duration,
    ) -> Result<LogPage, Error> {
        let state = self.look(&self.pages).await?;
        let begin = state.log.partition_point(|entry| entry.cursor.revision <= from).saturating_sub(1);
        let rest = &state.log[begin..];
        let mut entries: Vec<Entry> = rest.iter().take(limit).cloned().collect();
        let is_shown = |(name, _): &Named| bulk || !name.starts_with(BULK);
        entries.iter_mut().for_each(|entry| entry.changes.retain(is_shown));
        Ok(LogPage { entries, head: state.head(), more: rest.len() > limit })
    }

    async fn heads(&self, spaces: &[Space], _within: Duration) -> Result<Vec<Head>, Error> {
        let state = self.look(&self.heads).await?;
        Ok(spaces.iter().map(|_| state.head()).collect())
    }

    fn look_every(&self, wished: Duration) -> Duration {
        wished
    }
}

fn space(name: &str) -> Space {
    Space::new(name).unwrap()
}

struct Process {
    engine: Arc<Engine>,
    feeds: Feeds<Paged<Engine>>,
}

impl Process {
    fn new() -> Process {
        Process::of(&Arc::default())
    }

    fn of(engine: &Arc<Engine>) -> Process {
        let feeds = Feeds::new(Arc::new(Paged::new(Arc::clone(engine))), LogBound::default());
        Process { engine: Arc::clone(engine), feeds }
    }

    async fn watch(&self, from: &Cursor) -> Box<dyn Watch> {
        self.try_watch(from).await.unwrap_or_else(|error| panic!("from {from}: {error}"))
    }

    async fn try_watch(&self, from: &Cursor) -> Result<Box<dyn Watch>, Error> {
        self.feeds.watch(&space("web"), &[b""], from.clone(), EVERY).await
    }

    /// Commits, and says so.
    fn commit(&self, names: &[&str]) -> Cursor {
        let cursor = self.engine.commit(names);
        self.feeds.wake(&space("web"), cursor.revision);
        cursor
    }

    fn running(&self) -> usize {
        self.feeds.running(&space("web"), false).len() + self.feeds.running(&space("web"), true).len()
    }
}

/// What a watch says within many of its intervals; `None`: nothing.
async fn said(watch: &mut Box<dyn Watch>) -> Option<Result<Notice, Error>> {
    timeout(100 * EVERY, watch.next()).await.ok()
}

/// The next commit.
async fn commit(watch: &mut Box<dyn Watch>) -> Committed {
    loop {
        match said(watch).await {
            Some(Ok(Notice::Committed(commit))) => return commit,
            Some(Ok(Notice::Progress(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn ended(watch: &mut Box<dyn Watch>) -> Error {
    loop {
        match said(watch).await {
            Some(Err(error)) => return error,
            Some(Ok(Notice::Progress(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_commit_is_told_once_and_in_order() {
    let process = Process::new();
    let first = process.commit(&["order/1"]);
    let mut watch = process.watch(&first).await;
    assert_eq!(commit(&mut watch).await.cursor, first, "it resumes with the last commit seen");
    // More than a page of them, read while others come.
    let mut made = Vec::new();
    for n in 0..1_000 {
        made.push(process.commit(&["order/2"]));
        if n % 100 == 0 {
            sleep(EVERY / 7).await;
        }
    }
    for cursor in &made {
        assert_eq!(&commit(&mut watch).await.cursor, cursor);
    }
    let last = made.pop().unwrap();
    assert_eq!(said(&mut watch).await, Some(Ok(Notice::Progress(last))));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_ask_for_bulk_is_not_sent_it_and_knows_of_its_commits() {
    let process = Process::new();
    let feeds = &process.feeds;
    let mut clients = feeds.watch(&space("web"), &[b"client/"], Cursor::START, EVERY).await.unwrap();
    let mut others = feeds.watch(&space("web"), &[b"order/", b"ledger/"], Cursor::START, EVERY).await.unwrap();
    assert_eq!(process.running(), 1, "one with bulk serves both");
    drop(clients);
    drop(others);

    others = feeds.watch(&space("web"), &[b"order/", b"ledger/"], Cursor::START, EVERY).await.unwrap();
    clients = feeds.watch(&space("web"), &[b"client/"], Cursor::START, EVERY).await.unwrap();
    assert_eq!(process.running(), 2, "one without does not");
    process.commit(&["client/a", "ledger/1"]);
    let alone = process.commit(&["client/b"]);
    let last = process.commit(&["order/1"]);
    let names = |commit: Committed| commit.changes.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(commit(&mut others).await), [b"ledger/1"]);
    assert_eq!(commit(&mut others).await.cursor, last);
    assert_eq!(names(commit(&mut clients).await), [b"client/a"]);
    assert_eq!(commit(&mut clients).await.cursor, alone);
}

#[tokio::test(start_paused = true)]
async fn a_lost_beat_hides_no_commit() {
    let process = Process::new();
    let first = process.commit(&["order/1"]);
    let mut watch = process.watch(&first).await;
    commit(&mut watch).await;
    // Beats are written, and the feed is in contact beyond them …
    process.engine.on(|state| state.revision += 5);
    let seen = said(&mut watch).await;
    assert_eq!(seen, Some(Ok(Notice::Progress(first.clone()))), "where the log stands, and no beat");
    // … then a crash takes them back, and the next commit has one of their numbers.
    process.engine.on(|state| state.revision = first.revision.0);
    let next = process.commit(&["order/2"]);
    assert_eq!(commit(&mut watch).await.cursor, next);
    // So also for another process, which begins where this one was told that the store stands.
    let other = Process::of(&process.engine);
    let mut watch = other.watch(&first).await;
    assert_eq!(commit(&mut watch).await.cursor, first);
    assert_eq!(commit(&mut watch).await.cursor, next);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_is_noticed_whatever_the_numbers_say() {
    for commits_after in 0..5 {
        let process = Process::new();
        process.commit(&["order/1"]);
        let then = process.engine.on(|state| state.clone());
        process.commit(&["order/2"]);
        let last = process.commit(&["order/3"]);
        let mut watch = process.watch(&last).await;
        commit(&mut watch).await;
        process.engine.bring_back(&then);
        // Fewer commits than before, as many, more.
        for _ in 0..commits_after {
            process.commit(&["order/4"]);
        }
        let error = ended(&mut watch).await;
        assert!(matches!(&error, Error::Compacted(at, _) if *at == last.revision), "{commits_after}: {error}");
        let error = process.try_watch(&last).await.map(drop).unwrap_err();
        assert!(matches!(error, Error::Compacted(..)), "{commits_after}: {error}");
        // From before it, history goes on.
        drop(watch);
        process.watch(&then.logged.clone().unwrap()).await;
    }
}

/// A log whose next commit is there before anybody can look.
#[derive(Debug)]
struct Eager;

#[async_trait]
impl Tail for Eager {
    async fn verify(&self, _: &Space, _: bool, from: &Cursor, _: Duration) -> Result<Option<Committed>, Error> {
        let changes = vec![(b"order/1".to_vec(), None)];
        Ok(Some(Committed { cursor: from.clone(), changes }))
    }

    async fn follow(&self, _: &Space, _: bool, from: Cursor, _: Rhythm, sink: &Sink) -> Error {
        let cursor = Cursor { revision: from.revision.next(), mark: fresh_mark() };
        sink.push(Committed { cursor, changes: vec![(b"order/2".to_vec(), None)] });
        std::future::pending().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_verified_is_told_before_what_is_read() {
    for n in 1..3_000 {
        let feeds = Feeds::new(Arc::new(Eager), LogBound::default());
        let from = Cursor { revision: Revision(n), mark: fresh_mark() };
        let mut watch = feeds.watch(&space("web"), &[b""], from.clone(), EVERY).await.unwrap();
        for revision in [from.revision, from.revision.next()] {
            let told = timeout(100 * EVERY, watch.next()).await.expect("it is told");
            assert!(matches!(&told, Ok(Notice::Committed(commit)) if commit.cursor.revision == revision), "{told:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_before_the_last_page_is_no_rollback() {
    let process = Process::new();
    let first = process.commit(&["order/1"]);
    // Who watches another space asks for both.
    let _other = process.feeds.watch(&space("other"), &[b""], first.clone(), EVERY).await.unwrap();
    sleep(EVERY / 2).await;
    let mut watch = process.watch(&first).await;
    commit(&mut watch).await;
    sleep(EVERY / 4).await;
    process.engine.looks();
    process.engine.on(|state| state.late = EVERY / 2);
    while process.engine.heads.load(Ordering::Relaxed) == 0 {
        sleep(EVERY / 100).await;
    }
    process.engine.on(|state| state.late = Duration::ZERO);
    let second = process.commit(&["order/2"]);
    assert_eq!(commit(&mut watch).await.cursor, second);
    for _ in 0..3 {
        assert_eq!(said(&mut watch).await, Some(Ok(Notice::Progress(second.clone()))));
    }
}

#[tokio::test(start_paused = true)]
async fn an_emptied_store_is_another_history() {
    let process = Process::new();
    let first = process.commit(&["order/1"]);
    let mut watch = process.watch(&first).await;
    commit(&mut watch).await;
    process.engine.bring_back(&State::default());
    assert!(matches!(ended(&mut watch).await, Error::Compacted(..)));
    assert!(matches!(process.try_watch(&first).await.map(drop), Err(Error::Compacted(..))));
    process.watch(&Cursor::START).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_begins_beyond_the_last_commit() {
    let process = Process::new();
    let last = process.commit(&["order/1"]);
    let ahead = Cursor { revision: last.revision.next(), ..last };
    let refused = process.try_watch(&ahead).await.map(drop);
    assert!(matches!(refused, Err(Error::Compacted(at, _)) if at == ahead.revision), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_a_commit_found_ends_the_watches_at_once() {
    let process = Process::new();
    let first = process.commit(&["order/1"]);
    let mut watch = process.watch(&first).await;
    commit(&mut watch).await;
    process.feeds.rolled_back(&space("web"), "it jumped");
    assert_eq!(said(&mut watch).await, Some(Err(Error::Compacted(first.revision, "it jumped".to_owned()))));
}

#[tokio::test(start_paused = true)]
async fn who_was_cut_off_resumes_with_the_last_commit_it_saw() {
    let process = Process::new();
    let first = process.commit(&["order/1"]);
    let mut watch = process.watch(&first).await;
    assert_eq!(commit(&mut watch).await.cursor, first);
    process.engine.on(|state| state.failing = true);
    assert_eq!(ended(&mut watch).await, Error::Unavailable("it fails".to_owned()));
    assert_eq!(process.try_watch(&first).await.map(drop), Err(Error::Unavailable("it fails".to_owned())));
    process.engine.on(|state| state.failing = false);
    let missed = process.commit(&["order/2"]);
    let mut watch = process.watch(&first).await;
    assert_eq!(commit(&mut watch).await.cursor, first);
    assert_eq!(commit(&mut watch).await.cursor, missed);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_silence_and_then_an_end() {
    let process = Process::new();
    let first = process.commit(&["order/1"]);
    let mut watch = process.watch(&first).await;
    commit(&mut watch).await;
    sleep(EVERY / 2).await;
    process.engine.on(|state| state.hanging = true);
    // One notice may be of what was heard before.
    let _ = timeout(EVERY * 9 / 10, watch.next()).await;
    assert!(timeout(2 * EVERY, watch.next()).await.is_err(), "nothing was heard since");
    // Who joins now is not told of old contact either.
    let mut joined = process.watch(&first).await;
    assert!(timeout(EVERY / 10, joined.next()).await.is_err(), "nothing was heard since");
    assert_eq!(ended(&mut watch).await, Error::Unavailable("no answer".to_owned()));
    assert_eq!(ended(&mut joined).await, Error::Unavailable("no answer".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_was_trimmed_is_told_and_not_passed_over() {
    let process = Process::new();
    let first = process.commit(&["order/1"]);
    let second = process.commit(&["order/2"]);
    process.commit(&["order/3"]);
    process.engine.trim(&second);
    for from in [Cursor::START, first, second.clone()] {
        let error = process.try_watch(&from).await.map(drop).unwrap_err();
        let why = "what came up to revision 2 was trimmed".to_owned();
        assert_eq!(error, Error::Compacted(from.revision, why));
    }
    // A feed that is far behind, and learns that what it has not read is gone.
    let behind = process.commit(&["order/4"]);
    let mut watch = process.watch(&behind).await;
    commit(&mut watch).await;
    let gone = process.engine.commit(&["order/5"]);
    process.engine.commit(&["order/6"]);
    process.engine.trim(&gone);
    assert!(matches!(ended(&mut watch).await, Error::Compacted(at, _) if at == behind.revision));
}

#[tokio::test(start_paused = true)]
async fn what_was_read_may_be_trimmed() {
    let process = Process::new();
    let first = process.commit(&["order/1"]);
    let mut watch = process.watch(&first).await;
    commit(&mut watch).await;
    process.engine.trim(&first);
    let next = process.commit(&["order/2"]);
    assert_eq!(commit(&mut watch).await.cursor, next);
}

#[tokio::test(start_paused = true)]
async fn watches_share_a_reader_that_ends_with_the_last_of_them() {
    let process = Process::new();
    let first = process.commit(&["order/1"]);
    let second = process.commit(&["order/2"]);
    let mut late = process.watch(&second).await;
    assert_eq!(process.running(), 1);
    // Reaches further back, so it needs a reader of its own, which the next one joins.
    let early = process.watch(&first).await;
    let mut third = process.watch(&first).await;
    assert_eq!(process.running(), 2);
    for (watch, begins) in [(&mut late, &second), (&mut third, &first)] {
        assert_eq!(&commit(watch).await.cursor, begins);
    }
    drop((late, early));
    assert_eq!(process.running(), 1);
    drop(third);
    assert_eq!(process.running(), 0);
    process.engine.looks();
    sleep(10 * EVERY).await;
    assert_eq!(process.engine.looks(), (0, 0), "nobody looks for nobody");
}

#[tokio::test(start_paused = true)]
async fn who_begins_ahead_of_a_reader_waits_for_it() {
    let process = Process::new();
    let first = process.commit(&["order/1"]);
    let mut watch = process.watch(&first).await;
    commit(&mut watch).await;
    sleep(EVERY / 2).await;
    // Committed elsewhere: nobody woke the reader.
    let ahead = process.engine.commit(&["order/2"]);
    let mut joined = process.watch(&ahead).await;
    assert_eq!(process.running(), 1);
    assert_eq!(commit(&mut joined).await.cursor, ahead);
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_is_not_a_look_each() {
    let process = Process::new();
    let first = process.commit(&["order/1"]);
    let mut watch = process.watch(&first).await;
    commit(&mut watch).await;
    sleep(10 * EVERY).await;
    process.engine.looks();
    for _ in 0..1_000 {
        process.commit(&["order/2"]);
        sleep(EVERY / 1_000).await;
    }
    let (pages, heads) = process.engine.looks();
    assert!((5..=12).contains(&pages) && heads <= 1, "{pages} pages, {heads} heads in one interval");
    for _ in 0..1_000 {
        commit(&mut watch).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_question_proves_contact_for_every_space() {
    let process = Process::new();
    let mut watches = Vec::new();
    for number in 0..20 {
        let space = space(&format!("set-{number}"));
        watches.push(process.feeds.watch(&space, &[b""], Cursor::START, EVERY).await.unwrap());
        sleep(EVERY / 30).await;
    }
    sleep(10 * EVERY).await;
    process.engine.looks();
    for _ in 0..10 {
        for watch in &mut watches {
            assert_eq!(said(watch).await, Some(Ok(Notice::Progress(Cursor::START))));
        }
    }
    let (pages, heads) = process.engine.looks();
    assert!(pages == 0 && (9..=12).contains(&heads), "{pages} pages, {heads} heads in ten intervals");
}

#[tokio::test(start_paused = true)]
async fn the_interval_is_the_shortest_that_is_asked_for() {
    let process = Process::new();
    let web = space("web");
    let watch = |every| process.feeds.watch(&web, &[b""], Cursor::START, every);
    let looks_of_a_minute = async || {
        process.engine.looks();
        sleep(Duration::from_secs(60)).await;
        process.engine.looks().1
    };
    let slow = watch(10 * EVERY).await.unwrap();
    let quick = watch(EVERY).await.unwrap();
    assert!((55..=61).contains(&looks_of_a_minute().await));
    drop(quick);
    sleep(EVERY).await;
    assert!((5..=7).contains(&looks_of_a_minute().await));
    drop(slow);
}
