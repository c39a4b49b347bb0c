//! A sticky set with its instances, a store that can fail, and gateways that come and go.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use steadfast_core::client::{ClientKey, Sources};
use steadfast_core::placement::{LedgerState, Placement, Wish};
use steadfast_core::settings::{SetSettings, Sticky, StickySettings};
use steadfast_core::{Endpoint, Incarnation, InstanceId, Weight};
use steadfast_gateway::{Answer, ClientsStatus, Gateway, GatewayConfig, RouteConfig, Totals};
use steadfast_host::shutdown::Shutdown;
use steadfast_registry::{InstanceRecord, Placed, Registration, Registry, Stored, Verified};
use steadfast_store::faulty::{Control, Faulty};
use steadfast_store::{Batch, Change, Expect, Key, Memory, Space, Write};
use tokio::runtime::Runtime;

use super::{App, Client, DEADLINE, Got, Probe, config, endpoint, rand, route, set, until};

/// A home: an application with its agent's probe.
pub struct Member {
    pub id: InstanceId,
    pub incarnation: Incarnation,
    pub app: App,
    pub probe: Probe,
    /// Further endpoints.
    pub more: Vec<(&'static str, Endpoint)>,
    /// Instead of the application's own address.
    pub http: Option<Endpoint>,
}

impl Member {
    pub fn new(id: &str, app: App) -> Member {
        let incarnation = Incarnation(rand());
        let id: InstanceId = id.parse().unwrap();
        let probe = Probe::new(set(), id.clone(), incarnation);
        Member { id, incarnation, app, probe, more: Vec::new(), http: None }
    }

    /// One that answers with its name.
    pub fn named(id: &'static str) -> Member {
        Member::new(id, App::named(id))
    }

    fn http(&self) -> Endpoint {
        self.http.clone().unwrap_or_else(|| endpoint(self.app.address()))
    }
}

/// A gateway that can be ended.
pub struct Running {
    gateway: Option<Gateway>,
    shutdown: Shutdown,
    pub address: SocketAddr,
}

impl Running {
    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    pub fn get(&self, path: &str) -> Got {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: example.org\r\n"))
    }

    /// A head without its last line, on a connection of its own.
    pub fn send(&self, head: &str) -> Got {
        let mut client = self.client();
        client.send(format!("{head}Connection: close\r\n\r\n"));
        client.read_answer()
    }

    pub fn totals(&self) -> Totals {
        self.gateway.as_ref().unwrap().status().totals()
    }

    pub fn clients(&self) -> ClientsStatus {
        let sets = self.gateway.as_ref().unwrap().status().sets();
        sets.into_iter().find_map(|one| one.clients).unwrap()
    }

    /// From here on it hears of every change.
    #[track_caller]
    fn follows(&self) {
        let heard = |one: steadfast_gateway::SetStatus| one.clients.is_some_and(|clients| clients.silent_ms.is_some());
        until("changes are followed", || self.gateway.as_ref().unwrap().status().sets().into_iter().any(heard));
    }

    pub fn refused(&self, reason: &str) -> u64 {
        self.totals().refused.iter().find(|(known, _)| *known == reason).unwrap().1
    }
}

impl Drop for Running {
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

/// The store and the set.
pub struct Town {
    pub runtime: Runtime,
    pub registry: Registry,
    pub store: Control,
}

impl Town {
    /// A sticky set that finds its clients in `query:client` and their weights in `query:weight`.
    pub fn new(change: impl FnOnce(&mut Sticky), members: &[(&Member, u64)]) -> Town {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let faulty = Faulty::new(Arc::new(Memory::new()));
        let store = faulty.control();
        let town = Town { runtime, registry: Registry::new(Arc::new(faulty)), store };
        let sources = |text: &str| Sources(vec![text.parse().unwrap()]);
        let mut values = Sticky {
            client: sources("query:client"),
            weight: steadfast_core::settings::WeightRule::Said(sources("query:weight")),
            ..Sticky::default()
        };
        change(&mut values);
        let settings = SetSettings::Sticky(Box::new(StickySettings::new(values).unwrap()));
        town.runtime.block_on(town.registry.introduce_set(&set(), &settings)).unwrap();
        for (member, capacity) in members {
            town.register(member, *capacity);
        }
        town
    }

