//! The keeper of this process: it contends with those of other processes, and one of them keeps the sets.

use std::time::Duration;

use steadfast_host::clock;
use steadfast_host::shutdown::Shutdown;
use steadfast_registry::Registry;
use tokio::task::JoinHandle;

/// How long a keeper may take to give its lease back; another one takes over later if it does not.
const RELEASE_WITHIN: Duration = Duration::from_secs(2);

/// A keeper that runs. It keeps no process alive: it ends when its process does.
pub(super) struct Keeper {
    end: Shutdown,
    task: JoinHandle<()>,
}

impl Keeper {
    /// Keeps the sets of `registry`'s store whenever nobody else does.
    pub(super) fn start(registry: &Registry) -> Keeper {
        let end = Shutdown::new();
        let work = steadfast_registry::keep(registry.clone(), machine(), end.clone());
        Keeper { end, task: tokio::spawn(work) }
    }

    /// Ends it, so that another one can take over at once.
    pub(super) async fn end(mut self) {
        self.end.begin();
        match clock::timeout_at(clock::now() + RELEASE_WITHIN, &mut self.task).await {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::error!(%error, "the keeper ended badly"),
            None => {
                tracing::debug!("the keeper could not give its lease back in time");
                self.task.abort();
            }
        }
    }
}

/// This machine's name, for the records the keeper writes.
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}
