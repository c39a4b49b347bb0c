//! The part of an instance in a sticky set: it is the home of clients while its application can serve them.
//!
//! ```text
//!             healthy                 dies, fails its checks
//!   lost ───────────────▶ open ───────────────────────────────▶ lost
//!   (registered so)        ▲ ▼ an operator drains, undrains
//!                        draining ── the same ──▶ lost ── healthy ──▶ draining
//! ```
//!
//! An instance enters the books as lost, since its former life was: nobody is sent to an application that is not ready,
//! and its clients are waited for as long as the set says. It says itself that it is lost, at once, when its
//! application dies or fails its checks; nobody has to miss it first. Where the keeper declared it lost while it lives
//! (it was frozen, or cut from the store), it sees that and opens itself again. Clients and charges stay throughout.
//!
//! The incarnation is the agent's: an application that is started again lost its memory too, and that is said by the
//! way over lost. A member that cannot reach the store goes on serving, and waits for no client when it leaves: who wants
//! it empty first drains it.

mod refresh;
mod roster;

use std::sync::Arc;
use std::time::Duration;

use steadfast_core::Moment;
use steadfast_registry::{LedgerState, Placer, PlacerBounds, ProbeReason, Snapshot};
use tokio::task::JoinSet;

use crate::books::Presence;
use crate::driver::{Agent, Part};
use crate::event::Event;
use crate::standing::{Posted, Serving};

pub(crate) use refresh::{Clients, sticky};
pub(crate) use roster::Roster;

/// Clients an application may report at the same moment. Further ones are told to come again.
const REPORTS_WAITING: usize = 4096;
/// How long a report may take.
const REPORT_WITHIN: Duration = Duration::from_secs(5);

/// A member at work.
pub(crate) struct Member {
    clients: Clients,
    /// Keeps the clients that are here charged; ends with this value.
    refreshing: JoinSet<()>,
    /// What the books said of us last.
    state: Option<LedgerState>,
    able: Option<bool>,
}

impl Member {
    /// A member of the agent's set. Must be called inside a Tokio runtime.
    pub(crate) fn new(agent: &Agent) -> Member {
        let by = format!("agent of {}", agent.config.instance);
        let bounds = PlacerBounds { waiting: REPORTS_WAITING, within: REPORT_WITHIN };
        let clients = Clients {
            set: agent.config.set.clone(),
            instance: agent.config.instance.clone(),
            placer: Placer::start(&agent.registry, Arc::clone(&agent.mirror), &by, bounds),
            mirror: Arc::clone(&agent.mirror),
            roster: Roster::default(),
            cell: agent.cell.clone(),
        };
        let mut refreshing = JoinSet::new();
        refreshing.spawn(clients.clone().refresh());
        Member { clients, refreshing, state: None, able: None }
    }

    /// The clients that are here, for whoever hears of them.
    pub(crate) fn clients(&self) -> Clients {
        self.clients.clone()
    }

    /// Whether the application can serve those at home here.
    fn wanted(agent: &Agent) -> LedgerState {
        if agent.is_able() { LedgerState::Open } else { LedgerState::Lost }
    }

    /// When our ledger is to be told something.
    fn word_due(agent: &Agent) -> Option<Moment> {
        let shown = agent.books.state().filter(|_| agent.leaving.is_none())?;
        agent.participation.due(Member::wanted(agent), shown)
    }

    /// Publishes where we stand.
    fn post(&mut self, agent: &Agent) {
        let able = agent.is_able() && *agent.books.presence() != Presence::Expected;
        let reason = match agent.books.state() {
            _ if agent.leaving.is_some() => ProbeReason::Leaving,
            _ if !able => agent.ailment().unwrap_or(ProbeReason::Starting),
            Some(LedgerState::Draining) => ProbeReason::Draining,
            _ => ProbeReason::Healthy,
        };
        agent.cell.post(Posted { serving: Serving::Member { able }, reason });
        if self.able.replace(able) != Some(able) {
            agent.controls.notify.status(if able { "serving" } else { "not serving" });
        }
    }

    /// Says what others made of us.
    fn report(&mut self, agent: &Agent) {
        let Some(now) = agent.books.state() else { return };
        let before = self.state.replace(now);
        let instance = &agent.config.instance;
        match (before, now) {
            (Some(before), now) if before == now => {}
            (_, LedgerState::Draining) => {
                tracing::info!(%instance, "draining: no new clients, those at home stay");
            }
            (_, LedgerState::Lost) if agent.is_able() && before.is_some() => {
                tracing::warn!(%instance, "it was declared lost, but its application is healthy: opening it again");
            }
            (Some(_), LedgerState::Open) => tracing::info!(%instance, "open for clients"),
            _ => {}
        }
    }
}

impl Part for Member {
    fn learn(&mut self, agent: &mut Agent, _now: Moment, _snapshot: &Snapshot) {
        self.report(agent);
    }

    fn hear(&mut self, _agent: &mut Agent, _now: Moment, _event: Event) {}

    fn died(&mut self, _agent: &mut Agent, _now: Moment) {}

    fn decide(&mut self, agent: &mut Agent, now: Moment) {
        if agent.supervised.as_ref().is_some_and(|supervised| !supervised.application.is_up()) {
            // Its connections are closed and its memory is gone: who was here has to come again.
            self.clients.roster.clear();
            agent.load.forget();
        }
        if Member::word_due(agent).is_some_and(|due| due <= now) {
            agent.say(Member::wanted(agent));
        }
        self.post(agent);
    }

    fn conclude(&mut self, _agent: &mut Agent, _now: Moment) {}

    fn deadline(&self, agent: &Agent) -> Option<Moment> {
        Member::word_due(agent)
    }

    fn start_from(&self) -> Option<Moment> {
        Some(Moment::ZERO)
    }

    fn may_restart(&self) -> bool {
        true
    }

    fn is_bound(&self) -> bool {
        false
    }

    fn is_stopping(&self) -> bool {
        false
    }

    fn is_released(&self) -> bool {
        true
    }

    fn notice(&self) -> Duration {
        Duration::ZERO
    }

    async fn finish(mut self, _within: Duration) {
        self.refreshing.shutdown().await;
    }
}
