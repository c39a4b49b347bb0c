use tempfile::TempDir;

use super::super::file::sabotage;
use super::*;
use crate::{Change, Expect, Notice, Write};

const WITHIN: Duration = Duration::from_secs(5);
const HOUR: Duration = Duration::from_secs(3600);

struct Disk {
    directory: TempDir,
    engine: Engine,
}

impl Disk {
    fn new() -> Disk {
        Disk::folding(FoldBound::default())
    }

    fn folding(fold: FoldBound) -> Disk {
        Disk::of(tempfile::tempdir().unwrap(), fold)
    }

    fn of(directory: TempDir, fold: FoldBound) -> Disk {
        Disk { engine: start(&directory, fold, &mut Doubt::None).unwrap(), directory }
    }

    /// The same files, served by another.
    fn again(self) -> Disk {
        drop(self.engine);
        Disk::of(self.directory, FoldBound::default())
    }

    /// The next copy of the journal into the file fails, for there is no room; or the next sync of it does.
    fn fail_once(&self, what: &str) {
        std::fs::write(self.directory.path().join("state").with_extension(what), "").unwrap();
    }

    /// Whether what is in the journal can be used no sooner than the program that reads has ended.
    async fn waits_for_the_reader(&self) -> bool {
        let read = self.engine.read(&key("a"), WITHIN).await;
        matches!(&read, Err(Error::Unavailable(why)) if why.contains("end that program"))
    }

    /// Another program that reads the file as it is now, until it is dropped.
    fn reader(&self) -> rusqlite::Connection {
        let reader = rusqlite::Connection::open(self.directory.path().join("state.db")).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM record").unwrap();
        reader.query_row("SELECT count(*) FROM log", [], |_| Ok(())).unwrap();
        reader
    }

    /// The next commit fails.
    fn fail(&self, when: &str) {
        std::fs::write(self.directory.path().join("state.fail"), when).unwrap();
    }

    /// What an order to fail left: it was met, or is still to come.
    fn failed(&self) -> bool {
        !self.directory.path().join("state.fail").exists()
    }

    async fn put(&self, name: &str) -> Result<Cursor, Error> {
        let write = Write::Put(name.to_owned().into(), None);
        self.engine.commit(Batch::one(key(name), Expect::Absent, write), WITHIN).await
    }

    async fn has(&self, name: &str) -> bool {
        self.engine.read(&key(name), WITHIN).await.unwrap().is_some()
    }

    async fn watch(&self, from: &Cursor) -> Box<dyn Watch> {
        self.engine.watch(&key("").space, &[b""], from.clone(), WITHIN).await.unwrap()
    }
}

fn start(directory: &TempDir, fold: FoldBound, doubt: &mut Doubt) -> Result<Engine, Error> {
    let place = Place::of(&directory.path().join("state.db")).unwrap();
    let lock = place.lock().unwrap().unwrap();
    Engine::start(place, lock, LogBound::default(), fold, oneshot::channel().0, doubt)
}

/// Whether it is said that the journal could not be synced.
fn is_of_sync(error: &Error) -> bool {
    matches!(error, Error::Unavailable(why) | Error::OutcomeUnknown(why) if why.contains("sync ") && why.contains("state.db-wal"))
}

fn key(name: &str) -> Key {
    Key::new(Space::new("web").unwrap(), name)
}

fn revision(notice: Result<Notice, Error>) -> Revision {
    match notice {
        Ok(Notice::Committed(commit)) => commit.cursor.revision,
        other => panic!("no commit: {other:?}"),
    }
}

#[tokio::test]
async fn a_commit_that_failed_and_is_not_in_the_file_did_not_happen() {
    let disk = Disk::new();
    let first = disk.put("a").await.unwrap();
    let mut watch = disk.watch(&first).await;
    assert_eq!(revision(watch.next().await), first.revision);
    disk.fail(sabotage::BEFORE);
    assert!(matches!(disk.put("b").await, Err(Error::Unavailable(why)) if why.contains("before the commit")));
    assert!(!disk.has("b").await);
    let again = disk.put("b").await.unwrap();
    assert_eq!(again.revision, first.revision.next());
    assert_eq!(revision(watch.next().await), again.revision, "a watch goes on where nothing changed");
}

