//! The token of this API, which may be changed while it is served: its file is read again when it changes.
//!
//! Who has the token is changed one after another, so the one of before counts for [`BEFORE_COUNTS`] more. A token that
//! has become known to somebody else is not cut off by a change of the file before that is over; a restart does it at
//! once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use steadfast_host::clock::{self, Moment};
use steadfast_host::random::secrets_equal;
use steadfast_host::reread::Reread;

/// How long the token of before still counts, from when the change was seen.
pub const BEFORE_COUNTS: Duration = Duration::from_secs(60);

/// The token that changes, and the store, need.
pub struct OwnToken {
    file: Option<Reread<String>>,
    known: Mutex<Known>,
}

/// What counts as the token.
struct Known {
    now: Arc<String>,
    /// The one before, and until when it counts.
    before: Option<(Arc<String>, Moment)>,
}

impl From<String> for OwnToken {
    /// One that stays.
    fn from(text: String) -> OwnToken {
        OwnToken { file: None, known: Mutex::new(Known { now: Arc::new(text), before: None }) }
    }
}

impl From<Reread<String>> for OwnToken {
    fn from(file: Reread<String>) -> OwnToken {
        let now = file.current();
        OwnToken { file: Some(file), known: Mutex::new(Known { now, before: None }) }
    }
}

impl OwnToken {
    /// Whether `said` is the token.
    pub(super) fn is(&self, said: &[u8]) -> bool {
        self.look();
        if self.known().has(clock::now(), said) {
            return true;
        }
        // Who changed the file may have told the other side of it within the last second.
        let Some(file) = &self.file else { return false };
        let current = file.look_now();
        let mut known = self.known();
        known.learn(clock::now(), current);
        known.has(clock::now(), said)
    }

    /// Looks whether the file has changed. To be called now and then: the time that the token of before has left is
    /// counted from the first look after the change.
    pub(super) fn look(&self) {
        if let Some(file) = &self.file {
            let current = file.current();
            self.known().learn(clock::now(), current);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn learn(&mut self, at: Moment, current: Arc<String>) {
        if current != self.now {
            let before = std::mem::replace(&mut self.now, current);
            self.before = Some((before, at + BEFORE_COUNTS));
        }
        self.before.take_if(|(_, until)| at >= *until);
    }

    fn has(&self, at: Moment, said: &[u8]) -> bool {
        let before = self.before.as_ref().filter(|(_, until)| at < *until);
        secrets_equal(said, self.now.as_bytes()) || before.is_some_and(|(text, _)| secrets_equal(said, text.as_bytes()))
    }
}

#[cfg(test)]
mod tests;
