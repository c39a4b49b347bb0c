use std::collections::BTreeSet;
use std::net::SocketAddr;

use steadfast_core::client::Sources;
use steadfast_core::lease::{Attempt, Expect, Hold, LeaseRecord, Outcome};
use steadfast_core::settings::{SingleSettings, Sticky, StickySettings};
use steadfast_core::{Endpoint, EndpointName, Epoch, Host, Incarnation, Nonce, Span};
use steadfast_host::clock;
use steadfast_host::http::{Limits, Request, Response, serve};
use steadfast_host::net::Listener;
use steadfast_host::shutdown::Shutdown;
use steadfast_registry::{InstanceRecord, Leases, LedgerState, ProbeAnswer, ProbeReason, Registration, Role};

use super::*;
use crate::admin::view::LeaseState;

/// Books in memory, with instances whose probes are played.
struct Books {
    registry: Registry,
    service: Service,
    set: SetName,
    end: Shutdown,
}

impl Drop for Books {
    fn drop(&mut self) {
        self.end.begin();
    }
}

impl Books {
    async fn new() -> Books {
        let store = steadfast_store::open("memory:", &steadfast_store::Access::default()).unwrap();
        let registry = Registry::new(store);
        let set: SetName = "web".parse().unwrap();
        registry.introduce_set(&set, &SetSettings::Single(SingleSettings::default())).await.unwrap();
        let local = Local { operator: "tester".into(), ..Local::default() };
        let service = Service::new(registry.clone(), local);
        Books { registry, service, set, end: Shutdown::new() }
    }

