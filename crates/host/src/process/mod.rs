//! Child processes in groups, which never outlive us unnoticed.
//!
//! A [`Group`] is a program and everything it starts, as long as that stays in the program's process group. Its end is
//! noticed at once (a pidfd), it can be ended gently and then for certain, and it is known when nothing of it is left.
//! When this process dies, however it dies, the kernel kills the program, and a guardian process kills every group.
//!
//! What escapes: a process that starts a session or a process group of its own (`setsid`, a daemon). It is neither
//! signalled nor counted. Programs that do so belong under a service manager that uses control groups.

mod group;
mod orphans;
mod run;
mod spawner;
mod stale;
mod table;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub use group::Group;
pub use orphans::{become_subreaper, reap_orphans};
pub use run::{Ran, RunError, run};
pub use stale::{BadGroupId, GroupId, StaleError, end_stale};

/// Raises the number of files this process may have open as far as it may (a server needs more than the custom, which is
/// low for the sake of programs that use select(2)), and says how many those are. Programs started from then on still get
/// the number that this process was started with.
///
/// # Errors
///
/// Where the kernel refuses.
pub fn raise_open_files() -> io::Result<u64> {
    crate::sys::raise_open_files()
}

/// How many files this process may have open now; what is the custom where `/proc` does not tell.
pub fn open_files() -> usize {
    /// What Linux gives a process nobody has decided otherwise for.
    const CUSTOM: usize = 1024;
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    match line.and_then(|line| line.split_whitespace().next()) {
        Some("unlimited") => usize::MAX,
        Some(number) => number.parse().unwrap_or(CUSTOM),
        None => CUSTOM,
    }
}

/// Where a program's output goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Where ours goes.
    #[default]
    Inherit,
    /// To [`Group::stdout`] and [`Group::stderr`].
    Piped,
    /// Nowhere.
    Discard,
}

/// A program to be started. Its standard input is empty; it inherits our environment, except what the service manager
/// put there for us alone.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// The program and its arguments; at least the program. One without a `/` is looked up in `PATH`.
    pub argv: Vec<OsString>,
    /// Variables set in addition to ours.
    pub env: Vec<(OsString, OsString)>,
    /// Its working directory; ours where none is given.
    pub cwd: Option<PathBuf>,
    /// Where both of its outputs go.
    pub output: Output,
}

impl Spec {
    /// A program with arguments.
    pub fn new<I>(argv: I) -> Spec
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        Spec { argv: argv.into_iter().map(Into::into).collect(), ..Spec::default() }
    }

    /// The same program with a variable more.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Spec {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The same program with its output elsewhere.
    #[must_use]
    pub fn output(mut self, output: Output) -> Spec {
        self.output = output;
        self
    }

    /// Whether the program is there to be started, as far as can be told without starting it: a typing mistake is
    /// found before anything else is done on its behalf.
    ///
    /// # Errors
    ///
    /// The same as starting it would give.
    pub fn check(&self) -> Result<(), SpawnError> {
        let program = self.argv.first().cloned().unwrap_or_default();
        let found = if program.is_empty() || program.as_encoded_bytes().contains(&b'/') {
            executable(&self.cwd.as_deref().unwrap_or(Path::new(".")).join(&program))
        } else {
            let path = self.env.iter().rev().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
            let path = path.or_else(|| std::env::var_os("PATH")).unwrap_or_default();
            let mut tried = std::env::split_paths(&path).map(|dir| executable(&dir.join(&program)));
            // As execvp(3) does it: one that may not be run is told only where no other one can be.
            tried
                .try_fold(io::Error::from(io::ErrorKind::NotFound), |worst, tried| match tried {
                    Ok(()) => Err(()),
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(error),
                    Err(_) => Ok(worst),
                })
                .map_or(Ok(()), Err)
        };
        found.map_err(|error| SpawnError::explain(self, &error))
    }

    fn program(&self) -> String {
        self.argv.first().map(|program| program.display().to_string()).unwrap_or_default()
    }
}

