//! Everything that can become of an instance, of a lease and of a set by order.

use steadfast_core::client::{Labels, Source, Sources};
use steadfast_core::placement::{Tick, Wish};
use steadfast_core::settings::{SetSettings, Sticky, StickySettings};
use steadfast_core::{Incarnation, SetName};
use steadfast_registry::{Error, InstanceRecord, LedgerState, Registry};
use steadfast_store::{Batch, Expect, Key, Space, Write};

use super::{Deed, Process, at_every_step, sticky};
use crate::support::*;

/// What is done to `rec-1`, where three clients are at home, or to the single set `web`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Drain,
    Undrain,
    DeclareLost,
    /// Its next life registers.
    Register,
    RegisterUnready,
    /// Its agent says that it is ready.
    Open,
    /// Its agent says that it is leaving.
    Leave,
    /// The agent of a former life says so.
    LeaveTooLate,
    Introduce,
    Settings,
    Switchover,
    Beat,
}

const ORDERS: [Order; 12] = [
    Order::Drain,
    Order::Undrain,
    Order::DeclareLost,
    Order::Register,
    Order::RegisterUnready,
    Order::Open,
    Order::Leave,
    Order::LeaveTooLate,
    Order::Introduce,
    Order::Settings,
    Order::Switchover,
    Order::Beat,
];

fn rec_1() -> steadfast_core::InstanceId {
    id("rec-1")
}

fn web() -> SetName {
    "web".parse().unwrap()
}

impl Deed for Order {
    type Told = String;

    fn name(&self) -> String {
        format!("{self:?}")
    }

    async fn ground(&self) -> Ground {
        let ground = sticky(|_| {}).await;
        for client in 0..3 {
            let there = Wish::Place { to: Some(rec_1()), weight: Some(weight("2")), labels: Labels::new() };
            let placed = ground.truth.place_once(&ground.set, key(&format!("cam-{client}")), there, "before").await;
            placed.unwrap();
        }
        match self {
            Order::Undrain => drop(ground.truth.drain(&ground.set, &rec_1(), Some(Tick(3)), "before").await.unwrap()),
            Order::Open => drop(ground.truth.declare_lost(&ground.set, &rec_1(), Tick(1), "before").await.unwrap()),
            Order::Switchover => a_leader(&ground).await,
            _ => {}
        }
        ground
    }

    async fn act(&self, process: &Process) -> Result<String, String> {
        let (books, set) = (&process.registry, process.set());
        let by = "somebody";
        let ended = match self {
            Order::Drain => books.drain(set, &rec_1(), Some(Tick(3)), by).await.map(drop),
            Order::Undrain => books.undrain(set, &rec_1(), by).await.map(drop),
            Order::DeclareLost => books.declare_lost(set, &rec_1(), Tick(4), by).await.map(drop),
            Order::Register => register(books, set, false).await,
            Order::RegisterUnready => register(books, set, true).await,
            Order::Open => books.stand(set, &rec_1(), Incarnation(1), LedgerState::Open, Tick(5)).await.map(drop),
            Order::Leave => books.stand(set, &rec_1(), Incarnation(1), LedgerState::Leaving, Tick(5)).await.map(drop),
            Order::LeaveTooLate => {
                books.stand(set, &rec_1(), Incarnation(9), LedgerState::Leaving, Tick(5)).await.map(drop)
            }
            Order::Introduce => books.introduce_set(&web(), &SetSettings::Single(Default::default())).await.map(drop),
            Order::Settings => other_settings(books, set).await,
            Order::Switchover => books.order_switchover(&web(), None, by).await.map(drop),
            Order::Beat => books.beat(set, &rec_1(), &steadfast_registry::BeatRecord::new(Incarnation(1), 7)).await,
        };
        match ended {
            Ok(()) => Ok(self.found(process.ground()).await),
            Err(error @ Error::Store(_)) => Err(error.to_string()),
            Err(other) => panic!("{self:?}: {other:?}"),
        }
    }

