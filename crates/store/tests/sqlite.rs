//! What the SQLite file promises beyond the contract: across restarts, handovers, and what people do to files.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use steadfast_store::{
    Batch, Cursor, Error, Expect, FoldBound, Key, LogBound, Notice, Revision, Space, Sqlite, Store, Watch, Write,
};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const WITHIN: Duration = Duration::from_secs(30);

/// A directory for a store, and the shorthand of a caller.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a directory"))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("state.db")
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        PathBuf::from(format!("{}{suffix}", self.file().display()))
    }

    fn open(&self) -> Sqlite {
        Sqlite::open(self.file()).expect("a store")
    }

    fn refused(&self) -> Error {
        Sqlite::open(self.file()).expect_err("it cannot be opened")
    }
}

fn space() -> Space {
    Space::new("web").expect("a space")
}

fn key(name: &str) -> Key {
    Key::new(space(), name)
}

fn put(name: &str, before: Option<Revision>, value: &str) -> Batch {
    let expect = before.map_or(Expect::Absent, Expect::Version);
    Batch::one(key(name), expect, Write::Put(value.to_owned().into(), None))
}

async fn write(store: &Sqlite, name: &str, value: &str) -> Cursor {
    let before = store.read(&key(name), WITHIN).await.expect("a read").map(|record| record.version);
    store.commit(put(name, before, value), WITHIN).await.expect("a commit")
}

async fn read(store: &Sqlite, name: &str) -> Option<String> {
    let record = store.read(&key(name), WITHIN).await.expect("a read")?;
    Some(String::from_utf8(record.value.to_vec()).expect("text"))
}

async fn watch(store: &Sqlite, from: &Cursor) -> Box<dyn Watch> {
    store.watch(&space(), &[b""], from.clone(), Duration::from_millis(20)).await.expect("a watch")
}

