//! One life of an instance on this machine: its lock, its incarnation, and what it leaves to the next.
//!
//! While the lock is held, whoever wrote the state file under the same boot id and the same lock is dead: its name,
//! and the lease it may hold, are ours to take over. Under another boot id (a restart, a copied disk) nothing follows
//! from the file but the highest epoch ever seen. Beside another lock (a copied directory) its writer may be alive:
//! only what was promised holds as well, for the clock is the same.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use steadfast_core::lease::Memory;
use steadfast_core::{Epoch, Incarnation, InstanceId, Moment, SetName};
use steadfast_host::process::GroupId;
use steadfast_host::state::{Lock, PUBLIC, StateDir, StateError};
use steadfast_host::{clock, random};
use steadfast_registry::Text;

use crate::Error;

const LOCK: &str = "lock";
const STATE: &str = "agent.json";
/// The file the application reads the epoch from.
pub(crate) const EPOCH: &str = "epoch";
/// The socket of the API for the application.
const API: &str = "api.sock";
/// The format of the state file.
const FORMAT: u64 = 1;
/// So many former lives of this boot are remembered: those that ended before they could register count too.
const LIVES_KEPT: usize = 16;

/// What stands in the state file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Document {
    v: u64,
    boot: String,
    /// The lock its writer held; none in files of older agents.
    #[serde(default)]
    lock: Option<LockFile>,
    incarnation: Text<Incarnation>,
    /// The lives before this one, under the same boot and lock; the last is the latest.
    former: Vec<Text<Incarnation>>,
    /// The highest epoch ever seen.
    epoch: u64,
    /// Under this boot: until when a gateway may act on what some life said, in nanoseconds of the boot clock.
    #[serde(default)]
    promised_until_ns: u64,
    /// The application's process group: a [`GroupId`].
    group: Option<String>,
}

/// Which file a lock is on: a copy is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LockFile {
    device: u64,
    inode: u64,
}

impl LockFile {
    fn of(path: &Path) -> Result<LockFile, Error> {
        let metadata = std::fs::metadata(path)
            .map_err(|cause| Error::Machine { what: "look at the lock in the state directory", cause })?;
        Ok(LockFile { device: metadata.dev(), inode: metadata.ino() })
    }
}

/// A life that has begun, and the exclusive right to it on this machine.
#[derive(Debug)]
pub(crate) struct Life {
    dir: StateDir,
    _lock: Lock,
    incarnation: Incarnation,
    document: Mutex<Document>,
    /// What the life before may have left running.
    stale: Option<GroupId>,
}

impl Life {
    /// Begins a life of `instance`, with its files under `root`. Blocks on the disk.
    pub(crate) fn begin(root: &Path, set: &SetName, instance: &InstanceId) -> Result<Life, Error> {
        let path: PathBuf = root.join("agents").join(set.as_str()).join(instance.as_str());
        let dir = StateDir::open(&path)?;
        let lock = dir.lock(LOCK).map_err(|error| match error {
            StateError::Held { pid, .. } => Error::AlreadyRuns {
                set: set.clone(),
                instance: instance.clone(),
                place: pid.map_or_else(|| "on this machine".to_owned(), |pid| format!("on this machine (pid {pid})")),
            },
            other => other.into(),
        })?;
        let boot = clock::boot_id()
            .map_err(|cause| Error::Machine { what: "read this boot's id (is /proc mounted?)", cause })?;
        let lock_file = LockFile::of(&dir.file(LOCK))?;
        let incarnation = Incarnation(random::u64());
        let before = dir.read(STATE)?;
        let before = before.map(|bytes| read(&path, &bytes)).transpose()?;
        let document = succeed(before.as_ref(), boot, lock_file, incarnation);
        let stale = document.group.as_deref().and_then(|group| group.parse().ok());
        let life = Life { dir, _lock: lock, incarnation, document: Mutex::new(document), stale };
        life.write(|_| ())?;
        Ok(life)
    }

