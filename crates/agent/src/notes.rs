//! Notes for people, in the set's event log: written in order by one task that nobody waits for.

use std::time::Duration;

use steadfast_core::{InstanceId, SetName};
use steadfast_registry::{EventKind, Registry};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Notes waiting for a store that is away. Of more, the new ones are only in the log.
const NOTES_WAITING: usize = 64;

/// Where notes are handed in.
#[derive(Debug)]
pub(crate) struct Notes {
    queue: mpsc::Sender<EventKind>,
    writer: JoinHandle<()>,
}

impl Notes {
    /// Starts the writer, which ends with this value.
    pub(crate) fn start(registry: Registry, set: SetName, instance: InstanceId) -> Notes {
        let (queue, mut waiting) = mpsc::channel(NOTES_WAITING);
        let writer = tokio::spawn(async move {
            while let Some(kind) = waiting.recv().await {
                registry.note(&set, kind, instance.as_str()).await;
            }
        });
        Notes { queue, writer }
    }

    /// Hands a note in. Never waits.
    pub(crate) fn note(&self, kind: EventKind) {
        if let Err(error) = self.queue.try_send(kind) {
            tracing::warn!(%error, "an event is not noted in the store");
        }
    }

    /// Waits until all is written, but not longer than `within`.
    pub(crate) async fn finish(self, within: Duration) {
        drop(self.queue);
        let mut writer = self.writer;
        if tokio::time::timeout(within, &mut writer).await.is_err() {
            tracing::warn!("some events could not be noted in the store");
            writer.abort();
        }
    }
}
