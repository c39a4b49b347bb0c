//! A sticky set as the control thread shows it to the workers: its settings, its time, and its instances, to which
//! clients are sent home.
//!
//! The control thread makes a new [`View`] when one of these changes; workers read the one there is and change nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use steadfast_core::placement::Tick;
use steadfast_core::settings::StickySettings;
use steadfast_core::{Endpoint, EndpointName, Incarnation, InstanceId, Moment};
use steadfast_registry::Placer;
use tokio::sync::mpsc;

use crate::clients::{Clients, Hash};
use crate::set::Target;

/// The store counts as away when it has been in trouble and unheard for this long: then nobody is kept waiting for it.
const AWAY_AFTER: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) settings: Arc<StickySettings>,
    pub(crate) tick: Tick,
    /// Another one in every view.
    pub(crate) round: u64,
    /// The charge of a client that is there is to be written anew if it ends before this.
    pub(crate) due: Tick,
    /// That of a client that is only told where its home is.
    pub(crate) due_on_its_way: Tick,
    /// By the number that [`Clients::home`] gives; none for an instance that is not in the books any more.
    pub(crate) homes: Box<[Option<Arc<Home>>]>,
    pub(crate) clients: Arc<Clients>,
    pub(crate) placer: Placer,
    pub(crate) deferred: mpsc::Sender<DeferredWrite>,
    /// The store is in trouble, and was heard then for the last time.
    pub(crate) trouble: Option<Option<Moment>>,
}

/// One life of an instance, as a home.
#[derive(Debug)]
pub(crate) struct Home {
    /// Where it is connected to, and whether that works.
    pub(crate) target: Arc<Target>,
    /// Its agent, an operator or the keeper says that it is lost.
    pub(crate) lost: bool,
    /// For each endpoint of the set's routes, in their order, where a client is sent.
    pub(crate) direct: Box<[Option<Direct>]>,
    /// What it was made from.
    pub(crate) facts: Facts,
}

/// What the books say of an instance, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) instance: InstanceId,
    pub(crate) incarnation: Incarnation,
    pub(crate) endpoints: Vec<(EndpointName, Endpoint)>,
    pub(crate) probe: Endpoint,
    pub(crate) lost: bool,
}

/// Where a client is sent.
#[derive(Debug)]
pub(crate) struct Direct {
    /// The beginning of every `Location`: scheme, host and port.
    pub(crate) prefix: Bytes,
    /// By `https`.
    pub(crate) secure: bool,
}

/// Something to be asked of the books for which no request waits.
#[derive(Debug)]
pub(crate) struct DeferredWrite {
    pub(crate) hash: Hash,
    pub(crate) client: steadfast_core::client::ClientKey,
    pub(crate) wish: steadfast_core::placement::Wish,
    /// It was acted upon already: to be asked until it is answered.
    pub(crate) keep: bool,
}

impl View {
    /// The home of this number, if it is in the books.
    pub(crate) fn home(&self, number: u32) -> Option<&Arc<Home>> {
        self.homes.get(usize::try_from(number).ok()?)?.as_ref()
    }

    /// Whether the store cannot be reached, and not just for a moment.
    pub(crate) fn is_away(&self, now: Moment) -> bool {
        self.trouble.is_some_and(|heard| heard.is_none_or(|heard| now.since(heard) > AWAY_AFTER))
    }
}

impl Direct {
    /// Where an endpoint is, if a client can be sent there.
    pub(crate) fn new(endpoint: &Endpoint) -> Option<Direct> {
        let secure = endpoint.scheme() == "https";
        (secure || endpoint.scheme() == "http").then(|| Direct { prefix: endpoint.to_string().into(), secure })
    }
}
