//! Places among few, for answers that last: so that those who follow something cannot keep everybody else out.

use std::sync::Arc;
use std::time::Duration;

use steadfast_host::http::StatusCode;
use steadfast_host::problem::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// When it is worth asking again for a place.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// So many answers of one kind at once.
pub(super) struct Slots {
    free: Arc<Semaphore>,
    all: usize,
    /// What is done there, for people: `follow the events`.
    what: &'static str,
}

impl Slots {
    pub(super) fn new(all: usize, what: &'static str) -> Slots {
        Slots { free: Arc::new(Semaphore::new(all)), all, what }
    }

    /// A place, for as long as the returned value is kept.
    pub(super) fn take(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.free).try_acquire_owned().map_err(|_| {
            let detail = format!(
                "{} {} already, which is as many as may; the last one's place is free again when it leaves",
                self.all, self.what
            );
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-streams", detail).retry_after(ASK_AGAIN_AFTER)
        })
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.all - self.free.available_permits()
    }
}
