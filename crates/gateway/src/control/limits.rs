//! Says in the log that peers run into a limit: when that begins, and once a minute while it goes on. Not at each
//! connection: a flood of them must not become a flood of lines.

use std::sync::Arc;
use std::time::Duration;

use steadfast_core::Moment;
use steadfast_host::clock;

use crate::limit::Limit;
use crate::shared::Shared;

/// How soon the first one is told.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it is told at most.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Runs as long as the gateway does.
pub(super) async fn tell(shared: Arc<Shared>) {
    let mut told = Limit::ALL.map(|limit| Told { limit, times: 0, at: None });
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = clock::now();
        for one in told.iter_mut().filter(|one| !one.limit.is_usual()) {
            let times = shared.counters.iter().map(|counters| counters.times_limited(one.limit)).sum();
            if let Some(new) = one.news(times, now) {
                tracing::warn!(limit = one.limit.key(), times = new, "clients run into a limit of [limits]");
            }
        }
    }
}

/// What was said of a limit.
struct Told {
    limit: Limit,
    times: u64,
    at: Option<Moment>,
}

impl Told {
    /// How often it was reached since it was told last, if that is to be told now.
    fn news(&mut self, times: u64, now: Moment) -> Option<u64> {
        let new = times - self.times;
        if new == 0 || self.at.is_some_and(|at| now.since(at) < TELL_EVERY) {
            return None;
        }
        (self.times, self.at) = (times, Some(now));
        Some(new)
    }
}

#[cfg(test)]
mod tests;
