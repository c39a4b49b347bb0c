//! Groups of a former life: what a killed process left behind, ended by its successor.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use super::table::{self, Entry};
use crate::{clock, sys};

/// How long to wait between two looks at whether the group is gone.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Names a process group in a way that outlives us and cannot be mistaken for another one's, written
/// `boot/group/session/started`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupId {
    boot: String,
    group: i32,
    session: i32,
    /// When its leader started, in the kernel's ticks since boot.
    started: u64,
}

/// A text that names no group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it does not name a process group: expected boot/group/session/started")]
pub struct BadGroupId;

/// A former group that could not be ended.
#[derive(Debug, thiserror::Error)]
pub enum StaleError {
    /// It was killed, but something of it is still there.
    #[error("process {pid} of the former process group {group} is still there {within:?} after it was killed")]
    StillThere {
        /// One of its processes.
        pid: i32,
        /// The group.
        group: i32,
        /// How long it was waited for.
        within: Duration,
    },
    /// It cannot be looked at, or killed.
    #[error("cannot end the former process group {group}: {source}")]
    Failed {
        /// The group.
        group: i32,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl GroupId {
    pub(super) fn of(leader: &Entry) -> io::Result<GroupId> {
        Ok(GroupId { boot: clock::boot_id()?, group: leader.pid, session: leader.session, started: leader.started })
    }

    /// The group's id, which is its leader's process id.
    pub fn group(&self) -> i32 {
        self.group
    }

    /// What of it runs.
    ///
    /// An id of a group or session stays taken as long as one process is in it. So if its leader is another process
    /// now, nothing of the group is left; if the leader is gone, whoever has both ids and is not older is of it.
    fn members(&self) -> io::Result<Vec<Entry>> {
        if clock::boot_id()? != self.boot {
            return Ok(Vec::new());
        }
        let all = table::entries()?;
        if all.iter().any(|entry| entry.pid == self.group && entry.started != self.started) {
            return Ok(Vec::new());
        }
        let ours = |entry: &Entry| {
            entry.group == self.group && entry.session == self.session && entry.started >= self.started && !entry.ended
        };
        Ok(all.into_iter().filter(ours).collect())
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.boot, self.group, self.session, self.started)
    }
}

impl FromStr for GroupId {
    type Err = BadGroupId;

    fn from_str(text: &str) -> Result<GroupId, BadGroupId> {
        let parts: Vec<&str> = text.split('/').collect();
        let [boot, group, session, started] = parts[..] else { return Err(BadGroupId) };
        let number = |text: &str| text.parse().ok().filter(|number| *number > 1).ok_or(BadGroupId);
        Ok(GroupId {
            boot: Some(boot).filter(|boot| !boot.is_empty()).ok_or(BadGroupId)?.to_string(),
            group: number(group)?,
            session: session.parse().map_err(|_| BadGroupId)?,
            started: started.parse().map_err(|_| BadGroupId)?,
        })
    }
}

/// Kills what is left of a group that a former life of ours started, and waits until it is gone; whether there was
/// anything left. Its guardian has usually done so already.
///
/// # Errors
///
/// [`StaleError`]: the group must be taken to be running still.
pub async fn end_stale(id: &GroupId, within: Duration) -> Result<bool, StaleError> {
    let failed = |source| StaleError::Failed { group: id.group, source };
    let deadline = clock::now() + within;
    let mut left = id.members().map_err(failed)?;
    let any = !left.is_empty();
    while let Some(member) = left.first() {
        if clock::now() >= deadline {
            return Err(StaleError::StillThere { pid: member.pid, group: id.group, within });
        }
        match sys::signal_group(id.group, libc::SIGKILL) {
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(failed(error)),
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
        left = id.members().map_err(failed)?;
    }
    Ok(any)
}
