//! A program and everything it starts.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use steadfast_core::Moment;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;

use super::spawner::{self, Leader, Started};
use super::stale::GroupId;
use super::{Exit, Signal, SpawnError, Spec, table};
use crate::clock;
use crate::sys::{self, Remains};

/// How long the first wait is between two looks at whether a group is empty; each further one is twice as long.
const FIRST_LOOK: Duration = Duration::from_millis(1);
/// The longest wait between two looks.
const LAST_LOOK: Duration = Duration::from_millis(50);

/// A running program with its process group. Dropping it kills the group.
///
/// The remains of a program that has ended are kept until its group is empty, so that the group's id can be nobody
/// else's as long as it may be signalled.
#[derive(Debug)]
pub struct Group {
    id: GroupId,
    life: Arc<Mutex<Life>>,
    ended: AsyncFd<OwnedFd>,
    /// What the program writes, with [`super::Output::Piped`].
    pub stdout: Option<pipe::Receiver>,
    /// What the program complains of, with [`super::Output::Piped`].
    pub stderr: Option<pipe::Receiver>,
}

#[derive(Debug)]
struct Life {
    leader: Leader,
    exit: Option<Exit>,
    empty: bool,
}

impl Group {
    /// Starts a program. When this returns it runs, and whatever happens to us, it and its group will not outlive us.
    /// Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`SpawnError`]; then nothing runs.
    pub async fn spawn(spec: &Spec) -> Result<Group, SpawnError> {
        let Started { leader, pidfd, entry, stdout, stderr } = spawner::start(spec).await?;
        let assemble = || -> io::Result<Group> {
            Ok(Group {
                id: GroupId::of(&entry)?,
                ended: sys::watch(pidfd)?,
                stdout: stdout.map(pipe::Receiver::from_owned_fd).transpose()?,
                stderr: stderr.map(pipe::Receiver::from_owned_fd).transpose()?,
                life: Arc::new(Mutex::new(Life { leader, exit: None, empty: false })),
            })
        };
        assemble().map_err(|error| SpawnError::explain(spec, &error))
    }

    /// What to remember, to be able to end the group should this process be killed: see [`super::end_stale`].
    pub fn id(&self) -> &GroupId {
        &self.id
    }

    /// The program's process id, which is also the group's.
    pub fn pid(&self) -> i32 {
        self.id.group()
    }

    /// Returns when the program itself has ended, at once when it does; others of its group may still run. Cancel
    /// safe, and any number may wait.
    pub async fn exited(&self) -> Exit {
        loop {
            let readable = self.ended.readable().await;
            if let Some(exit) = self.exit() {
                return exit;
            }
            match readable {
                Ok(mut guard) => guard.clear_ready(),
                // The runtime is shutting down: nothing will ever be noticed again.
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// How the program ended; `None` while it runs.
    pub fn exit(&self) -> Option<Exit> {
        lock(&self.life).exit()
    }

    /// Sends a signal to the program alone, which passes on what it sees fit.
    ///
    /// # Errors
    ///
    /// Where the program has ended and nothing of its group is left; else those of kill(2).
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        lock(&self.life).leader.signal(signal.number())
    }

    /// Sends a signal to every process of the group.
    ///
    /// # Errors
    ///
    /// Where nothing of the group is left; else those of kill(2).
    pub fn signal_group(&self, signal: Signal) -> io::Result<()> {
        lock(&self.life).leader.signal_group(signal.number())
    }

    /// Kills every process of the group, at once and for certain. They are gone when [`Group::wait_empty`] says so.
    pub fn kill(&self) {
        // Fails only where there is nobody left, or nobody this user may signal.
        if let Err(error) = self.signal_group(Signal::KILL)
            && error.raw_os_error() != Some(libc::ESRCH)
        {
            tracing::warn!(group = self.pid(), %error, "cannot kill a process group");
        }
    }

    /// Whether nothing of the group runs any more. What has ended and was not reaped by its parent does not count.
    /// Reads all of `/proc` once the program has ended.
    pub fn is_empty(&self) -> bool {
        is_empty(&self.life, self.pid())
    }

    /// Waits until nothing of the group runs, at most until `deadline`; whether that is so.
    pub async fn wait_empty(&self, deadline: Moment) -> bool {
        let gone = async {
            self.exited().await;
            let mut pause = FIRST_LOOK;
            loop {
                let (life, group) = (Arc::clone(&self.life), self.pid());
                // With thousands of processes on the machine a look takes a while.
                if tokio::task::spawn_blocking(move || is_empty(&life, group)).await.unwrap_or(false) {
                    return;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LAST_LOOK);
            }
        };
        clock::timeout_at(deadline, gone).await.is_some()
    }

    /// Ends the group: SIGTERM to the program; when that has ended, SIGTERM to what it left behind; after `within`
    /// altogether, SIGKILL to all. Returns when nothing is left, however long the kernel takes for the last step.
    ///
    /// The program comes first and alone, as service managers and container runtimes do it: it knows in which order
    /// its own workers end.
    pub async fn stop(&self, within: Duration) -> Exit {
        let deadline = clock::now() + within;
        self.ask(Group::signal);
        if clock::timeout_at(deadline, self.exited()).await.is_some() && !self.is_empty() {
            self.ask(Group::signal_group);
        }
        if !self.wait_empty(deadline).await {
            tracing::warn!(group = self.pid(), "killing a process group that did not end within {within:?}");
            self.kill();
            self.wait_empty(Moment::MAX).await;
        }
        self.exited().await
    }

    /// SIGTERM, and SIGCONT so that a stopped process hears it.
    fn ask(&self, signal: fn(&Group, Signal) -> io::Result<()>) {
        for one in [Signal::TERM, Signal::CONT] {
            if let Err(error) = signal(self, one) {
                tracing::debug!(group = self.pid(), %error, signal = %one, "cannot signal a process");
            }
        }
    }
}

fn lock(life: &Mutex<Life>) -> MutexGuard<'_, Life> {
    life.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_empty(life: &Mutex<Life>, group: i32) -> bool {
    {
        let mut life = lock(life);
        if life.empty || life.exit().is_none() {
            return life.empty;
        }
    }
    let left = table::entries().map(|all| all.iter().any(|entry| entry.group == group && !entry.ended));
    match left {
        Ok(false) => {
            let mut life = lock(life);
            if !life.empty {
                life.empty = true;
                life.leader.bury();
            }
            true
        }
        Ok(true) => false,
        Err(error) => {
            tracing::warn!(%error, "cannot read /proc to see whether a process group is empty");
            false
        }
    }
}

impl Life {
    fn exit(&mut self) -> Option<Exit> {
        if self.exit.is_none() {
            // An error would mean that somebody else reaped our child: then how it ended is not known, but that it did.
            self.exit = sys::child_exit(self.leader.pid, Remains::Keep).unwrap_or(Some(Exit::Signal(libc::SIGKILL)));
        }
        self.exit
    }
}
