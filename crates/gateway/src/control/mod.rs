//! The control thread: follows each set and tells the workers where its requests go. It may stall without stalling
//! traffic that is vouched for.

mod books;
mod deferred;
mod fixed;
mod follow;
mod homes;
mod leader;
mod limits;
mod pace;
mod sticky;

use std::sync::Arc;

use steadfast_registry::Registry;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::bounds::Bounds;
use crate::config::FixedSet;
use crate::set::SetShared;
use crate::shared::Shared;

/// How one set is followed.
#[derive(Debug)]
pub(crate) enum Source {
    /// By the books and its agents' probes.
    Books(Registry),
    /// By checks of our own.
    Fixed(FixedSet),
}

/// What the following of every set needs.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    /// For the records.
    pub(crate) name: Option<String>,
    pub(crate) workers: usize,
    pub(crate) bounds: Bounds,
    pub(crate) shared: Arc<Shared>,
}

impl Control {
    /// What stands in the records that this gateway writes.
    fn by(&self) -> String {
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
        format!("gateway {}", self.name.clone().unwrap_or_else(host))
    }
}

/// Follows the sets as long as a worker holds the other end of `present`.
pub(crate) fn run(
    sets: Vec<(Arc<SetShared>, Source)>,
    control: &Control,
    mut present: mpsc::Receiver<()>,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    // Names this gateway to agents, which wait for what it has under way.
    let gateway = format!("{:016x}", steadfast_host::random::u64());
    runtime.block_on(async {
        let mut following = JoinSet::new();
        following.spawn(limits::tell(control.shared.clone()));
        for (set, source) in sets {
            match source {
                Source::Books(registry) => {
                    following.spawn(books::follow(set, registry, gateway.clone(), control.clone()))
                }
                Source::Fixed(fixed) => following.spawn(fixed::check(set, fixed, control.workers)),
            };
        }
        // Nothing is ever sent: this ends with the last sender.
        present.recv().await;
        following.shutdown().await;
    });
    Ok(())
}
