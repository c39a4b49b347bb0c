//! The one thread that forks.
//!
//! The kernel's "kill the child when its parent dies" means the *thread* that forked it, so that thread must live as
//! long as this process: not a worker of a runtime. It also buries what is left of groups nobody holds any more.

use std::collections::BTreeSet;
use std::io::{self, PipeWriter, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Output, SpawnError, Spec, table};
use crate::sys::{self, Remains};

/// How often the dead are looked for while some are awaited.
const BURY_EVERY: Duration = Duration::from_millis(10);

/// The service manager's word to this process, which a child must not take for its own.
const MEANT_FOR_US: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

static SPAWNER: Mutex<Option<Sender<Order>>> = Mutex::new(None);

/// Our own children: those whose end somebody here awaits. Held while forking, so that no child is ever unknown.
static CHILDREN: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

enum Order {
    Start(Box<Spec>, oneshot::Sender<Result<Started, SpawnError>>),
    /// Reap this child when it has ended.
    Bury(i32),
}

/// A program that runs.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) leader: Leader,
    pub(super) pidfd: OwnedFd,
    pub(super) entry: table::Entry,
    pub(super) stdout: Option<OwnedFd>,
    pub(super) stderr: Option<OwnedFd>,
}

/// The program a group was started with, and the guardian of the group. Dropping it kills the group.
#[derive(Debug)]
pub(super) struct Leader {
    pub(super) pid: i32,
    /// Its remains were taken away: its id may be anybody's.
    gone: bool,
    pub(super) guardian: i32,
    orders: PipeWriter,
}

pub(super) fn children() -> MutexGuard<'static, BTreeSet<i32>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a program. If the caller loses interest, it is killed again.
pub(super) async fn start(spec: &Spec) -> Result<Started, SpawnError> {
    let failed = |why: &str| SpawnError::explain(spec, &io::Error::other(why.to_string()));
    let (reply, started) = oneshot::channel();
    order(Order::Start(Box::new(spec.clone()), reply)).map_err(|error| SpawnError::explain(spec, &error))?;
    started.await.map_err(|_| failed("the spawning thread ended"))?
}

fn order(order: Order) -> io::Result<()> {
    let mut spawner = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
    let sender = match &*spawner {
        Some(sender) => sender,
        None => {
            let (sender, orders) = channel();
            std::thread::Builder::new().name("spawner".into()).spawn(move || work(&orders))?;
            spawner.insert(sender)
        }
    };
    sender.send(order).map_err(|_| io::Error::other("the spawning thread ended"))
}

fn work(orders: &Receiver<Order>) {
    sys::block_all_signals();
    let mut dying = Vec::new();
    loop {
        let next = match dying.is_empty() {
            true => orders.recv().map_err(RecvTimeoutError::from),
            false => orders.recv_timeout(BURY_EVERY),
        };
        match next {
            Ok(Order::Start(spec, reply)) => {
                let started = fork(&spec).map_err(|error| SpawnError::explain(&spec, &error));
                // A caller that is gone: what was started is dropped, which kills it.
                let _ = reply.send(started);
            }
            Ok(Order::Bury(pid)) => dying.push(pid),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        dying.retain(|pid| !reaped(*pid));
    }
}

/// Takes away the remains of child `pid`; whether there is nothing (more) to take.
pub(super) fn reaped(pid: i32) -> bool {
    let mut children = children();
    match sys::child_exit(pid, Remains::Reap) {
        Ok(None) => false,
        Ok(Some(_)) | Err(_) => {
            children.remove(&pid);
            true
        }
    }
}

fn fork(spec: &Spec) -> io::Result<Started> {
    let (read, mut orders) = io::pipe()?;
    let mut known = children();
    let guardian = sys::fork_guardian(read.into())?;
    known.insert(guardian);
    let spawned = command(spec).and_then(|mut command| sys::spawn_guarded(&mut command, orders.as_fd()));
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            drop(known);
            leave(&mut orders, guardian);
            return Err(error);
        }
    };
    let pid = child.id().cast_signed();
    known.insert(pid);
    drop(known);
    let leader = Leader { pid, gone: false, guardian, orders };
    let (stdout, stderr) = pipes(&mut child);
    let unreadable = |why: String| io::Error::other(format!("/proc does not show it: {why}"));
    let entry = table::entry(pid).map_err(|error| unreadable(error.to_string()))?;
    let entry = entry.ok_or_else(|| unreadable("no such process".into()))?;
    Ok(Started { pidfd: sys::open_pidfd(pid)?, entry, leader, stdout, stderr })
}

fn command(spec: &Spec) -> io::Result<Command> {
    let (program, arguments) = spec.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let output = || match spec.output {
        Output::Inherit => Stdio::inherit(),
        Output::Piped => Stdio::piped(),
        Output::Discard => Stdio::null(),
    };
    let mut command = Command::new(program);
    command.args(arguments);
    for ours in MEANT_FOR_US {
        command.env_remove(ours);
    }
    command.envs(spec.env.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(output()).stderr(output());
    if let Some(cwd) = &spec.cwd {
        command.current_dir(cwd);
    }
    Ok(command)
}

fn pipes(child: &mut Child) -> (Option<OwnedFd>, Option<OwnedFd>) {
    (child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from))
}

/// Sends a guardian away.
fn leave(orders: &mut PipeWriter, guardian: i32) {
    // One that was killed is gone already.
    let _ = orders.write_all(&sys::LEAVE.to_ne_bytes());
    let _ = order(Order::Bury(guardian));
}

impl Leader {
    /// Signals the whole group. As long as the leader's remains are not reaped, no other group can have its id.
    pub(super) fn signal_group(&self, signal: i32) -> io::Result<()> {
        if self.gone { Err(no_such_process()) } else { sys::signal_group(self.pid, signal) }
    }

    /// Signals the program itself.
    pub(super) fn signal(&self, signal: i32) -> io::Result<()> {
        if self.gone { Err(no_such_process()) } else { sys::signal_process(self.pid, signal) }
    }

    /// Takes its remains away: the group is known to be empty.
    pub(super) fn reap(&mut self) {
        self.gone = reaped(self.pid) || self.gone;
    }
}

fn no_such_process() -> io::Error {
    io::Error::from_raw_os_error(libc::ESRCH)
}

impl Drop for Leader {
    fn drop(&mut self) {
        if !self.gone {
            let _ = self.signal_group(libc::SIGKILL);
            let _ = order(Order::Bury(self.pid));
        }
        leave(&mut self.orders, self.guardian);
    }
}