    pub fn register(&self, member: &Member, capacity: u64) {
        let more = member.more.iter().map(|(name, at)| (name.parse().unwrap(), at.clone()));
        let endpoints: BTreeMap<_, _> = more.chain([("http".parse().unwrap(), member.http())]).collect();
        let probe = endpoint(member.probe.address());
        let record = InstanceRecord::new(member.incarnation, endpoints, probe, false, "here".to_owned());
        let capacity = Weight::from_milli(capacity * 1_000).unwrap();
        let believed: Registration = self.runtime.block_on(self.registry.instance(&set(), &member.id)).unwrap();
        let set = set();
        let registered = self.registry.register(&set, &member.id, &record, capacity, &believed);
        self.runtime.block_on(registered).unwrap();
    }

    pub fn gateway(&self, answer: Answer) -> Running {
        self.gateway_with(|config| config.listeners[0].routes[0].answer = answer)
    }

    /// A gateway that hears of every change already.
    pub fn gateway_with(&self, change: impl FnOnce(&mut GatewayConfig)) -> Running {
        let gateway = self.start(change);
        gateway.follows();
        gateway
    }

    /// A gateway that has only just started.
    pub fn start(&self, change: impl FnOnce(&mut GatewayConfig)) -> Running {
        self.start_over(self.registry.clone(), change)
    }

    /// A gateway with a store of its own over the same records, which can fail it alone.
    pub fn gateway_apart(&self, change: impl FnOnce(&mut GatewayConfig)) -> (Running, Control) {
        let faulty = Faulty::new(self.registry.store().clone());
        let control = faulty.control();
        let gateway = self.start_over(Registry::new(Arc::new(faulty)), change);
        gateway.follows();
        (gateway, control)
    }

    fn start_over(&self, books: Registry, change: impl FnOnce(&mut GatewayConfig)) -> Running {
        let mut config = config();
        change(&mut config);
        let shutdown = Shutdown::new();
        let gateway = steadfast_gateway::start(config, Some(books), &shutdown).unwrap();
        let address = gateway.addresses()[0];
        Running { gateway: Some(gateway), shutdown, address }
    }

    pub fn client(&self, key: &str) -> Option<Stored<Placement>> {
        let key: ClientKey = key.parse().unwrap();
        self.runtime.block_on(self.registry.client(&set(), &key)).unwrap()
    }

    /// What an operator or an agent does.
    pub fn ask(&self, key: &str, wish: Wish) -> Placed {
        let key: ClientKey = key.parse().unwrap();
        self.runtime.block_on(self.registry.place_once(&set(), key, wish, "the test")).unwrap()
    }

    pub fn charged(&self, member: &Member) -> u64 {
        let found = self.runtime.block_on(self.registry.instance(&set(), &member.id)).unwrap();
        found.ledger.unwrap().record.charged_milli / 1_000
    }

    pub fn set_state(&self, member: &Member, state: LedgerState) {
        let set = set();
        let write = self.registry.set_state(&set, &member.id, None, state, "operator");
        self.runtime.block_on(write).unwrap();
    }

    pub fn verify(&self) -> Verified {
        self.runtime.block_on(self.registry.verify(&set())).unwrap()
    }

    /// The keeper's clock, without a keeper.
    pub fn set_tick(&self, tick: u64) {
        let space = Space::new("web").unwrap();
        let key = Key::new(space.clone(), b"clock".to_vec());
        let store = self.registry.store().clone();
        self.runtime.block_on(async {
            let known = store.read(&key, DEADLINE).await.unwrap();
            let expect = known.map_or(Expect::Absent, |record| Expect::Version(record.version));
            let write = Write::Put(format!(r#"{{"v":1,"tick":{tick}}}"#).into_bytes().into(), None);
            let changes = vec![Change { name: key.name, expect, write }];
            store.commit(Batch { space, changes }, DEADLINE).await.unwrap();
        });
    }
}

/// A route of this answer for paths below `path`.
pub fn way(path: &str, answer: Answer) -> RouteConfig {
    RouteConfig { answer, ..route("*", path) }
}
