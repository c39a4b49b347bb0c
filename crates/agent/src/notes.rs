//! Notes for people, in the set's event log: written in order by one task that nobody waits for.

use std::time::Duration;

use steadfast_core::{InstanceId, SetName};
use steadfast_registry::{EventKind, Note, Registry};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Notes waiting for a store that is away. Of more, the new ones are only in the log.
const NOTES_WAITING: usize = 64;

/// Between two tries to write one while the store is away: a lease is lost just then, and people will ask why.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// Where notes are handed in.
#[derive(Debug)]
pub(crate) struct Notes {
    queue: mpsc::Sender<Note>,
    instance: InstanceId,
    writer: JoinHandle<()>,
}

impl Notes {
    /// Starts the writer, which ends with this value.
    pub(crate) fn start(registry: Registry, set: SetName, instance: InstanceId) -> Notes {
        let (queue, mut waiting) = mpsc::channel(NOTES_WAITING);
        let writer = tokio::spawn(async move {
            while let Some(note) = waiting.recv().await {
                write(&registry, &set, note).await;
            }
        });
        Notes { queue, instance, writer }
    }

    /// Hands a note in, of what happened now. Never waits.
    pub(crate) fn note(&self, kind: EventKind) {
        if let Err(error) = self.queue.try_send(Note::new(kind, self.instance.as_str())) {
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

async fn write(registry: &Registry, set: &SetName, mut note: Note) {
    loop {
        match registry.try_note(set, &mut note).await {
            Ok(()) => return,
            Err(error) if error.may_pass() => tokio::time::sleep(TRY_EVERY).await,
            Err(error) => return tracing::warn!(%set, %error, "an event could not be noted in the store"),
        }
    }
}
