//! The books over the reference store, with faults: every write says what it believes, lost replies are
//! settled, and a mirror shows what the store holds, whatever happens to the store.
#![allow(clippy::unwrap_used, reason = "what the tests share is test code too")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use steadfast_core::lease::{Attempt, Expect, Hold, LeaseRecord, Outcome};
use steadfast_core::settings::{SetSettings, SingleSettings, StickySettings, Value};
use steadfast_core::{Endpoint, Epoch, Incarnation, InstanceId, Nonce, SetName, Span};
use steadfast_registry::{
    BeatRecord, Error, EventKind, InstanceRecord, Leases, LedgerState, Mirror, Note, Registration, Registry,
    SetStanding, Snapshot,
};
use steadfast_store::faulty::{Call, Control, Fault, Faulty};
use steadfast_store::{
    self as store, Batch, Change, Cursor, Description, Key, Limits, Memory, Page, PageToken, Record, Space, Store,
    Watch, Write,
};

const SOON: Duration = Duration::from_secs(10);

fn web() -> SetName {
    "web".parse().unwrap()
}

fn id(text: &str) -> InstanceId {
    text.parse().unwrap()
}

fn settings(park_ms: u64) -> SetSettings {
    let (lease_ttl, park_for) = (Span::from_millis(3_000), Span::from_millis(park_ms));
    SetSettings::Single(SingleSettings::new(lease_ttl, 100, Span::ZERO, park_for).unwrap())
}

fn described(incarnation: u64) -> InstanceRecord {
    let endpoint = |text: &str| text.parse::<Endpoint>().unwrap();
    let endpoints = [("http".parse().unwrap(), endpoint("http://10.0.0.4:8081"))].into();
    InstanceRecord::new(Incarnation(incarnation), endpoints, endpoint("http://10.0.0.4:7401"), false, "vm-4".into())
}

fn lease(epoch: u64, holder: &str, nonce: u64) -> LeaseRecord {
    LeaseRecord {
        epoch: Epoch(epoch),
        holder: id(holder),
        incarnation: Incarnation(1),
        ttl: Span::from_millis(3_000),
        nonce: Nonce(nonce),
        released: false,
    }
}

fn attempt(expect: Expect, record: LeaseRecord) -> Attempt {
    Attempt { hold: Hold::Take, expect, record, within: Duration::from_secs(1) }
}

fn faulty() -> (Registry, Control) {
    let faulty = Faulty::new(Arc::new(Memory::new()));
    let control = faulty.control();
    (Registry::new(Arc::new(faulty)), control)
}

async fn until(mirror: &Mirror, what: &str, holds: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let mut snapshots = mirror.subscribe();
    let found = tokio::time::timeout(SOON, snapshots.wait_for(|snapshot| holds(snapshot))).await;
    match found {
        Ok(Ok(snapshot)) => snapshot.clone(),
        _ => panic!("never saw {what}; last: {:#?}", mirror.snapshot()),
    }
}

/// A store that can be exchanged for another under its users' hands, as a restored back-up does it.
#[derive(Debug)]
struct Exchanged(Mutex<Arc<dyn Store>>);