    /// Registers an instance. Its probe plays `answer`; without one nobody answers there.
    async fn register(&self, id: &str, incarnation: u64, answer: Option<ProbeAnswer>) -> InstanceId {
        let listener = Listener::tcp(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        if let Some(answer) = answer {
            let handler = move |_: Request| {
                let response = Response::json(StatusCode::OK, &answer);
                async move { response }
            };
            tokio::spawn(serve(listener, Arc::new(handler), Limits::default(), self.end.clone()));
        }
        let at = |port| Endpoint::new("http", Host::Ip([127, 0, 0, 1].into()), port).unwrap();
        let http: EndpointName = "http".parse().unwrap();
        let record =
            InstanceRecord::new(Incarnation(incarnation), [(http, at(80))].into(), at(port), false, "alpha".into());
        let id: InstanceId = id.parse().unwrap();
        self.registry
            .register(&self.set, &id, &record, steadfast_core::Weight::ZERO, &Registration::default())
            .await
            .unwrap();
        id
    }

    /// `id` takes the lease.
    async fn take(&self, id: &InstanceId, ttl_ms: u64) {
        let leases = Leases::new(self.registry.clone(), self.set.clone());
        let record = LeaseRecord {
            epoch: Epoch(7),
            holder: id.clone(),
            incarnation: Incarnation(1),
            ttl: Span::from_millis(ttl_ms),
            nonce: Nonce(1),
            released: false,
        };
        let attempt = Attempt { hold: Hold::Take, expect: Expect::Absent, record, within: Duration::from_secs(5) };
        assert!(matches!(leases.send(&attempt).await.unwrap(), Outcome::Committed(_)));
    }

    fn answer(&self, id: &str, incarnation: u64, role: Role, reason: ProbeReason) -> Option<ProbeAnswer> {
        Some(ProbeAnswer {
            set: self.set.clone(),
            instance: id.parse().unwrap(),
            incarnation: Incarnation(incarnation),
            role,
            epoch: 7,
            valid_for_ms: if role == Role::Leader { 2_000 } else { 0 },
            reason,
        })
    }

    async fn warnings(&self) -> Vec<String> {
        self.service.status().await.unwrap().warnings.into_iter().map(|warning| warning.reason).collect()
    }

    async fn leader(&self) -> (LeaseState, Option<String>) {
        let leader = self.service.leader(&self.set).await.unwrap();
        (leader.state, leader.instance.map(|id| id.0.to_string()))
    }

    /// Waits until the lease is seen in this state.
    async fn wait_for(&self, state: LeaseState) -> Option<String> {
        let deadline = clock::now() + Duration::from_secs(20);
        loop {
            let (seen, instance) = self.leader().await;
            if seen == state {
                return instance;
            }
            assert!(clock::now() < deadline, "still {seen:?} instead of {state:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

const LONG_MS: u64 = 600_000;

#[tokio::test]
async fn a_lease_is_told_as_its_holder_says() {
    let books = Books::new().await;
    assert_eq!(books.leader().await, (LeaseState::None, None));
    let a = books.register("a", 1, books.answer("a", 1, Role::Leader, ProbeReason::Leading)).await;
    books.take(&a, LONG_MS).await;
    assert_eq!(books.wait_for(LeaseState::Leading).await.as_deref(), Some("a"));
    let view = books.service.leader(&books.set).await.unwrap();
    assert_eq!((view.epoch, view.ttl_ms, view.valid_for_ms), (7, Some(LONG_MS), Some(2_000)));
}

#[tokio::test]
async fn a_holder_that_says_no_does_not_lead() {
    let books = Books::new().await;
    let a = books.register("a", 1, books.answer("a", 1, Role::Standby, ProbeReason::SteppingDown)).await;
    books.take(&a, LONG_MS).await;
    assert_eq!(books.wait_for(LeaseState::SteppingDown).await, None);
}

#[tokio::test]
async fn a_silent_holder_leads_as_far_as_the_store_knows_until_its_lease_has_run_out() {
    let books = Books::new().await;
    let a = books.register("a", 1, None).await;
    books.take(&a, LONG_MS).await;
    assert_eq!(books.wait_for(LeaseState::Unconfirmed).await.as_deref(), Some("a"));

    let books = Books::new().await;
    let a = books.register("a", 1, None).await;
    books.take(&a, 200).await;
    assert_eq!(books.wait_for(LeaseState::Expired).await, None);
}

#[tokio::test]
async fn an_address_that_another_life_answers_is_not_the_instance() {
    let books = Books::new().await;
    let a = books.register("a", 1, books.answer("a", 2, Role::Leader, ProbeReason::Leading)).await;
    books.take(&a, LONG_MS).await;
    assert_eq!(books.wait_for(LeaseState::Unconfirmed).await.as_deref(), Some("a"));
    let found = books.service.instances(&books.set).await.unwrap().instances;
    assert_eq!((found[0].role, found[0].reason.as_str()), (None, "replaced"));
    assert!(books.warnings().await.contains(&"replaced".to_owned()));
}

#[tokio::test]
async fn what_is_wrong_is_told() {
    let books = Books::new().await;
    assert!(books.warnings().await.contains(&"no-instances".to_owned()));
    let a = books.register("a", 1, books.answer("a", 1, Role::Leader, ProbeReason::Leading)).await;
    books.take(&a, LONG_MS).await;
    books.wait_for(LeaseState::Leading).await;
    assert!(books.warnings().await.contains(&"no-standby".to_owned()));
    books.register("b", 2, books.answer("b", 2, Role::Leader, ProbeReason::Leading)).await;
    let deadline = clock::now() + Duration::from_secs(20);
    while !books.warnings().await.contains(&"two-leaders".to_owned()) {
        assert!(clock::now() < deadline, "two that say they lead are not told");
    }
}

#[tokio::test]
async fn nobody_who_could_lead_is_told_with_what_each_is() {
    let books = Books::new().await;
    books.register("a", 1, books.answer("a", 1, Role::Standby, ProbeReason::Unhealthy)).await;
    let b = books.register("b", 2, books.answer("b", 2, Role::Standby, ProbeReason::Standby)).await;
    books.service.drain(&books.set, &b, &DrainOrder::default()).await.unwrap();
    let deadline = clock::now() + Duration::from_secs(20);
    let warning = loop {
        let found = books.service.status().await.unwrap().warnings;
        if let Some(warning) = found.into_iter().find(|warning| warning.reason == "no-candidates") {
            break warning;
        }
        assert!(clock::now() < deadline, "the drain is not seen");
    };
    assert!(warning.detail.ends_with("a is unhealthy, b is draining"), "{}", warning.detail);
    assert!(warning.advice.ends_with("steadfast undrain web b"), "{}", warning.advice);
}

#[tokio::test]
async fn unknown_names_are_answered_with_those_there_are() {
    let books = Books::new().await;
    let a = books.register("web-1", 1, None).await;
    let detail = |problem: Problem| (problem.status, problem.reason, problem.detail);
    let wbe: SetName = "wbe".parse().unwrap();
    let (status, reason, text) = detail(books.service.set(&wbe).await.unwrap_err());
    assert_eq!((status, reason.as_str()), (404, "no-set"));
    assert!(text.ends_with("did you mean \"web\"?"), "{text}");
    let (_, _, text) = detail(books.service.drain(&wbe, &a, &DrainOrder::default()).await.unwrap_err());
    assert!(text.contains("\"web\""), "{text}");
    let (_, reason, text) = detail(
        books.service.drain(&books.set, &"elsewhere".parse().unwrap(), &DrainOrder::default()).await.unwrap_err(),
    );
    assert_eq!(reason, "no-instance");
    assert!(text.ends_with("it has \"web-1\""), "{text}");
    let (status, reason, _) = detail(books.service.switchover(&books.set, None).await.unwrap_err());
    assert_eq!((status, reason.as_str()), (409, "no-leader"));
}

#[tokio::test]
async fn only_what_was_drained_is_undrained() {
    let books = Books::new().await;
    let a = books.register("a", 1, None).await;
    let drained = books.service.drain(&books.set, &a, &DrainOrder::default()).await.unwrap();
    assert_eq!((drained.before, drained.now), (LedgerState::Open, LedgerState::Draining));
    let again = books.service.drain(&books.set, &a, &DrainOrder::default()).await.unwrap();
    assert_eq!((again.before, again.now), (LedgerState::Draining, LedgerState::Draining));
    let undrained = books.service.undrain(&books.set, &a).await.unwrap();
    assert_eq!((undrained.before, undrained.now), (LedgerState::Draining, LedgerState::Open));
    books.registry.set_state(&books.set, &a, None, LedgerState::Gone, "a").await.unwrap();
    let gone = books.service.undrain(&books.set, &a).await.unwrap();
    assert_eq!((gone.before, gone.now), (LedgerState::Gone, LedgerState::Gone), "it is not there to be opened");
}

#[tokio::test]
async fn whose_agent_finds_it_healthy_is_not_declared_lost() {
    let mut books = Books::new().await;
    books.set = "recorder".parse().unwrap();
    let client = Sources(vec!["query:camera".parse().unwrap()]);
    let settings = StickySettings::new(Sticky { client, ..Sticky::default() }).unwrap();
    books.registry.introduce_set(&books.set, &SetSettings::Sticky(Box::new(settings))).await.unwrap();
    let well = books.register("well", 1, books.answer("well", 1, Role::Member, ProbeReason::Healthy)).await;
    // A busy machine may take longer to answer than a probe may; then it is lost, until it is asked again.
    let deadline = clock::now() + Duration::from_secs(20);
    let refused = loop {
        match books.service.lost(&books.set, &well).await {
            Err(refused) => break refused,
            Ok(_) => assert!(clock::now() < deadline, "it is not refused"),
        }
    };
    assert_eq!((refused.status, refused.reason.as_str()), (409, "instance-healthy"));
    assert!(refused.detail.ends_with("`steadfast drain recorder well`"), "{}", refused.detail);
    let ill = books.register("ill", 1, books.answer("ill", 1, Role::Standby, ProbeReason::Unhealthy)).await;
    let former = books.register("former", 1, books.answer("former", 2, Role::Member, ProbeReason::Healthy)).await;
    let silent = books.register("silent", 1, None).await;
    for id in [ill, former, silent] {
        let lost = books.service.lost(&books.set, &id).await.unwrap();
        assert_eq!((lost.before, lost.now), (LedgerState::Open, LedgerState::Lost), "{id}");
    }
}

#[tokio::test]
async fn events_go_on_where_they_were_left() {
    let books = Books::new().await;
    let other: SetName = "db".parse().unwrap();
    books.registry.introduce_set(&other, &SetSettings::Single(SingleSettings::default())).await.unwrap();
    let a = books.register("a", 1, None).await;
    books.service.drain(&books.set, &a, &DrainOrder::default()).await.unwrap();
    books.registry.note(&other, EventKind::Settings, "tester").await;
    let first = books.service.events(None, &EventCursor::default()).await.unwrap();
    // Which of two sets comes first is people's time, and both may have the same.
    let told: BTreeSet<_> = first.events.iter().map(|event| (event.set.0.as_str(), event.number)).collect();
    assert_eq!(told, BTreeSet::from([("web", 0), ("db", 0)]));
    let none = books.service.events(None, &first.next.0).await.unwrap();
    assert_eq!((none.events.len(), &none.next), (0, &first.next));
    books.registry.note(&other, EventKind::Settings, "tester").await;
    let more = books.service.events(Some(&other), &first.next.0).await.unwrap();
    assert_eq!(more.events.iter().map(|event| event.number).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn settings_are_written_over_and_the_change_is_told() {
    let books = Books::new().await;
    let five = Span::from_millis(5_000);
    let settings = SingleSettings::new(five, 100, Span::ZERO, five).unwrap();
    let change = books.service.apply(&books.set, &SetSettings::Single(settings)).await.unwrap();
    let ttl = |view: SettingsView| match view {
        SettingsView::Single(single) => single.lease_ttl.0,
        SettingsView::Sticky(_) => panic!("it is single"),
    };
    assert_eq!(change.before.map(ttl), Some(Span::from_millis(3_000)));
    assert_eq!(ttl(change.now), five);
    let new = books.service.apply(&"new".parse().unwrap(), &SetSettings::Single(settings)).await.unwrap();
    assert_eq!(new.before, None);
}