#[tokio::test]
async fn a_commit_that_failed_and_is_in_the_file_may_have_happened() {
    let disk = Disk::new();
    let first = disk.put("a").await.unwrap();
    let mut watch = disk.watch(&first).await;
    assert_eq!(revision(watch.next().await), first.revision);
    disk.fail(sabotage::AFTER);
    assert!(matches!(disk.put("b").await, Err(Error::OutcomeUnknown(_))));
    assert!(disk.has("b").await);
    assert!(matches!(watch.next().await, Err(Error::Unavailable(_))), "it is resumed to learn of what came back");
    let last = disk.put("c").await.unwrap();
    let mut watch = disk.watch(&first).await;
    for expected in [first.revision, first.revision.next(), last.revision] {
        assert_eq!(revision(watch.next().await), expected);
    }
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_shown_that_another_program_keeps_from_being_copied() {
    let disk = Disk::new();
    disk.put("a").await.unwrap();
    let reader = disk.reader();
    disk.put("b").await.unwrap();
    disk.fail(sabotage::AFTER);
    assert!(matches!(disk.put("c").await, Err(Error::OutcomeUnknown(_))));
    for _ in 0..3 {
        let read = disk.engine.read(&key("c"), WITHIN).await;
        assert!(matches!(&read, Err(Error::Unavailable(why)) if why.contains("end that program")), "{read:?}");
    }
    drop(reader);
    assert!(disk.has("b").await && disk.has("c").await);
    disk.put("d").await.unwrap();
}

#[tokio::test]
async fn a_journal_that_could_not_be_synced_as_the_file_was_opened_is_not_trusted_when_it_can_be() {
    // By whoever begins to serve …
    let disk = Disk::new();
    disk.put("a").await.unwrap();
    let reader = disk.reader();
    disk.put("b").await.unwrap();
    let Disk { directory, engine } = disk;
    assert_eq!(engine.stop(), Doubt::None);
    drop(engine);
    let mut doubt = Doubt::None;
    let mut try_again = |what: &str| {
        std::fs::write(directory.path().join(what), "").unwrap();
        start(&directory, FoldBound::default(), &mut doubt)
    };
    assert!(is_of_sync(&try_again("state.sync").unwrap_err()));
    for _ in 0..2 {
        let error = try_again("state.none").unwrap_err();
        assert!(error.to_string().contains("end that program"), "{error}");
    }
    drop(reader);
    let disk = Disk { engine: try_again("state.none").unwrap(), directory };
    assert!(disk.has("b").await);

    // … and by who opens it again, having found no room.
    let reader = disk.reader();
    disk.put("c").await.unwrap();
    disk.fail_once("sync");
    disk.fail(sabotage::FULL);
    assert!(matches!(disk.put("d").await, Err(Error::OutcomeUnknown(_))), "what was not synced may have it");
    for _ in 0..2 {
        assert!(disk.waits_for_the_reader().await);
    }
    assert_eq!(disk.engine.stop(), Doubt::SyncFailed, "whoever serves next is told");
    drop(reader);
    let disk = disk.again();
    assert!(disk.has("c").await && !disk.has("d").await);
}

#[tokio::test]
async fn a_journal_that_could_not_be_synced_before_a_commit_is_not_trusted_when_it_can_be() {
    let disk = Disk::new();
    disk.put("a").await.unwrap();
    let reader = disk.reader();
    disk.put("b").await.unwrap();
    // There is no room to settle it, and reading needs none.
    disk.fail_once("copy");
    let disk = disk.again();
    assert!(disk.has("b").await);
    disk.fail_once("sync");
    let error = disk.put("c").await.unwrap_err();
    assert!(is_of_sync(&error), "{error}");
    for _ in 0..2 {
        assert!(disk.waits_for_the_reader().await);
        assert!(disk.put("c").await.is_err());
    }
    drop(reader);
    disk.put("c").await.unwrap();
    assert!(disk.has("b").await);
}

#[tokio::test]
async fn another_program_that_reads_keeps_nobody_from_serving_what_was_synced() {
    let disk = Disk::new();
    disk.put("a").await.unwrap();
    let reader = disk.reader();
    disk.put("b").await.unwrap();
    let disk = disk.again();
    assert!(disk.has("a").await && disk.has("b").await);
    disk.put("c").await.unwrap();
    drop(reader);
}

#[tokio::test]
async fn the_first_commit_of_a_space_can_fail_like_any() {
    for (when, there) in [(sabotage::BEFORE, false), (sabotage::AFTER, true)] {
        let disk = Disk::new();
        disk.fail(when);
        assert_eq!(matches!(disk.put("a").await, Err(Error::OutcomeUnknown(_))), there);
        assert_eq!(disk.has("a").await, there);
        let revision = disk.put("b").await.unwrap().revision;
        assert_eq!(revision, Revision(1 + u64::from(there)));
    }
}

#[tokio::test]
async fn a_refusal_beside_a_failed_commit_is_not_in_doubt() {
    let disk = Disk::new();
    disk.put("a").await.unwrap();
    disk.fail(sabotage::AFTER);
    // Both wait before the thread can take one of them: they may share a transaction or not, and one of them fails.
    let (written, refused) = tokio::join!(disk.put("b"), disk.put("a"));
    assert!(!matches!(refused, Err(Error::OutcomeUnknown(_))), "{refused:?}");
    assert!(matches!(written, Ok(_) | Err(Error::OutcomeUnknown(_))), "{written:?}");
    assert!(disk.has("b").await);
}

#[tokio::test]
async fn a_stopped_engine_refuses_and_ends_its_watches() {
    let disk = Disk::new();
    let first = disk.put("a").await.unwrap();
    let mut watch = disk.watch(&first).await;
    disk.engine.stop();
    assert!(matches!(disk.put("b").await, Err(Error::Unavailable(_))));
    assert!(matches!(watch.next().await, Err(Error::Unavailable(_))));
    assert!(disk.engine.watch(&key("").space, &[b""], first, WITHIN).await.is_err());
}

/// Everything waits for an hour to be folded, and then is: by the call, or while nobody calls.
#[tokio::test]
async fn a_fold_that_failed_is_made_again() {
    for when in [sabotage::BEFORE, sabotage::AFTER] {
        let disk = Disk::folding(FoldBound { few: 0, changes: 4, quiet: HOUR, after: HOUR, ..FoldBound::default() });
        for name in ["a", "b", "c"] {
            disk.put(name).await.unwrap();
        }
        disk.fail(when);
        // The fourth makes folding due, and what this transaction leaves of it is folded alone.
        let fourth = disk.put("d").await;
        assert!(fourth.is_err() && disk.failed());
        for name in ["a", "b", "c"] {
            assert!(disk.has(name).await, "{name} was acknowledged");
        }
        let e = disk.put("e").await.unwrap();
        assert_eq!(e.revision.0, 4 + u64::from(when == sabotage::AFTER));
    }
}

#[tokio::test]
async fn what_nobody_asks_for_is_folded_all_the_same() {
    let disk =
        Disk::folding(FoldBound { few: 0, quiet: Duration::from_millis(1), after: HOUR, ..FoldBound::default() });
    let changes = (0..3000).map(|n| Change {
        name: format!("n/{n:04}").into_bytes(),
        expect: Expect::Absent,
        write: Write::Put("x".into(), None),
    });
    let changes: Vec<_> = changes.collect();
    for changes in changes.chunks(1000) {
        disk.engine.commit(Batch { space: key("").space, changes: changes.to_vec() }, WITHIN).await.unwrap();
    }
    let file = rusqlite::Connection::open(disk.directory.path().join("state.db")).unwrap();
    let count = |sql: &str| file.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let deadline = clock::now() + WITHIN;
    while count("SELECT count(*) FROM record") < 3000 {
        assert!(clock::now() < deadline, "it was not folded");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(count("SELECT revision - folded FROM space"), 0);
    assert!(disk.has("n/0000").await && disk.has("n/2999").await && !disk.has("n/3000").await);
}
