//! What every agent has, whatever its part, and the moves both parts make with it.

use std::sync::Arc;

use steadfast_core::health::Verdict;
use steadfast_core::{InstanceId, SetName};
use steadfast_registry::{InstanceRecord, Mirror, ProbeReason, Registry};
use tokio::task::JoinSet;

use super::leave::Leaving;
use super::participation::Participation;
use crate::AgentConfig;
use crate::application::{Application, State, Why};
use crate::books::Books;
use crate::check::Checks;
use crate::controls::Controls;
use crate::endpoints::Endpoints;
use crate::event::Event;
use crate::life::Life;
use crate::load::Load;
use crate::notes::Notes;
use crate::register::Entry;
use crate::standing::Cell;
use crate::supervise::Supervisor;

/// What an agent is made of, apart from its part. Built by [`crate::run`].
pub(crate) struct Agent {
    pub(crate) config: AgentConfig,
    pub(crate) registry: Registry,
    pub(crate) life: Arc<Life>,
    pub(crate) record: InstanceRecord,
    pub(crate) entry: Entry,
    pub(crate) books: Books,
    pub(crate) mirror: Arc<Mirror>,
    pub(crate) checks: Checks,
    pub(crate) endpoints: Endpoints,
    pub(crate) supervised: Option<Supervised>,
    pub(crate) cell: Cell,
    /// What the application says it carries.
    pub(crate) load: Load,
    pub(crate) notes: Notes,
    pub(crate) controls: Controls,
    /// What takes time: each ends in an event.
    pub(crate) effects: JoinSet<Event>,
    /// What we said of ourselves in our ledger.
    pub(crate) participation: Participation,
    pub(crate) leaving: Option<Leaving>,
}

/// The application and its keeper.
pub(crate) struct Supervised {
    pub(crate) application: Application,
    pub(crate) supervisor: Supervisor,
}

impl Agent {
    /// What a task needs to write to the books.
    pub(crate) fn address(&self) -> (Registry, SetName, InstanceId) {
        (self.registry.clone(), self.config.set.clone(), self.config.instance.clone())
    }

    /// Whether the application runs, is healthy, and is to go on.
    pub(crate) fn is_able(&self) -> bool {
        let up = self.supervised.as_ref().is_none_or(|supervised| supervised.application.is_up());
        self.leaving.is_none() && up && self.checks.verdict() == Verdict::Healthy
    }

    /// What keeps the application from serving, if anything does.
    pub(crate) fn ailment(&self) -> Option<ProbeReason> {
        let application = self.supervised.as_ref().map(|supervised| supervised.application.state());
        match self.checks.verdict() {
            _ if application == Some(State::Starting) => Some(ProbeReason::Starting),
            _ if application.is_some_and(|state| state != State::Up) => Some(ProbeReason::ApplicationDown),
            Verdict::Failed | Verdict::Silent if self.checks.was_healthy() => Some(ProbeReason::Unhealthy),
            Verdict::Failed | Verdict::Silent | Verdict::Unknown => Some(ProbeReason::Starting),
            Verdict::Healthy => None,
        }
    }

    /// Ends the application, if it runs.
    pub(crate) fn stop_application(&mut self, why: Why) {
        let Some(Supervised { application, supervisor }) = &mut self.supervised else { return };
        if !application.is_up() {
            return;
        }
        application.stop(why);
        self.checks.end();
        if let Some(stopping) = supervisor.stop() {
            self.effects.spawn(stopping);
        }
    }
}
