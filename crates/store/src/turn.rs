//! One commit at a time of a space: for engines where commits of one process would only contend with each other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Mutex as Queue, OwnedMutexGuard};
use tokio::time::timeout;

use crate::history::locked;
use crate::{Error, Space};

/// The turns of a handle's spaces. Who comes first is first, and who waits longer than it may is told that nothing was
/// sent.
#[derive(Debug, Default)]
pub(crate) struct Turns<T> {
    spaces: Mutex<HashMap<Space, Arc<Queue<T>>>>,
}

/// A turn, and what the former one left for the next: it ends when this is dropped.
pub(crate) type Turn<T> = OwnedMutexGuard<T>;

impl<T: Default> Turns<T> {
    /// Waits for the turn of `space`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] after `within`.
    pub(crate) async fn wait(&self, space: &Space, within: Duration) -> Result<Turn<T>, Error> {
        let queue = Arc::clone(locked(&self.spaces).entry(space.clone()).or_default());
        let late = |_| {
            Error::Unavailable(format!("other commits to space `{space}` took all of {within:?}: nothing was sent"))
        };
        timeout(within, queue.lock_owned()).await.map_err(late)
    }
}

#[cfg(test)]
mod tests;
