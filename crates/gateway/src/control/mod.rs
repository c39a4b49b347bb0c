//! The control thread: follows each set and tells the workers where its requests go. It may stall without stalling
//! traffic that is vouched for.

mod fixed;
mod follow;
mod leader;
mod pace;

use std::sync::Arc;

use steadfast_registry::Registry;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::config::FixedSet;
use crate::set::SetShared;

/// How one set is followed.
#[derive(Debug)]
pub(crate) enum Source {
    /// By the books and its agents' probes.
    Books(Registry),
    /// By checks of our own.
    Fixed(FixedSet),
}

/// Follows the sets as long as a worker holds the other end of `present`.
pub(crate) fn run(
    sets: Vec<(Arc<SetShared>, Source)>,
    workers: usize,
    mut present: mpsc::Receiver<()>,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    // Names this gateway to agents, which wait for what it has under way.
    let gateway = format!("{:016x}", steadfast_host::random::u64());
    runtime.block_on(async {
        let mut following = JoinSet::new();
        for (set, source) in sets {
            match source {
                Source::Books(registry) => following.spawn(leader::follow(set, registry, gateway.clone(), workers)),
                Source::Fixed(fixed) => following.spawn(fixed::check(set, fixed, workers)),
            };
        }
        // Nothing is ever sent: this ends with the last sender.
        present.recv().await;
        following.shutdown().await;
    });
    Ok(())
}
