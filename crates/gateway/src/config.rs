//! What a gateway is told: checked by its reader, trusted from here on.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use ipnet::IpNet;
use steadfast_core::client::Sources;
use steadfast_core::health::CheckPolicy;
use steadfast_core::route::{HostPattern, PathPattern};
use steadfast_core::settings::{SingleSettings, WeightRule};
use steadfast_core::{Endpoint, EndpointName, InstanceId, SetName, Span};

use crate::bounds::Bounds;

/// Everything a gateway needs to know.
#[derive(Clone, Debug, Default)]
pub struct GatewayConfig {
    /// Where it listens, and what goes where.
    pub listeners: Vec<ListenerConfig>,
    /// Sets whose instances are listed here, without agents and without a store.
    pub fixed: Vec<FixedSet>,
    /// Peers whose `Forwarded` and `X-Forwarded-*` are believed and continued; from everybody else they are replaced.
    pub trusted_proxies: Vec<IpNet>,
    /// What stands in the records that this gateway writes, for people; its host's name where not said.
    pub name: Option<String>,
    /// Threads that carry traffic; one a core where not said.
    pub workers: Option<NonZeroUsize>,
    /// How much of everything.
    pub bounds: Bounds,
}

/// One address to listen on.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// The address; port 0 lets the kernel choose.
    pub listen: SocketAddr,
    /// Answers 200 while this gateway takes traffic, 503 from the beginning of a shutdown on.
    pub ready_path: String,
    /// How long it answers 503 before the listener closes.
    pub linger: Span,
    /// First match wins.
    pub routes: Vec<RouteConfig>,
}

/// What is passed to which set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteConfig {
    /// For which hosts.
    pub host: HostPattern,
    /// For which paths.
    pub path: PathPattern,
    /// The set.
    pub set: SetName,
    /// How the set answers.
    pub answer: Answer,
    /// Which address of its instances.
    pub endpoint: EndpointName,
    /// Where requests of this route say who their client is, if not where the set's settings have it.
    pub client: Option<Sources>,
    /// What clients of this route weigh, if not what the set's settings have.
    pub weight: Option<WeightRule>,
}

/// How a route answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Answer {
    /// Pass the request on and the answer back.
    #[default]
    Proxy,
    /// Send the client to its home's direct address (sticky sets).
    Redirect,
    /// Tell the client its home's direct addresses (sticky sets).
    Assign,
}

/// A single set of instances without agents: the gateway checks them itself, as a cloud load balancer would.
#[derive(Clone, Debug)]
pub struct FixedSet {
    /// Its name in routes.
    pub name: SetName,
    /// Its settings. Of `timing` only the drift counts, for instances that answer as a Steadfast probe does.
    pub settings: SingleSettings,
    /// In the order of the file: the first healthy one is preferred.
    pub instances: Vec<FixedInstance>,
}

/// An instance without an agent.
#[derive(Clone, Debug)]
pub struct FixedInstance {
    /// Its name.
    pub id: InstanceId,
    /// Its addresses.
    pub endpoints: Vec<(EndpointName, Endpoint)>,
    /// How it is asked.
    pub check: FixedCheck,
}

/// How an instance without an agent is asked whether it serves. Only 200 is a yes.
#[derive(Clone, Debug)]
pub struct FixedCheck {
    /// Where: usually its `http` endpoint.
    pub endpoint: Endpoint,
    /// Which path.
    pub path: String,
    /// How often, how long, and how many results count.
    pub policy: CheckPolicy,
}
