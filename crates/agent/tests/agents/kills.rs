//! An agent killed, or failed by its store, at every step of its life: as it registers and takes its lease, as it hands
//! over, as it leaves. Then others lead, it comes back, nobody is stuck, and epochs only grow.
//!
//! Killed is here a part of this process: its store hears nothing more of it from the fatal call on, its tasks and its
//! application end, and its lock is free. Real processes are killed in `crates/steadfast/tests/kills.rs`. Leases take
//! their time, so the cases run beside each other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use steadfast_agent::AgentConfig;
use steadfast_core::Span;
use steadfast_core::health::CheckPolicy;
use steadfast_core::placement::Wish;
use steadfast_core::settings::Presence;
use steadfast_registry::{LedgerState, ProbeReason, Registry, Role};
use steadfast_store::faulty::{Call, Control, Fault};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet, LocalSet};

use crate::sticky;
use crate::support::{Agent, Cluster, Looks, kill};

/// What can become of a commit. Whoever is killed between two might as well have been killed before the second; what
/// else a call can meet is in the registry's tests, where time costs nothing.
const FAULTS: [Fault; 3] = [Fault::LoseReply, Fault::Die, Fault::DieDone];
/// Cases beside each other: few enough to leave room for the tests beside these.
const AT_ONCE: usize = 8;
/// More rarely than other tests, and for longer: many look beside each other.
const LOOKS: Looks = Looks { every: Duration::from_millis(100), give_up: Duration::from_secs(180) };

/// When the fault is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Before it starts.
    Start,
    /// As it leads (serves), and is ordered to hand over (as its application dies).
    Middle,
    /// As it is asked to leave.
    Leave,
}

/// So many commits of each phase are visited: those after these are renewals and beats like those before.
const STEPS: [(Phase, u64); 3] = [(Phase::Start, 5), (Phase::Middle, 3), (Phase::Leave, 2)];

#[derive(Clone, Copy, Debug)]
struct Case {
    phase: Phase,
    step: u64,
    fault: Fault,
}

impl Case {
    fn all() -> impl Iterator<Item = Case> {
        let steps = STEPS.into_iter().flat_map(|(phase, steps)| (0..steps).map(move |step| (phase, step)));
        steps.flat_map(|(phase, step)| FAULTS.map(|fault| Case { phase, step, fault }))
    }

    /// Orders the fault, if this is when.
    fn begin(&self, phase: Phase, control: &Control) {
        if self.phase == phase {
            control.at(Some(Call::Commit), self.step, self.fault);
        }
    }
}

/// Runs every case, and checks that the first step of each phase was visited with each fault, and most others.
async fn run_all<F>(run: impl Fn(Case) -> F)
where
    F: Future<Output = bool> + 'static,
{
    let (places, mut running) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for case in Case::all() {
        let (places, work) = (Arc::clone(&places), run(case));
        running.spawn_local(async move {
            let _place = places.acquire_owned().await.unwrap();
            (case, work.await)
        });
    }
    let mut visited: BTreeMap<Phase, usize> = BTreeMap::new();
    while let Some(ended) = running.join_next().await {
        let (case, met) = ended.unwrap();
        assert!(met || case.step > 0, "{case:?}: nothing was met");
        *visited.entry(case.phase).or_default() += usize::from(met);
    }
    assert!(visited[&Phase::Start] >= 3 * FAULTS.len(), "{visited:?}");
}

/// Whether something comes about before the agent is killed, or ends by itself since it cannot start without a store:
/// whoever started it starts it again.
async fn unless_ended<T>(agent: &Agent, control: &Control, what: impl Future<Output = T>) -> bool {
    tokio::select! {
        biased;
        () = control.died() => false,
        _ = what => true,
        () = over(agent) => false,
    }
}

/// Waits for its end.
async fn over(agent: &Agent) {
    LOOKS.eventually("its end", async || agent.is_over().then_some(())).await;
}

/// Looks all the while that the epoch of the lease only grows.
fn watch_epochs(cluster: &Cluster) -> JoinHandle<()> {
    let (books, set) = (cluster.registry.clone(), cluster.set.clone());
    tokio::task::spawn_local(async move {
        let leases = steadfast_registry::Leases::new(books, set);
        let mut highest = 0;
        // For as long as the case lasts.
        LOOKS
            .hold_for(Duration::MAX, async || {
                let found = leases.read(Duration::from_secs(5)).await.unwrap();
                let epoch = found.map_or(highest, |lease| lease.record.epoch.0);
                assert!(epoch >= highest, "the epoch fell from {highest} to {epoch}");
                highest = epoch;
            })
            .await;
    })
}

/// Has `to` take over, as often as that has to be ordered.
async fn switch_over(cluster: &Cluster, to: &Agent) {
    LOOKS
        .eventually("a switchover", async || {
            drop(cluster.registry.order_switchover(&cluster.set, Some(&to.instance), "operator").await);
            leads(to).await.then_some(())
        })
        .await;
}

