//! How fast a question is asked again.

use std::time::Duration;

/// The pauses after an answer that did not help, the last one for ever.
const PAUSES_MS: [u64; 8] = [2, 5, 10, 20, 40, 80, 160, 250];

/// Counts unhelpful answers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace(usize);

impl Pace {
    /// The pause before the next question, and a longer one the next time.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = PAUSES_MS[self.0];
        self.0 = (self.0 + 1).min(PAUSES_MS.len() - 1);
        Duration::from_millis(pause)
    }

    pub(crate) fn reset(&mut self) {
        self.0 = 0;
    }
}
