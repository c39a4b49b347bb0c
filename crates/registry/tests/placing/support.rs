//! A sticky set in a store, placers over it, and asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use steadfast_core::client::{ClientKey, Labels, Source, Sources};
use steadfast_core::placement::{Placement, Reason, Wish};
use steadfast_core::settings::{SetSettings, Sticky, StickySettings};
use steadfast_core::{Endpoint, Incarnation, InstanceId, SetName, Weight};
use steadfast_registry::{InstanceRecord, Mirror, PlaceError, Placed, Placer, PlacerBounds, Registration, Registry};
use steadfast_store::faulty::{Call, Control, Fault, Faulty};
use steadfast_store::{
    self as store, Batch, Cursor, Description, Expect, Key, Limits, Memory, Page, PageToken, Record, Space, Store,
    Watch, Write,
};
use tokio::task::JoinHandle;

/// Longer than anything here takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);
pub(crate) const BOUNDS: PlacerBounds = PlacerBounds { waiting: 100_000, within: SOON };

#[derive(Clone)]
pub(crate) struct Ground {
    /// The books as those under test reach them: with faults.
    pub(crate) registry: Registry,
    /// The same books, with none.
    pub(crate) truth: Registry,
    pub(crate) control: Control,
    pub(crate) set: SetName,
}

pub(crate) fn key(text: &str) -> ClientKey {
    text.parse().unwrap()
}

pub(crate) fn id(text: &str) -> InstanceId {
    text.parse().unwrap()
}

pub(crate) fn weight(text: &str) -> Weight {
    text.parse().unwrap()
}

pub(crate) fn arrive(said: &str) -> Wish {
    Wish::Arrive { weight: Some(weight(said)), labels: Labels::new(), present: false }
}

pub(crate) fn move_by_operator(to: Option<&str>) -> Wish {
    Wish::Move { from: None, to: to.map(id), reason: Reason::MovedByOperator, certain_to_leave: true }
}

/// A set `recorder` in `store`, with instances of these capacities.
pub(crate) async fn ground(store: Arc<dyn Store>, capacities: &[(&str, &str)]) -> Ground {
    ground_with(store, capacities, |_| {}).await
}

pub(crate) async fn ground_with(
    store: Arc<dyn Store>,
    capacities: &[(&str, &str)],
    change: impl FnOnce(&mut Sticky),
) -> Ground {
    let truth = Registry::new(store.clone());
    let faulty = Faulty::new(store);
    let control = faulty.control();
    let registry = Registry::new(Arc::new(faulty));
    let set: SetName = "recorder".parse().unwrap();
    let mut sticky = Sticky { client: Sources(vec![Source::Query("camera".into())]), ..Sticky::default() };
    change(&mut sticky);
    let settings = SetSettings::Sticky(Box::new(StickySettings::new(sticky).unwrap()));
    registry.introduce_set(&set, &settings).await.unwrap();
    let ground = Ground { registry, truth, control, set };
    for (instance, capacity) in capacities {
        ground.register(instance, capacity, 1).await;
    }
    ground
}

pub(crate) async fn in_memory(capacities: &[(&str, &str)]) -> Ground {
    ground(Arc::new(Memory::new()), capacities).await
}

impl Ground {
    pub(crate) async fn register(&self, instance: &str, capacity: &str, life: u64) {
        let endpoint = |text: &str| text.parse::<Endpoint>().unwrap();
        let endpoints = [("http".parse().unwrap(), endpoint("http://127.0.0.1:9"))].into();
        let probe = endpoint("http://127.0.0.1:9");
        let record = InstanceRecord::new(Incarnation(life), endpoints, probe, false, "here".into());
        let believed: Registration = self.registry.instance(&self.set, &id(instance)).await.unwrap();
        self.registry.register(&self.set, &id(instance), &record, weight(capacity), &believed).await.unwrap();
    }

    /// A placer with a mirror of its own, as another process has one.
    pub(crate) fn placer(&self, by: &str) -> Placer {
        self.placer_with(by, BOUNDS)
    }

    pub(crate) fn placer_with(&self, by: &str, bounds: PlacerBounds) -> Placer {
        let mirror = Arc::new(Mirror::follow(&self.registry, &self.set));
        Placer::start(&self.registry, mirror, by, bounds)
    }

    /// From here on no mirror of those under test hears anything, while their commits go through.
    pub(crate) fn deafen(&self) {
        for _ in 0..10_000 {
            self.control.next(Call::Watch, Fault::Refuse);
        }
        self.control.cut_watches();
    }

