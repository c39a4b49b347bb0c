//! What all threads of a gateway have in common.

use std::sync::Arc;

use ipnet::IpNet;
use tokio::sync::Notify;

use crate::bounds::Bounds;
use crate::connections::Connections;
use crate::counters::{Counters, Parking};
use crate::new_clients::NewClients;
use crate::set::SetShared;

/// See the module.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) sets: Vec<Arc<SetShared>>,
    pub(crate) bounds: Bounds,
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// One for each worker, rung when a set has news.
    pub(crate) bells: Arc<[Notify]>,
    /// One for each worker.
    pub(crate) counters: Box<[Counters]>,
    pub(crate) parking: Parking,
    pub(crate) new_clients: NewClients,
    pub(crate) connections: Connections,
}