/// The revision of the next commit a watch tells.
async fn next(watch: &mut dyn Watch) -> Revision {
    loop {
        match timeout(WITHIN, watch.next()).await.expect("a notice in time").expect("no end") {
            Notice::Committed(commit) => return commit.cursor.revision,
            Notice::Progress(_) => {}
        }
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(WITHIN, wait).await.unwrap_or_else(|_| panic!("it never came: {what}"));
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let place = Place::new();
    let store = place.open();
    let first = write(&store, "a", "1").await;
    let gone = write(&store, "gone", "x").await;
    store
        .commit(Batch::one(key("gone"), Expect::Version(gone.revision), Write::Delete), WITHIN)
        .await
        .expect("a delete");
    let beat = write(&store, "beat/web-1", "alive").await;
    drop(store);

    let store = place.open();
    assert_eq!(read(&store, "a").await.as_deref(), Some("1"));
    assert_eq!(read(&store, "gone").await, None);
    assert_eq!(read(&store, "beat/web-1").await.as_deref(), Some("alive"));
    let again = write(&store, "gone", "y").await;
    assert!(again.revision > beat.revision, "a version was used again");
    let mut watch = watch(&store, &first).await;
    for revision in [first.revision, gone.revision, Revision(gone.revision.0 + 1), again.revision] {
        assert_eq!(next(&mut *watch).await, revision);
    }
    assert!(store.watch(&space(), &[b""], beat, WITHIN).await.is_ok(), "the cursor of a beat is one to resume from");
}

#[tokio::test]
async fn the_log_stays_bounded_across_restarts() {
    let place = Place::new();
    let bound = LogBound { commits: 100, bytes: 1 << 20, ..LogBound::default() };
    let mut cursors = Vec::new();
    for _ in 0..3 {
        let store = Sqlite::with_log(place.file(), bound).expect("a store");
        for _ in 0..300 {
            cursors.push(write(&store, "a", "x").await);
        }
    }
    let store = Sqlite::with_log(place.file(), bound).expect("a store");
    let rows = |sql: &str| -> i64 {
        let file = rusqlite::Connection::open(place.file()).expect("the file");
        file.query_row(sql, [], |row| row.get(0)).expect("a count")
    };
    assert!(rows("SELECT count(*) FROM log") < 600, "the log is not trimmed");
    for (from_end, there) in [(1, true), (90, true), (250, false), (900, false)] {
        let resumed = store.watch(&space(), &[b""], cursors[900 - from_end].clone(), WITHIN).await;
        assert_eq!(resumed.is_ok(), there, "{from_end} from the end");
        assert!(there || matches!(resumed, Err(Error::Compacted(..))));
    }
}

/// Never of its own accord.
const NO_FOLD: FoldBound = FoldBound {
    few: 0,
    changes: usize::MAX,
    bytes: usize::MAX,
    quiet: Duration::from_secs(3600),
    after: Duration::from_secs(3600),
};

fn count(place: &Place, sql: &str) -> i64 {
    let file = rusqlite::Connection::open(place.file()).expect("the file");
    file.query_row(sql, [], |row| row.get(0)).expect("a count")
}

#[tokio::test]
async fn what_is_in_the_log_alone_is_there_after_a_kill() {
    const COMMITS: usize = 200;
    let (place, copy) = (Place::new(), Place::new());
    // Watches may go back four commits; what is not folded is kept all the same.
    let store =
        Sqlite::with_bounds(place.file(), LogBound { commits: 4, bytes: 1 << 20, ..LogBound::default() }, NO_FOLD)
            .expect("a store");
    for n in 0..COMMITS {
        write(&store, &format!("n/{}", n % 50), &n.to_string()).await;
    }
    let last = write(&store, "gone", "x").await;
    store
        .commit(Batch::one(key("gone"), Expect::Version(last.revision), Write::Delete), WITHIN)
        .await
        .expect("a delete");
    assert_eq!(count(&place, "SELECT count(*) FROM record"), 0);
    // What a kill leaves: the files as they are now.
    for suffix in ["", "-wal"] {
        fs::copy(place.beside(suffix), copy.beside(suffix)).expect("a copy");
    }
    drop(store);
    for place in [place, copy] {
        let store = place.open();
        for n in 0..50 {
            let value = (COMMITS - 50 + n).to_string();
            assert_eq!(read(&store, &format!("n/{n}")).await, Some(value));
        }
        assert_eq!(read(&store, "gone").await, None);
        let page = store.scan(&space(), b"n/", None, 100, WITHIN).await.expect("a page");
        assert_eq!((page.records.len(), page.cursor.revision), (50, Revision(last.revision.0 + 1)));
        assert!(store.watch(&space(), &[b""], last.clone(), WITHIN).await.is_ok());
        let next = write(&store, "n/0", "next").await;
        assert_eq!(next.revision, Revision(last.revision.0 + 2), "a version was used again");
        drop(store);
        assert_eq!(count(&place, "SELECT count(*) FROM record"), 50);
        assert_eq!(count(&place, "SELECT revision - folded FROM space"), 0);
    }
}

#[tokio::test]
async fn what_is_folded_late_overwrites_nothing_newer() {
    let place = Place::new();
    let store = Sqlite::with_bounds(place.file(), LogBound::default(), NO_FOLD).expect("a store");
    write(&store, "a", "1").await;
    let b = write(&store, "b", "1").await;
    store.commit(Batch::one(key("b"), Expect::Version(b.revision), Write::Delete), WITHIN).await.expect("a delete");
    write(&store, "c", "1").await;
    // As if another had come to serve the file, and this one did not know.
    let other = rusqlite::Connection::open(place.file()).expect("the file");
    let newer = "INSERT INTO record SELECT id, name, 99, x'39' FROM (SELECT id FROM space), (SELECT x'61' AS name UNION SELECT x'62');
                 UPDATE space SET folded = 99";
    other.execute_batch(newer).expect("newer records");
    drop((other, store));
    assert_eq!(count(&place, "SELECT count(*) FROM record WHERE version = 99 AND value = x'39'"), 2);
    assert_eq!(count(&place, "SELECT count(*) FROM record"), 3);
    assert_eq!(count(&place, "SELECT folded FROM space WHERE name = 'web'"), 99);
}

#[tokio::test]
async fn a_closed_store_leaves_a_table_that_can_be_read() {
    let place = Place::new();
    let store = Sqlite::with_bounds(place.file(), LogBound::default(), NO_FOLD).expect("a store");
    write(&store, "client/cam-1", "1").await;
    assert_eq!(count(&place, "SELECT count(*) FROM readable"), 0);
    drop(store);
    assert_eq!(count(&place, "SELECT count(*) FROM readable"), 1);
}

#[tokio::test]
async fn a_file_of_the_first_format_is_brought_up_to_date() {
    let place = Place::new();
    let old = rusqlite::Connection::open(place.file()).expect("a file");
    let made = "
        CREATE TABLE space (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL,
            mark BLOB NOT NULL, base INTEGER NOT NULL);
        CREATE TABLE record (space INTEGER NOT NULL, name BLOB NOT NULL, version INTEGER NOT NULL,
            value BLOB NOT NULL, PRIMARY KEY (space, name)) WITHOUT ROWID;
        CREATE TABLE log (space INTEGER NOT NULL, revision INTEGER NOT NULL, mark BLOB NOT NULL,
            changes BLOB NOT NULL, PRIMARY KEY (space, revision)) WITHOUT ROWID;
        CREATE VIEW readable AS SELECT 1;
        INSERT INTO space VALUES (1, 'web', 2, x'02', 0);
        INSERT INTO record VALUES (1, x'61', 2, x'74776f');
        INSERT INTO log VALUES (1, 1, x'01', x'0100000061030000006f6e65'),
            (1, 2, x'02', x'01000000610300000074776f');
        PRAGMA application_id = 1400136806;
        PRAGMA user_version = 1;
    ";
    old.execute_batch(made).expect("a file of the first format");
    drop(old);
    for expected in ["two", "three"] {
        let store = place.open();
        assert_eq!(read(&store, "a").await.as_deref(), Some(expected));
        write(&store, "a", "three").await;
    }
    assert_eq!(count(&place, "SELECT user_version FROM pragma_user_version"), 2);
}

#[tokio::test]
async fn a_file_brought_back_from_a_copy_is_another_history() {
    let place = Place::new();
    let store = place.open();
    let kept = write(&store, "a", "1").await;
    drop(store);
    fs::copy(place.file(), place.beside(".copy")).expect("a copy");
    let store = place.open();
    let lost = write(&store, "a", "2").await;
    drop(store);
    fs::copy(place.beside(".copy"), place.file()).expect("the copy brought back");

    let store = place.open();
    let compacted = |ended: Result<Box<dyn Watch>, Error>| matches!(ended, Err(Error::Compacted(..)));
    assert!(compacted(store.watch(&space(), &[b""], lost.clone(), WITHIN).await), "a revision not reached again");
    let other = write(&store, "a", "3").await;
    assert_eq!(other.revision, lost.revision);
    assert!(compacted(store.watch(&space(), &[b""], lost, WITHIN).await), "the same number, another commit");
    let mut watch = watch(&store, &kept).await;
    assert_eq!(next(&mut *watch).await, kept.revision);
}

#[tokio::test]
async fn the_next_handle_takes_over_from_one_that_closed() {
    let place = Place::new();
    let mut handles = vec![place.open(), place.open(), place.open()];
    let mut last = write(&handles[2], "a", "0").await;
    let mut first = watch(&handles[2], &last).await;
    assert_eq!(next(&mut *first).await, last.revision);
    while handles.len() > 1 {
        assert!(handles.iter().filter(|handle| handle.serves()).count() == 1);
        let server = handles.iter().position(Sqlite::serves).expect("one serves");
        drop(handles.remove(server));
        let handle = handles.last().expect("one is left");
        let cursor = write(handle, "a", &handles.len().to_string()).await;
        assert!(cursor.revision > last.revision);
        let mut resumed = watch(handle, &last).await;
        assert_eq!(next(&mut *resumed).await, last.revision, "the last one seen comes again");
        assert_eq!(next(&mut *resumed).await, cursor.revision);
        last = cursor;
        until("a server", || handles.iter().any(Sqlite::serves)).await;
    }
    assert!(matches!(timeout(WITHIN, ended(first)).await, Ok(Error::Unavailable(_))));
}

async fn ended(mut watch: Box<dyn Watch>) -> Error {
    loop {
        if let Err(error) = watch.next().await {
            return error;
        }
    }
}

#[tokio::test]
async fn a_closed_store_leaves_the_file_alone() {
    let place = Place::new();
    let store = place.open();
    let cursor = write(&store, "a", "1").await;
    let watch = watch(&store, &cursor).await;
    let kind = fs::metadata(place.beside(".sock")).expect("a socket").file_type();
    assert!(kind.is_socket());
    drop(store);
    assert!(!place.beside(".sock").exists());
    assert!(!place.beside("-wal").exists(), "the journal was folded in");
    assert!(matches!(timeout(WITHIN, ended(watch)).await, Ok(Error::Unavailable(_))));
    assert!(place.open().serves());
}

#[tokio::test]
async fn its_files_are_its_owners_alone() {
    let place = Place::new();
    let store = place.open();
    write(&store, "a", "1").await;
    for suffix in ["", ".lock", ".sock", "-wal", "-shm"] {
        let mode = fs::metadata(place.beside(suffix)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix}");
    }
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_is_served_all_the_same() {
    let place = Place::new();
    let deep = place.0.path().join("a".repeat(60)).join("b".repeat(60));
    fs::create_dir_all(&deep).expect("a deep directory");
    let (server, caller) = (Sqlite::open(deep.join("state.db")), Sqlite::open(deep.join("state.db")));
    let (server, caller) = (server.expect("a store"), caller.expect("a second handle"));
    assert!(server.serves() && !caller.serves());
    write(&caller, "a", "1").await;
    assert_eq!(read(&server, "a").await.as_deref(), Some("1"));
    drop(server);
    write(&caller, "a", "2").await;

    let said = Sqlite::open(deep.join("n".repeat(120))).expect_err("no address holds this").to_string();
    assert!(said.contains("too long for a Unix socket (107 bytes)"), "{said}");
}

#[tokio::test]
async fn what_a_dead_process_left_is_taken_over() {
    let place = Place::new();
    drop(std::os::unix::net::UnixListener::bind(place.beside(".sock")).expect("a socket nobody serves"));
    fs::write(place.beside(".lock"), "4194304").expect("a lock nobody holds");
    let (server, caller) = (place.open(), place.open());
    assert!(server.serves());
    write(&caller, "a", "1").await;
}

#[tokio::test]
async fn what_cannot_be_a_store_is_refused_with_words() {
    let sql = |place: &Place, sql: &str| {
        rusqlite::Connection::open(place.file()).expect("a file").execute_batch(sql).expect("some SQL");
    };
    let check = |make: &dyn Fn(&Place), kind: fn(&Error) -> bool, words: &[&str]| {
        let place = Place::new();
        make(&place);
        let before = fs::read(place.file()).ok();
        let error = place.refused();
        let said = error.to_string();
        assert!(kind(&error), "{error:?}");
        assert!(words.iter().all(|words| said.contains(words)), "{said}");
        assert!(before.is_none_or(|before| fs::read(place.file()).expect("it is there") == before), "it was changed");
        assert!(!place.beside(".sock").is_file());
    };
    let corrupt: fn(&Error) -> bool = |error| matches!(error, Error::Corrupt(_));
    let config: fn(&Error) -> bool = |error| matches!(error, Error::Config(_));

    let newer = |place: &Place| {
        drop(place.open());
        sql(place, "PRAGMA user_version = 3");
    };
    check(&newer, corrupt, &["state.db", "written by a newer Steadfast: format 3, this one knows 2"]);
    check(&|place| sql(place, "CREATE TABLE t (x)"), config, &["another program's SQLite database"]);
    check(
        &|place| fs::write(place.file(), "no database, but long enough ".repeat(40)).expect("a file"),
        corrupt,
        &["is not a SQLite database"],
    );

    check(
        &|place| fs::create_dir(place.beside(".sock")).expect("a directory"),
        |e| matches!(e, Error::Unavailable(_)),
        &["state.db.sock"],
    );
    check(
        &|place| {
            drop(place.open());
            sql(place, "INSERT INTO space (name, revision, mark, base, folded) VALUES ('a/b', 1, x'', 0, 1)");
        },
        corrupt,
        &["space `a/b`"],
    );
    let place = Place::new();
    let directory = Sqlite::open(place.0.path()).expect_err("a directory").to_string();
    assert!(directory.contains("is a directory"), "{directory}");
    let missing = Sqlite::open("/none/of/these/state.db").expect_err("no directory").to_string();
    assert!(
        missing.contains("/none/of/these/state.db") && missing.contains("its directory does not exist"),
        "{missing}"
    );
}

#[tokio::test]
async fn a_damaged_page_is_said_to_be_one() {
    let place = Place::new();
    let store = place.open();
    for n in 0..200 {
        write(&store, &format!("n/{n:03}"), &"v".repeat(500)).await;
    }
    drop(store);
    let mut bytes = fs::read(place.file()).expect("the file");
    let pages = bytes.len() / 4096;
    assert!(pages > 10);
    bytes[4096 * 5..].iter_mut().for_each(|byte| *byte = !*byte);
    fs::write(place.file(), bytes).expect("the file damaged");
    match Sqlite::open(place.file()) {
        Err(error) => assert!(matches!(error, Error::Corrupt(_)), "{error:?}"),
        Ok(store) => {
            let mut errors = Vec::new();
            for n in 0..200 {
                errors.extend(store.read(&key(&format!("n/{n:03}")), WITHIN).await.err());
            }
            assert!(!errors.is_empty() && errors.iter().all(|e| matches!(e, Error::Corrupt(_))), "{errors:?}");
        }
    }
}

#[tokio::test]
async fn files_removed_under_a_server_are_noticed_before_the_next_commit() {
    let place = Place::new();
    let store = place.open();
    let lost = write(&store, "a", "1").await;
    for suffix in ["", ".lock", "-wal", "-shm"] {
        fs::remove_file(place.beside(suffix)).expect("a file removed");
    }
    // Whoever comes now makes a new file and a new lock; the old server must not acknowledge into the old ones.
    let other = place.open();
    let stale = store.commit(put("a", Some(lost.revision), "2"), WITHIN).await;
    assert!(matches!(stale, Err(Error::Unavailable(_) | Error::Conflict(_))), "{stale:?}");
    until("one server", || store.serves() != other.serves()).await;
    write(&other, "b", "1").await;
    assert_eq!(read(&store, "b").await.as_deref(), Some("1"));
    assert_eq!(read(&store, "a").await, None);
}

#[tokio::test]
async fn a_file_another_program_holds_is_waited_for_and_then_unavailable() {
    let place = Place::new();
    let store = place.open();
    write(&store, "a", "1").await;
    let other = rusqlite::Connection::open(place.file()).expect("the file");
    other.execute_batch("BEGIN IMMEDIATE").expect("its lock");
    let early = store.commit(put("b", None, "never"), Duration::from_millis(50)).await;
    assert!(matches!(early, Err(Error::Unavailable(_))), "not begun, so it cannot be in doubt: {early:?}");
    other.execute_batch("ROLLBACK").expect("the lock given back");
    write(&store, "c", "1").await;
    assert_eq!(read(&store, "b").await, None, "a call given up was made");
}

#[tokio::test]
async fn one_conflict_in_a_group_stops_nobody() {
    let place = Place::new();
    let store = Arc::new(place.open());
    write(&store, "taken", "x").await;
    let mut callers = JoinSet::new();
    for n in 0..400 {
        let store = Arc::clone(&store);
        callers.spawn(async move {
            let name = if n % 2 == 0 { format!("n/{n}") } else { "taken".to_owned() };
            (n, store.commit(put(&name, None, "y"), WITHIN).await)
        });
    }
    let mut revisions = std::collections::BTreeSet::new();
    for (n, ended) in callers.join_all().await {
        match (n % 2, ended) {
            (0, Ok(cursor)) => assert!(revisions.insert(cursor.revision)),
            (1, Err(Error::Conflict(records))) => assert_eq!(records.len(), 1),
            (_, other) => panic!("{n}: {other:?}"),
        }
    }
    assert_eq!(revisions.len(), 200);
    assert_eq!(read(&store, "taken").await.as_deref(), Some("x"));
}

#[tokio::test]
async fn people_can_read_the_records_while_it_is_served() {
    let place = Place::new();
    let store = place.open();
    write(&store, "client/cam-1", "{\"v\":1}").await;
    let file = rusqlite::Connection::open(place.file()).expect("the file");
    let sql = "SELECT space, name, version, value FROM readable";
    let row: (String, String, i64, String) =
        file.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).expect("a row");
    assert_eq!(row, ("web".to_owned(), "client/cam-1".to_owned(), 1, "{\"v\":1}".to_owned()));
    assert!(Path::new(&store.describe().place).is_absolute());
}
