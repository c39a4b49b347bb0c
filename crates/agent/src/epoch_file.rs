//! The file the application reads its epoch from: `7\n` while its instance leads, empty otherwise.
//!
//! It is written right after the lease is won, beside the renewals and never before them: an application that fences
//! its writes waits for the file, everybody else need not. An epoch stands there only once it is ours; two
//! instances never read the same one.

use std::sync::Arc;
use std::time::Duration;

use steadfast_core::Epoch;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::life::Life;

/// Between two tries to write it on a disk that refuses.
const WRITE_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The file's writer.
#[derive(Debug)]
pub(crate) struct EpochFile {
    wanted: watch::Sender<Option<Epoch>>,
    writer: JoinHandle<()>,
}

impl EpochFile {
    /// Starts the writer, which ends after this value, once it has written what was wished for last.
    pub(crate) fn start(life: Arc<Life>) -> EpochFile {
        let (wanted, mut changes) = watch::channel(None);
        let writer = tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                let mut epoch = *changes.borrow_and_update();
                while !write(&life, epoch).await {
                    tokio::select! {
                        // A newer wish need not wait.
                        Ok(()) = changes.changed() => epoch = *changes.borrow_and_update(),
                        () = tokio::time::sleep(WRITE_AGAIN_AFTER) => {}
                    }
                }
            }
        });
        EpochFile { wanted, writer }
    }

    /// What shall stand in the file. Never waits; of several wishes the last counts.
    pub(crate) fn tell(&self, epoch: Option<Epoch>) {
        self.wanted.send_if_modified(|wanted| std::mem::replace(wanted, epoch) != epoch);
    }

    /// Waits until the last wish is written, but not longer than `within`.
    pub(crate) async fn finish(self, within: Duration) {
        drop(self.wanted);
        let mut writer = self.writer;
        if tokio::time::timeout(within, &mut writer).await.is_err() {
            tracing::warn!("the epoch file could not be emptied in time");
            writer.abort();
        }
    }
}

/// Writes the file once. Says whether it could.
async fn write(life: &Arc<Life>, epoch: Option<Epoch>) -> bool {
    let life = Arc::clone(life);
    let problem = match tokio::task::spawn_blocking(move || life.tell_epoch(epoch)).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    tracing::error!(error = problem, "the application cannot be told its epoch");
    false
}

#[cfg(test)]
mod tests;
