//! Clients, drains and their findings, over books in memory.

use steadfast_core::client::Sources;
use steadfast_core::placement::Phase;
use steadfast_core::settings::{Sticky, StickySettings};
use steadfast_core::{Endpoint, Host, Incarnation, InstanceId, Weight};
use steadfast_registry::{InstanceRecord, LedgerState, Registration, Registry};

use std::sync::Arc;

use steadfast_store::faulty::{Fault, Faulty};
use steadfast_store::{Memory, Store};

use super::*;
use crate::admin::view::{Amount, DrainOrder, ExplainQuery};
use crate::admin::{Api, Local};

/// Books in memory with a sticky set of two instances that can carry ten each.
struct Books {
    service: Service,
    set: SetName,
}

impl Books {
    async fn new(values: Sticky) -> Books {
        Books::over(steadfast_store::open("memory:", &steadfast_store::Access::default()).unwrap(), values).await
    }

    async fn over(store: Arc<dyn Store>, values: Sticky) -> Books {
        let registry = Registry::new(store);
        let set: SetName = "recorder".parse().unwrap();
        let settings = StickySettings::new(values).unwrap();
        registry.introduce_set(&set, &SetSettings::Sticky(Box::new(settings))).await.unwrap();
        for id in ["rec-1", "rec-2"] {
            let at = |port| Endpoint::new("http", Host::Ip([127, 0, 0, 1].into()), port).unwrap();
            let endpoints = [("http".parse().unwrap(), at(80))].into();
            // Nobody answers at the probe's port 1.
            let record = InstanceRecord::new(Incarnation(1), endpoints, at(1), false, "alpha".into());
            let ten = Weight::from_milli(10_000).unwrap();
            registry.register(&set, &id.parse().unwrap(), &record, ten, &Registration::default()).await.unwrap();
        }
        let service = Service::new(registry, Local { operator: "tester".into(), ..Local::default() });
        Books { service, set }
    }

    async fn place(&self, client: &str, weight: u64, on: &str) -> PlacedView {
        let order = PlaceOrder {
            weight: Some(Amount::from_milli(weight * 1_000)),
            instance: Some(Text(id(on))),
            ..PlaceOrder::default()
        };
        self.service.place(&self.set, &key(client), &order).await.unwrap()
    }

    async fn page(&self, query: ClientQuery) -> (Vec<String>, Option<String>) {
        let page = self.service.clients(&self.set, &query).await.unwrap();
        let clients = page.clients.iter().map(|one| one.client.0.to_string()).collect();
        (clients, page.next.map(|next| next.0.to_string()))
    }

    async fn warnings(&self) -> Vec<String> {
        self.service.status().await.unwrap().warnings.into_iter().map(|warning| warning.reason).collect()
    }

