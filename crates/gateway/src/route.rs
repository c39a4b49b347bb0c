//! A listener's routes, resolved once: from names to places in tables.

use std::net::SocketAddr;
use std::sync::Arc;

use steadfast_core::Span;
use steadfast_core::client::Sources;
use steadfast_core::route::Routes;
use steadfast_core::settings::WeightRule;
use steadfast_host::shutdown::Shutdown;

use crate::config::Answer;

/// A listener, resolved.
#[derive(Debug)]
pub(crate) struct Routed {
    pub(crate) address: SocketAddr,
    pub(crate) ready_path: String,
    pub(crate) linger: Span,
    pub(crate) routes: Routes<Route>,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// Its set's place among the sets.
    pub(crate) set: usize,
    /// Its endpoint's place among the endpoints of the set.
    pub(crate) slot: usize,
    pub(crate) answer: Answer,
    /// Where its requests say who their client is, if not where the set's settings have it.
    pub(crate) client: Option<Sources>,
    /// What its clients weigh, if not what the set's settings have.
    pub(crate) weight: Option<WeightRule>,
}

/// A listener as one worker has it.
#[derive(Debug)]
pub(crate) struct ListenerHere {
    pub(crate) routed: Arc<Routed>,
    pub(crate) shutdown: Shutdown,
}
