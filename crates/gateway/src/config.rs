//! What a gateway is told: checked by its reader, trusted from here on.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use ipnet::IpNet;
use steadfast_core::client::Sources;
use steadfast_core::health::CheckPolicy;
use steadfast_core::route::{HostPattern, PathPattern};
use steadfast_core::settings::{SingleSettings, WeightRule};
use steadfast_core::{Endpoint, EndpointName, InstanceId, SetName, Span};

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

/// How much of everything, for the whole gateway. What happens at a bound stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Client connections. Beyond: further ones wait in the kernel's backlog.
    pub connections: usize,
    /// Requests waiting for a leader. Beyond: 503 `overloaded`.
    pub parked_requests: usize,
    /// Bytes of the heads of waiting requests (their bodies are not read while they wait). Beyond: 503 `overloaded`.
    pub parked_bytes: usize,
    /// Bytes of a request's or an answer's head. Beyond: 431, or 502 for an answer's.
    pub head_bytes: usize,
    /// Fields of a request's head. Beyond: 431.
    pub head_fields: usize,
    /// Bytes of the body of an idempotent request kept so that it can be sent again. Beyond: it is not.
    pub kept_body_bytes: usize,
    /// How often a request that may be repeated is sent at most, whatever broke it.
    pub sends: u32,
    /// From a request's first byte to the end of its head. Beyond: closed.
    pub head_within: Duration,
    /// A connection between two requests. Beyond: closed.
    pub idle_for: Duration,
    /// A request or answer under way whose bytes do not move. Beyond: cut.
    pub stalled_for: Duration,
    /// A connection to an instance. Beyond: as if refused.
    pub connect_within: Duration,
    /// From the last byte of a request that was passed on to the head of its answer. Beyond: 504 `upstream-timeout`.
    pub answer_within: Duration,
    /// Unused connections to one address, per worker. Beyond: closed instead of kept.
    pub idle_upstream: usize,
    /// How long such a connection is kept.
    pub idle_upstream_for: Duration,
    /// A tunnel (WebSocket) in which nothing passes. Beyond: closed.
    pub tunnel_idle_for: Duration,
    /// Clients of one sticky set that are remembered. Beyond: one that did not come lately makes room, and costs a call
    /// to the store when it comes.
    pub clients: usize,
    /// Requests of one sticky set that wait for the store at once. Beyond: 503 `overloaded`.
    pub placing: usize,
    /// How long a request waits for the store to place its client. Beyond: 503 `placing-timed-out`.
    pub place_within: Duration,
    /// What is to be written of clients for whom no request waits (refreshed charges, other weights), for one sticky
    /// set. Beyond: not written; a later request of the client tries again.
    pub errands: usize,
    /// Source addresses whose new clients are counted. Beyond: the longest unheard is forgotten.
    pub sources: usize,
    /// From the closing of the last listener to the end, whatever is still under way.
    pub drain_within: Duration,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            connections: 100_000,
            parked_requests: 10_000,
            parked_bytes: 64 << 20,
            head_bytes: 32 << 10,
            head_fields: 100,
            kept_body_bytes: 64 << 10,
            sends: 4,
            head_within: Duration::from_secs(10),
            idle_for: Duration::from_secs(75),
            stalled_for: Duration::from_secs(300),
            connect_within: Duration::from_secs(1),
            answer_within: Duration::from_secs(60),
            idle_upstream: 256,
            idle_upstream_for: Duration::from_secs(30),
            tunnel_idle_for: Duration::from_secs(3_600),
            clients: 10_000_000,
            placing: 10_000,
            place_within: Duration::from_secs(5),
            errands: 10_000,
            sources: 100_000,
            drain_within: Duration::from_secs(30),
        }
    }
}
