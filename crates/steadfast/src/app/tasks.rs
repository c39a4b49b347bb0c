//! The tasks of a running process. When the first of them fails, all are asked to end; the process ends when all have.

use std::collections::HashMap;
use std::time::Duration;

use steadfast_agent::{AgentConfig, Controls};
use steadfast_core::Moment;
use steadfast_host::clock;
use steadfast_host::notify::Notify;
use steadfast_host::shutdown::Shutdown;
use steadfast_registry::{Error as BooksError, Registry, StoreError};
use tokio::task::{Id, JoinError, JoinHandle, JoinSet};

use crate::exit::{Exit, Failure, Outcome, told_once};

/// How often something is tried again that needs the store.
pub(super) const RETRY_EVERY: Duration = Duration::from_secs(1);
/// When all must end at once, how long the agents may take to kill what they supervise.
const AT_ONCE_WITHIN: Duration = Duration::from_secs(3);

/// What runs, and what came of what has ended.
pub(super) struct Tasks {
    running: JoinSet<Outcome>,
    names: HashMap<Id, String>,
    leave: Shutdown,
    hurry_until: Option<Moment>,
    outcome: Outcome,
}

impl Tasks {
    /// No tasks yet; when one fails, `leave` begins.
    pub(super) fn new(leave: Shutdown) -> Tasks {
        Tasks { running: JoinSet::new(), names: HashMap::new(), leave, hurry_until: None, outcome: Ok(Exit::Yes) }
    }

    /// One task more.
    pub(super) fn spawn(&mut self, name: &str, work: impl Future<Output = Outcome> + Send + 'static) {
        let handle = self.running.spawn(work);
        self.names.insert(handle.id(), name.to_owned());
    }

    /// An agent more.
    pub(super) fn agent(&mut self, config: AgentConfig, registry: &Registry, at_once: &Shutdown) {
        let name = format!("the agent of {} in set {}", config.instance, config.set);
        let controls = Controls::new(self.leave.clone(), at_once.clone());
        let work = steadfast_agent::run(config, registry.clone(), controls);
        self.spawn(&name, async move { agent_outcome(work.await) });
    }

    /// Waits until all tasks have ended, and says how: as the first that failed. Cancel safe.
    pub(super) async fn ended(&mut self) -> Outcome {
        while let Some(ended) = self.next().await {
            let (id, outcome) = match ended {
                Ok(ended) => ended,
                Err(error) if error.is_cancelled() => continue,
                Err(error) => (
                    error.id(),
                    Err(Failure::new(Exit::No, anyhow::anyhow!("it panicked: this is a bug in Steadfast"))),
                ),
            };
            let name = self.names.remove(&id).unwrap_or_default();
            self.take(&name, outcome);
        }
        std::mem::replace(&mut self.outcome, Ok(Exit::Yes))
    }

    async fn next(&mut self) -> Option<Result<(Id, Outcome), JoinError>> {
        let Some(until) = self.hurry_until else { return self.running.join_next_with_id().await };
        match clock::timeout_at(until, self.running.join_next_with_id()).await {
            Some(ended) => ended,
            None => {
                self.running.abort_all();
                self.running.join_next_with_id().await
            }
        }
    }

    fn take(&mut self, name: &str, outcome: Outcome) {
        match outcome {
            Ok(Exit::Yes) => tracing::debug!("{name}: done"),
            Ok(exit) => {
                tracing::info!(code = exit.code(), "{name}: the application has ended");
                if matches!(self.outcome, Ok(Exit::Yes)) {
                    self.outcome = Ok(exit);
                }
            }
            Err(failure) => {
                tracing::error!("{name}: {}", told_once(&failure.error));
                self.leave.begin();
                if self.outcome.is_ok() {
                    self.outcome = Err(failure);
                }
            }
        }
    }

    /// Waits no longer than it takes to kill what is supervised: then what still runs is dropped.
    pub(super) fn hurry(&mut self) {
        self.hurry_until.get_or_insert(clock::now() + AT_ONCE_WITHIN);
    }
}

/// How an agent ended, as a command tells it.
pub(super) fn agent_outcome(ended: Result<steadfast_agent::Exit, steadfast_agent::Error>) -> Outcome {
    match ended {
        Ok(steadfast_agent::Exit::Left) => Ok(Exit::Yes),
        Ok(exit) => Ok(Exit::Application(exit.code())),
        Err(error) => {
            let exit = match error.class() {
                steadfast_agent::Class::Failed => Exit::No,
                steadfast_agent::Class::Configuration => Exit::Usage,
                steadfast_agent::Class::Unreachable => Exit::Unreachable,
                steadfast_agent::Class::Refused => Exit::Refused,
            };
            Err(Failure::new(exit, error))
        }
    }
}

/// Whether waiting may mend it.
pub(super) fn retry_later(error: &BooksError) -> bool {
    matches!(error, BooksError::Store(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_)))
}

/// An error of the books that no waiting mends, as a command tells it.
pub(super) fn fatal(error: BooksError) -> Failure {
    let exit = match &error {
        BooksError::Store(StoreError::Denied(_)) | BooksError::Refused { .. } => Exit::Refused,
        BooksError::Store(StoreError::Config(_)) | BooksError::Newer { .. } => Exit::Usage,
        _ => Exit::No,
    };
    Failure::new(exit, error)
}

/// Tells a service manager that watches us that we live: from the runtime that must not stand still.
pub(super) fn keep_alive(notify: Notify) -> JoinHandle<()> {
    tokio::spawn(async move {
        let Some(every) = notify.watchdog() else { return };
        loop {
            notify.alive();
            tokio::time::sleep(every).await;
        }
    })
}