impl Exchanged {
    fn now(&self) -> Arc<dyn Store> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl Store for Exchanged {
    async fn read(&self, key: &Key, within: Duration) -> Result<Option<Record>, store::Error> {
        self.now().read(key, within).await
    }
    async fn commit(&self, batch: Batch, within: Duration) -> Result<Cursor, store::Error> {
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
        self.now().limits()
    }
    fn describe(&self) -> Description {
        self.now().describe()
    }
}

#[tokio::test]
async fn the_first_to_introduce_a_set_decides_its_settings_until_somebody_changes_them() {
    let (registry, _) = faulty();
    assert_eq!(registry.introduce_set(&web(), &settings(1)).await, Ok(SetStanding::Created));
    assert_eq!(registry.introduce_set(&web(), &settings(1)).await, Ok(SetStanding::Same));
    assert_eq!(registry.introduce_set(&web(), &settings(2)).await, Ok(SetStanding::Differs(settings(1))));
    assert_eq!(registry.change_set(&web(), &settings(2), "operator").await, Ok(Some(settings(1))));
    assert_eq!(registry.introduce_set(&web(), &settings(2)).await, Ok(SetStanding::Same));
    let sets = registry.sets().await.unwrap();
    assert_eq!(sets.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["web"]);
}

#[tokio::test]
async fn a_set_keeps_its_kind() {
    let (registry, _) = faulty();
    assert_eq!(registry.introduce_set(&web(), &settings(1)).await, Ok(SetStanding::Created));
    let sticky = StickySettings::read(|key| (key == "client").then(|| Value::Text("query:camera".into()))).unwrap();
    let sticky = SetSettings::Sticky(Box::new(sticky));
    for refused in [
        registry.introduce_set(&web(), &sticky).await.map(drop),
        registry.change_set(&web(), &sticky, "operator").await.map(drop),
    ] {
        assert!(matches!(&refused, Err(Error::Refused { reason: "other-kind", .. })), "{refused:?}");
    }
    let stored = registry.set(&web()).await.unwrap().expect("it is there").record;
    assert_eq!(stored.settings(&web()), Ok(settings(1)));
}

#[tokio::test]
async fn a_lost_reply_is_settled_by_reading() {
    let (registry, control) = faulty();
    control.next(Call::Commit, Fault::LoseReply);
    assert_eq!(registry.introduce_set(&web(), &settings(1)).await, Ok(SetStanding::Created));
    let nothing = Registration::default();
    control.next(Call::Commit, Fault::LoseReply);
    registry.register(&web(), &id("web-1"), &described(1), steadfast_core::Weight::ZERO, &nothing).await.unwrap();
    control.next(Call::Commit, Fault::LoseReply);
    let before = registry.set_state(&web(), &id("web-1"), None, LedgerState::Draining, "operator").await;
    assert_eq!(before, Ok(Some(LedgerState::Open)));
}

#[tokio::test]
async fn a_write_that_did_not_happen_is_not_called_done() {
    let (registry, control) = faulty();
    control.next(Call::Commit, Fault::Refuse);
    let refused = registry.introduce_set(&web(), &settings(1)).await;
    assert!(matches!(refused, Err(Error::Store(store::Error::Unavailable(_)))), "{refused:?}");
    assert_eq!(registry.set(&web()).await, Ok(None));
}

#[tokio::test]
async fn a_registration_replaces_only_what_was_believed_to_be_dead() {
    let (registry, _) = faulty();
    let nothing = Registration::default();
    registry.register(&web(), &id("web-1"), &described(1), steadfast_core::Weight::ZERO, &nothing).await.unwrap();
    let stale = registry.register(&web(), &id("web-1"), &described(2), steadfast_core::Weight::ZERO, &nothing).await;
    assert!(matches!(stale, Err(Error::Store(store::Error::Conflict(_)))), "{stale:?}");
    let seen = registry.instance(&web(), &id("web-1")).await.unwrap();
    registry.register(&web(), &id("web-1"), &described(2), steadfast_core::Weight::ZERO, &seen).await.unwrap();
    let now = registry.instance(&web(), &id("web-1")).await.unwrap();
    assert_eq!(now.ledger.unwrap().record.incarnation, Incarnation(2));
    // A former life's wish about itself does not touch this one.
    assert_eq!(
        registry.set_state(&web(), &id("web-1"), Some(Incarnation(1)), LedgerState::Gone, "web-1").await,
        Ok(None)
    );
    let unknown = registry.set_state(&web(), &id("web-9"), None, LedgerState::Draining, "operator").await;
    assert_eq!(unknown, Err(Error::NoInstance(web(), id("web-9"))));
}

#[tokio::test]
async fn an_operators_drain_outlives_the_agents_comings_and_goings() {
    let (registry, _) = faulty();
    registry
        .register(&web(), &id("web-1"), &described(1), steadfast_core::Weight::ZERO, &Registration::default())
        .await
        .unwrap();
    registry.set_state(&web(), &id("web-1"), None, LedgerState::Draining, "operator").await.unwrap();
    registry.set_state(&web(), &id("web-1"), Some(Incarnation(1)), LedgerState::Gone, "web-1").await.unwrap();
    let seen = registry.instance(&web(), &id("web-1")).await.unwrap();
    registry.register(&web(), &id("web-1"), &described(2), steadfast_core::Weight::ZERO, &seen).await.unwrap();
    let ledger = registry.instance(&web(), &id("web-1")).await.unwrap().ledger.unwrap().record;
    assert_eq!(
        (ledger.state, ledger.by.as_str(), ledger.incarnation),
        (LedgerState::Draining, "operator", Incarnation(2))
    );
}

#[tokio::test]
async fn attempts_end_as_core_must_hear_it() {
    let (registry, control) = faulty();
    let leases = Leases::new(registry.clone(), web());
    let Ok(Outcome::Committed(first)) = leases.send(&attempt(Expect::Absent, lease(1, "web-1", 11))).await else {
        panic!()
    };
    let Ok(Outcome::Conflict(Some(found))) = leases.send(&attempt(Expect::Absent, lease(1, "web-2", 12))).await else {
        panic!()
    };
    assert_eq!((found.version, found.record), (first, lease(1, "web-1", 11)));
    control.next(Call::Commit, Fault::Refuse);
    assert_eq!(leases.send(&attempt(Expect::Version(first), lease(1, "web-1", 13))).await, Ok(Outcome::Unavailable));
    control.next(Call::Commit, Fault::LoseReply);
    assert_eq!(leases.send(&attempt(Expect::Version(first), lease(1, "web-1", 14))).await, Ok(Outcome::Unknown));
    let read = leases.read(SOON).await.unwrap().unwrap();
    assert_eq!(read.record.nonce, Nonce(14));
}

#[tokio::test]
async fn a_lease_written_by_a_newer_version_keeps_what_it_says_beyond_ours() {
    let (registry, _) = faulty();
    let leases = Leases::new(registry.clone(), web());
    leases.send(&attempt(Expect::Absent, lease(1, "web-1", 11))).await.unwrap();
    let key = Key::new(Space::new("web").unwrap(), "lease/web");
    let record = registry.store().read(&key, SOON).await.unwrap().unwrap();
    let text =
        String::from_utf8(record.value.to_vec()).unwrap().replace("\"released\"", "\"witness\":\"w-1\",\"released\"");
    let change = Change {
        name: key.name.clone(),
        expect: store::Expect::Version(record.version),
        write: Write::Put(text.into(), None),
    };
    registry.store().commit(Batch { space: key.space.clone(), changes: vec![change] }, SOON).await.unwrap();
    let seen = leases.read(SOON).await.unwrap().unwrap();
    leases.send(&attempt(Expect::Version(seen.version), lease(1, "web-1", 12))).await.unwrap();
    let record = registry.store().read(&key, SOON).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&record.value).contains("\"witness\":\"w-1\""), "{record:?}");
}

