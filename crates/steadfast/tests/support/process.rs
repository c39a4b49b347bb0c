//! One process of a test: its output in a file, its end with the test's.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use super::signal::Signal;
use super::{SOON, wait_for};

/// How much of a log a failed test prints.
const LOG_TAIL_LINES: usize = 60;

/// What Rust writes where a thread panics.
const PANICKED: &str = " panicked at ";

/// A running process. Dropped, it is killed with its whole group; when the test is panicking, its log is printed.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// How a process ended, with all it printed.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// The exit code; a process that died of a signal has none, and that is a failure of the test.
    #[track_caller]
    pub fn code(&self) -> i32 {
        let died = || panic!("died of signal {:?}\n{}", self.status.signal(), self.err);
        self.status.code().unwrap_or_else(died)
    }
}

impl Process {
    pub(super) fn spawn(name: &str, command: &mut Command, log: &Path) -> Process {
        let output = File::options().create(true).append(true).open(log).expect("open the log");
        let errors = output.try_clone().expect("share the log");
        let child = command.stdout(output).stderr(errors).spawn();
        let child = child.unwrap_or_else(|error| panic!("start {name} ({command:?}): {error}"));
        Process { name: name.to_owned(), child, log: log.to_owned() }
    }

    #[track_caller]
    pub(super) fn run(command: &mut Command, out: &Path, err: &Path) -> Ended {
        let create = |path: &Path| File::create(path).expect("make a file for the output");
        let child = command.stdout(create(out)).stderr(create(err)).spawn();
        let child = child.unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        let mut process = Process { name: format!("{command:?}"), child, log: err.to_owned() };
        let status = process.wait(SOON);
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).expect("read the output")).into_owned();
        Ended { status, out: read(out), err: read(err) }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        assert!(signal.send(self.pid()), "{} ({}) is gone and gets no {signal:?}", self.name, self.pid());
    }

    /// Sends a signal to the process and everything in its group.
    pub fn signal_group(&self, signal: Signal) {
        assert!(signal.send_to_group(self.pid()), "the group of {} ({}) is gone", self.name, self.pid());
    }

    /// Types `text` into a process that was given a pipe to read from.
    pub fn type_in(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().expect("a pipe");
        input.write_all(text.as_bytes()).and_then(|()| input.flush()).expect("type");
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("ask for the status").is_none()
    }

    /// Waits for the process to end by itself; panics if it does not within `limit`.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} to end", self.name);
        wait_for(&what, limit, || self.child.try_wait().expect("ask for the status"))
    }

    /// All the process has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The processes this one has started and that still run, and theirs.
    pub fn descendants(&self) -> Vec<u32> {
        let mut found = children(self.pid());
        let mut next = 0;
        while let Some(&pid) = found.get(next) {
            found.extend(children(pid));
            next += 1;
        }
        found
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        Signal::Kill.send_to_group(self.pid());
        // The group may be gone; the process itself is still ours to collect.
        self.child.kill().ok();
        self.child.wait().ok();
        let log = self.log();
        let panics: Vec<&str> = log.lines().filter(|line| line.contains(PANICKED)).collect();
        if std::thread::panicking() {
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
            eprintln!("--- {}: {panics:#?}, the end of its log ---\n{}\n---", self.name, tail.join("\n"));
        } else {
            // Whatever the test looked at: a panic is our bug, and a task that died of one may not be missed at once.
            assert!(panics.is_empty(), "{} panicked: {panics:#?} in {log}", self.name);
        }
    }
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>())
        .collect()
}
