//! Places clients: many ask at once, one commit answers them.
//!
//! ```text
//! ask → queue (bounded) → attempt: plan with core's decide, one commit → settle: answer, re-plan, or read
//! ```

use std::sync::Arc;
use std::time::Duration;

use steadfast_core::SetName;
use steadfast_core::client::ClientKey;
use steadfast_core::placement::{Explanation, Placement, Refusal, Wish};

use crate::{Mirror, Registry, Stored};

/// Places the clients of one set. Cheap to clone; ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Placer {
    // The queue's sending side.
}

/// How much a placer takes on.
#[derive(Clone, Copy, Debug)]
pub struct PlacerBounds {
    /// Asks that wait at once; further ones are refused as busy.
    pub waiting: usize,
    /// How long an ask may take, waiting included.
    pub within: Duration,
}

/// The answer to an ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// Where the client is at home now; `None`: it is forgotten.
    pub client: Option<Stored<Placement>>,
    /// This ask changed something.
    pub wrote: bool,
}

/// Why an ask has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// As things stand, no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store is away: nothing is accepted that is not committed.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Too many ask at once.
    #[error("too many placements wait already")]
    Busy,
    /// The books cannot be used, or the set is not a sticky one.
    #[error("{0}")]
    Books(String),
}

impl Placer {
    /// Starts to place the clients of `mirror`'s set. `by` stands in the records this placer writes. Must be called
    /// inside a Tokio runtime, on which it then lives.
    pub fn start(_registry: &Registry, _mirror: Arc<Mirror>, _by: &str, _bounds: PlacerBounds) -> Placer {
        todo!("the registry's engineer")
    }

    /// Has `client`'s record changed as `wish` wants, or says why not. What it answers is committed.
    pub async fn ask(&self, _client: ClientKey, _wish: Wish) -> Result<Placed, PlaceError> {
        todo!("the registry's engineer")
    }

    /// An instance could not be reached from here: no new clients there for `span`.
    pub fn suspend(&self, _instance: &steadfast_core::InstanceId, _span: Duration) {
        todo!("the registry's engineer")
    }
}

impl Registry {
    /// Where a client of this key, weight and labels is or would go, and why, as the books say now.
    pub async fn explain(
        &self,
        _set: &SetName,
        _client: &ClientKey,
        _weight: Option<steadfast_core::Weight>,
        _labels: &steadfast_core::client::Labels,
    ) -> Result<(Option<Stored<Placement>>, Explanation), crate::Error> {
        todo!("the registry's engineer")
    }
}
