//! What people should hear of a placer's work: written to the set's event log beside the placing, and bounded, so that
//! a burst of clients cannot push everything else out of the log.

use std::time::Duration;

use steadfast_core::{Moment, SetName};
use steadfast_host::clock;
use tokio::sync::mpsc;

use crate::{EventKind, Registry};

/// So many events at once, and then one after each pause: at most 80 of the log's thousand in the first hour, whatever
/// clients do. What is not said is counted in the process' own log.
const BURST: u32 = 20;
const PAUSE: Duration = Duration::from_secs(60);

/// The way to the log.
#[derive(Debug)]
pub(super) struct Notes {
    log: mpsc::Sender<EventKind>,
    left: u32,
    since: Moment,
    unsaid: u64,
}

impl Notes {
    /// Writes to the log of `set` as `by`, until it is dropped. Must be called inside a Tokio runtime.
    pub(super) fn start(registry: &Registry, set: &SetName, by: &str) -> Notes {
        let (log, mut events) = mpsc::channel(BURST as usize);
        let (registry, set, by) = (registry.clone(), set.clone(), by.to_owned());
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                registry.note(&set, event, &by).await;
            }
        });
        Notes { log, left: BURST, since: clock::now(), unsaid: 0 }
    }

    /// Says these, as far as the bound allows.
    pub(super) fn say(&mut self, events: Vec<EventKind>) {
        if events.is_empty() {
            return;
        }
        let earned = clock::now().since(self.since).as_millis() / PAUSE.as_millis();
        if earned > 0 {
            self.left = self.left.saturating_add(u32::try_from(earned).unwrap_or(BURST)).min(BURST);
            self.since = clock::now();
            let unsaid = std::mem::take(&mut self.unsaid);
            if unsaid > 0 {
                tracing::warn!(unsaid, "more happened to clients than the event log has room for");
            }
        }
        for event in events {
            if self.left > 0 && self.log.try_send(event).is_ok() {
                self.left -= 1;
            } else {
                self.unsaid += 1;
            }
        }
    }
}
