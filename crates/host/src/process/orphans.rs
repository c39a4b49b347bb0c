//! Orphans: processes whose parents are gone, which as PID 1 of a container we inherit and must reap.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

use super::{spawner, table};
use crate::shutdown::Shutdown;
use crate::sys::{self, Remains};

/// Makes this process inherit the orphans among its descendants, as PID 1 does by nature. Call it where
/// [`reap_orphans`] runs, or they stay zombies.
///
/// # Errors
///
/// Those of prctl(2).
pub fn become_subreaper() -> io::Result<()> {
    sys::become_subreaper()
}

/// Reaps the orphans this process inherits, until `shutdown` begins. The children of [`super::Group`] are left to it;
/// children started in any other way must not exist in a process that calls this.
///
/// # Errors
///
/// Where SIGCHLD cannot be had.
pub async fn reap_orphans(shutdown: Shutdown) -> io::Result<()> {
    let mut child_ended = signal(SignalKind::child())?;
    loop {
        // A look at the whole table is not for the runtime's thread.
        if let Ok(Err(error)) = tokio::task::spawn_blocking(reap_now).await {
            tracing::warn!(%error, "cannot look for orphans to reap");
        }
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            _ = child_ended.recv() => {}
        }
    }
}

fn reap_now() -> io::Result<()> {
    let ours = std::process::id().cast_signed();
    // Held so that no child is forked, and missing from the list, between the look and the reaping.
    let known = spawner::children();
    for entry in table::entries()? {
        if entry.parent == ours && entry.ended && !known.contains(&entry.pid) {
            sys::child_exit(entry.pid, Remains::Reap)?;
        }
    }
    Ok(())
}
