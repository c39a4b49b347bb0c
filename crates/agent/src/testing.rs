//! What the tests of this crate share: one instance of one set, and what a mirror shows of it.

use steadfast_core::settings::{SetSettings, SingleSettings};
use steadfast_core::{InstanceId, Moment};
use steadfast_registry::Snapshot;

pub(crate) fn me() -> InstanceId {
    "web-1".parse().unwrap()
}

pub(crate) fn at(ms: u64) -> Moment {
    Moment::from_nanos(ms * 1_000_000)
}

/// A single set that was read whole, without an instance and without a leader.
pub(crate) fn snapshot() -> Snapshot {
    Snapshot {
        complete: true,
        contact: Some(at(1)),
        settings: Some(SetSettings::Single(SingleSettings::default())),
        ..Snapshot::blank("web".parse().unwrap())
    }
}
