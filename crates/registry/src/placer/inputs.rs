//! What a placer sees of its set: a mirror and beats that go on, or one look.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use steadfast_core::{InstanceId, Moment};
use tokio::sync::watch;

use super::queue::left;
use crate::presence::Beats;
use crate::{Mirror, Snapshot};

/// Where no new clients go from here, and until when.
#[derive(Clone, Debug, Default)]
pub(super) struct Suspended(Arc<Mutex<BTreeMap<InstanceId, Moment>>>);

impl Suspended {
    pub(super) fn until(&self, instance: &InstanceId, until: Moment) {
        let mut suspended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = suspended.entry(instance.clone()).or_insert(until);
        *known = until.max(*known);
    }

    fn at(&self, now: Moment) -> BTreeMap<InstanceId, Moment> {
        let mut suspended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        suspended.retain(|_, until| now < *until);
        suspended.clone()
    }
}

#[derive(Debug)]
pub(super) enum Inputs {
    Following { mirror: Arc<Mirror>, beats: watch::Receiver<Arc<Beats>>, suspended: Suspended },
    Once { snapshot: Arc<Snapshot>, beats: Arc<Beats> },
}

impl Inputs {
    /// What is known, as soon as that is all of it, or else at `until`.
    pub(super) async fn complete(&self, until: Moment) -> Arc<Snapshot> {
        match self {
            Inputs::Following { mirror, .. } => {
                let snapshot = mirror.snapshot();
                if snapshot.complete {
                    return snapshot;
                }
                let within = left(until).max(Duration::from_millis(1));
                mirror.complete(within).await.unwrap_or_else(|| mirror.snapshot())
            }
            Inputs::Once { snapshot, .. } => snapshot.clone(),
        }
    }

    /// The mirror, if there is one.
    pub(super) fn mirror(&self) -> Option<&Mirror> {
        match self {
            Inputs::Following { mirror, .. } => Some(mirror),
            Inputs::Once { .. } => None,
        }
    }

    pub(super) fn beats(&self) -> Arc<Beats> {
        match self {
            Inputs::Following { beats, .. } => beats.borrow().clone(),
            Inputs::Once { beats, .. } => beats.clone(),
        }
    }

    pub(super) fn suspended(&self, now: Moment) -> BTreeMap<InstanceId, Moment> {
        match self {
            Inputs::Following { suspended, .. } => suspended.at(now),
            Inputs::Once { .. } => BTreeMap::new(),
        }
    }
}
