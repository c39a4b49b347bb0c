//! The set's own time: a counter, raised at most once a [`TICK`] of this machine's clock.
//!
//! It is raised only after it was observed unchanged for a whole tick, so that two keepers at once, or one after the
//! other, make it run no faster. While the store is away nothing happens, and nothing is made up for afterwards.

use std::time::Duration;

use steadfast_core::Moment;
use steadfast_core::placement::TICK;
use steadfast_host::clock;
use steadfast_store::{Batch, Revision};

use super::Parts;
use crate::records::ClockRecord;
use crate::registry::{CALL_WITHIN, put};
use crate::{Registry, keys};

/// How long to wait with a store that does not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// What was observed of the clock: its version, and since when.
type Observed = Option<(Option<Revision>, Moment)>;

pub(super) async fn run(parts: &Parts) {
    let mut observed: Observed = None;
    loop {
        match step(&parts.registry, &parts.set, observed).await {
            Ok((version, since)) => {
                observed = Some((version, since));
                clock::sleep_until(since + TICK.duration()).await;
            }
            Err(error) => {
                tracing::debug!(set = %parts.set, %error, "the set's clock stands still");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Looks at the clock, and raises it if it stood still for a tick. Says which version is there, since when for sure.
async fn step(
    registry: &Registry,
    set: &steadfast_core::SetName,
    observed: Observed,
) -> Result<(Option<Revision>, Moment), crate::Error> {
    let key = keys::clock(set);
    let found = registry.get::<ClockRecord>(&key).await?;
    let version = found.as_ref().map(|stored| stored.version);
    let now = clock::now();
    match observed {
        Some((seen, since)) if seen == version && now >= since + TICK.duration() => {}
        Some((seen, since)) if seen == version => return Ok((version, since)),
        _ => return Ok((version, now)),
    }
    let next = found.map(|stored| stored.record).unwrap_or_default().next();
    let batch = Batch { space: key.space.clone(), changes: vec![put(&key, version, &next)] };
    // Whatever comes of it: the next look shows it, and a conflict means that another keeper was faster.
    let raised = registry.store.commit(batch, CALL_WITHIN).await?;
    Ok((Some(raised.revision), clock::now()))
}

#[cfg(test)]
mod tests;
