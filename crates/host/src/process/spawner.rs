//! The one thread that forks, and the guardian it keeps.
//!
//! The kernel's "kill the child when its parent dies" means the *thread* that forked it, so that thread must live as
//! long as this process: not a worker of a runtime. What that leaves alive, the children's children, is the guardian's:
//! one process beside us that knows every group, and kills them when it sees that we are gone. Should somebody kill the
//! guardian, there is a new one within a second.
//!
//! The thread also buries what is left of groups. A group is forgotten by the guardian before its leader is reaped, so
//! that a number it knows can never be another group's.

use std::collections::BTreeSet;
use std::io::{self, PipeWriter, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Output, SpawnError, Spec, table};
use crate::sys::{self, Remains};

/// How often the dead are looked for while some are awaited.
const BURY_EVERY: Duration = Duration::from_millis(10);
/// How often the guardian is looked after while there is something to guard.
const TEND_EVERY: Duration = Duration::from_secs(1);

/// The service manager's word to this process, which a child must not take for its own.
const MEANT_FOR_US: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

static SPAWNER: Mutex<Option<Sender<Order>>> = Mutex::new(None);

/// Our own children: those whose end somebody here awaits. Held while forking, so that no child is ever unknown.
static CHILDREN: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

enum Order {
    Start(Box<Spec>, oneshot::Sender<Result<Started, SpawnError>>),
    /// Forget this group, and reap its leader when it has ended.
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

/// The program a group was started with. Dropping it kills the group.
#[derive(Debug)]
pub(super) struct Leader {
    pub(super) pid: i32,
    /// It is left to be reaped: its id may be anybody's.
    gone: bool,
}

pub(super) fn children() -> MutexGuard<'static, BTreeSet<i32>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a program. If the caller loses interest, it is killed again.
pub(super) async fn start(spec: &Spec) -> Result<Started, SpawnError> {
    let failed = |error: &io::Error| SpawnError::explain(spec, error);
    let (reply, started) = oneshot::channel();
    order(Order::Start(Box::new(spec.clone()), reply)).map_err(|error| failed(&error))?;
    started.await.map_err(|_| failed(&thread_ended()))?
}

fn order(order: Order) -> io::Result<()> {
    let mut spawner = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
    let sender = match &*spawner {
        Some(sender) => sender,
        None => {
            let (sender, orders) = channel();
            std::thread::Builder::new().name("spawner".into()).spawn(move || Spawner::default().work(&orders))?;
            spawner.insert(sender)
        }
    };
    sender.send(order).map_err(|_| thread_ended())
}

fn thread_ended() -> io::Error {
    io::Error::other("the spawning thread ended")
}

/// What the thread remembers.
#[derive(Default)]
struct Spawner {
    guardian: Option<Guardian>,
    /// The groups to be guarded.
    live: BTreeSet<i32>,
    /// Children that have ended or are about to.
    dying: Vec<i32>,
}

struct Guardian {
    pid: i32,
    orders: PipeWriter,
}

impl Spawner {
    fn work(mut self, orders: &Receiver<Order>) {
        sys::block_all_signals();
        loop {
            let next = match (self.dying.is_empty(), self.live.is_empty()) {
                (false, _) => orders.recv_timeout(BURY_EVERY),
                (true, false) => orders.recv_timeout(TEND_EVERY),
                (true, true) => orders.recv().map_err(RecvTimeoutError::from),
            };
            match next {
                Ok(Order::Start(spec, reply)) => {
                    let started = self.start(&spec).map_err(|error| SpawnError::explain(&spec, &error));
                    // A caller that is gone: what was started is dropped, which kills it.
                    let _ = reply.send(started);
                }
                Ok(Order::Bury(group)) => self.bury(group),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.dying.retain(|pid| !reaped(*pid));
            if !self.live.is_empty()
                && let Err(error) = self.guardian()
            {
                tracing::warn!(%error, "the guardian of our processes is gone and cannot be replaced; trying again");
            }
        }
    }

    /// Forgotten first, reaped later.
    fn bury(&mut self, group: i32) {
        self.live.remove(&group);
        self.tell(&[-group]);
        self.dying.push(group);
    }

    /// The guardian, a new one if the former was killed.
    fn guardian(&mut self) -> io::Result<&mut Guardian> {
        let kept = self.guardian.take().filter(|guardian| !reaped(guardian.pid));
        let kept = match kept {
            Some(guardian) => guardian,
            None => {
                let (read, mut orders) = io::pipe()?;
                // Before there is anybody to hear them: a guardian is never without its orders.
                tell(&mut orders, &self.all())?;
                let mut known = children();
                let pid = sys::fork_guardian(read.into())?;
                known.insert(pid);
                Guardian { pid, orders }
            }
        };
        Ok(self.guardian.insert(kept))
    }

    /// Orders that make any guardian's memory right.
    fn all(&self) -> Vec<i32> {
        std::iter::once(sys::FORGET_ALL).chain(self.live.iter().copied()).collect()
    }

    fn tell(&mut self, orders: &[i32]) {
        // A guardian that does not hear is gone; its successor is told everything.
        if let Some(guardian) = &mut self.guardian {
            let _ = tell(&mut guardian.orders, orders);
        }
    }

    fn start(&mut self, spec: &Spec) -> io::Result<Started> {
        if self.live.len() >= sys::WATCHED_GROUPS - 1 {
            return Err(io::Error::other(format!("{} programs run already", self.live.len())));
        }
        let mut command = command(spec)?;
        let guardian = self.guardian()?;
        let mut known = children();
        let spawned = sys::spawn_guarded(&mut command, guardian.orders.as_fd());
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                // It told the guardian its id, which we never learn.
                let all = self.all();
                self.tell(&all);
                return Err(error);
            }
        };
        let pid = child.id().cast_signed();
        known.insert(pid);
        drop(known);
        self.live.insert(pid);
        let leader = Leader { pid, gone: false };
        let (stdout, stderr) = (child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from));
        let unreadable = |why: String| io::Error::other(format!("/proc does not show it: {why}"));
        let entry = table::entry(pid).map_err(|error| unreadable(error.to_string()))?;
        let entry = entry.ok_or_else(|| unreadable("no such process".into()))?;
        Ok(Started { pidfd: sys::open_pidfd(pid)?, entry, leader, stdout, stderr })
    }
}

/// In one write, which the kernel does whole or not at all: a guardian never sees half of it.
fn tell(guardian: &mut PipeWriter, orders: &[i32]) -> io::Result<()> {
    let bytes: Vec<u8> = orders.iter().flat_map(|order| order.to_ne_bytes()).collect();
    guardian.write_all(&bytes)
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

/// Takes away the remains of child `pid`; whether there is nothing (more) to take.
fn reaped(pid: i32) -> bool {
    let mut children = children();
    match sys::child_exit(pid, Remains::Reap) {
        Ok(None) => false,
        Ok(Some(_)) | Err(_) => {
            children.remove(&pid);
            true
        }
    }
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

    /// Leaves it to be reaped: the group is known to be empty.
    pub(super) fn bury(&mut self) {
        if !std::mem::replace(&mut self.gone, true) {
            // Fails only where the thread is gone, and then everything is.
            let _ = order(Order::Bury(self.pid));
        }
    }
}

fn no_such_process() -> io::Error {
    io::Error::from_raw_os_error(libc::ESRCH)
}

impl Drop for Leader {
    fn drop(&mut self) {
        let _ = self.signal_group(libc::SIGKILL);
        self.bury();
    }
}

#[cfg(test)]
mod tests;
