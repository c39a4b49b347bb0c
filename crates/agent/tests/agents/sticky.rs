//! Members of a sticky set: lost and open with their application, whatever becomes of it.

use steadfast_agent::{AgentConfig, Class, Exit};
use steadfast_core::Span;
use steadfast_core::client::{Source, Sources};
use steadfast_core::health::CheckPolicy;
use steadfast_core::placement::{Tick, Wish};
use steadfast_core::settings::{Presence, SetSettings, Sticky, StickySettings};
use steadfast_registry::{EventKind, LedgerRecord, LedgerState, ProbeReason, Role};
use steadfast_store::faulty::Fault;
use steadfast_store::{Batch, Change, Expect, Key, Space, Write};

use crate::support::{Agent, Cluster, SOON, eventually, kill, shell};

/// A sticky set.
pub(crate) fn cluster(presence: Presence) -> Cluster {
    let values = Sticky {
        client: Sources(vec![Source::Query("camera".into())]),
        presence,
        idle_after: Span::from_millis(60_000),
        ..Sticky::default()
    };
    Cluster::of(SetSettings::Sticky(Box::new(StickySettings::new(values).unwrap())))
}

/// An agent whose application is healthy while the test says so.
pub(crate) fn config(cluster: &Cluster, instance: &str) -> AgentConfig {
    let ready = cluster.path(&format!("{instance}.ready"));
    let mut config = cluster.config(instance);
    config.capacity = Some("100".parse().unwrap());
    config.endpoints.insert("http".parse().unwrap(), "http://127.0.0.1:4711".parse().unwrap());
    config.check = Some(format!("exec:test -e {}", ready.display()).parse().unwrap());
    config.check_policy = CheckPolicy::new(Span::from_millis(500), Span::from_millis(500), 1, 2).unwrap();
    config
}

/// Has the application of `agent` be healthy from now on, and waits until the books say `state`.
pub(crate) async fn healthy(cluster: &Cluster, agent: &Agent, state: LedgerState) {
    std::fs::write(cluster.path(&format!("{}.ready", agent.instance)), "").unwrap();
    is(agent, state).await;
}

/// The same, unhealthy.
pub(crate) async fn unhealthy(cluster: &Cluster, agent: &Agent) {
    std::fs::remove_file(cluster.path(&format!("{}.ready", agent.instance))).unwrap();
    is(agent, LedgerState::Lost).await;
}

/// Kills the application, and keeps the next one from being healthy.
async fn die(cluster: &Cluster, agent: &Agent) {
    kill(cluster.main_process(agent.instance.as_str()));
    unhealthy(cluster, agent).await;
}

pub(crate) async fn ledger(agent: &Agent) -> LedgerRecord {
    let found = agent.registry.instance(&agent.set, &agent.instance).await.unwrap();
    found.ledger.unwrap().record
}

async fn is(agent: &Agent, state: LedgerState) {
    eventually(state.as_str(), async || (agent.state().await == Some(state)).then_some(())).await;
}

/// Sets the set's time.
pub(crate) async fn tick(cluster: &Cluster, tick: u64) {
    let (store, key) = (cluster.registry.store(), Key::new(Space::new("web").unwrap(), "clock"));
    let found = store.read(&key, SOON).await.unwrap();
    let change = Change {
        name: key.name,
        expect: found.map_or(Expect::Absent, |record| Expect::Version(record.version)),
        write: Write::Put(format!("{{\"v\":1,\"tick\":{tick}}}").into_bytes().into(), None),
    };
    store.commit(Batch { space: key.space, changes: vec![change] }, SOON).await.unwrap();
}

/// Places a client that weighs 8, as a gateway does.
async fn arrive(cluster: &Cluster, client: &str) {
    let wish = Wish::Arrive { weight: Some("8".parse().unwrap()), labels: [].into(), present: true };
    let placed = cluster.registry.place_once(&cluster.set, client.parse().unwrap(), wish, "a gateway").await.unwrap();
    assert!(placed.wrote);
}

#[tokio::test]
async fn it_enters_as_lost_and_opens_when_its_application_is_healthy() {
    let cluster = cluster(Presence::Request);
    let mut config = config(&cluster, "rec-1");
    config.labels.insert("region".parse().unwrap(), "eu".into());
    let agent = cluster.start(config);
    let answer = agent.says("it answers", |_| true).await;
    assert_eq!((answer.role, answer.reason), (Role::Standby, ProbeReason::Starting));
    assert_eq!(agent.probe().await.asked().await.unwrap().status, 503);
    let entered = ledger(&agent).await;
    assert_eq!((entered.state, entered.capacity.0), (LedgerState::Lost, "100".parse().unwrap()));

    healthy(&cluster, &agent, LedgerState::Open).await;
    let answer = agent.says("a member", |answer| answer.role == Role::Member).await;
    assert_eq!((answer.reason, answer.epoch, answer.valid_for_ms), (ProbeReason::Healthy, 0, 0));
    assert_eq!(agent.probe().await.asked().await.unwrap().status, 200);
    let found = cluster.registry.instance(&cluster.set, &agent.instance).await.unwrap();
    let labels = found.description.unwrap().record.labels();
    assert_eq!(labels.into_values().collect::<Vec<_>>(), ["eu"]);
    assert_eq!(ledger(&agent).await.lost_at, None);
}

