//! The reader's shell: one bash for a whole document, so that what a command exports, starts or enters stays.
//!
//! It runs in name spaces of its own where the machine allows it: the ports that a document shows are free there, what
//! it kills by name is its own, and nothing outlives it. Where it does not, documents take turns on the machine's own
//! loopback.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::support::{Process, Sandbox, wait_for};

/// Where the documents put their files; the reader's directory stands in for it.
const DIRECTORY: &str = "/tmp/steadfast";
/// Where the documents put the program.
const PROGRAM: &str = "/usr/local/bin/steadfast";

/// How long one step may take: a drain that waits, on a loaded machine.
const STEP_LIMIT: Duration = Duration::from_secs(180);

/// How name spaces are asked for: as root, and as somebody else.
const WAYS: [&[&str]; 2] = [
    &["--net", "--pid", "--fork", "--kill-child", "--mount-proc"],
    &["--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"],
];

/// What the shell is told first. An error of any command of a block is remembered; the loopback comes up.
const FIRST: &str = "trap '_failed=${_failed:-$BASH_COMMAND}' ERR
[ -z \"$OWN_LOOPBACK\" ] || ip link set lo up
";

pub(crate) struct Shell {
    process: Process,
    sandbox: Sandbox,
    steps: usize,
    _turn: Option<MutexGuard<'static, ()>>,
}

/// What came of one step.
#[derive(Debug)]
pub(crate) struct Step {
    /// All that was printed, on both outputs.
    pub(crate) printed: String,
    /// The first command that failed, if one did.
    pub(crate) failed: Option<String>,
}

impl Shell {
    pub(crate) fn open(name: &str) -> Shell {
        static TURN: Mutex<()> = Mutex::new(());
        let sandbox = Sandbox::new(&format!("doc-{name}"));
        for directory in ["work", "bin", "steps"] {
            fs::create_dir_all(sandbox.path(directory)).expect("make a directory");
        }
        let program = sandbox.path("bin/steadfast");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_steadfast"), program).expect("link the program");
        let way = own_spaces();
        let turn = way.is_none().then(|| TURN.lock().unwrap_or_else(PoisonError::into_inner));
        let mut command = match way {
            Some(way) => {
                let mut command = sandbox.command("unshare");
                command.args(way).args(["--", "bash"]).env("OWN_LOOPBACK", "yes");
                command
            }
            None => sandbox.command("bash"),
        };
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}:/usr/sbin:/sbin", sandbox.path("bin").display()));
        // A check or two that take long on a loaded machine are no sick application.
        command.env("STEADFAST_CHECK_FALL", "10");
        command.env("HOME", sandbox.dir()).current_dir(sandbox.path("work")).stdin(Stdio::piped());
        let mut process = sandbox.spawn("shell", &mut command);
        process.type_in(FIRST);
        Shell { process, sandbox, steps: 0, _turn: turn }
    }

    /// `text` with this reader's places for those of the document.
    pub(crate) fn here(&self, text: &str) -> String {
        let place = |name: &str| self.sandbox.path(name).to_string_lossy().into_owned();
        // In this order: the reader's own places begin like that of the documents.
        text.replace(DIRECTORY, &place("work")).replace(PROGRAM, &place("bin/steadfast"))
    }

    /// Runs `text` as if it had been typed, and waits for its end.
    #[track_caller]
    pub(crate) fn run(&mut self, text: &str) -> Step {
        self.steps += 1;
        self.step(text)
    }

    /// Runs the last step once more, in its place.
    #[track_caller]
    pub(crate) fn again(&mut self, text: &str) -> Step {
        fs::remove_file(self.sandbox.path(&format!("steps/{}.end", self.steps))).expect("forget how it ended");
        self.step(text)
    }

    #[track_caller]
    fn step(&mut self, text: &str) -> Step {
        let place = |kind: &str| self.sandbox.path(&format!("steps/{}.{kind}", self.steps));
        let (script, out, end) = (place("sh"), place("out"), place("end"));
        fs::write(&script, self.here(text)).expect("write the step");
        let (script, shown, ended) = (script.display(), out.display(), end.display());
        self.process.type_in(&format!(
            "_failed=; . '{script}' >'{shown}' 2>&1 </dev/null; printf '%s\\n.' \"$_failed\" >'{ended}'\n"
        ));
        let ended = || fs::read_to_string(&end).ok().and_then(|text| text.strip_suffix("\n.").map(str::to_owned));
        let failed = wait_for(&format!("the end of\n{text}\n(its output is {out:?})"), STEP_LIMIT, ended);
        let printed = String::from_utf8_lossy(&fs::read(out).expect("read what was printed")).into_owned();
        Step { printed, failed: (!failed.is_empty()).then_some(failed) }
    }

    /// All that was printed since the shell was opened, also by what runs in the background.
    pub(crate) fn log(&self) -> String {
        let read = |n: usize| {
            let out = fs::read(self.sandbox.path(&format!("steps/{n}.out"))).unwrap_or_default();
            format!("--- step {n}\n{}", shortened(&String::from_utf8_lossy(&out)))
        };
        (1..=self.steps).map(read).collect()
    }
}

/// The beginning and the end of a long text: what runs in the background goes on and on.
fn shortened(text: &str) -> String {
    const KEPT_LINES: usize = 30;
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= 2 * KEPT_LINES {
        return text.to_owned();
    }
    let (begin, end) = (&lines[..KEPT_LINES], &lines[lines.len() - KEPT_LINES..]);
    format!("{}\n[{} lines]\n{}\n", begin.join("\n"), lines.len() - 2 * KEPT_LINES, end.join("\n"))
}

/// How this machine gives a process a network and process numbers of its own; `None` if it does not.
fn own_spaces() -> Option<&'static [&'static str]> {
    static FOUND: OnceLock<Option<&'static [&'static str]>> = OnceLock::new();
    let works = |way: &&[&str]| {
        let mut command = Command::new("unshare");
        command.args(*way).args(["--", "ip", "link", "set", "lo", "up"]);
        command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
    };
    *FOUND.get_or_init(|| WAYS.into_iter().find(works))
}
