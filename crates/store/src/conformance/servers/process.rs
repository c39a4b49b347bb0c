//! Processes of other programs, that end with this one.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use steadfast_host::clock;

use super::{Ground, PATIENCE};

/// How long a waiting test rests between two looks.
const REST: Duration = Duration::from_millis(10);

/// What is done to a process.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    Kill,
    Terminate,
    Interrupt,
    Stop,
    Continue,
}

/// A user of this machine.
#[derive(Debug)]
pub(super) struct User {
    name: String,
    uid: u32,
    gid: u32,
}

/// Looks at `condition` again and again until it holds.
///
/// # Panics
/// With `what`, if it does not within five minutes.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = clock::now();
    while !condition() {
        assert!(clock::now().since(began) < PATIENCE, "waited {PATIENCE:?} in vain for {what}");
        std::thread::sleep(REST);
    }
}

impl User {
    /// Whom a program runs as that refuses to be root; `None`: we are not root ourselves.
    pub(super) fn unprivileged() -> Option<User> {
        let ours = fs::metadata("/proc/self").expect("look at this process").uid();
        if ours != 0 {
            return None;
        }
        let users = fs::read_to_string("/etc/passwd").expect("read the users of this machine");
        let named = |name: &str| users.lines().find_map(|line| User::parse(line).filter(|user| user.name == name));
        Some(named("postgres").or_else(|| named("nobody")).expect("a user who is not root"))
    }

    fn parse(line: &str) -> Option<User> {
        let mut parts = line.split(':');
        let name = parts.next()?.to_owned();
        let (uid, gid) = (parts.nth(1)?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(User { name, uid, gid })
    }

    pub(super) fn own(&self, path: &Path) {
        chown(path, Some(self.uid), Some(self.gid)).unwrap_or_else(|e| panic!("give away {}: {e}", path.display()));
    }
}

/// A command of `user` that the kernel kills when the thread that started it ends: [`spawn`]'s never does before the
/// program.
pub(super) fn command(program: &str, user: Option<&User>) -> Command {
    let mut command = Command::new(find("setpriv"));
    command.args(["--pdeathsig", "KILL"]);
    if let Some(user) = user {
        command.args(["--reuid", &user.uid.to_string(), "--regid", &user.gid.to_string(), "--clear-groups"]);
    }
    // Not by its name alone: another user may have another path.
    command.arg("--").arg(find(program)).current_dir("/");
    command
}

/// Where `program` is: where `STEADFAST_TEST_<PROGRAM>` says, in the path, or where Debian keeps servers.
pub(super) fn find(program: &str) -> PathBuf {
    let variable = format!("STEADFAST_TEST_{}", program.to_uppercase().replace('-', "_"));
    if let Some(given) = std::env::var_os(&variable) {
        return given.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let servers = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let versions = versions.map(|version| version.path().join("bin"));
    let places = std::env::split_paths(&path).chain(servers).chain(versions);
    let found = places.map(|place| place.join(program)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{program} is not installed: `cargo xtask test prepare` installs it"))
}

/// Starts a server, its output going to its log.
pub(super) fn spawn(mut command: Command, ground: &Ground) -> Child {
    let log = File::options().create(true).append(true).open(ground.log()).expect("open its log");
    let errors = log.try_clone().expect("share its log");
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    type Order = (Command, Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, taken) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in taken {
                // Who ordered it waits for it; a panicking test may have gone.
                answer.send(command.spawn()).ok();
            }
        });
        Mutex::new(orders)
    });
    let shown = format!("{command:?}");
    let (answer, spawned) = channel();
    let order = (command, answer);
    spawner.lock().unwrap_or_else(PoisonError::into_inner).send(order).expect("a thread that starts servers");
    let child = spawned.recv().expect("a thread that starts servers");
    child.unwrap_or_else(|e| panic!("start {shown}: {e}"))
}

/// An empty directory, and a process that removes it once this program has closed its end of a pipe: at the end of
/// the server, or at its own end, whatever that was.
pub(super) fn directory(name: &str) -> (PathBuf, Child) {
    let place = tempfile::Builder::new().prefix(&format!("steadfast-{name}-")).tempdir().expect("a directory").keep();
    // What still writes there is about to die with us.
    let script = r#"read -r _; for _ in 1 2 3 4 5 6 7 8 9; do rm -rf "$0" 2>/dev/null && exit; sleep 0.2; done"#;
    let mut sweeper = Command::new(find("setsid"));
    sweeper.args(["sh", "-c", script]).arg(&place).current_dir("/");
    let sweeper = sweeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    (place, sweeper.expect("start a shell"))
}

/// Sends a signal to these processes, in this order. Those that are gone get none.
pub(super) fn signal(signal: Signal, pids: &[u32]) {
    let name = match signal {
        Signal::Kill => "KILL",
        Signal::Terminate => "TERM",
        Signal::Interrupt => "INT",
        Signal::Stop => "STOP",
        Signal::Continue => "CONT",
    };
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"signal=$1; shift; kill -s "$signal" -- "$@""#, "kill", name]);
    shell.args(pids.iter().map(u32::to_string)).stderr(Stdio::null());
    shell.status().expect("start sh");
}

/// A process and all that it has started, and those; itself first.
pub(super) fn with_descendants(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        found.extend(children.flat_map(|list| list.split_whitespace().flat_map(str::parse).collect::<Vec<u32>>()));
        next += 1;
    }
    found
}

/// Whether there is such a process, and it has not ended.
pub(super) fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Copies a directory, with whom everything belongs to.
pub(super) fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("start cp");
    assert!(copied.success(), "copy {} to {}: {copied}", from.display(), to.display());
}

pub(super) fn remove(path: &Path) {
    fs::remove_dir_all(path).unwrap_or_else(|e| panic!("remove {}: {e}", path.display()));
}

/// Writes a file of the server's, that only its user reads.
pub(super) fn write(ground: &Ground, path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("keep it from others");
    ground.own(path);
}
