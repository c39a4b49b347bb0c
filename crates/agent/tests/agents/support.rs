//! A set of agents over one store in this process, with real probes and real child processes.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steadfast_agent::{AgentConfig, Controls, Error, Exit, ForwardSignal, run};
use steadfast_core::lease::LeaseRecord;
use steadfast_core::settings::{SetSettings, SingleSettings};
use steadfast_core::{InstanceId, SetName, Span};
use steadfast_host::clock;
use steadfast_host::http::{Call, Client, HeaderName, HeaderValue, Reply, Target};
use steadfast_host::shutdown::Shutdown;
use steadfast_host::state::StateDir;
use steadfast_registry::{
    EventKind, GATEWAY_HEADER, IN_FLIGHT_HEADER, Leases, LedgerState, ProbeAnswer, Registry, Role,
};
use steadfast_store::Memory;
use steadfast_store::faulty::{Control, Faulty};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// Everything that does not happen within this time does not happen.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// The TTL of the sets here: long enough that a busy machine does not lose a lease by itself.
pub(crate) const TTL: Duration = Duration::from_secs(2);

/// A renewal that is late by so much may be too late.
const STANDS_STILL: Duration = Duration::from_millis(TTL.as_millis() as u64 / 5);
/// How often a story is told before the machine is given up.
const TELLINGS: usize = 5;

/// A store with a set in it, and a directory for the agents' state.
pub(crate) struct Cluster {
    pub(crate) registry: Registry,
    pub(crate) faults: Control,
    pub(crate) set: SetName,
    settings: SetSettings,
    dir: TempDir,
}

/// A running agent.
pub(crate) struct Agent {
    pub(crate) instance: InstanceId,
    pub(crate) leave: Shutdown,
    pub(crate) at_once: Shutdown,
    pub(crate) registry: Registry,
    pub(crate) set: SetName,
    state: PathBuf,
    task: JoinHandle<Result<Exit, Error>>,
}

/// An agent's probe, asked without asking the store where it is.
#[derive(Clone, Debug)]
pub(crate) struct Probe(Target);

impl Cluster {
    /// Around a single set.
    pub(crate) fn new() -> Cluster {
        Cluster::of(Cluster::settings())
    }

    /// Around a set with these settings.
    pub(crate) fn of(settings: SetSettings) -> Cluster {
        let faulty = Faulty::new(Arc::new(Memory::new()));
        let faults = faulty.control();
        Cluster {
            registry: Registry::new(Arc::new(faulty)),
            faults,
            set: "web".parse().unwrap(),
            settings,
            dir: TempDir::new().unwrap(),
        }
    }

    /// The settings of a single set.
    pub(crate) fn settings() -> SetSettings {
        let ttl = Span::from_millis(TTL.as_millis() as u64);
        SetSettings::Single(SingleSettings::new(ttl, 10, Span::ZERO, Span::from_millis(1_000)).unwrap())
    }

    /// An agent's configuration: an application that does nothing, and is healthy.
    pub(crate) fn config(&self, instance: &str) -> AgentConfig {
        let mut config = AgentConfig::new(self.set.clone(), instance.parse().unwrap(), self.path("state"));
        config.introduce = Some(self.settings.clone());
        config.command = shell("exec sleep 1000");
        config.stop_within = Span::from_millis(5_000);
        config
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn start(&self, config: AgentConfig) -> Agent {
        self.start_with_signals(config).0
    }

    pub(crate) fn start_with_signals(&self, config: AgentConfig) -> (Agent, ForwardSignal) {
        self.start_over(self.registry.clone(), config)
    }

    /// With a store of its own over the same records, which can fail it alone.
    pub(crate) fn start_apart(&self, config: AgentConfig, order: impl FnOnce(&Control)) -> (Agent, Control) {
        let faulty = Faulty::new(self.registry.store().clone());
        let control = faulty.control();
        order(&control);
        (self.start_over(Registry::new(Arc::new(faulty)), config).0, control)
    }

    fn start_over(&self, books: Registry, config: AgentConfig) -> (Agent, ForwardSignal) {
        let (leave, at_once) = (Shutdown::new(), Shutdown::new());
        let (instance, set, registry) = (config.instance.clone(), self.set.clone(), self.registry.clone());
        let (controls, forward) = Controls::new(leave.clone(), at_once.clone()).with_signals();
        let state = config.state_dir.join(format!("agents/{set}/{instance}"));
        let task = tokio::spawn(run(config, books, controls));
        (Agent { instance, leave, at_once, registry, set, state, task }, forward)
    }

    /// The lease as it stands in the store.
    pub(crate) async fn lease(&self) -> Option<LeaseRecord> {
        let leases = Leases::new(self.registry.clone(), self.set.clone());
        leases.read(SOON).await.unwrap().map(|observed| observed.record)
    }

    /// Waits until one of `agents` says that it leads, at an epoch above `after`. Answers which and its epoch.
    pub(crate) async fn leader<'a>(&self, agents: &'a [Agent], after: u64) -> (&'a Agent, u64) {
        eventually("a leader", async || {
            let mut leading: Vec<(&Agent, u64)> = Vec::new();
            for agent in agents {
                if let Some(answer) = agent.ask().await.filter(|answer| answer.role == Role::Leader) {
                    leading.push((agent, answer.epoch));
                }
            }
            // They were asked one after another: whoever led before another did must not do so after it.
            if let [(first, epoch), (second, _), ..] = &leading[..] {
                let still = first.ask().await.filter(|answer| answer.role == Role::Leader && answer.epoch == *epoch);
                assert!(still.is_none(), "{} and {} lead at once", first.instance, second.instance);
                return None;
            }
            leading.pop().filter(|(_, epoch)| *epoch > after)
        })
        .await
    }

