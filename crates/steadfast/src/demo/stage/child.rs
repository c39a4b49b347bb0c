//! One process of the demo, kept running: what it says goes to a file, and when it ends it is started again. One that
//! the demo itself killed stays away until it is brought back.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use steadfast_host::process::{Exit, Group, Output, SpawnError, Spec};
use steadfast_host::shutdown::Shutdown;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::{mpsc, watch};

/// How long a process may take to end.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// How long one that ended by itself stays away: somebody killed it to see what happens.
const AWAY_FOR: Duration = Duration::from_secs(3);
/// A process that ends as soon as it is started is not started again for ever.
const STARTS: u32 = 100;
/// Lines remembered of what a process said last.
const LINES_KEPT: usize = 12;

/// A process of the demo.
#[derive(Debug)]
pub(super) struct Child {
    name: String,
    argv: Vec<OsString>,
    pid: AtomicI32,
    gave_up: AtomicBool,
    /// Whether it shall run.
    wanted: watch::Sender<bool>,
    log: Log,
}

/// That a process ended, unasked.
#[derive(Debug)]
pub(in crate::demo) struct Ended {
    /// Which.
    pub(in crate::demo) name: String,
    /// How.
    pub(in crate::demo) exit: Exit,
}

/// What a process said.
#[derive(Debug)]
pub(in crate::demo) struct Log {
    name: String,
    file: Option<Mutex<File>>,
    last: Mutex<VecDeque<String>>,
}

impl Child {
    pub(super) fn new(name: &str, argv: Vec<OsString>, log: PathBuf) -> Child {
        let file = File::create(log).ok().map(Mutex::new);
        Child {
            name: name.to_owned(),
            argv,
            pid: AtomicI32::new(0),
            gave_up: AtomicBool::new(false),
            wanted: watch::Sender::new(true),
            log: Log { name: name.to_owned(), file, last: Mutex::default() },
        }
    }

    pub(super) fn pid(&self) -> Option<i32> {
        Some(self.pid.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }

    /// Kills it with everything it started, as if its host died; it stays away.
    pub(super) fn kill(&self) {
        self.wanted.send_replace(false);
    }

    /// Brings it back.
    pub(super) fn start(&self) {
        self.wanted.send_replace(true);
    }

    /// Whether it shall run: it does, or is started again in a moment.
    pub(super) fn is_wanted(&self) -> bool {
        *self.wanted.borrow()
    }

    /// It is not there and does not come back.
    pub(super) fn gave_up(&self) -> bool {
        self.gave_up.load(Ordering::Relaxed)
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }
}

impl Log {
    fn write(&self, line: &str) {
        if let Some(file) = &self.file {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            // A log that cannot be written is missed by nobody but who looks into it.
            let _ = writeln!(file, "{line}");
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == LINES_KEPT {
            last.pop_front();
        }
        last.push_back(line.to_owned());
    }

    /// What was said last.
    pub(in crate::demo) fn tail(&self) -> String {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().map(|line| format!("  {}: {line}\n", self.name)).collect()
    }
}

/// Runs a process until `stop` begins; if it ends before, that is told, and after a while it is started again.
/// One that fails at its first start is given up: something is wrong with all of this.
pub(super) async fn keep(child: Arc<Child>, ended: mpsc::Sender<Ended>, stop: Shutdown) {
    let mut wanted = child.wanted.subscribe();
    let mut starts = 0;
    while starts < STARTS {
        tokio::select! {
            () = turns(&mut wanted, true) => {}
            () = stop.requested() => return,
        }
        let end = match live(&child, &mut wanted, &stop).await {
            Ok(end) => end,
            Err(error) => {
                child.log.write(&error.to_string());
                break;
            }
        };
        match end {
            End::Stopped => return,
            End::Killed => continue,
            End::Itself(exit) => {
                starts += 1;
                // A full queue belongs to somebody who is ending.
                let _ = ended.try_send(Ended { name: child.name.clone(), exit });
                if starts == 1 && exit == Exit::Code(2) {
                    break;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(AWAY_FOR) => {}
            () = stop.requested() => return,
        }
    }
    child.gave_up.store(true, Ordering::Relaxed);
}

/// How a life of a process ended.
enum End {
    /// By itself, or by somebody else's hand.
    Itself(Exit),
    /// By ours, until it is wanted again.
    Killed,
    /// By ours, in good order and for good.
    Stopped,
}

/// One life of a process.
async fn live(child: &Arc<Child>, wanted: &mut watch::Receiver<bool>, stop: &Shutdown) -> Result<End, SpawnError> {
    let spec = Spec::new(child.argv.clone()).output(Output::Piped);
    let mut group = Group::spawn(&spec).await?;
    child.pid.store(group.pid(), Ordering::Relaxed);
    let listening =
        (group.stdout.take().map(|out| listen(child, out)), group.stderr.take().map(|err| listen(child, err)));
    let end = tokio::select! {
        exit = group.exited() => End::Itself(exit),
        () = turns(wanted, false) => {
            group.kill();
            group.exited().await;
            End::Killed
        }
        () = stop.requested() => {
            group.stop(STOP_WITHIN).await;
            End::Stopped
        }
    };
    child.pid.store(0, Ordering::Relaxed);
    for task in [listening.0, listening.1].into_iter().flatten() {
        task.abort();
    }
    Ok(end)
}

/// Waits until it is wanted, or not.
async fn turns(wanted: &mut watch::Receiver<bool>, to: bool) {
    // The sender lives in the child, so there is always one.
    let _ = wanted.wait_for(|wanted| *wanted == to).await;
}

fn listen(child: &Arc<Child>, from: impl AsyncRead + Send + Unpin + 'static) -> tokio::task::JoinHandle<()> {
    let child = Arc::clone(child);
    tokio::spawn(async move {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            child.log.write(&line);
        }
    })
}