#[tokio::test]
async fn a_candidate_that_saw_the_lease_only_in_its_mirror_keeps_what_a_newer_version_added() {
    let (registry, _) = faulty();
    let key = Key::new(Space::new("web").unwrap(), "lease/web");
    let text = r#"{"v":1,"epoch":1,"holder":"web-1","incarnation":"0000000000000001","ttl_ms":3000,"nonce":"000000000000000b","released":true,"witness":"w-1"}"#;
    let change = Change { name: key.name.clone(), expect: store::Expect::Absent, write: Write::Put(text.into(), None) };
    registry.store().commit(Batch { space: key.space.clone(), changes: vec![change] }, SOON).await.unwrap();
    let mirror = Mirror::follow(&registry, &web());
    let seen = until(&mirror, "the lease", |s| s.lease.is_some()).await;
    let version = seen.lease.as_ref().unwrap().observed.version;
    let leases = Leases::new(registry.clone(), web());
    let taken = leases.send(&attempt(Expect::Version(version), lease(2, "web-2", 12))).await;
    assert!(matches!(taken, Ok(Outcome::Committed(_))), "{taken:?}");
    let record = registry.store().read(&key, SOON).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&record.value).contains("\"witness\":\"w-1\""), "{record:?}");
}

#[tokio::test]
async fn a_record_that_becomes_unusable_shows_nothing_rather_than_what_it_was() {
    let (registry, _) = faulty();
    registry
        .register(&web(), &id("web-1"), &described(1), steadfast_core::Weight::ZERO, &Registration::default())
        .await
        .unwrap();
    let mirror = Mirror::follow(&registry, &web());
    until(&mirror, "an open instance", |s| s.instances.get(&id("web-1")).is_some_and(|one| one.is_open())).await;
    let key = Key::new(Space::new("web").unwrap(), "ledger/web-1");
    let record = registry.store().read(&key, SOON).await.unwrap().unwrap();
    let expect = store::Expect::Version(record.version);
    let change = Change { name: key.name, expect, write: Write::Put(r#"{"v":2}"#.into(), None) };
    registry.store().commit(Batch { space: key.space, changes: vec![change] }, SOON).await.unwrap();
    let seen = until(&mirror, "the newer ledger", |s| !s.unusable.is_empty()).await;
    assert!(!seen.instances.get(&id("web-1")).unwrap().is_open());
}

#[tokio::test]
async fn a_switchover_is_ordered_only_where_somebody_could_follow_it() {
    let (registry, _) = faulty();
    let refused = |result: Result<_, Error>| match result {
        Err(Error::Refused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(registry.order_switchover(&web(), None, "operator").await.unwrap_err(), Error::NoSet(web()));
    registry.introduce_set(&web(), &settings(1)).await.unwrap();
    assert_eq!(refused(registry.order_switchover(&web(), None, "operator").await), "no-leader");
    registry
        .register(&web(), &id("web-1"), &described(1), steadfast_core::Weight::ZERO, &Registration::default())
        .await
        .unwrap();
    Leases::new(registry.clone(), web()).send(&attempt(Expect::Absent, lease(4, "web-1", 11))).await.unwrap();
    assert_eq!(refused(registry.order_switchover(&web(), None, "operator").await), "no-successor");
    assert_eq!(refused(registry.order_switchover(&web(), Some(&id("web-1")), "operator").await), "already-leader");
    registry
        .register(&web(), &id("web-2"), &described(2), steadfast_core::Weight::ZERO, &Registration::default())
        .await
        .unwrap();
    registry.set_state(&web(), &id("web-2"), None, LedgerState::Draining, "operator").await.unwrap();
    assert_eq!(refused(registry.order_switchover(&web(), Some(&id("web-2")), "operator").await), "not-open");
    registry.set_state(&web(), &id("web-2"), None, LedgerState::Open, "operator").await.unwrap();
    let mirror = Mirror::follow(&registry, &web());
    registry.order_switchover(&web(), Some(&id("web-2")), "operator").await.unwrap();
    let seen = until(&mirror, "the order", |s| s.switchover.is_some()).await;
    let order = seen.switchover.as_ref().unwrap();
    assert_eq!((order.epoch, order.to.clone().map(|to| to.0)), (4, Some(id("web-2"))));
}

#[tokio::test]
async fn the_event_log_keeps_its_order_among_many_writers_and_its_bound() {
    let (registry, _) = faulty();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let registry = registry.clone();
            tokio::spawn(async move {
                for _ in 0..150 {
                    registry.note(&web(), EventKind::Settings, &format!("writer-{writer}")).await;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let events = registry.events(&web(), 0).await.unwrap();
    let numbers: Vec<u64> = events.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (200..1200).collect::<Vec<_>>(), "the last thousand of 1 200, without a gap");
    assert_eq!(registry.events(&web(), 1195).await.unwrap().len(), 5);
    for since in [1, 250, 1191, 1192, 1193, 1199, 1200, 5000] {
        let later: Vec<_> = events.iter().filter(|(number, _)| *number >= since).cloned().collect();
        assert_eq!(registry.events(&web(), since).await.unwrap(), later, "since {since}, read whole or one by one");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_is_noted_once_whatever_became_of_the_tries() {
    let (registry, control) = faulty();
    registry.note(&web(), EventKind::Settings, "before").await;
    let faults = [Fault::Refuse, Fault::LoseReply, Fault::HangLate(Duration::from_millis(1))];
    for (number, (first, second)) in faults.iter().flat_map(|a| faults.iter().map(move |b| (*a, *b))).enumerate() {
        let by = format!("writer-{number}");
        let mut note = Note::new(EventKind::Settings, &by);
        let mut noted = false;
        for fault in [first, second] {
            control.next(Call::Commit, fault);
            match registry.try_note(&web(), &mut note).await {
                // The try before had happened, and was found.
                Ok(()) => noted = true,
                Err(error) => assert!(error.may_pass(), "{error}"),
            }
            control.heal();
            if noted {
                break;
            }
            // Somebody else's goes in between, or the next try finds the log as it was.
            if number % 2 == 0 {
                registry.note(&web(), EventKind::Settings, "somebody").await;
            }
        }
        if !noted {
            registry.try_note(&web(), &mut note).await.unwrap();
        }
        let there = registry.events(&web(), 0).await.unwrap();
        let times = there.iter().filter(|(_, event)| event.by == by).count();
        assert_eq!(times, 1, "after {first:?} and {second:?}");
    }
}

#[tokio::test]
async fn a_mirror_follows_what_happens_and_beats_do_not_stir_it() {
    let (registry, control) = faulty();
    let mirror = Mirror::follow(&registry, &web());
    let empty = until(&mirror, "an empty set", |s| s.complete && s.contact.is_some()).await;
    assert!(empty.settings.is_none() && empty.lease.is_none() && empty.instances.is_empty());
    registry.introduce_set(&web(), &settings(1)).await.unwrap();
    registry.introduce_set(&"web-2".parse().unwrap(), &settings(2)).await.unwrap();
    registry
        .register(&web(), &id("web-1"), &described(1), steadfast_core::Weight::ZERO, &Registration::default())
        .await
        .unwrap();
    until(&mirror, "settings and instance", |s| {
        s.settings == Some(settings(1)) && s.instances.get(&id("web-1")).is_some_and(|one| one.is_open())
    })
    .await;
    let leases = Leases::new(registry.clone(), web());
    leases.send(&attempt(Expect::Absent, lease(1, "web-1", 11))).await.unwrap();
    let held = until(&mirror, "the lease", |s| s.lease.is_some()).await;
    registry.beat(&web(), &id("web-1"), &BeatRecord::new(Incarnation(1), 1)).await.unwrap();
    control.cut_watches();
    registry.set_state(&web(), &id("web-1"), None, LedgerState::Draining, "operator").await.unwrap();
    let after = until(&mirror, "the drain, after the watch was cut", |s| {
        s.instances.get(&id("web-1")).is_some_and(|one| !one.is_open())
    })
    .await;
    assert_eq!(after.lease, held.lease, "the receipt of an unchanged lease is not renewed by a new watch");
    assert_eq!(after.history, held.history);
}

#[tokio::test]
async fn a_mirror_says_when_the_store_is_silent_and_heals_by_itself() {
    let (registry, control) = faulty();
    let mirror = Mirror::follow(&registry, &web());
    let before = until(&mirror, "contact", |s| s.complete && s.contact.is_some()).await;
    control.always(Fault::Refuse);
    control.cut_watches();
    let troubled = until(&mirror, "trouble", |s| s.trouble.is_some()).await;
    control.heal();
    let healed = until(&mirror, "contact again", |s| s.trouble.is_none() && s.contact > troubled.contact).await;
    assert!(healed.contact > before.contact);
    assert_eq!(healed.history, before.history, "the same store, not another one");
}

#[tokio::test]
async fn a_running_mirror_notices_a_rolled_back_store() {
    let first: Arc<dyn Store> = Arc::new(Memory::new());
    let exchanged = Arc::new(Exchanged(Mutex::new(first)));
    let faulty = Faulty::new(exchanged.clone());
    let control = faulty.control();
    let registry = Registry::new(Arc::new(faulty));
    let leases = Leases::new(registry.clone(), web());
    leases.send(&attempt(Expect::Absent, lease(7, "web-1", 11))).await.unwrap();
    registry
        .register(&web(), &id("web-1"), &described(1), steadfast_core::Weight::ZERO, &Registration::default())
        .await
        .unwrap();
    let mirror = Mirror::follow(&registry, &web());
    let before = until(&mirror, "the lease", |s| s.complete && s.lease.is_some() && s.instances.len() == 1).await;

    // As long a history as the first's: the numbers alone do not tell them apart.
    let second = Registry::new(Arc::new(Memory::new()));
    let restored = Leases::new(second.clone(), web());
    restored.send(&attempt(Expect::Absent, lease(6, "web-2", 10))).await.unwrap();
    second
        .register(&web(), &id("web-2"), &described(2), steadfast_core::Weight::ZERO, &Registration::default())
        .await
        .unwrap();
    *exchanged.0.lock().unwrap() = second.store().clone();
    control.cut_watches();
    let after = until(&mirror, "the other history", |s| s.history > before.history).await;
    let lease = after.lease.as_ref().unwrap();
    assert_eq!(lease.observed.record.epoch, Epoch(6), "shown as it is; who may act on it is the machine's to say");
    assert!(lease.received > before.lease.as_ref().unwrap().received);
    assert!(!after.instances.contains_key(&id("web-1")) && after.instances.contains_key(&id("web-2")));
}

#[tokio::test]
async fn a_record_of_a_newer_format_is_shown_as_unusable_and_the_rest_as_usual() {
    let (registry, _) = faulty();
    registry
        .register(&web(), &id("web-1"), &described(1), steadfast_core::Weight::ZERO, &Registration::default())
        .await
        .unwrap();
    let name = b"instance/web-2".to_vec();
    let change = Change { name, expect: store::Expect::Absent, write: Write::Put(r#"{"v":2}"#.into(), None) };
    let batch = Batch { space: Space::new("web").unwrap(), changes: vec![change] };
    registry.store().commit(batch, SOON).await.unwrap();
    let mirror = Mirror::follow(&registry, &web());
    let seen = until(&mirror, "both", |s| s.complete && !s.unusable.is_empty()).await;
    assert!(seen.instances.contains_key(&id("web-1")));
    assert!(matches!(seen.unusable.get("instance/web-2"), Some(Error::Newer { found: 2, known: 1, .. })));
}
