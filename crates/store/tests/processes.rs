//! The SQLite store among processes that are killed, stopped, or out of space. Run without a harness: the same
//! program is each of the processes, told by its arguments what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use steadfast_host::{clock, random};
use steadfast_store::{
    Batch, Cursor, Error, Expect, FoldBound, Key, LogBound, Named, Notice, Revision, Space, Sqlite, Store, Write,
};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// What the children do, as their first argument.
const WRITE: &str = "write";
const FILL: &str = "fill";

/// Tests, by the name a filter on the command line picks them by.
const TESTS: [(&str, fn()); 3] = [
    ("kill_nine_loses_nothing_acknowledged", kill_nine_loses_nothing_acknowledged),
    ("a_stopped_server_is_waited_for_and_never_doubled", a_stopped_server_is_waited_for_and_never_doubled),
    ("a_full_disk_is_said_and_survived", a_full_disk_is_said_and_survived),
];

const WITHIN: Duration = Duration::from_secs(30);

/// The log of these tests holds all they write, so that the end can be compared with it.
const LONG_LOG: LogBound = LogBound { commits: 1 << 20, bytes: 1 << 30, age: Duration::from_secs(3_600) };

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [WRITE, file, id] => write_for_ever(Path::new(file), id),
        [FILL, file] => fill(Path::new(file)),
        _ => {}
    }
    let filters: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let mut passed = 0;
    for (name, test) in TESTS {
        if filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str())) {
            let begin = clock::now();
            test();
            println!("test {name} ... ok ({:?})", clock::now().since(begin));
            passed += 1;
        }
    }
    // As libtest says it, for whoever counts.
    println!("\ntest result: ok. {passed} passed; 0 failed; 0 ignored; 0 measured");
    ExitCode::SUCCESS
}

/// Folding is always under way, or about to begin.
const EAGER_FOLD: FoldBound = FoldBound {
    few: 1,
    changes: 40,
    bytes: 1 << 20,
    quiet: Duration::from_millis(2),
    after: Duration::from_millis(20),
};

fn open(file: &Path) -> Sqlite {
    Sqlite::with_bounds(file, LONG_LOG, EAGER_FOLD).unwrap_or_else(|e| panic!("open {}: {e}", file.display()))
}

fn space() -> Space {
    Space::new("web").expect("a space")
}

fn put(name: String, value: String) -> Batch {
    Batch::one(Key::new(space(), name), Expect::Absent, Write::Put(value.into(), None))
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A child: four writers, each putting new names for ever and saying on standard output which were acknowledged.
fn write_for_ever(file: &Path, id: &str) {
    const WRITERS: usize = 4;
    runtime().block_on(async {
        let store = Arc::new(open(file));
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let (store, id) = (Arc::clone(&store), id.to_owned());
            writers.spawn(async move {
                for n in 0.. {
                    let kind = if n % 5 == 0 { "beat" } else { "client" };
                    let name = format!("{kind}/{id}-{writer}-{n}");
                    match store.commit(put(name.clone(), name.clone()), WITHIN).await {
                        Ok(cursor) => say(&format!("{} {name}", cursor.revision)),
                        Err(Error::Unavailable(_) | Error::OutcomeUnknown(_)) => {}
                        Err(other) => say(&format!("error {other}")),
                    }
                }
            });
        }
        writers.join_all().await;
    });
}

/// A child: writes until the disk is full, tries on a while, and says how each try ended.
fn fill(file: &Path) {
    runtime().block_on(async {
        let store = open(file);
        let mut refused = 0;
        for n in 0.. {
            let name = format!("client/{n}");
            match store.commit(put(name.clone(), "v".repeat(10_000)), WITHIN).await {
                Ok(cursor) => say(&format!("{} {name}", cursor.revision)),
                Err(Error::Unavailable(_)) => {
                    refused += 1;
                    say("refused");
                }
                Err(Error::OutcomeUnknown(_)) => say("unknown"),
                Err(other) => say(&format!("error {other}")),
            }
            if refused == 5 {
                let first = store.read(&Key::new(space(), "client/0"), WITHIN).await;
                say(if matches!(first, Ok(Some(_))) { "readable" } else { "unreadable" });
                std::process::exit(0);
            }
        }
    });
}

/// A whole line, so that a kill in between leaves none or all of it.
fn say(line: &str) {
    let line = format!("{line}\n");
    if std::io::stdout().lock().write_all(line.as_bytes()).is_err() {
        std::process::exit(1);
    }
}

/// A running child and what it has said.
struct Process {
    child: Child,
    /// Taken when its end is waited for.
    reader: Option<JoinHandle<()>>,
}

/// The lines of all children.
type Said = Arc<Mutex<Vec<String>>>;

