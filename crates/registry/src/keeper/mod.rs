//! The keeper: the one process that expires, forgets, moves at deadlines, declares losses and counts the time.
//!
//! All its writes are conditional: safety never depends on there being one, nor on there being only one. Its lease is
//! there so that the work is done once.

mod clock;
mod expiry;
mod index;
mod lease;
mod leaving;
mod losses;
mod moves;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use steadfast_core::SetName;
use steadfast_core::settings::{SetSettings, StickySettings};
use steadfast_host::shutdown::Shutdown;
use tokio::task::JoinHandle;

use crate::{Error, Mirror, Placer, PlacerBounds, Registry, SetRecord, keys};

/// How often the sets of the store are looked through for new ones.
const SETS_EVERY: Duration = Duration::from_secs(2);
/// How much the keeper asks for at once, and how long it waits.
const BOUNDS: PlacerBounds = PlacerBounds { waiting: 4_096, within: Duration::from_secs(10) };

/// Contends for `lease/keeper` of the catalog and, while holding it, keeps every sticky set the store knows. Runs until
/// `shutdown`, and then releases. `name` is this process', for the record. While there is no sticky set it only looks
/// for one.
pub async fn keep(registry: Registry, name: String, shutdown: Shutdown) {
    let needed = async {
        while !matches!(sticky_sets(&registry).await, Ok(sets) if !sets.is_empty()) {
            tokio::time::sleep(SETS_EVERY).await;
        }
    };
    tokio::select! {
        () = needed => {}
        () = shutdown.requested() => return,
    }
    let work = {
        let (registry, by) = (registry.clone(), format!("keeper {name}"));
        move || keep_sets(registry.clone(), by.clone())
    };
    lease::hold(registry, &name, lease::timing(), shutdown, work).await;
}

/// A task that ends with whoever holds it.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Keeps every sticky set, for ever.
async fn keep_sets(registry: Registry, by: String) {
    let mut kept: BTreeMap<SetName, Task> = BTreeMap::new();
    loop {
        match sticky_sets(&registry).await {
            Ok(sets) => {
                kept.retain(|name, task| sets.contains(name) && !task.0.is_finished());
                for set in sets {
                    kept.entry(set.clone())
                        .or_insert_with(|| Task(tokio::spawn(keep_set(Parts::start(&registry, set, &by)))));
                }
            }
            Err(error) => tracing::debug!(%error, "the keeper cannot read which sets there are"),
        }
        tokio::time::sleep(SETS_EVERY).await;
    }
}

/// The sticky sets whose settings can be read: another one that cannot be is no reason to leave these alone.
async fn sticky_sets(registry: &Registry) -> Result<Vec<SetName>, Error> {
    let found = registry.all_readable::<SetRecord>(&keys::catalog(), keys::SETS).await?;
    let sticky = found.into_iter().filter_map(|(name, stored)| {
        let name: SetName = name.parse().ok()?;
        matches!(stored.record.settings(&name), Ok(SetSettings::Sticky(_))).then_some(name)
    });
    Ok(sticky.collect())
}

/// What the keeper's works on one set share.
struct Parts {
    registry: Registry,
    set: SetName,
    mirror: Arc<Mirror>,
    placer: Placer,
    by: String,
}

impl Parts {
    fn start(registry: &Registry, set: SetName, by: &str) -> Parts {
        let mirror = Arc::new(Mirror::follow(registry, &set));
        let placer = Placer::start(registry, mirror.clone(), by, BOUNDS);
        Parts { registry: registry.clone(), set, mirror, placer, by: by.to_owned() }
    }

    /// The set's settings, as far as they are known.
    fn settings(&self) -> Option<Box<StickySettings>> {
        match &self.mirror.snapshot().settings {
            Some(SetSettings::Sticky(settings)) => Some(settings.clone()),
            _ => None,
        }
    }
}

async fn keep_set(parts: Parts) {
    tokio::join!(
        clock::run(&parts),
        expiry::run(&parts),
        losses::run(&parts),
        moves::run(&parts),
        leaving::run(&parts)
    );
}

#[cfg(test)]
mod tests;
