//! The lease machine's wishes towards the store and the disk, each a task that ends in an event.
//! Renewals wait for nothing and nobody: not for each other, and not for a store call that hangs.

use std::sync::Arc;
use std::time::Duration;

use steadfast_core::lease::{Attempt, Hold, Memory, Outcome};
use steadfast_registry::Leases;

use crate::event::Event;
use crate::life::Life;

/// Between two tries to write the epoch down on a disk that refuses.
const WRITE_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Sends one attempt, once.
pub(super) async fn attempt(leases: Arc<Leases>, attempt: Attempt) -> Event {
    let ended = send(&leases, &attempt).await;
    match attempt.hold {
        Hold::Renew => tracing::trace!(epoch = %attempt.record.epoch, ?ended, "renewing the lease"),
        Hold::Take | Hold::Release => {
            tracing::debug!(hold = ?attempt.hold, epoch = %attempt.record.epoch, ?ended, "writing the lease");
        }
    }
    ended
}

async fn send(leases: &Leases, attempt: &Attempt) -> Event {
    let nonce = attempt.record.nonce;
    match tokio::time::timeout(attempt.within, leases.send(attempt)).await {
        Ok(Ok(outcome)) => Event::Settled { nonce, outcome, refusal: None },
        Ok(Err(error)) => Event::Settled { nonce, outcome: Outcome::Unavailable, refusal: Some(error) },
        Err(_) => Event::Settled { nonce, outcome: Outcome::Unknown, refusal: None },
    }
}

/// Reads the lease.
pub(super) async fn read(leases: Arc<Leases>, within: Duration) -> Event {
    match tokio::time::timeout(within, leases.read(within)).await {
        Ok(Ok(seen)) => Event::Read(Some(seen)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "the lease could not be read");
            Event::Read(None)
        }
        Err(_) => Event::Read(None),
    }
}

/// Writes the epoch down, as often as it takes: without it the lease is not taken.
pub(super) async fn remember(life: Arc<Life>, memory: Memory) -> Event {
    loop {
        let writer = Arc::clone(&life);
        match tokio::task::spawn_blocking(move || writer.remember(memory)).await {
            Ok(Err(error)) => {
                tracing::error!(%error, epoch = %memory.epoch, "cannot write the epoch down, so cannot take the lease")
            }
            Err(error) => {
                tracing::error!(%error, epoch = %memory.epoch, "the epoch was not written down, so the lease is not taken")
            }
            Ok(Ok(())) => {
                tracing::debug!(epoch = %memory.epoch, "wrote the epoch down");
                return Event::Remembered;
            }
        }
        tokio::time::sleep(WRITE_AGAIN_AFTER).await;
    }
}