#[tokio::test]
async fn a_death_is_said_at_once_and_clients_stay_at_home() {
    let cluster = cluster(Presence::Request);
    let agent = cluster.start(config(&cluster, "rec-1"));
    healthy(&cluster, &agent, LedgerState::Open).await;
    arrive(&cluster, "cam-7").await;
    tick(&cluster, 40).await;
    die(&cluster, &agent).await;
    agent.says("not serving", |answer| answer.role == Role::Standby).await;
    let lost = ledger(&agent).await;
    // The agent's mirror may have been a moment behind the clock.
    assert!(lost.lost_at.is_some() && lost.by == "rec-1", "{lost:?}");
    assert_eq!((lost.charged_milli, lost.clients), (8_000, 1));

    healthy(&cluster, &agent, LedgerState::Open).await;
    let back = ledger(&agent).await;
    assert_eq!((back.charged_milli, back.clients, back.lost_at), (8_000, 1, None));
    assert_eq!(back.incarnation, lost.incarnation, "the agent is the same");
    let home = cluster.registry.client(&cluster.set, &"cam-7".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(home.record.home, agent.instance);
}

#[tokio::test]
async fn an_unhealthy_application_is_lost_until_it_is_healthy_again() {
    let cluster = cluster(Presence::Request);
    let agent = cluster.start(config(&cluster, "rec-1"));
    healthy(&cluster, &agent, LedgerState::Open).await;
    let process = cluster.main_process("rec-1");
    unhealthy(&cluster, &agent).await;
    agent.says("unhealthy", |answer| answer.reason == ProbeReason::Unhealthy && answer.role == Role::Standby).await;
    let beat = async || cluster.registry.last_beat(&cluster.set, &agent.instance).await.unwrap().map(|beat| beat.beat);
    let before = beat().await;
    eventually("its agent is there all the while", async || (beat().await > before).then_some(())).await;
    healthy(&cluster, &agent, LedgerState::Open).await;
    assert_eq!(cluster.main_process("rec-1"), process, "nobody had to start it again");
}

#[tokio::test]
async fn an_operators_drain_outlives_deaths_and_restarts() {
    let cluster = cluster(Presence::Request);
    let config = config(&cluster, "rec-1");
    let agent = cluster.start(config.clone());
    healthy(&cluster, &agent, LedgerState::Open).await;
    cluster.registry.set_state(&cluster.set, &agent.instance, None, LedgerState::Draining, "operator").await.unwrap();
    let drained = agent.says("draining", |answer| answer.reason == ProbeReason::Draining).await;
    assert_eq!(drained.role, Role::Member, "those at home there are served");

    die(&cluster, &agent).await;
    assert!(ledger(&agent).await.drained);
    healthy(&cluster, &agent, LedgerState::Draining).await;

    unhealthy(&cluster, &agent).await;
    agent.left().await.unwrap();
    let agent = cluster.start(config);
    is(&agent, LedgerState::Lost).await;
    healthy(&cluster, &agent, LedgerState::Draining).await;
    cluster.registry.set_state(&cluster.set, &agent.instance, None, LedgerState::Open, "operator").await.unwrap();
    agent.says("open again", |answer| answer.reason == ProbeReason::Healthy).await;
}

#[tokio::test]
async fn one_that_was_declared_lost_while_it_lives_opens_itself() {
    let cluster = cluster(Presence::Request);
    let agent = cluster.start(config(&cluster, "rec-1"));
    healthy(&cluster, &agent, LedgerState::Open).await;
    let life = ledger(&agent).await.incarnation;
    for _ in 0..2 {
        is(&agent, LedgerState::Open).await;
        cluster.registry.stand(&cluster.set, &agent.instance, life, LedgerState::Lost, Tick(3)).await.unwrap();
    }
    eventually("all of it is told", async || {
        let events = cluster.registry.events(&cluster.set, 0).await.unwrap();
        let opened = |kind: &EventKind| matches!(kind, EventKind::State { state: LedgerState::Open, .. });
        (events.iter().filter(|(_, event)| opened(&event.kind)).count() == 3).then_some(())
    })
    .await;
}

#[tokio::test]
async fn it_leaves_in_good_order_and_its_successor_finds_the_clients() {
    let cluster = cluster(Presence::Request);
    let config = config(&cluster, "rec-1");
    let agent = cluster.start(config.clone());
    healthy(&cluster, &agent, LedgerState::Open).await;
    arrive(&cluster, "cam-7").await;
    let life = ledger(&agent).await.incarnation;
    let registry = agent.registry.clone();
    unhealthy(&cluster, &agent).await;
    assert_eq!(agent.left().await.unwrap(), Exit::Left);
    assert!(cluster.processes("rec-1").is_empty());
    let gone = registry.instance(&cluster.set, &"rec-1".parse().unwrap()).await.unwrap().ledger.unwrap().record;
    assert_eq!((gone.state, gone.lost_at.is_some(), gone.clients), (LedgerState::Gone, true, 1));

    let agent = cluster.start(config);
    is(&agent, LedgerState::Lost).await;
    healthy(&cluster, &agent, LedgerState::Open).await;
    let back = ledger(&agent).await;
    assert_eq!((back.charged_milli, back.clients), (8_000, 1));
    assert_ne!(back.incarnation, life);
}

#[tokio::test]
async fn a_store_that_is_away_keeps_nobody_from_being_served() {
    let cluster = cluster(Presence::Request);
    let agent = cluster.start(config(&cluster, "rec-1"));
    healthy(&cluster, &agent, LedgerState::Open).await;
    agent.says("a member", |answer| answer.role == Role::Member).await;
    let probe = agent.probe().await;
    cluster.faults.always(Fault::Refuse);
    cluster.faults.cut_watches();
    assert_eq!(probe.ask().await.unwrap().role, Role::Member);
    std::fs::remove_file(cluster.path("rec-1.ready")).unwrap();
    probe.says("unhealthy", |answer| answer.role == Role::Standby).await;
    cluster.faults.heal();
    // What could not be said is said when the store is back.
    is(&agent, LedgerState::Lost).await;
    healthy(&cluster, &agent, LedgerState::Open).await;
}

#[tokio::test]
async fn a_store_that_forgot_it_is_told_again() {
    let cluster = cluster(Presence::Request);
    let agent = cluster.start(config(&cluster, "rec-1"));
    healthy(&cluster, &agent, LedgerState::Open).await;
    agent.says("a member", |answer| answer.role == Role::Member).await;
    let space = Space::new("web").unwrap();
    eventually("the records are gone", async || {
        let mut changes = Vec::new();
        for name in ["instance/rec-1", "ledger/rec-1"] {
            let found = cluster.registry.store().read(&Key::new(space.clone(), name), SOON).await.unwrap()?;
            changes.push(Change { name: name.into(), expect: Expect::Version(found.version), write: Write::Delete });
        }
        cluster.registry.store().commit(Batch { space: space.clone(), changes }, SOON).await.ok()
    })
    .await;
    is(&agent, LedgerState::Open).await;
    assert_eq!(ledger(&agent).await.capacity.0, "100".parse().unwrap());
}

#[tokio::test]
async fn a_second_agent_of_one_name_is_refused_before_it_starts_anything() {
    let cluster = cluster(Presence::Request);
    let agent = cluster.start(config(&cluster, "rec-1"));
    healthy(&cluster, &agent, LedgerState::Open).await;
    let mut elsewhere = config(&cluster, "rec-1");
    elsewhere.state_dir = cluster.path("elsewhere");
    let started = cluster.path("started");
    elsewhere.command = shell(&format!("echo > {}", started.display()));
    let error = cluster.start(elsewhere).ended().await.unwrap_err();
    assert_eq!(error.class(), Class::Refused, "{error}");
    assert!(!started.exists());
    assert_eq!(agent.ask().await.unwrap().role, Role::Member);
}

#[tokio::test]
async fn what_a_sticky_set_needs_to_know_is_asked_for() {
    let cluster = cluster(Presence::Report);
    let mut silent = config(&cluster, "rec-1");
    silent.capacity = None;
    let mut gated = config(&cluster, "rec-1");
    gated.gates.insert("http".parse().unwrap(), "127.0.0.1:0".parse().unwrap());
    let mut deep = config(&cluster, "rec-1");
    deep.state_dir = cluster.path(&"deep".repeat(25));
    for (config, word) in [(silent, "--capacity"), (gated, "gate"), (deep, "--api")] {
        let error = cluster.start(config).ended().await.unwrap_err();
        assert_eq!(error.class(), Class::Configuration);
        assert!(error.to_string().contains(word), "{error}");
    }
}