    /// This life's mark.
    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// What the lives of this instance have left to remember about the lease.
    pub(crate) fn memory(&self) -> Memory {
        let document = self.document();
        Memory { epoch: Epoch(document.epoch), promised_until: Moment::from_nanos(document.promised_until_ns) }
    }

    /// Whether `other` was a life of this boot that held this life's lock, and so is proven dead.
    pub(crate) fn outlived(&self, other: Incarnation) -> bool {
        self.document().former.contains(&Text(other))
    }

    /// What the life before may have left running.
    pub(crate) fn stale(&self) -> Option<&GroupId> {
        self.stale.as_ref()
    }

    /// Where the application reads the epoch.
    pub(crate) fn epoch_file(&self) -> PathBuf {
        self.dir.file(EPOCH)
    }

    /// Where the application finds our API, unless it is said.
    pub(crate) fn api_socket(&self) -> PathBuf {
        self.dir.file(API)
    }

    /// Writes down what the next life must know about the lease. Blocks until it is on the disk.
    pub(crate) fn remember(&self, memory: Memory) -> Result<(), Error> {
        self.write(|document| {
            document.epoch = document.epoch.max(memory.epoch.0);
            document.promised_until_ns = document.promised_until_ns.max(memory.promised_until.as_nanos());
        })
    }

    /// Writes down which process group there is to be killed, should this agent not live to do so. Blocks.
    pub(crate) fn remember_group(&self, group: Option<&GroupId>) -> Result<(), Error> {
        self.write(|document| document.group = group.map(GroupId::to_string))
    }

    /// Tells the application the epoch it leads at, or that it does not lead. Blocks.
    pub(crate) fn tell_epoch(&self, epoch: Option<Epoch>) -> Result<(), Error> {
        let text = epoch.map(|epoch| format!("{epoch}\n")).unwrap_or_default();
        Ok(self.dir.write_atomically(EPOCH, text.as_bytes(), PUBLIC)?)
    }

    fn write(&self, change: impl FnOnce(&mut Document)) -> Result<(), Error> {
        // Held while writing, so that two writes end in the order they began.
        let mut document = self.document();
        change(&mut document);
        let bytes = serde_json::to_vec(&*document).unwrap_or_else(|e| unreachable!("a document is always JSON: {e}"));
        Ok(self.dir.write_atomically(STATE, &bytes, PUBLIC)?)
    }

    fn document(&self) -> MutexGuard<'_, Document> {
        self.document.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The document of a new life after `before`.
fn succeed(before: Option<&Document>, boot: String, lock: LockFile, incarnation: Incarnation) -> Document {
    let same_boot = before.filter(|before| before.boot == boot);
    let same_lock = before.filter(|before| before.lock == Some(lock));
    let dead = same_boot.filter(|_| same_lock.is_some());
    let mut former = dead.map(|before| before.former.clone()).unwrap_or_default();
    former.extend(dead.map(|before| before.incarnation));
    former.drain(..former.len().saturating_sub(LIVES_KEPT));
    Document {
        v: FORMAT,
        boot,
        lock: Some(lock),
        incarnation: Text(incarnation),
        former,
        epoch: before.map_or(0, |before| before.epoch),
        promised_until_ns: same_boot.map_or(0, |before| before.promised_until_ns),
        // Names its boot itself. Beside another lock it may belong to an agent that is alive.
        group: same_lock.and_then(|before| before.group.clone()),
    }
}

fn read(path: &Path, bytes: &[u8]) -> Result<Document, Error> {
    let problem = |problem: String| Error::StateFile { path: path.join(STATE), problem };
    #[derive(Deserialize)]
    struct Format {
        v: u64,
    }
    let broken = |error: serde_json::Error| {
        problem(format!(
            "it is damaged ({error}); it holds the highest epoch seen: restore it, or remove it only if the store kept its own"
        ))
    };
    let Format { v } = serde_json::from_slice(bytes).map_err(broken)?;
    if v > FORMAT {
        return Err(problem(format!("it is of format {v}, this Steadfast knows up to {FORMAT}: use a newer one")));
    }
    serde_json::from_slice(bytes).map_err(broken)
}

#[cfg(test)]
mod tests;