    async fn found(&self, ground: &Ground) -> String {
        match self {
            Order::Introduce => format!("{:?}", ground.truth.set(&web()).await.unwrap().is_some()),
            Order::Settings => raw(ground, "@catalog", "set/recorder").await.contains("77").to_string(),
            Order::Switchover => raw(ground, "web", "order/switchover").await.contains("\"epoch\":4").to_string(),
            Order::Beat => {
                format!("{:?}", ground.truth.last_beat(&ground.set, &rec_1()).await.unwrap().map(|b| b.beat))
            }
            _ => {
                let ledger = ground.truth.instance(&ground.set, &rec_1()).await.unwrap().ledger.unwrap().record;
                let lived = ledger.incarnation.0;
                format!(
                    "life {lived}, {}, moves from {:?}, lost at {:?}, {} clients, {} charged",
                    ledger.state, ledger.move_at, ledger.lost_at, ledger.clients, ledger.charged_milli
                )
            }
        }
    }

    fn is_done(&self, found: &String) -> bool {
        let then = "3 clients, 6000 charged";
        let expected = match self {
            Order::Drain => format!("life 1, draining, moves from Some(3), lost at None, {then}"),
            Order::Undrain | Order::Open | Order::LeaveTooLate => {
                format!("life 1, open, moves from None, lost at None, {then}")
            }
            Order::DeclareLost => format!("life 1, lost, moves from None, lost at Some(4), {then}"),
            Order::Register => format!("life 2, open, moves from None, lost at None, {then}"),
            Order::RegisterUnready => format!("life 2, lost, moves from None, lost at Some(6), {then}"),
            Order::Leave => format!("life 1, leaving, moves from None, lost at None, {then}"),
            Order::Introduce | Order::Settings | Order::Switchover => "true".to_owned(),
            Order::Beat => "Some(7)".to_owned(),
        };
        *found == expected
    }
}

async fn other_settings(books: &Registry, set: &SetName) -> Result<(), Error> {
    let sticky = Sticky { client: Sources(vec![Source::Query("camera".into())]), max_clients: 77, ..Sticky::default() };
    let settings = SetSettings::Sticky(Box::new(StickySettings::new(sticky).unwrap()));
    books.change_set(set, &settings, "somebody").await.map(drop)
}

async fn register(books: &Registry, set: &SetName, unready: bool) -> Result<(), Error> {
    let endpoint = || "http://127.0.0.1:9".parse().unwrap();
    let record = InstanceRecord::new(Incarnation(2), [].into(), endpoint(), false, "here".into());
    let believed = books.instance(set, &rec_1()).await?;
    let capacity = weight("100");
    if unready {
        books.register_unready(set, &rec_1(), &record, capacity, Tick(6), &believed).await
    } else {
        books.register(set, &rec_1(), &record, capacity, &believed).await
    }
}

/// `web` is led at epoch 4, and could be led by another one.
async fn a_leader(ground: &Ground) {
    let settings = SetSettings::Single(Default::default());
    ground.truth.introduce_set(&web(), &settings).await.unwrap();
    for (life, instance) in [(1, "web-1"), (2, "web-2")] {
        let endpoint = "http://127.0.0.1:9".parse().unwrap();
        let record = InstanceRecord::new(Incarnation(life), [].into(), endpoint, false, "here".into());
        let nothing = Default::default();
        ground.truth.register(&web(), &id(instance), &record, weight("1"), &nothing).await.unwrap();
    }
    let lease = r#"{"v":1,"epoch":4,"holder":"web-1","incarnation":"0000000000000001","ttl_ms":3000,"nonce":"000000000000000b","released":false}"#;
    let key = Key::new(Space::new("web").unwrap(), "lease/web");
    let batch = Batch::one(key, Expect::Absent, Write::Put(lease.into(), None));
    ground.truth.store().commit(batch, SOON).await.unwrap();
}

async fn raw(ground: &Ground, space: &str, name: &str) -> String {
    let key = Key::new(Space::new(space).unwrap(), name);
    let found = ground.truth.store().read(&key, SOON).await.unwrap();
    found.map(|record| String::from_utf8_lossy(&record.value).into_owned()).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_at_whatever_step_to_an_order_it_stands_or_can_be_given_again() {
    let mut cases = 0;
    for order in ORDERS {
        cases += at_every_step(&order).await;
    }
    assert!(cases > 100, "{cases} cases");
}
