//! A set of agents over one store in this process, with real probes and real child processes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use steadfast_agent::{AgentConfig, Controls, Error, Exit, run};
use steadfast_core::lease::{LeaseRecord, Timing};
use steadfast_core::settings::{SetSettings, SingleSettings};
use steadfast_core::{InstanceId, SetName, Span};
use steadfast_host::clock;
use steadfast_host::http::{Call, Client, Reply, Target};
use steadfast_host::shutdown::Shutdown;
use steadfast_registry::{EventKind, Leases, LedgerState, ProbeAnswer, Registry, Role};
use steadfast_store::Memory;
use steadfast_store::faulty::{Control, Faulty};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// Everything that does not happen within this time does not happen.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// The TTL of the sets here.
pub(crate) const TTL: Duration = Duration::from_secs(1);

/// A store with a set in it, and a directory for the agents' state.
pub(crate) struct Cluster {
    pub(crate) registry: Registry,
    pub(crate) faults: Control,
    pub(crate) set: SetName,
    dir: TempDir,
}

/// A running agent.
pub(crate) struct Agent {
    pub(crate) instance: InstanceId,
    pub(crate) leave: Shutdown,
    pub(crate) at_once: Shutdown,
    pub(crate) registry: Registry,
    pub(crate) set: SetName,
    task: JoinHandle<Result<Exit, Error>>,
}

impl Cluster {
    pub(crate) fn new() -> Cluster {
        let faulty = Faulty::new(Arc::new(Memory::new()));
        let faults = faulty.control();
        Cluster {
            registry: Registry::new(Arc::new(faulty)),
            faults,
            set: "web".parse().unwrap(),
            dir: TempDir::new().unwrap(),
        }
    }

    /// The settings every agent brings.
    pub(crate) fn settings() -> SetSettings {
        let ttl = Span::from_millis(TTL.as_millis() as u64);
        SetSettings::Single(SingleSettings::new(ttl, 10, Span::ZERO, Span::from_millis(1_000)).unwrap())
    }

    pub(crate) fn timing() -> Timing {
        let SetSettings::Single(single) = Cluster::settings();
        single.timing()
    }

    /// An agent's configuration: an application that does nothing, and is healthy.
    pub(crate) fn config(&self, instance: &str) -> AgentConfig {
        let mut config = AgentConfig::new(self.set.clone(), instance.parse().unwrap(), self.path("state"));
        config.introduce = Some(Cluster::settings());
        config.command = Some(["sleep", "1000"].map(str::to_owned).into());
        config.stop_within = Span::from_millis(5_000);
        config
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn start(&self, config: AgentConfig) -> Agent {
        let (leave, at_once) = (Shutdown::new(), Shutdown::new());
        let (instance, set, registry) = (config.instance.clone(), self.set.clone(), self.registry.clone());
        let controls = Controls::new(leave.clone(), at_once.clone());
        let task = tokio::spawn(run(config, registry.clone(), controls));
        Agent { instance, leave, at_once, registry, set, task }
    }

    /// The lease as it stands in the store.
    pub(crate) async fn lease(&self) -> Option<LeaseRecord> {
        let leases = Leases::new(self.registry.clone(), self.set.clone());
        leases.read(SOON).await.unwrap().map(|observed| observed.record)
    }

    /// Waits until exactly one of `agents` says that it leads, at an epoch above `after`. Answers which and its epoch.
    pub(crate) async fn leader<'a>(&self, agents: &'a [Agent], after: u64) -> (&'a Agent, u64) {
        eventually("a leader", async || {
            let mut leading = Vec::new();
            for agent in agents {
                if let Some(answer) = agent.ask().await.filter(|answer| answer.role == Role::Leader) {
                    leading.push((agent, answer.epoch));
                }
            }
            assert!(leading.len() <= 1, "{} lead at once", leading.len());
            leading.pop().filter(|(_, epoch)| *epoch > after)
        })
        .await
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
    /// What the probe says; `None` if it does not answer.
    pub(crate) async fn ask(&self) -> Option<ProbeAnswer> {
        serde_json::from_slice(&self.asked().await?.body).ok()
    }

    /// The whole answer.
    pub(crate) async fn asked(&self) -> Option<Reply> {
        let found = self.registry.instance(&self.set, &self.instance).await.ok()?;
        let target = Target::from(&found.description?.record.probe.0);
        Client::default().call(&target, Call::get("/"), Duration::from_secs(2)).await.ok()
    }

    pub(crate) async fn says(&self, what: &str, wanted: impl Fn(&ProbeAnswer) -> bool) -> ProbeAnswer {
        eventually(what, async || self.ask().await.filter(|answer| wanted(answer))).await
    }

    pub(crate) async fn state(&self) -> Option<LedgerState> {
        self.registry.instance(&self.set, &self.instance).await.ok()?.ledger.map(|ledger| ledger.record.state)
    }

    pub(crate) fn has_ended(&self) -> bool {
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
    }
}

/// Asks until the answer is there.
pub(crate) async fn eventually<T>(what: &str, mut asked: impl AsyncFnMut() -> Option<T>) -> T {
    let give_up = clock::now() + SOON;
    loop {
        if let Some(answer) = asked().await {
            return answer;
        }
        assert!(clock::now() < give_up, "{what}: not within {SOON:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The processes of this machine whose command line holds `mark`.
pub(crate) fn processes(mark: &str) -> BTreeSet<i32> {
    let pids =
        std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        *pid != std::process::id() as i32 && String::from_utf8_lossy(&line).contains(mark)
    })
    .collect()
}