    /// Waits until the status has a warning of this reason.
    async fn wait_for_warning(&self, reason: &str) {
        for _ in 0..2_000 {
            if self.warnings().await.iter().any(|found| found == reason) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("no {reason} in {:?}", self.warnings().await);
    }
}

fn id(text: &str) -> InstanceId {
    text.parse().unwrap()
}

fn key(text: &str) -> ClientKey {
    text.parse().unwrap()
}

fn sticky(presence: Presence) -> Sticky {
    Sticky { client: Sources(vec!["query:camera".parse().unwrap()]), presence, ..Sticky::default() }
}

fn told(problem: Problem) -> (u16, String) {
    (problem.status, problem.reason)
}

#[tokio::test]
async fn a_client_is_placed_once_and_keeps_its_home() {
    let books = Books::new(sticky(Presence::Request)).await;
    let placed = books.place("cam-7", 8, "rec-2").await;
    assert!(placed.changed);
    assert_eq!(placed.endpoints.len(), 1, "who placed it is told where to send it");
    let one = books.service.client(&books.set, &key("cam-7")).await.unwrap();
    assert_eq!((one.instance.0.as_str(), one.weight.as_milli(), one.by.as_str()), ("rec-2", 8_000, "tester"));
    assert_eq!(one.reason, "placed-by-operator");
    let again = books.place("cam-7", 8, "rec-1").await;
    assert_eq!((again.changed, again.client.instance.0.as_str()), (false, "rec-2"));
    let nothing = PlaceOrder { weight: Some(Amount::default()), ..PlaceOrder::default() };
    let refused = books.service.place(&books.set, &key("cam-8"), &nothing).await.unwrap_err();
    assert_eq!(told(refused), (400, "bad-weight".to_owned()));
    let totals = books.service.set(&books.set).await.unwrap();
    assert_eq!(totals.leader, None, "a sticky set has no leader");
}

#[tokio::test]
async fn refusals_are_of_the_order_and_not_of_the_service() {
    let books = Books::new(sticky(Presence::Request)).await;
    books.place("cam-7", 8, "rec-2").await;
    let order = PlaceOrder {
        weight: Some(Amount::from_milli(3_000)),
        instance: Some(Text(id("rec-2"))),
        ..PlaceOrder::default()
    };
    let refused = books.service.place(&books.set, &key("cam-8"), &order).await.unwrap_err();
    assert_eq!(told(refused), (409, "no-room".to_owned()));
    let order = PlaceOrder { instance: Some(Text(id("rec-3"))), ..PlaceOrder::default() };
    let unknown = books.service.place(&books.set, &key("cam-8"), &order).await.unwrap_err();
    assert!(unknown.detail.ends_with("did you mean \"rec-1\"?"), "{}", unknown.detail);
    assert_eq!(told(unknown), (404, "no-instance".to_owned()));
    let nobody = books.service.client(&books.set, &key("cam-9")).await.unwrap_err();
    assert_eq!(told(nobody), (404, "no-client".to_owned()));
}

#[tokio::test]
async fn clients_come_in_pages_and_by_home_and_phase() {
    let books = Books::new(sticky(Presence::Request)).await;
    for (client, home) in [("a", "rec-1"), ("b%2F", "rec-2"), ("c", "rec-1"), ("d", "rec-2"), ("e", "rec-1")] {
        books.place(client, 1, home).await;
    }
    let limit = |limit, after: Option<&str>| ClientQuery {
        limit: Some(limit),
        after: after.map(key),
        ..ClientQuery::default()
    };
    let (first, next) = books.page(limit(2, None)).await;
    assert_eq!((first, next.as_deref()), (vec!["a".to_owned(), "b%2F".to_owned()], Some("b%2F")));
    let (rest, next) = books.page(limit(3, next.as_deref())).await;
    assert_eq!((rest.len(), next), (3, None), "the last page says that it is the last");
    let at = |home: &str, limit| ClientQuery { home: Some(id(home)), limit, ..ClientQuery::default() };
    assert_eq!(books.page(at("rec-2", None)).await.0, ["b%2F", "d"]);
    assert_eq!(books.page(at("rec-1", Some(2))).await, (vec!["a".to_owned(), "c".to_owned()], Some("c".to_owned())));
    let idle = ClientQuery { phase: Some(Phase::Idle), ..ClientQuery::default() };
    assert_eq!(books.page(idle).await, (vec![], None));
    let nowhere = books.service.clients(&books.set, &at("rec-9", None)).await.unwrap_err();
    assert_eq!(told(nowhere), (404, "no-instance".to_owned()));
}

#[tokio::test]
async fn a_client_is_moved_and_forgotten_and_the_books_agree() {
    let books = Books::new(sticky(Presence::Request)).await;
    books.place("cam-7", 8, "rec-2").await;
    let moved = books.service.move_client(&books.set, &key("cam-7"), &MoveOrder::default()).await.unwrap();
    assert_eq!((moved.client.instance.0.as_str(), moved.client.owner_epoch), ("rec-1", 2));
    assert_eq!(moved.client.from, Some(Text(id("rec-2"))));
    let verified = books.service.verify(&books.set).await.unwrap();
    assert_eq!((verified.ok, verified.clients, verified.instances), (true, 1, 2), "{:?}", verified.faults);
    assert!(books.service.forget(&books.set, &key("cam-7")).await.unwrap().changed);
    assert!(!books.service.forget(&books.set, &key("cam-7")).await.unwrap().changed, "it was forgotten already");
    assert!(books.service.verify(&books.set).await.unwrap().ok);
}

#[tokio::test]
async fn a_drain_tells_who_is_left_and_who_cannot_be_moved() {
    let books = Books::new(sticky(Presence::Report)).await;
    books.place("cam-1", 4, "rec-1").await;
    books.place("cam-2", 6, "rec-1").await;
    books.place("cam-3", 5, "rec-2").await;
    let order = DrainOrder { move_after: Some(Text("10m".parse().unwrap())) };
    let change = books.service.drain(&books.set, &id("rec-1"), &order).await.unwrap();
    assert_eq!((change.before, change.now), (LedgerState::Open, LedgerState::Draining));
    let view = books.service.drain_progress(&books.set, &id("rec-1")).await.unwrap();
    assert_eq!((view.charged_clients, view.charged.as_milli(), view.idle_clients), (2, 10_000, 0));
    assert!(view.moves_in_ms.is_some_and(|ms| (600_000..=610_000).contains(&ms)), "{:?}", view.moves_in_ms);
    // rec-2 has room for four, not for six.
    assert_eq!(view.stuck, [("no-room".to_owned(), 1)].into());
    assert_eq!(view.examples[0].client, Text(key("cam-2")));
    let back = books.service.undrain(&books.set, &id("rec-1")).await.unwrap();
    assert_eq!((back.before, back.now), (LedgerState::Draining, LedgerState::Open));
    assert_eq!(books.service.drain_progress(&books.set, &id("rec-1")).await.unwrap().moves_in_ms, None);
}

#[tokio::test]
async fn an_explanation_tells_what_is_and_what_would_be() {
    let books = Books::new(sticky(Presence::Request)).await;
    books.place("cam-7", 8, "rec-2").await;
    let asked = ExplainQuery { weight: Weight::from_milli(1_000), ..ExplainQuery::default() };
    let new = books.service.explain(&books.set, &key("cam-9"), &asked).await.unwrap();
    assert_eq!((new.known.is_none(), new.rule.as_str()), (true, "emptiest"));
    assert_eq!(new.instance, Some(Text(id("rec-1"))));
    assert!(new.sentence.ends_with("it would go to rec-1, the least full with it (0 % → 10 %)."), "{}", new.sentence);
    let known = books.service.explain(&books.set, &key("cam-7"), &ExplainQuery::default()).await.unwrap();
    assert_eq!((known.rule.as_str(), known.weight.as_milli()), ("at-home", 8_000));
    assert!(known.sentence.contains("it was placed there by hand (tester)"), "{}", known.sentence);
    assert!(
        known.sentence.ends_with("If it came new, it would go to rec-1, the only one that can take it (0 % → 80 %)."),
        "{}",
        known.sentence
    );
}

#[tokio::test]
async fn what_is_wrong_with_homes_is_told() {
    let books = Books::new(sticky(Presence::Request)).await;
    books.place("cam-1", 9, "rec-1").await;
    books.place("cam-2", 9, "rec-2").await;
    books.wait_for_warning("nearly-full").await;
    let lost = books.service.lost(&books.set, &id("rec-1")).await.unwrap();
    assert_eq!((lost.before, lost.now), (LedgerState::Open, LedgerState::Lost));
    books.wait_for_warning("home-lost").await;
    books.service.drain(&books.set, &id("rec-2"), &DrainOrder::default()).await.unwrap();
    books.wait_for_warning("no-open-instance").await;
}

#[tokio::test]
async fn with_the_store_away_no_order_is_accepted_and_none_half_done() {
    let store = Faulty::new(Arc::new(Memory::new()));
    let away = store.control();
    let books = Books::over(Arc::new(store), sticky(Presence::Request)).await;
    books.place("cam-7", 8, "rec-2").await;
    let (service, set) = (&books.service, &books.set);
    let (order, at) = (PlaceOrder::default(), id("rec-2"));
    away.always(Fault::Refuse);
    away.cut_watches();
    let (web, (cam_7, cam_8)) = ("web".parse().unwrap(), (key("cam-7"), key("cam-8")));
    let (anywhere, drain) = (MoveOrder::default(), DrainOrder::default());
    let (placed, moved, forgotten, drained, undrained, switched, verified) = tokio::join!(
        service.place(set, &cam_8, &order),
        service.move_client(set, &cam_7, &anywhere),
        service.forget(set, &cam_7),
        service.drain(set, &at, &drain),
        service.undrain(set, &at),
        service.switchover(&web, None),
        service.verify(set),
    );
    let refused = [
        placed.map(drop),
        moved.map(drop),
        forgotten.map(drop),
        drained.map(drop),
        undrained.map(drop),
        switched.map(drop),
        verified.map(drop),
    ];
    for problem in refused.map(Result::unwrap_err) {
        assert!(problem.retry_after.is_some(), "{problem:?}");
        assert_eq!(told(problem), (503, "store-unavailable".to_owned()));
    }
    away.heal();
    let found = service.client(set, &key("cam-7")).await.unwrap();
    assert_eq!((found.instance.0.as_str(), found.owner_epoch), ("rec-2", 1));
    assert_eq!(told(service.client(set, &key("cam-8")).await.unwrap_err()).0, 404);
    let ledger = service.registry.instance(set, &at).await.unwrap().ledger.unwrap().record;
    assert_eq!(ledger.state, LedgerState::Open);
    assert!(service.verify(set).await.unwrap().ok);
    // It heals by itself.
    assert!(service.place(set, &key("cam-8"), &order).await.unwrap().changed);
    assert_eq!(service.drain(set, &at, &DrainOrder::default()).await.unwrap().now, LedgerState::Draining);
}
