//! Presence: the beats of a set's instances, polled. What load they report, and since when one is silent.

use std::collections::BTreeMap;
use std::sync::Arc;

use steadfast_core::{Incarnation, InstanceId, Moment, SetName};
use tokio::sync::watch;

use crate::Registry;

/// What was heard of one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beating {
    /// Which life of it beats.
    pub incarnation: Incarnation,
    /// Its counter.
    pub beat: u64,
    /// When the counter was seen to change last, by this process' clock. A store that does not answer moves it:
    /// silence counts only while the store is heard.
    pub changed: Moment,
    /// The load it reported with it, in thousandths.
    pub load_milli: Option<u64>,
}

/// Every instance that was heard of.
pub type Beats = BTreeMap<InstanceId, Beating>;

impl Registry {
    /// Polls the beats of `set`. Must be called inside a Tokio runtime; ends when the receiver is dropped.
    pub fn follow_beats(&self, _set: &SetName) -> watch::Receiver<Arc<Beats>> {
        todo!("the registry's engineer")
    }
}
