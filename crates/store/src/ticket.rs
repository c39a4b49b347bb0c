//! Whether a call waits, was begun, or was given up: whoever moves it first from waiting decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const GIVEN_UP: u8 = 2;

/// Shared by a caller and whoever makes its call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ticket(Arc<AtomicU8>);

impl Ticket {
    /// Whether the call is to be made: `false` if its caller has given up.
    pub(crate) fn begin(&self) -> bool {
        self.moves_to(BEGUN)
    }

    /// Whether the call is never made: `false` if it was begun.
    pub(crate) fn give_up(&self) -> bool {
        self.moves_to(GIVEN_UP)
    }

    fn moves_to(&self, state: u8) -> bool {
        self.0.compare_exchange(WAITING, state, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