    /// Waits until the event log says this.
    pub(crate) async fn tells(&self, line: &str) {
        eventually(line, async || self.story().await.iter().any(|told| told.ends_with(line)).then_some(())).await;
    }

    /// The processes that run the script of an instance, by their environment.
    pub(crate) fn processes(&self, instance: &str) -> BTreeSet<i32> {
        let file = format!("{}/agents/{}/{instance}/", self.path("state").display(), self.set);
        let wanted = format!("STEADFAST_EPOCH_FILE={file}");
        let pids = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid: &i32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(&wanted)
        })
        .collect()
    }

    /// The one of them that was started by the agent.
    pub(crate) fn main_process(&self, instance: &str) -> i32 {
        let leads = |pid: &i32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let fields = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
            fields.split(' ').nth(2) == Some(pid.to_string().as_str())
        };
        self.processes(instance).into_iter().find(leads).unwrap()
    }

    /// What the event log says of leaderships, as `leading web-1 1 first`.
    pub(crate) async fn story(&self) -> Vec<String> {
        let events = self.registry.events(&self.set, 0).await.unwrap();
        let told = events.into_iter().filter_map(|(_, event)| match event.kind {
            EventKind::Leading { instance, epoch, reason, .. } => {
                Some(format!("leading {} {epoch} {reason}", instance.0))
            }
            EventKind::Stopped { instance, epoch, reason } => Some(format!("stopped {} {epoch} {reason}", instance.0)),
            _ => None,
        });
        told.collect()
    }
}

impl Agent {
    /// Its probe, once the books name it.
    pub(crate) async fn probe(&self) -> Probe {
        let found = self.registry.instance(&self.set, &self.instance).await.unwrap();
        Probe(Target::from(&found.description.unwrap().record.probe.0))
    }

    /// What the probe says; `None` if it does not answer.
    pub(crate) async fn ask(&self) -> Option<ProbeAnswer> {
        self.find_probe().await?.ask().await
    }

    /// Waits until the probe says so.
    pub(crate) async fn says(&self, what: &str, wanted: impl Fn(&ProbeAnswer) -> bool) -> ProbeAnswer {
        eventually(what, async || self.ask().await.filter(|answer| wanted(answer))).await
    }

    async fn find_probe(&self) -> Option<Probe> {
        let found = self.registry.instance(&self.set, &self.instance).await.ok()?;
        Some(Probe(Target::from(&found.description?.record.probe.0)))
    }

    pub(crate) async fn state(&self) -> Option<LedgerState> {
        self.registry.instance(&self.set, &self.instance).await.ok()?.ledger.map(|ledger| ledger.record.state)
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for its end.
    pub(crate) async fn ended(self) -> Result<Exit, Error> {
        tokio::time::timeout(SOON, self.task).await.expect("the agent ends in time").unwrap()
    }

    /// Asks it to leave and waits for its end.
    pub(crate) async fn left(self) -> Result<Exit, Error> {
        self.leave.begin();
        self.ended().await
    }

    /// Ends it as kill -9 would, as far as that can be done to a part of a process: nothing is released.
    pub(crate) async fn killed(self) {
        self.task.abort();
        drop(self.task.await);
        // A process that is killed leaves no task behind that holds the lock a moment longer.
        let state = StateDir::open(&self.state).unwrap();
        eventually("the lock is free", async || state.lock("lock").ok()).await;
    }
}

impl Probe {
    /// What it says; `None` if it does not answer.
    pub(crate) async fn ask(&self) -> Option<ProbeAnswer> {
        serde_json::from_slice(&self.asked().await?.body).ok()
    }