    /// Raises the set's clock, as its keeper does.
    pub(crate) async fn set_time(&self, tick: u64) {
        let clock = Key::new(self.space(), "clock");
        let now = self.truth.store().read(&clock, SOON).await.unwrap();
        let expect = now.map_or(Expect::Absent, |record| Expect::Version(record.version));
        let write = Write::Put(format!(r#"{{"v":1,"tick":{tick}}}"#).into(), None);
        self.truth.store().commit(Batch::one(clock, expect, write), SOON).await.unwrap();
    }

    pub(crate) fn space(&self) -> Space {
        Space::new(self.set.as_str()).unwrap()
    }

    /// The books agree, and hold so many clients.
    pub(crate) async fn agrees(&self, clients: u64) {
        let verified = self.truth.verify(&self.set).await.unwrap();
        assert_eq!((verified.faults.as_slice(), verified.clients), (&[][..], clients));
    }

    pub(crate) async fn client(&self, client: &str) -> Option<Placement> {
        self.truth.client(&self.set, &key(client)).await.unwrap().map(|stored| stored.record)
    }
}

/// Three instances with room for everybody in a test.
pub(crate) const THREE: [(&str, &str); 3] = [("rec-1", "100"), ("rec-2", "100"), ("rec-3", "100")];

/// Has `placer` make a change of a client's record whose reply is lost, and says when it is made. For as long as only time
/// can pass, that is: until everything else in the test waits for it, `placer` does not look what became of it.
pub(crate) async fn unseen(
    ground: &Ground,
    placer: &Placer,
    client: &str,
    wish: Wish,
) -> JoinHandle<Result<Placed, PlaceError>> {
    let before = ground.client(client).await;
    ground.control.next(Call::Commit, Fault::LoseReply);
    ground.control.next(Call::Read, Fault::Delay(Duration::from_millis(500)));
    let asked = {
        let (placer, client) = (placer.clone(), key(client));
        tokio::spawn(async move { placer.ask(client, wish).await })
    };
    while ground.client(client).await == before {
        tokio::task::yield_now().await;
    }
    asked
}

/// Others write over the marks that a batch left in the ledgers of [`THREE`].
pub(crate) async fn write_over_marks(ground: &Ground) {
    for (instance, _) in THREE {
        let there = Wish::Place { to: Some(id(instance)), weight: None, labels: Labels::new() };
        ground.truth.place_once(&ground.set, key(&format!("at-{instance}")), there, "other").await.unwrap();
    }
}

/// Asks until that is answered: who has little patience may find the machine too slow.
pub(crate) async fn insist(placer: &Placer, client: &str, wish: Wish) -> Placed {
    let answered = async {
        loop {
            match placer.ask(key(client), wish.clone()).await {
                Err(PlaceError::Unavailable(_)) => {}
                answer => return answer.unwrap(),
            }
        }
    };
    tokio::time::timeout(SOON, answered).await.expect("an answer")
}

/// Everybody asks at once.
pub(crate) async fn ask_all(asks: Vec<(Placer, ClientKey, Wish)>) -> Vec<(ClientKey, Result<Placed, PlaceError>)> {
    let tasks: Vec<_> = asks
        .into_iter()
        .map(|(placer, client, wish)| tokio::spawn(async move { (client.clone(), placer.ask(client, wish).await) }))
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

/// Where each client was said to be at home: one place each, whoever was asked.
pub(crate) fn homes(answers: &[(ClientKey, Result<Placed, PlaceError>)]) -> BTreeMap<ClientKey, InstanceId> {
    let mut homes = BTreeMap::new();
    for (client, answer) in answers {
        let home = answer.as_ref().unwrap().client.as_ref().unwrap().record.home.clone();
        let known = homes.entry(client.clone()).or_insert_with(|| home.clone());
        assert_eq!(*known, home, "{client} was told two homes");
    }
    homes
}

/// A store with limits of its own, that can be exchanged for another under its users' hands.
#[derive(Debug)]
pub(crate) struct Altered {
    inner: Mutex<Arc<dyn Store>>,
    limits: Limits,
}

impl Altered {
    pub(crate) fn new(inner: Arc<dyn Store>, limits: Limits) -> Altered {
        Altered { inner: Mutex::new(inner), limits }
    }

    pub(crate) fn exchange(&self, other: Arc<dyn Store>) {
        *self.inner.lock().unwrap() = other;
    }

    fn now(&self) -> Arc<dyn Store> {
        self.inner.lock().unwrap().clone()
    }
}

#[async_trait]
impl Store for Altered {
    async fn read(&self, key: &Key, within: Duration) -> Result<Option<Record>, store::Error> {
        self.now().read(key, within).await
    }
    async fn commit(&self, batch: Batch, within: Duration) -> Result<Cursor, store::Error> {
        batch.check(self.limits)?;
        self.now().commit(batch, within).await
    }
    async fn scan(
        &self,
        space: &Space,
        prefix: &[u8],
        page: Option<PageToken>,
        limit: usize,
        within: Duration,
    ) -> Result<Page, store::Error> {
        self.now().scan(space, prefix, page, limit, within).await
    }
    async fn watch(
        &self,
        space: &Space,
        prefixes: &[&[u8]],
        from: Cursor,
        every: Duration,
    ) -> Result<Box<dyn Watch>, store::Error> {
        self.now().watch(space, prefixes, from, every).await
    }
    fn limits(&self) -> Limits {
        self.limits
    }
    fn describe(&self) -> Description {
        self.now().describe()
    }
}
