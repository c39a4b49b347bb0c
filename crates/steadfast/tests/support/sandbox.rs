//! One test's place: a directory that goes away, and processes that end with it.

use std::collections::HashMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

use super::process::{Ended, Process};
use super::signal::Signal;

/// Marks every process that descends from a sandbox, so that it is found whatever became of its parent.
const MARK: &str = "STEADFAST_TEST_MARK";
/// Set to keep the directories of failed tests.
const KEEP: &str = "STEADFAST_TEST_KEEP";

/// A directory and the processes started in it. Dropped last, it ends what is left of them.
pub struct Sandbox {
    dir: Option<TempDir>,
    mark: String,
    /// What processes of these names are put behind.
    prefixes: Mutex<HashMap<String, Vec<String>>>,
}

impl Sandbox {
    /// An empty place for the test called `name`.
    pub fn new(name: &str) -> Sandbox {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{name}-{}-{number}", std::process::id());
        let dir = tempfile::Builder::new().prefix(&format!("steadfast-{name}-")).tempdir().expect("make a directory");
        Sandbox { dir: Some(dir), mark, prefixes: Mutex::default() }
    }

    pub fn dir(&self) -> &Path {
        self.dir.as_ref().expect("kept until the drop").path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Writes a file into the directory and returns where it is.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("inside the sandbox")).expect("make its directory");
        fs::write(&path, text).expect("write the file");
        path
    }

    /// The built program with these arguments, in this directory, knowing nothing of the tester's own settings.
    pub fn steadfast<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_steadfast"));
        command.args(args);
        command
    }

    /// Any program, run in this directory and ended with this sandbox.
    ///
    /// It runs under `setpriv --pdeathsig`, so that it also ends when the test program is killed. The signal comes
    /// when the *thread* that started it ends: start what should last from the test's own thread.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", program]);
        for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("STEADFAST_")) {
            command.env_remove(key);
        }
        for key in ["NOTIFY_SOCKET", "LISTEN_FDS", "RUST_LOG", "NO_COLOR"] {
            command.env_remove(key);
        }
        command.env("STATE_DIRECTORY", self.path("state")).env(MARK, &self.mark).env("RUST_BACKTRACE", "0");
        command.current_dir(self.dir()).stdin(Stdio::null()).process_group(0);
        command
    }

    /// From now on a process that is spawned as `name` is started by this command line, which is followed by its own:
    /// `prlimit`, `env`, `nsenter`. An empty one takes that back.
    pub fn put_behind(&self, name: &str, prefix: Vec<String>) {
        self.prefixes.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), prefix);
    }

    /// The same for the agents of a [`Cluster`](super::Cluster), which also get more patience with an application that does
    /// not answer: on a loaded machine it may well be silent for a moment, and another would lead.
    pub fn put_agents_behind(&self, prefix: &[String]) {
        for name in ["agent-web-1", "agent-web-2", "agent-web-3"] {
            let patient = ["env", "STEADFAST_CHECK_FALL=50"].map(str::to_owned);
            self.put_behind(name, prefix.iter().cloned().chain(patient).collect());
        }
    }

    /// Starts `command` with its output in `<name>.log`.
    pub fn spawn(&self, name: &str, command: &mut Command) -> Process {
        let log = self.path(&format!("{name}.log"));
        let prefix = self.prefixes.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        match prefix.as_deref() {
            Some([first, rest @ ..]) => Process::spawn(name, &mut self.behind(first, rest, command), &log),
            _ => Process::spawn(name, command, &log),
        }
    }

    fn behind(&self, first: &str, rest: &[String], command: &Command) -> Command {
        let mut whole = Command::new(first);
        whole.args(rest).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => whole.env(key, value),
                None => whole.env_remove(key),
            };
        }
        whole.current_dir(self.dir()).stdin(Stdio::null()).process_group(0);
        whole
    }

    /// Runs `command` to its end, which must come soon.
    #[track_caller]
    pub fn run(&self, command: &mut Command) -> Ended {
        Process::run(command, &self.path("command.out"), &self.path("command.err"))
    }

    /// The processes that came out of this sandbox and still run.
    pub fn running(&self) -> Vec<u32> {
        let entry = format!("{MARK}={}", self.mark);
        let marked = |pid: &u32| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.split(|&byte| byte == 0).any(|variable| variable == entry.as_bytes())
        };
        let entries = fs::read_dir("/proc").expect("list /proc").flatten();
        entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).filter(marked).collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        for pid in self.running() {
            Signal::Kill.send(pid);
        }
        let keep = std::thread::panicking() && std::env::var_os(KEEP).is_some();
        if let Some(dir) = self.dir.take().filter(|_| keep) {
            eprintln!("kept: {}", dir.keep().display());
        }
    }
}
