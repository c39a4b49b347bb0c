//! The keeper's works over a real set, with the set's time in the tests' hands.

use std::sync::atomic::{AtomicUsize, Ordering};

use steadfast_core::client::{ClientKey, Labels, Source, Sources};
use steadfast_core::lease::Timing;
use steadfast_core::placement::{Phase, Placement, Tick, Wish};
use steadfast_core::settings::{Presence, Sticky};
use steadfast_core::{Endpoint, Incarnation, InstanceId, Span};
use steadfast_store::faulty::{Call, Control, Fault, Faulty};
use steadfast_store::{Batch, Expect, Memory, Write};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::*;
use crate::{EventKind, InstanceRecord, LedgerState, Placed, keys};

mod holding;
pub(super) mod kills;
mod leaving;

const SOON: Duration = Duration::from_secs(60);
const TICK_MS: u64 = 5_000;

struct Ground {
    registry: Registry,
    control: Control,
    set: SetName,
}

fn key(text: &str) -> ClientKey {
    text.parse().unwrap()
}

fn id(text: &str) -> InstanceId {
    text.parse().unwrap()
}

fn arrive() -> Wish {
    Wish::Arrive { weight: None, labels: Labels::new(), present: false }
}

/// A set with two instances, where a phase ends after ten ticks, and a client is forgotten after twenty more.
async fn ground(change: impl FnOnce(&mut Sticky)) -> Ground {
    let ticks = |ticks: u64| Span::from_millis(ticks * TICK_MS);
    let mut sticky = Sticky {
        client: Sources(vec![Source::Query("camera".into())]),
        idle_after: ticks(10),
        claim_within: ticks(10),
        forget_after: Some(ticks(20)),
        ..Sticky::default()
    };
    change(&mut sticky);
    let settings = SetSettings::Sticky(Box::new(StickySettings::new(sticky).unwrap()));
    let store = Faulty::new(Arc::new(Memory::new()));
    let control = store.control();
    let ground = Ground { registry: Registry::new(Arc::new(store)), control, set: "recorder".parse().unwrap() };
    ground.registry.introduce_set(&ground.set, &settings).await.unwrap();
    for instance in ["rec-1", "rec-2"] {
        ground.register(instance, 1).await;
    }
    ground
}

impl Ground {
    async fn register(&self, instance: &str, life: u64) {
        let endpoint = |text: &str| text.parse::<Endpoint>().unwrap();
        let record =
            InstanceRecord::new(Incarnation(life), [].into(), endpoint("http://127.0.0.1:9"), false, "here".into());
        let believed = self.registry.instance(&self.set, &id(instance)).await.unwrap();
        let capacity = "100".parse().unwrap();
        self.registry.register(&self.set, &id(instance), &record, capacity, &believed).await.unwrap();
    }

    fn parts(&self) -> Parts {
        Parts::start(&self.registry, self.set.clone(), "keeper")
    }