async fn leads(agent: &Agent) -> bool {
    agent.ask().await.is_some_and(|answer| answer.role == Role::Leader)
}

/// Waits until the books say that it is open.
async fn open(agent: &Agent) {
    LOOKS.eventually("it is open", async || agent.state().await.filter(|state| *state == LedgerState::Open)).await;
}

/// Waits for the end of an agent that left, was killed, or could not go on.
async fn ended(agent: Agent, alive: bool) {
    if alive {
        agent.ended().await.unwrap();
    } else {
        agent.killed().await;
    }
}

/// The life of `web-1` beside `web-2`, up to its fault. Whether that was met.
async fn contender(case: Case) -> bool {
    let cluster = Cluster::new();
    let epochs = watch_epochs(&cluster);
    let (first, control) = cluster.start_apart(cluster.config("web-1"), |control| case.begin(Phase::Start, control));
    let leading = LOOKS.eventually("it leads", async || leads(&first).await.then_some(()));
    let mut alive = unless_ended(&first, &control, leading).await;
    let other = cluster.start(cluster.config("web-2"));
    LOOKS
        .eventually("the other one stands by", async || {
            other.ask().await.filter(|one| one.reason != ProbeReason::Starting)
        })
        .await;
    if alive {
        case.begin(Phase::Middle, &control);
        alive = unless_ended(&first, &control, switch_over(&cluster, &other)).await;
    }
    if alive {
        case.begin(Phase::Leave, &control);
        first.leave.begin();
        alive = unless_ended(&first, &control, over(&first)).await;
    }
    let met = !control.waits();
    ended(first, alive).await;
    // It comes back, and everything can be done with both.
    let again = cluster.start(cluster.config("web-1"));
    open(&again).await;
    switch_over(&cluster, &again).await;
    switch_over(&cluster, &other).await;
    assert!(!epochs.is_finished(), "{case:?}: {:?}", epochs.await);
    epochs.abort();
    for agent in [again, other] {
        let instance = agent.instance.clone();
        agent.left().await.unwrap();
        is_gone(&cluster.registry, &cluster, &instance).await;
    }
    met
}

async fn is_gone(books: &Registry, cluster: &Cluster, instance: &steadfast_core::InstanceId) {
    let found = books.instance(&cluster.set, instance).await.unwrap();
    assert_eq!(found.ledger.unwrap().record.state, LedgerState::Gone);
}

#[tokio::test]
async fn whatever_happens_at_whatever_step_to_a_contender_somebody_leads_and_it_comes_back() {
    LocalSet::new().run_until(run_all(contender)).await;
}

fn member_config(cluster: &Cluster) -> AgentConfig {
    let mut config = cluster.config("rec-1");
    config.capacity = Some("100".parse().unwrap());
    config.endpoints.insert("http".parse().unwrap(), "http://127.0.0.1:4711".parse().unwrap());
    // Its application is healthy while it runs.
    config.check = Some("exec:true".parse().unwrap());
    config.check_policy = CheckPolicy::new(Span::from_millis(2_000), Span::from_millis(2_000), 1, 2).unwrap();
    config
}

/// The life of a member with a client, up to its fault. Whether that was met.
async fn member(case: Case) -> bool {
    let cluster = sticky::cluster(Presence::Request);
    let (first, control) = cluster.start_apart(member_config(&cluster), |control| case.begin(Phase::Start, control));
    let mut alive = unless_ended(&first, &control, open(&first)).await;
    if alive {
        arrive(&cluster).await;
        case.begin(Phase::Middle, &control);
        let again = async {
            kill(cluster.main_process("rec-1"));
            let lost = async || first.state().await.filter(|state| *state == LedgerState::Lost);
            LOOKS.eventually("it is lost", lost).await;
            open(&first).await;
        };
        alive = unless_ended(&first, &control, again).await;
    }
    if alive {
        case.begin(Phase::Leave, &control);
        first.leave.begin();
        alive = unless_ended(&first, &control, over(&first)).await;
    }
    let met = !control.waits();
    ended(first, alive).await;
    let agent = cluster.start(member_config(&cluster));
    open(&agent).await;
    arrive(&cluster).await;
    let verified = cluster.registry.verify(&cluster.set).await.unwrap();
    assert_eq!((verified.faults, verified.clients), (Vec::new(), 1), "{case:?}");
    agent.left().await.unwrap();
    met
}

/// A client comes, and is at home.
async fn arrive(cluster: &Cluster) {
    let wish = || Wish::Arrive { weight: None, labels: Default::default(), present: false };
    let come = async || cluster.registry.place_once(&cluster.set, "cam-1".parse().unwrap(), wish(), "test").await.ok();
    LOOKS.eventually("a client is placed", come).await;
}

#[tokio::test]
async fn whatever_happens_at_whatever_step_to_a_member_it_comes_back_with_its_clients() {
    LocalSet::new().run_until(run_all(member)).await;
}
