//! `clock`: a set's own time.

use serde::{Deserialize, Serialize};
use steadfast_core::placement::Tick;

use super::Extras;

/// The counter that the keeper raises.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClockRecord {
    tick: u64,
    #[serde(flatten)]
    extras: Extras,
}

impl ClockRecord {
    /// The set's time.
    pub(crate) fn tick(&self) -> Tick {
        Tick(self.tick)
    }

    /// One tick later.
    pub(crate) fn next(self) -> ClockRecord {
        ClockRecord { tick: self.tick.saturating_add(1), extras: self.extras }
    }
}
