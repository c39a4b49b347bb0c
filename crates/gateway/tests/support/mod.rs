//! A small world around a gateway: a store, instances with an application and a probe each, and clients.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses its own part of this"
)]

pub mod app;
pub mod client;
pub mod probe;
pub mod sticky;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use steadfast_core::lease::{Attempt, Expect, Hold, LeaseRecord, Observed, Outcome, Version};
use steadfast_core::settings::{SetSettings, SingleSettings};
use steadfast_core::{Endpoint, Epoch, Host, Incarnation, InstanceId, Nonce, SetName, Span};
use steadfast_gateway::{Answer, Bounds, Gateway, GatewayConfig, ListenerConfig, RouteConfig, TargetStatus, Totals};
use steadfast_host::shutdown::Shutdown;
use steadfast_registry::{InstanceRecord, Leases, Registration, Registry};
use steadfast_store::Memory;
use steadfast_store::faulty::{Control, Faulty};
use tokio::runtime::Runtime;

pub use app::{App, Reply};
pub use client::{Client, Got};
pub use probe::Probe;

/// Longer than anything here takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// What a probe vouches for, unless a test says otherwise.
pub const VALID_FOR: Duration = Duration::from_secs(60);

/// Polls until `done` says yes.
#[track_caller]
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub fn set() -> SetName {
    "web".parse().unwrap()
}

pub fn local() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// One copy of the application with its agent's probe.
pub struct Instance {
    pub id: InstanceId,
    pub incarnation: Incarnation,
    pub app: App,
    pub probe: Probe,
}

impl Instance {
    pub fn new(id: &str, app: App) -> Instance {
        let incarnation = Incarnation(rand());
        let id: InstanceId = id.parse().unwrap();
        let probe = Probe::new(set(), id.clone(), incarnation);
        Instance { id, incarnation, app, probe }
    }
}

pub fn rand() -> u64 {
    steadfast_host::random::u64()
}

/// The store, the gateway, and what is told to both.
pub struct World {
    pub runtime: Runtime,
    pub registry: Registry,
    leases: Leases,
    /// What becomes of calls to the store.
    pub store: Control,
    pub shutdown: Shutdown,
    gateway: Option<Gateway>,
    pub address: SocketAddr,
}

impl World {
    /// A gateway with one listener that passes everything to the set `web`.
    pub fn new() -> World {
        World::with(|_| ())
    }

    pub fn with(change: impl FnOnce(&mut GatewayConfig)) -> World {
        World::parking_for(Span::from_millis(15_000), change)
    }

    pub fn parking_for(park_for: Span, change: impl FnOnce(&mut GatewayConfig)) -> World {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let faulty = Faulty::new(Arc::new(Memory::new()));
        let store = faulty.control();
        let registry = Registry::new(Arc::new(faulty));
        let settings =
            SetSettings::Single(SingleSettings::new(Span::from_millis(3_000), 100, Span::ZERO, park_for).unwrap());
        runtime.block_on(registry.introduce_set(&set(), &settings)).unwrap();
        let mut config = config();
        change(&mut config);
        let shutdown = Shutdown::new();
        let gateway = {
            let _inside = runtime.enter();
            steadfast_gateway::start(config, Some(registry.clone()), &shutdown).unwrap()
        };
        let address = gateway.addresses()[0];
        let leases = Leases::new(registry.clone(), set());
        World { runtime, registry, leases, store, shutdown, gateway: Some(gateway), address }
    }

    pub fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().unwrap()
    }

    pub fn totals(&self) -> Totals {
        self.gateway().status().totals()
    }

    pub fn target(&self) -> Option<TargetStatus> {
        self.gateway().status().sets().into_iter().find(|one| one.set == set()).and_then(|one| one.target)
    }

    pub fn parked(&self) -> usize {
        self.gateway().status().parked().now
    }

    /// Writes where an instance is.
    pub fn register(&self, instance: &Instance) {
        let endpoints = BTreeMap::from([("http".parse().unwrap(), endpoint(instance.app.address()))]);
        let probe = endpoint(instance.probe.address());
        let record = InstanceRecord::new(instance.incarnation, endpoints, probe, false, "here".to_owned());
        let believed: Registration = self.runtime.block_on(self.registry.instance(&set(), &instance.id)).unwrap();
        self.runtime
            .block_on(self.registry.register(&set(), &instance.id, &record, steadfast_core::Weight::ZERO, &believed))
            .unwrap();
    }

    fn lease(&self) -> Option<Observed> {
        self.runtime.block_on(self.leases.read(DEADLINE)).unwrap()
    }

    fn write_lease(&self, instance: &Instance, epoch: u64, hold: Hold) {
        let expect = self.lease().map_or(Expect::Absent, |observed| Expect::Version(Version(observed.version.0)));
        let record = LeaseRecord {
            epoch: Epoch(epoch),
            holder: instance.id.clone(),
            incarnation: instance.incarnation,
            ttl: Span::from_millis(3_000),
            nonce: Nonce(rand()),
            released: hold == Hold::Release,
        };
        let attempt = Attempt { hold, expect, record, within: DEADLINE };
        let outcome = self.runtime.block_on(self.leases.send(&attempt)).unwrap();
        assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
    }

    /// Has the instance take the lease, and its probe say so.
    pub fn lead(&self, instance: &Instance, epoch: u64) {
        instance.probe.lead(epoch, VALID_FOR);
        self.take(instance, epoch);
    }

    /// Writes the lease only.
    pub fn take(&self, instance: &Instance, epoch: u64) {
        self.write_lease(instance, epoch, Hold::Take);
    }

    pub fn release(&self, instance: &Instance, epoch: u64) {
        self.write_lease(instance, epoch, Hold::Release);
    }

    /// A gateway that passes everything to this instance already.
    pub fn led_by(instance: &Instance) -> World {
        World::new().and_led_by(instance)
    }

    pub fn and_led_by(self, instance: &Instance) -> World {
        self.register(instance);
        self.lead(instance, 1);
        self.await_leader(instance);
        self
    }

    #[track_caller]
    pub fn await_leader(&self, instance: &Instance) {
        until("the gateway knows the leader", || {
            self.target().is_some_and(|target| target.instance == instance.id && !target.closed)
        });
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// One GET on a connection of its own.
    pub fn get(&self, path: &str) -> Got {
        let mut client = self.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n"));
        client.read_answer()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.begin();
        if let Some(gateway) = self.gateway.take() {
            let ended = gateway.wait();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

pub fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::new("http", Host::Ip(address.ip()), address.port()).unwrap()
}

pub fn config() -> GatewayConfig {
    GatewayConfig {
        listeners: vec![listener()],
        workers: std::num::NonZeroUsize::new(2),
        bounds: Bounds { drain_within: Duration::from_millis(500), ..Bounds::default() },
        ..GatewayConfig::default()
    }
}

pub fn listener() -> ListenerConfig {
    ListenerConfig {
        listen: local(),
        ready_path: "/.steadfast/ready".to_owned(),
        linger: Span::ZERO,
        routes: vec![route("*", "/")],
    }
}

pub fn route(host: &str, path: &str) -> RouteConfig {
    RouteConfig {
        host: host.parse().unwrap(),
        path: path.parse().unwrap(),
        set: set(),
        answer: Answer::Proxy,
        endpoint: "http".parse().unwrap(),
        client: None,
        weight: None,
    }
}