impl Process {
    fn spawn(mut command: Command, said: &Said) -> Process {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("a child");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let said = Arc::clone(said);
        let reader = thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                said.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Process { child, reader: Some(reader) }
    }

    fn writer(file: &Path, id: usize, said: &Said) -> Process {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg(WRITE).arg(file).arg(id.to_string());
        Process::spawn(command, said)
    }

    fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Sends a signal by name; there is no safe call for it.
    fn signal(&self, name: &str) {
        let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.pid())).status();
        assert!(sent.expect("a shell").success(), "send SIG{name}");
    }

    fn kill_nine(mut self) {
        self.child.kill().expect("SIGKILL");
        self.end();
    }

    /// Waits for its end and its last words.
    fn end(&mut self) -> ExitStatus {
        let ended = self.child.wait().expect("its end");
        self.reader.take().map(JoinHandle::join).transpose().expect("its last words");
        ended
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Of a test that failed; a killed child is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until as much was said, and fails with `what` if it does not come.
async fn wait_for(what: &str, said: &Said, lines: usize) {
    let come = async {
        while count(said) < lines {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(WITHIN, come).await.unwrap_or_else(|_| panic!("it never came: {what}"));
}

fn count(said: &Said) -> usize {
    said.lock().unwrap_or_else(PoisonError::into_inner).len()
}

/// The acknowledged writes among what was said; anything unexpected fails.
fn acknowledged(said: &Said) -> BTreeMap<String, Revision> {
    let said = said.lock().unwrap_or_else(PoisonError::into_inner);
    let read = |line: &String| {
        let (revision, name) = line.split_once(' ').unwrap_or_else(|| panic!("a child said: {line}"));
        let revision = revision.parse().unwrap_or_else(|_| panic!("a child said: {line}"));
        (name.to_owned(), Revision(revision))
    };
    said.iter().map(read).collect()
}

fn kill_nine_loses_nothing_acknowledged() {
    runtime().block_on(kill_again_and_again());
}

async fn kill_again_and_again() {
    const KILLS: usize = 50;
    const PROCESSES: usize = 3;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("state.db");
    let said = Said::default();
    // Three, so that two want to follow the one that is killed.
    let mut processes: Vec<_> = (0..PROCESSES).map(|id| Process::writer(&file, id, &said)).collect();
    let mut gaps = Vec::new();
    for kill in 0..KILLS {
        // Some progress first, then any moment of the next milliseconds.
        wait_for("progress", &said, count(&said) + 20).await;
        sleep(Duration::from_micros(random::u64() % 20_000)).await;
        let holder = fs::read_to_string(file.with_extension("db.lock")).unwrap_or_default();
        let server = processes.iter().position(|process| process.pid() == holder);
        // Mostly the one that serves; now and then another.
        let victim = server.filter(|_| !random::u64().is_multiple_of(8)).unwrap_or(kill % PROCESSES);
        processes.remove(victim).kill_nine();
        let (silent, begin) = (count(&said), clock::now());
        wait_for("an acknowledgement after a kill", &said, silent + 1).await;
        gaps.push(clock::now().since(begin));
        processes.push(Process::writer(&file, kill + PROCESSES, &said));
    }
    processes.into_iter().for_each(Process::kill_nine);
    gaps.sort();
    let acknowledged = acknowledged(&said);
    compare(&file, &acknowledged).await;
    println!(
        "  {} acknowledged; from kill to acknowledgement: median {:?}, longest {:?}",
        acknowledged.len(),
        gaps[KILLS / 2],
        gaps[KILLS - 1]
    );
}

/// Everything acknowledged is there, as it was acknowledged, and the log tells it in order.
async fn compare(file: &Path, acknowledged: &BTreeMap<String, Revision>) {
    let store = open(file);
    assert!(store.serves());
    let revisions: BTreeSet<_> = acknowledged.values().collect();
    assert_eq!(revisions.len(), acknowledged.len(), "a revision was acknowledged twice");
    let mut there = BTreeMap::new();
    let mut page = store.scan(&space(), b"", None, 1000, WITHIN).await.expect("a page");
    let head = page.cursor.revision;
    loop {
        for (name, record) in page.records.drain(..) {
            let name = String::from_utf8(name).expect("a name as written");
            assert_eq!(record.value, name.as_bytes(), "a value is another's");
            there.insert(name, record.version);
        }
        let Some(next) = page.next.take() else { break };
        page = store.scan(&space(), b"", Some(next), 1000, WITHIN).await.expect("a page");
    }
    for (name, revision) in acknowledged {
        assert_eq!(there.get(name), Some(revision), "{name} was acknowledged at {revision}");
    }
    let versions: BTreeSet<_> = there.values().collect();
    assert_eq!(versions.len(), there.len(), "a revision was used twice");
    assert!(versions.iter().all(|version| **version <= head));

    let mut told = Vec::new();
    let mut watch = store.watch(&space(), &[b""], Cursor::START, Duration::from_millis(100)).await.expect("a watch");
    loop {
        match watch.next().await.expect("a notice") {
            Notice::Progress(at) if at.revision == head => break,
            Notice::Progress(_) => {}
            Notice::Committed(commit) => {
                told.extend(commit.changes.into_iter().map(|(name, _): Named| (commit.cursor.revision, name)));
            }
        }
    }
    assert!(told.is_sorted_by(|a, b| a < b));
    let logged: BTreeMap<_, _> = there
        .iter()
        .filter(|(name, _)| !name.starts_with("beat/"))
        .map(|(name, at)| (*at, name.clone().into_bytes()))
        .collect();
    assert_eq!(told.len(), logged.len());
    assert!(told.into_iter().eq(logged), "the log tells another story than the records");
}

/// Commits, whatever the connection was in the middle of: a server that dies under a request leaves its outcome
/// unknown, and then the record tells.
async fn commit_in_the_end(store: &Sqlite, name: &str) {
    let begin = clock::now();
    loop {
        match store.commit(put(name.to_owned(), "x".to_owned()), WITHIN).await {
            Ok(_) => return,
            Err(Error::Unavailable(_) | Error::OutcomeUnknown(_)) => {}
            Err(Error::Conflict(_)) => {
                let there = store.read(&Key::new(space(), name), WITHIN).await;
                assert!(!matches!(there, Ok(None)), "{name} conflicts with nothing");
                return;
            }
            Err(other) => panic!("commit {name}: {other}"),
        }
        assert!(clock::now().since(begin) < WITHIN, "no commit of {name} within {WITHIN:?}");
    }
}

fn a_stopped_server_is_waited_for_and_never_doubled() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("state.db");
    let said = Said::default();
    let server = Process::writer(&file, 0, &said);
    runtime().block_on(async {
        wait_for("a first acknowledgement", &said, 1).await;
        let store = open(&file);
        let short = Duration::from_millis(200);
        let read = async |name: &str| store.read(&Key::new(space(), name), short).await;
        store.commit(put("client/before".to_owned(), "x".to_owned()), WITHIN).await.expect("a commit");
        server.signal("STOP");
        for n in 0..5 {
            let begin = clock::now();
            let ended = store.commit(put(format!("client/{n}"), "x".to_owned()), short).await;
            assert!(matches!(ended, Err(Error::Unavailable(_) | Error::OutcomeUnknown(_))), "{ended:?}");
            assert!(matches!(read("client/before").await, Err(Error::Unavailable(_))));
            assert!(clock::now().since(begin) < WITHIN, "a time-out was not kept");
            assert!(!store.serves(), "two processes serve one file");
        }
        server.signal("CONT");
        commit_in_the_end(&store, "client/after").await;
        assert!(!store.serves());
        server.kill_nine();
        commit_in_the_end(&store, "client/last").await;
        assert!(store.serves());
    });
    let acknowledged = acknowledged(&said);
    runtime().block_on(async {
        let store = open(&file);
        for (name, revision) in acknowledged {
            let record = store.read(&Key::new(space(), name), WITHIN).await.expect("a read").expect("a record");
            assert_eq!(record.version, revision);
        }
    });
}

fn a_full_disk_is_said_and_survived() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("state.db");
    let said = Said::default();
    let program = std::env::current_exe().expect("this program");
    // A limit on the size of files stands for a full disk: a write that goes over it fails half done.
    let script = "ulimit -f 2000; trap '' XFSZ; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(program).arg(FILL).arg(&file);
    let mut process = Process::spawn(command, &said);
    let ended = process.end();
    assert!(ended.success(), "the child failed: {ended}");
    let mut lines = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(lines.pop().as_deref(), Some("readable"));
    let refused = lines.iter().filter(|line| *line == "refused").count();
    assert_eq!(refused, 5, "{lines:?}");
    lines.retain(|line| line != "refused" && line != "unknown");
    assert!(lines.len() > 20, "it was full too soon: {lines:?}");
    *said.lock().unwrap_or_else(PoisonError::into_inner) = lines;
    let acknowledged = acknowledged(&said);
    runtime().block_on(async {
        let store = open(&file);
        for (name, revision) in &acknowledged {
            let record = store.read(&Key::new(space(), name.clone()), WITHIN).await.expect("a read").expect("a record");
            assert_eq!(record.version, *revision);
        }
        let cursor = store.commit(put("client/more".to_owned(), "x".to_owned()), WITHIN).await.expect("room again");
        assert!(acknowledged.values().all(|revision| *revision < cursor.revision));
    });
}
