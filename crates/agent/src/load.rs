//! The load the application reports: told by the API, shown with the next beats.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use steadfast_core::{Moment, Weight};

/// What was reported longer ago says nothing any more.
const COUNTS_FOR: Duration = Duration::from_secs(10);

/// What was reported last, and when. A clone is the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load(Arc<Mutex<Option<(Weight, Moment)>>>);

impl Load {
    /// The application carries so much at `now`.
    pub(crate) fn report(&self, used: Weight, now: Moment) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((used, now));
    }

    /// It is gone, and what it carried with it.
    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What it carries at `now`, in thousandths, if it said so lately.
    pub(crate) fn at(&self, now: Moment) -> Option<u64> {
        let reported = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reported.filter(|(_, at)| now.since(*at) < COUNTS_FOR).map(|(used, _)| used.as_milli())
    }
}

#[cfg(test)]
mod tests;
