//! Clients and their homes over HTTP: the same as in the process, whatever bytes a client's key has.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::SocketAddr;
use std::sync::Arc;

use steadfast::admin::http::Admin;
use steadfast::admin::view::{Amount, ClientQuery, DrainOrder, ExplainQuery, MoveOrder, PlaceOrder};
use steadfast::admin::{Api, Local, Remote, Service};
use steadfast_core::client::{ClientKey, Sources};
use steadfast_core::placement::Phase;
use steadfast_core::settings::{SetSettings, Sticky, StickySettings};
use steadfast_core::{Endpoint, Host, Incarnation, InstanceId, SetName, Weight};
use steadfast_host::http::{Limits, serve};
use steadfast_host::net::Listener;
use steadfast_host::problem::Problem;
use steadfast_host::shutdown::Shutdown;
use steadfast_registry::{InstanceRecord, LedgerState, Registration, Registry, Text};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// An API on a free port, over books in memory with a sticky set of two instances that can carry ten each.
struct Served {
    local: Arc<Service>,
    remote: Remote,
    set: SetName,
    end: Shutdown,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.end.begin();
    }
}

impl Served {
    async fn start() -> Served {
        let registry = Registry::new(steadfast_store::open("memory:", &steadfast_store::Access::default()).unwrap());
        let set: SetName = "recorder".parse().unwrap();
        let client = Sources(vec!["query:camera".parse().unwrap()]);
        let settings = StickySettings::new(Sticky { client, ..Sticky::default() }).unwrap();
        registry.introduce_set(&set, &SetSettings::Sticky(Box::new(settings))).await.unwrap();
        for name in ["rec-1", "rec-2"] {
            let nobody = Endpoint::new("http", Host::Ip([127, 0, 0, 1].into()), 1).unwrap();
            let record = InstanceRecord::new(Incarnation(1), [].into(), nobody, false, "alpha".into());
            let ten = Weight::from_milli(10_000).unwrap();
            registry.register(&set, &id(name), &record, ten, &Registration::default()).await.unwrap();
        }
        let local = Arc::new(Service::new(registry, Local::default()));
        let listener = Listener::tcp(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let admin = Arc::new(Admin::new(local.clone(), address, TOKEN.to_owned()));
        let end = Shutdown::new();
        tokio::spawn(serve(listener, admin, Limits::default(), end.clone()));
        let remote = Remote::new(&format!("http://{address}"), Some(TOKEN)).unwrap();
        Served { local, remote, set, end }
    }
}

fn id(text: &str) -> InstanceId {
    text.parse().unwrap()
}

fn on(instance: &str, weight: u64) -> PlaceOrder {
    let weight = Some(Amount::from_milli(weight * 1_000));
    PlaceOrder { weight, instance: Some(Text(id(instance))), ..PlaceOrder::default() }
}

/// Keys that a path, a query or UTF-8 could break.
fn odd_keys() -> Vec<ClientKey> {
    let odd: [&[u8]; 6] = [b"cam/7", b"100%", b"a b+c", b"?x=1&y#z", b"..", &[0xff, 0x00, 0x80]];
    odd.iter().map(|bytes| ClientKey::new(bytes).unwrap()).collect()
}

#[tokio::test]
async fn a_key_is_the_same_client_whatever_its_bytes() {
    let served = Served::start().await;
    let (local, remote, set) = (served.local.as_ref(), &served.remote, &served.set);
    for key in odd_keys() {
        let placed = remote.place(set, &key, &on("rec-1", 1)).await.unwrap();
        assert_eq!((placed.client.client.0.clone(), placed.changed), (key.clone(), true));
        assert_eq!(remote.client(set, &key).await.unwrap(), local.client(set, &key).await.unwrap());
        let explained = remote.explain(set, &key, &ExplainQuery::default()).await.unwrap();
        assert_eq!(explained.known.map(|known| known.client.0), Some(key.clone()), "{key}");
        let after = ClientQuery { after: Some(key.clone()), ..ClientQuery::default() };
        assert_eq!(remote.clients(set, &after).await.unwrap(), local.clients(set, &after).await.unwrap());
        let moved = remote.move_client(set, &key, &MoveOrder { to: Some(Text(id("rec-2"))) }).await.unwrap();
        assert_eq!(moved.client.instance, Text(id("rec-2")));
        assert!(remote.forget(set, &key).await.unwrap().changed);
    }
    assert!(local.clients(set, &ClientQuery::default()).await.unwrap().clients.is_empty());
    assert!(remote.verify(set).await.unwrap().ok);
}

#[tokio::test]
async fn over_http_homes_are_as_in_the_process() {
    let served = Served::start().await;
    let (local, remote, set) = (served.local.as_ref(), &served.remote, &served.set);
    for (client, home) in [("a", "rec-1"), ("b", "rec-2"), ("c", "rec-1")] {
        local.place(set, &client.parse().unwrap(), &on(home, 3)).await.unwrap();
    }
    let filtered =
        ClientQuery { limit: Some(1), home: Some(id("rec-1")), phase: Some(Phase::Active), ..ClientQuery::default() };
    let page = remote.clients(set, &filtered).await.unwrap();
    assert_eq!(page, local.clients(set, &filtered).await.unwrap());
    assert_eq!((page.clients.len(), page.next.is_some()), (1, true));

    let mut asked = ExplainQuery { weight: Weight::from_milli(2_500), ..ExplainQuery::default() };
    asked.labels.insert("region".parse().unwrap(), "eu & us".to_owned());
    let explained = remote.explain(set, &"new".parse().unwrap(), &asked).await.unwrap();
    assert_eq!(explained, local.explain(set, &"new".parse().unwrap(), &asked).await.unwrap());
    assert_eq!((explained.weight.as_milli(), explained.labels.len()), (2_500, 1));

    let order = DrainOrder { move_after: Some(Text("1h".parse().unwrap())) };
    let change = remote.drain(set, &id("rec-1"), &order).await.unwrap();
    assert_eq!((change.before, change.now), (LedgerState::Open, LedgerState::Draining));
    let progress = remote.drain_progress(set, &id("rec-1")).await.unwrap();
    assert_eq!(progress, local.drain_progress(set, &id("rec-1")).await.unwrap());
    assert_eq!((progress.charged_clients, progress.stuck_clients()), (2, 0));
    assert_eq!(remote.undrain(set, &id("rec-1")).await.unwrap().now, LedgerState::Open);
    assert_eq!(remote.lost(set, &id("rec-1")).await.unwrap().now, LedgerState::Lost);
    assert_eq!(remote.verify(set).await.unwrap(), local.verify(set).await.unwrap());
    assert_eq!(remote.set(set).await.unwrap().totals.map(|totals| totals.clients), Some(3));

    let told = |problem: Problem| (problem.status, problem.reason, problem.detail);
    let (full, d) = (on("rec-2", 8), "d".parse().unwrap());
    let refused = remote.place(set, &d, &full).await.unwrap_err();
    assert_eq!(told(refused), told(local.place(set, &d, &full).await.unwrap_err()));
    let unknown = remote.client(set, &d).await.unwrap_err();
    assert_eq!(told(unknown), told(local.client(set, &d).await.unwrap_err()));
}