    async fn set_time(&self, tick: u64) {
        let key = keys::clock(&self.set);
        let now = self.registry.store.read(&key, SOON).await.unwrap();
        let expect = now.map_or(Expect::Absent, |record| Expect::Version(record.version));
        let write = Write::Put(format!(r#"{{"v":1,"tick":{tick}}}"#).into(), None);
        self.registry.store.commit(Batch::one(key, expect, write), SOON).await.unwrap();
    }

    async fn ask(&self, client: &str, wish: Wish) -> Placed {
        self.registry.place_once(&self.set, key(client), wish, "gateway").await.unwrap()
    }

    async fn client(&self, client: &str) -> Option<Placement> {
        self.registry.client(&self.set, &key(client)).await.unwrap().map(|stored| stored.record)
    }

    async fn until(&self, what: &str, client: &str, holds: impl Fn(Option<Placement>) -> bool) {
        let holding = async {
            while !holds(self.client(client).await) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(SOON, holding).await.is_err() {
            panic!("never saw {what}; last: {:?}", self.client(client).await);
        }
    }

    async fn until_event(&self, what: &str, is: impl Fn(&EventKind) -> bool) {
        let holding = async {
            loop {
                let events = self.registry.events(&self.set, 0).await.unwrap();
                if events.iter().any(|(_, event)| is(&event.kind)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(SOON, holding).await.is_err() {
            panic!("never read {what}; last: {:?}", self.registry.events(&self.set, 0).await);
        }
    }

    async fn agrees(&self) {
        assert_eq!(self.registry.verify(&self.set).await.unwrap().faults, []);
    }
}

#[tokio::test]
async fn who_does_not_come_back_turns_idle_and_is_forgotten_and_who_does_stays() {
    let ground = ground(|_| {}).await;
    ground.ask("early", arrive()).await;
    let parts = ground.parts();
    let _working = Task(tokio::spawn(async move { expiry::run(&parts).await }));
    ground.ask("late", arrive()).await;
    ground.ask("stays", arrive()).await;
    ground.set_time(10).await;
    ground.ask("stays", arrive()).await;
    ground.set_time(15).await;
    for client in ["early", "late"] {
        ground.until("it turn idle", client, |found| found.is_some_and(|one| one.phase == Phase::Idle)).await;
    }
    assert_eq!(ground.client("stays").await.unwrap().phase, Phase::Active);
    ground.agrees().await;
    ground.set_time(60).await;
    for client in ["early", "late"] {
        ground.until("it be forgotten", client, |found| found.is_none()).await;
    }
    ground.until("it turn idle", "stays", |found| found.is_some_and(|one| one.phase == Phase::Idle)).await;
    ground.agrees().await;
}

#[tokio::test]
async fn at_a_drains_deadline_those_at_home_there_are_moved_and_then_it_is_said_to_be_empty() {
    let ground = ground(|_| {}).await;
    for n in 0..6 {
        let there = Wish::Place { to: Some(id("rec-1")), weight: None, labels: Labels::new() };
        ground.ask(&format!("cam-{n}"), there).await;
    }
    let parts = ground.parts();
    let _working = Task(tokio::spawn(async move { moves::run(&parts).await }));
    ground.registry.drain(&ground.set, &id("rec-1"), Some(Tick(3)), "operator").await.unwrap();
    ground.set_time(2).await;
    assert_eq!(ground.client("cam-0").await.unwrap().home, id("rec-1"), "its deadline has not come");
    ground.set_time(3).await;
    for n in 0..6 {
        let moved = |found: Option<Placement>| found.is_some_and(|one| one.home == id("rec-2"));
        ground.until("it move", &format!("cam-{n}"), moved).await;
    }
    ground
        .until_event(
            "that it is empty",
            |kind| matches!(kind, EventKind::Drained { instance } if instance.0 == id("rec-1")),
        )
        .await;
    ground.agrees().await;
}

/// How often an application was asked to send `cam-0` away.
struct Asked(watch::Receiver<usize>);

impl Asked {
    async fn until(&self, count: usize) {
        let mut asked = self.0.clone();
        tokio::time::timeout(SOON, asked.wait_for(|asked| *asked >= count)).await.unwrap().unwrap();
    }
}

/// An application that sends clients away, after it refused to so often.
async fn application(mut refusals: usize) -> (String, Asked, Task) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/leave/{{client}}", listener.local_addr().unwrap());
    let (count, asked) = watch::channel(0);
    let task = Task(tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4_096];
            let read = stream.read(&mut head).await.unwrap_or(0);
            assert!(head[..read].starts_with(b"POST /leave/cam-0 "), "{}", String::from_utf8_lossy(&head[..read]));
            let status = if refusals == 0 { "204 No Content" } else { "503 Service Unavailable" };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            drop(stream.write_all(answer.as_bytes()).await);
            match refusals.checked_sub(1) {
                Some(left) => refusals = left,
                None => count.send_modify(|asked| *asked += 1),
            }
        }
    }));
    (url, Asked(asked), task)
}

/// A client that is connected at `rec-1`, which is past the deadline of its drain.
async fn connected(evict: Option<String>) -> (Ground, Task) {
    let ground = ground(|sticky| (sticky.presence, sticky.evict) = (Presence::Report, evict)).await;
    ground.ask("cam-0", Wish::Report { at: id("rec-1"), weight: None }).await;
    ground.registry.drain(&ground.set, &id("rec-1"), Some(Tick(1)), "operator").await.unwrap();
    ground.set_time(1).await;
    let parts = ground.parts();
    let working = Task(tokio::spawn(async move { moves::run(&parts).await }));
    (ground, working)
}

#[tokio::test]
async fn a_connected_client_is_moved_only_if_it_can_be_made_to_leave() {
    let waits = |kind: &EventKind| matches!(kind, EventKind::DrainWaits { connected: 1, no_room: 0, .. });
    let (nobody, _working) = connected(None).await;
    nobody.until_event("that it waits", waits).await;
    assert_eq!(nobody.client("cam-0").await.unwrap().home, id("rec-1"));

    let (url, asked, _application) = application(1).await;
    let (obeying, _working) = connected(Some(url)).await;
    obeying.until("it move", "cam-0", |found| found.is_some_and(|one| one.home == id("rec-2"))).await;
    obeying.agrees().await;
    asked.until(1).await;
    // Where nobody runs a placer the same holds: it is connected again, and forgotten.
    obeying.ask("cam-0", Wish::Report { at: id("rec-2"), weight: None }).await;
    obeying.ask("cam-0", Wish::Forget).await;
    asked.until(2).await;
}

#[tokio::test]
async fn who_cannot_go_anywhere_stays_and_is_counted() {
    let ground = ground(|_| {}).await;
    for (client, instance) in [("cam-0", "rec-1"), ("cam-1", "rec-2")] {
        let weight = Some("90".parse().unwrap());
        ground.ask(client, Wish::Place { to: Some(id(instance)), weight, labels: Labels::new() }).await;
    }
    ground.registry.drain(&ground.set, &id("rec-1"), Some(Tick(1)), "operator").await.unwrap();
    ground.set_time(1).await;
    let parts = ground.parts();
    let _working = Task(tokio::spawn(async move { moves::run(&parts).await }));
    ground
        .until_event("that it waits", |kind| matches!(kind, EventKind::DrainWaits { connected: 0, no_room: 1, .. }))
        .await;
    assert_eq!(ground.client("cam-0").await.unwrap().home, id("rec-1"));
    // Who is known to wait is tried again without reading everybody, and finds room.
    ground.ask("cam-1", Wish::Forget).await;
    for _ in 0..10_000 {
        ground.control.next(Call::Scan, Fault::Refuse);
    }
    ground.set_time(1 + 6).await;
    ground.until("it move", "cam-0", |found| found.is_some_and(|one| one.home == id("rec-2"))).await;
}

#[tokio::test]
async fn who_waits_at_a_drain_is_told_of_first_and_when_half_of_them_are_gone_and_that_it_is_empty_once() {
    let ground = ground(|_| {}).await;
    for client in 0..4 {
        let weight = Some("20".parse().unwrap());
        ground
            .ask(&format!("cam-{client}"), Wish::Place { to: Some(id("rec-1")), weight, labels: Labels::new() })
            .await;
    }
    let weight = Some("90".parse().unwrap());
    ground.ask("heavy", Wish::Place { to: Some(id("rec-2")), weight, labels: Labels::new() }).await;
    ground.registry.drain(&ground.set, &id("rec-1"), Some(Tick(1)), "operator").await.unwrap();
    ground.set_time(1).await;
    let parts = ground.parts();
    let _working = Task(tokio::spawn(async move { moves::run(&parts).await }));
    let waits =
        |stay: u64| move |kind: &EventKind| matches!(kind, EventKind::DrainWaits { no_room, .. } if *no_room == stay);
    ground.until_event("that four wait", waits(4)).await;
    ground.ask("cam-0", Wish::Forget).await;
    ground.set_time(7).await;
    ground.ask("cam-1", Wish::Forget).await;
    ground.set_time(13).await;
    ground.until_event("that two wait", waits(2)).await;
    for client in ["cam-2", "cam-3"] {
        ground.ask(client, Wish::Forget).await;
    }
    ground.until_event("that it is empty", |kind| matches!(kind, EventKind::Drained { .. })).await;
    let said = ground.registry.events(&ground.set, 0).await.unwrap();
    assert!(!said.iter().any(|(_, event)| waits(3)(&event.kind)), "three are more than half of four: {said:?}");
}

/// A process that contends, and counts how often it began to work.
struct Contends {
    began: Arc<AtomicUsize>,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

fn contends(registry: &Registry, name: &'static str) -> Contends {
    let timing = Timing::new(Span::from_millis(2_500), 100, Span::ZERO).unwrap();
    let (began, shutdown) = (Arc::new(AtomicUsize::new(0)), Shutdown::new());
    let work = {
        let began = began.clone();
        move || {
            began.fetch_add(1, Ordering::SeqCst);
            std::future::pending()
        }
    };
    let (registry, ends) = (registry.clone(), shutdown.clone());
    let task = tokio::spawn(async move { lease::hold(registry, name, timing, ends, work).await });
    Contends { began, shutdown, task }
}

impl Contends {
    async fn until_it_works(&self) {
        let working = async {
            while self.began.load(Ordering::SeqCst) == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(SOON, working).await.unwrap();
    }
}

#[tokio::test]
async fn the_next_keeper_begins_when_the_one_before_it_has_ended() {
    let registry = Registry::new(Arc::new(Memory::new()));
    let holder = async || {
        let found = registry.store.read(&keys::keeper(), SOON).await.unwrap();
        found.map(|record| String::from_utf8(record.value.to_vec()).unwrap()).unwrap_or_default()
    };
    let first = contends(&registry, "vm 1");
    first.until_it_works().await;
    assert!(holder().await.contains("keeper-vm-1"), "{}", holder().await);
    let second = contends(&registry, "vm-2");
    first.shutdown.begin();
    first.task.await.unwrap();
    second.until_it_works().await;
    assert!(holder().await.contains("keeper-vm-2"), "{}", holder().await);
    second.shutdown.begin();
    second.task.await.unwrap();
}

#[tokio::test]
async fn a_loss_is_written_down_unless_the_instance_was_heard_of_meanwhile() {
    let ground = ground(|_| {}).await;
    ground.ask("cam-0", Wish::Place { to: Some(id("rec-1")), weight: None, labels: Labels::new() }).await;
    let parts = ground.parts();
    let state = async || ground.registry.instance(&ground.set, &id("rec-1")).await.unwrap().ledger.unwrap().record;
    losses::declare(&parts, &losses::Suspect::of("rec-1", 1, Some(7)), Tick(9)).await.unwrap();
    assert_eq!(state().await.state, LedgerState::Open, "it has beaten since, or never");
    losses::declare(&parts, &losses::Suspect::of("rec-1", 2, None), Tick(9)).await.unwrap();
    assert_eq!(state().await.state, LedgerState::Open, "that is another life");
    losses::declare(&parts, &losses::Suspect::of("rec-1", 1, None), Tick(9)).await.unwrap();
    let lost = state().await;
    assert_eq!((lost.state, lost.lost_at, lost.clients, lost.by.as_str()), (LedgerState::Lost, Some(9), 1, "keeper"));
    ground.until_event("the loss", |kind| matches!(kind, EventKind::InstanceLost { clients: 1, .. })).await;
    ground.register("rec-1", 2).await;
    assert_eq!((state().await.state, state().await.lost_at), (LedgerState::Open, None));
}
