//! A set's settings, checked.

use crate::Span;
use crate::lease::Timing;

/// The settings of a set: what its record in the store says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetSettings {
    /// Exactly one instance may answer.
    Single(SingleSettings),
}

/// The settings of a single set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SingleSettings {
    /// The lease's spans.
    pub timing: Timing,
    /// How long a gateway holds requests while there is no leader.
    pub park_for: Span,
}