    /// The whole answer.
    pub(crate) async fn asked(&self) -> Option<Reply> {
        Client::default().call(&self.0, Call::get("/"), Duration::from_secs(2)).await.ok()
    }

    /// What it says to a gateway that carries so many requests to its instance.
    pub(crate) async fn ask_as(&self, gateway: &'static str, in_flight: u64) -> ProbeAnswer {
        let call = Call::get("/")
            .with(HeaderName::from_static(GATEWAY_HEADER), HeaderValue::from_static(gateway))
            .with(HeaderName::from_static(IN_FLIGHT_HEADER), HeaderValue::from(in_flight));
        let reply = Client::default().call(&self.0, call, SOON).await.unwrap();
        serde_json::from_slice(&reply.body).unwrap()
    }

    /// Waits until it says so.
    pub(crate) async fn says(&self, what: &str, wanted: impl Fn(&ProbeAnswer) -> bool) -> ProbeAnswer {
        eventually(what, async || self.ask().await.filter(|answer| wanted(answer))).await
    }
}

/// A shell script as an application.
pub(crate) fn shell(script: &str) -> Option<Vec<String>> {
    Some(["sh", "-c", script].map(str::to_owned).into())
}

/// Kills one process as kill -9 does.
pub(crate) fn kill(pid: i32) {
    assert!(std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

/// Tells a story in which leases are kept. One that went wrong while the machine stood still for longer than a lease may
/// bear says nothing of the agents, and is told again.
pub(crate) fn steadily(story: impl AsyncFn()) {
    told_again(|gap| runtime().block_on(gap.watched(story())));
}

/// The same for a story with threads of its own, one of which watches for gaps.
pub(crate) fn told_again(story: impl Fn(&Gap)) {
    for _ in 0..TELLINGS {
        let gap = Gap::default();
        let told = catch_unwind(AssertUnwindSafe(|| story(&gap)));
        let gap = Duration::from_nanos(gap.0.into_inner());
        match told {
            Ok(()) => return,
            Err(panic) if gap < STANDS_STILL => resume_unwind(panic),
            Err(_) => eprintln!("the machine stood still for {gap:?}: once more"),
        }
    }
    panic!("it went wrong {TELLINGS} times, each time beside a machine that stood still for {STANDS_STILL:?}");
}

/// For how long at most nothing ran on a thread that should have, in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Gap(AtomicU64);

impl Gap {
    /// Does `work`, and notes how long its thread did not run meanwhile.
    pub(crate) async fn watched<T>(&self, work: impl Future<Output = T>) -> T {
        let mut last = clock::now();
        let watching = Looks::OFTEN.hold_for(Duration::MAX, async || {
            let now = clock::now();
            self.0.fetch_max(u64::try_from(now.since(last).as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
            last = now;
        });
        tokio::select! {
            biased;
            () = watching => unreachable!("it is for ever"),
            done = work => done,
        }
    }
}

/// A runtime of its own: what runs on it ends with it.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Asks until the answer is there.
pub(crate) async fn eventually<T>(what: &str, asked: impl AsyncFnMut() -> Option<T>) -> T {
    Looks::OFTEN.eventually(what, asked).await
}

/// Checks all the while, for so long.
pub(crate) async fn holds_for(span: Duration, check: impl AsyncFnMut()) {
    Looks::OFTEN.hold_for(span, check).await;
}

/// How often a test looks, and for how long at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looks {
    /// The pause between two looks.
    pub(crate) every: Duration,
    /// What has not come about by then never does.
    pub(crate) give_up: Duration,
}

impl Looks {
    const OFTEN: Looks = Looks { every: Duration::from_millis(5), give_up: SOON };

    /// Asks until the answer is there.
    pub(crate) async fn eventually<T>(self, what: &str, asked: impl AsyncFnMut() -> Option<T>) -> T {
        let give_up = self.give_up;
        self.look(give_up, asked).await.unwrap_or_else(|| panic!("{what}: not within {give_up:?}"))
    }

    /// Checks all the while, for so long.
    pub(crate) async fn hold_for(self, span: Duration, mut check: impl AsyncFnMut()) {
        let nothing = async || {
            check().await;
            None::<()>
        };
        self.look(span, nothing).await;
    }

    async fn look<T>(self, span: Duration, mut asked: impl AsyncFnMut() -> Option<T>) -> Option<T> {
        let end = clock::now() + span;
        loop {
            let answer = asked().await;
            if answer.is_some() || clock::now() >= end {
                return answer;
            }
            tokio::time::sleep(self.every).await;
        }
    }
}
