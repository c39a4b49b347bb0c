//! What a gateway tells of itself.

use std::sync::Arc;

use steadfast_core::{Epoch, InstanceId, Moment, SetName};
use steadfast_host::clock;

use crate::clients::Clients;
use crate::counters::Totals;
use crate::shared::Shared;

/// A handle on what a running gateway knows and counts. Cheap to clone, readable at any time from any thread.
#[derive(Clone, Debug)]
pub struct Status(pub(crate) Arc<Shared>);

/// A set as a gateway sees it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetStatus {
    /// Which set.
    pub set: SetName,
    /// Where its requests go, if anywhere.
    pub target: Option<TargetStatus>,
    /// Requests waiting for a leader.
    pub parked: usize,
    /// What is known of its clients, if it is a sticky set.
    pub clients: Option<ClientsStatus>,
}

/// What a gateway knows of the clients of a sticky set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientsStatus {
    /// Clients it remembers.
    pub remembered: u64,
    /// Bytes that takes.
    pub bytes: u64,
    /// Clients that made room for others since the start.
    pub evicted: u64,
    /// Clients whose requests or tunnels it carries now.
    pub carried: u64,
    /// For how many milliseconds nothing has been heard of changes, not even that there are none; none before the first.
    pub silent_ms: Option<u64>,
}

impl ClientsStatus {
    fn new(clients: &Clients, now: Moment) -> ClientsStatus {
        let fill = clients.fill();
        let silent = |heard| u64::try_from(now.since(heard).as_millis()).unwrap_or(u64::MAX);
        ClientsStatus {
            remembered: fill.clients,
            bytes: fill.bytes,
            evicted: fill.evicted,
            carried: fill.carried,
            silent_ms: clients.last_heard().map(silent),
        }
    }
}

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetStatus {
    /// To whom.
    pub instance: InstanceId,
    /// At which epoch; none for an instance without an agent.
    pub epoch: Option<Epoch>,
    /// For how many milliseconds more without another answer of its probe; none for an instance without an agent.
    pub left_ms: Option<u64>,
    /// New requests wait: it is handing over.
    pub closed: bool,
    /// Requests running there, from this gateway.
    pub running: usize,
}

/// How many requests wait for a leader, over all sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParkedStatus {
    /// Now.
    pub now: usize,
    /// At most, since the start.
    pub peak: usize,
}

/// Client connections: how many, of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionsStatus {
    /// Open now.
    pub now: usize,
    /// As many as there may be.
    pub most: usize,
    /// As many as one source address may have.
    pub most_per_source: usize,
    /// Source addresses that have some.
    pub sources: usize,
}

impl Status {
    /// Client connections.
    pub fn connections(&self) -> ConnectionsStatus {
        let connections = &self.0.connections;
        let (most, most_per_source) = connections.most();
        ConnectionsStatus { now: connections.now(), most, most_per_source, sources: connections.sources() }
    }

    /// The sums of what was counted since the start.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.0.counters.iter().for_each(|one| totals.add(one));
        totals
    }

    /// Every set that a route leads to.
    pub fn sets(&self) -> Vec<SetStatus> {
        let now = clock::now();
        let view = |set: &Arc<crate::set::SetShared>| SetStatus {
            set: set.name.clone(),
            target: set.target().map(|target| TargetStatus {
                instance: target.instance.clone(),
                epoch: target.epoch,
                left_ms: target.epoch.map(|_| u64::try_from(target.until().since(now).as_millis()).unwrap_or(u64::MAX)),
                closed: target.closed(),
                running: target.running(),
            }),
            clients: set.view().map(|view| ClientsStatus::new(&view.clients, now)),
            parked: set.parked.load(std::sync::atomic::Ordering::Relaxed),
        };
        self.0.sets.iter().map(view).collect()
    }

    /// Requests waiting for a leader.
    pub fn parked(&self) -> ParkedStatus {
        ParkedStatus { now: self.0.parking.now(), peak: self.0.parking.peak() }
    }
}