/// Whether there is a file that somebody may execute.
fn executable(path: &Path) -> io::Result<()> {
    let about = std::fs::metadata(path)?;
    let may_run = about.is_file() && about.permissions().mode() & 0o111 != 0;
    if may_run { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal of this number.
    Signal(i32),
}

impl Exit {
    /// Whether it ended by itself with code 0.
    pub fn success(self) -> bool {
        self == Exit::Code(0)
    }

    /// The code a shell would report: the program's own, or 128 and the signal's number.
    pub fn code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(number) => 128 + number,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal(number) => write!(f, "killed by {}", Signal(*number)),
        }
    }
}

/// A signal. Displayed by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(i32);

const NAMES: [(&str, i32); 14] = [
    ("SIGHUP", libc::SIGHUP),
    ("SIGINT", libc::SIGINT),
    ("SIGQUIT", libc::SIGQUIT),
    ("SIGILL", libc::SIGILL),
    ("SIGABRT", libc::SIGABRT),
    ("SIGBUS", libc::SIGBUS),
    ("SIGFPE", libc::SIGFPE),
    ("SIGKILL", libc::SIGKILL),
    ("SIGUSR1", libc::SIGUSR1),
    ("SIGSEGV", libc::SIGSEGV),
    ("SIGUSR2", libc::SIGUSR2),
    ("SIGPIPE", libc::SIGPIPE),
    ("SIGTERM", libc::SIGTERM),
    ("SIGCONT", libc::SIGCONT),
];

impl Signal {
    /// End in good order.
    pub const TERM: Signal = Signal(libc::SIGTERM);
    /// Interrupt, as from a terminal.
    pub const INT: Signal = Signal(libc::SIGINT);
    /// Reload, by custom.
    pub const HUP: Signal = Signal(libc::SIGHUP);
    /// Whatever the program makes of it.
    pub const USR1: Signal = Signal(libc::SIGUSR1);
    /// Whatever the program makes of it.
    pub const USR2: Signal = Signal(libc::SIGUSR2);
    /// Go on after a stop.
    pub const CONT: Signal = Signal(libc::SIGCONT);
    /// End, unasked.
    pub const KILL: Signal = Signal(libc::SIGKILL);

    /// The signal's number.
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

/// A program that could not be started; nothing of it runs.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {program}: {why}")]
pub struct SpawnError {
    /// The program, as given.
    pub program: String,
    why: String,
    found: bool,
}

impl SpawnError {
    /// The code a shell would exit with: 127 where there is no such program, else 126.
    pub fn exit_code(&self) -> i32 {
        if self.found { 126 } else { 127 }
    }

    /// Turns what exec(2) answered into what the user must mend.
    fn explain(spec: &Spec, error: &io::Error) -> SpawnError {
        let program = spec.program();
        let is_path = program.contains('/');
        // A relative program is looked for from the directory it is to run in.
        let path = spec.cwd.as_deref().unwrap_or(Path::new(".")).join(&program);
        let mut found = true;
        let why = match (error.kind(), &spec.cwd) {
            _ if program.is_empty() => "the command is empty".into(),
            (io::ErrorKind::NotFound, Some(cwd)) if !cwd.is_dir() => {
                format!("its working directory {} does not exist", cwd.display())
            }
            (io::ErrorKind::NotFound, _) if is_path && path.exists() => {
                "the interpreter named in its first line does not exist".into()
            }
            (io::ErrorKind::NotFound, _) => {
                found = false;
                if is_path { "there is no such file".into() } else { "there is no such command in PATH".into() }
            }
            (io::ErrorKind::PermissionDenied, _) if is_path && path.is_dir() => "it is a directory".into(),
            (io::ErrorKind::PermissionDenied, _) => "it is not executable by this user (chmod +x?)".into(),
            _ => error.to_string(),
        };
        SpawnError { program, why, found }
    }
}

#[cfg(test)]
mod tests;
