//! What was cut from the log is deleted, in the background.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use steadfast_host::clock;
use tokio::task::JoinHandle;

use super::batch::{Does, OPERATIONS, Operation};
use super::failure::Failure;
use super::keys::{self, LOG};
use super::rest::{Continuation, Rest};
use crate::history::locked;
use crate::{Error, Revision, Space};

/// The time-out of one step.
const STEP_WITHIN: Duration = Duration::from_secs(10);

/// What deletes, at most one for each space. What it leaves, the next one takes: a cut is in the head already.
#[derive(Debug, Default)]
pub(super) struct Trimming(Mutex<HashMap<Space, JoinHandle<()>>>);

impl Trimming {
    /// Deletes the commits of `space` up to `cut`.
    pub(super) fn begin(&self, rest: &Arc<Rest>, space: &Space, cut: Revision) {
        let mut running = locked(&self.0);
        if running.get(space).is_some_and(|task| !task.is_finished()) {
            return;
        }
        running.retain(|_, task| !task.is_finished());
        let (rest, its_space) = (Arc::clone(rest), space.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = trim(&rest, &its_space, cut).await {
                tracing::debug!(space = %its_space, %error, "the log was not trimmed: the next one will");
            }
        });
        running.insert(space.clone(), task);
    }
}

impl Drop for Trimming {
    fn drop(&mut self) {
        locked(&self.0).values().for_each(JoinHandle::abort);
    }
}

async fn trim(rest: &Arc<Rest>, space: &Space, cut: Revision) -> Result<(), Error> {
    let partition = keys::partition(space);
    let filter = format!("PartitionKey eq '{partition}' and RowKey ge '{}' and RowKey le '{}'", LOG.0, keys::log(cut));
    loop {
        let deadline = clock::now() + STEP_WITHIN;
        let (rows, _) = rest
            .query(&filter, "RowKey", OPERATIONS, Continuation::default(), deadline)
            .await
            .map_err(Failure::of_look)?;
        if rows.is_empty() {
            return Ok(());
        }
        let delete = |row: super::entity::Row| Operation { row: row.key, does: Does::Delete("*".to_owned()) };
        let deletions: Vec<Operation> = rows.into_iter().map(delete).collect();
        rest.transact(&partition, &deletions, deadline).await.map_err(Failure::of_commit)?;
    }
}
