//! Draining: taking an instance out, and how far that has come.

use std::collections::BTreeMap;

use steadfast_core::client::ClientKey;
use steadfast_core::placement::{Ask, Books, Placement, Reason, Tick, Wish, decide};
use steadfast_core::settings::{Presence, SetSettings};
use steadfast_core::{InstanceId, SetName};
use steadfast_host::clock;
use steadfast_host::http::StatusCode;
use steadfast_host::problem::Problem;
use steadfast_registry::{Beats, Error, LedgerState, Role, Text};

use super::Service;
use super::clients::READ_AT_ONCE;
use crate::admin::probes;
use crate::admin::view::{Amount, DrainOrder, DrainView, StateChange, StuckView, left_ms};

/// So many of the clients that cannot be moved are named.
const EXAMPLES: usize = 10;

impl Service {
    /// Takes an instance out.
    pub(super) async fn drain_instance(
        &self,
        set: &SetName,
        id: &InstanceId,
        order: &DrainOrder,
    ) -> Result<StateChange, Problem> {
        let snapshot = self.snapshot(set).await?;
        if order.move_after.is_some() && matches!(snapshot.settings, Some(SetSettings::Single(_))) {
            let detail = format!("set {set} is a single one: it has no clients to move; drain it without move_after");
            return Err(Problem::new(StatusCode::CONFLICT, "not-sticky", detail));
        }
        let move_at = order.move_after.map(|span| snapshot.tick.after(Some(span.0)));
        let told = self.registry.drain(set, id, move_at, &self.local.operator).await;
        self.state_change(set, id, told).await
    }

    /// Lets a drained instance take part again. One that has stopped is not opened: that would say it is there.
    pub(super) async fn undrain_instance(&self, set: &SetName, id: &InstanceId) -> Result<StateChange, Problem> {
        self.snapshot(set).await?;
        let told = self.registry.undrain(set, id, &self.local.operator).await;
        self.state_change(set, id, told).await
    }

    /// Says that an instance is lost. One whose agent finds it healthy is not: that agent would open it again at once.
    pub(super) async fn lose_instance(&self, set: &SetName, id: &InstanceId) -> Result<StateChange, Problem> {
        let (snapshot, _) = self.sticky(set).await?;
        let only = snapshot.instances.get(id).map(|seen| (id.clone(), seen.clone()));
        let live = probes::ask(&self.probes, &only.into_iter().collect()).await;
        if live.values().any(|one| one.answer().is_some_and(|answer| answer.role == Role::Member)) {
            let detail = format!(
                "instance {id} answers its probe and can serve, so its agent would open it again at once: \
                 to take it out, drain it with `steadfast drain {set} {id}`"
            );
            return Err(Problem::new(StatusCode::CONFLICT, "instance-healthy", detail));
        }
        let told = self.registry.declare_lost(set, id, snapshot.tick, &self.local.operator).await;
        self.state_change(set, id, told).await
    }

    async fn state_change(
        &self,
        set: &SetName,
        id: &InstanceId,
        told: Result<(LedgerState, LedgerState), Error>,
    ) -> Result<StateChange, Problem> {
        match told {
            Ok((before, now)) => Ok(StateChange { set: Text(set.clone()), instance: Text(id.clone()), before, now }),
            Err(error) => Err(self.problem(error).await),
        }
    }

    /// How far a drain has come. Reads every client of the set.
    pub(super) async fn progress_of_drain(&self, set: &SetName, id: &InstanceId) -> Result<DrainView, Problem> {
        let (snapshot, settings) = self.sticky(set).await?;
        let stored = match self.registry.instance(set, id).await {
            Ok(stored) => stored,
            Err(error) => return Err(self.problem(error).await),
        };
        let Some(ledger) = stored.ledger.map(|ledger| ledger.record) else {
            return Err(self.no_instance(set, id).await);
        };
        let mut view = DrainView {
            set: Text(set.clone()),
            instance: Text(id.clone()),
            state: ledger.state,
            charged: Amount::from_milli(ledger.charged_milli),
            charged_clients: 0,
            idle_clients: 0,
            moves_in_ms: ledger.move_at.and_then(|at| left_ms(Tick(at), snapshot.tick)),
            stuck: BTreeMap::new(),
            examples: Vec::new(),
        };
        if ledger.clients > 0 {
            let members = snapshot.members(&Beats::new(), clock::now());
            let books = Books { settings: &settings, tick: snapshot.tick, members: &members };
            self.count_clients(&mut view, books).await?;
        }
        Ok(view)
    }

    async fn count_clients(&self, view: &mut DrainView, books: Books<'_>) -> Result<(), Problem> {
        let mut after = None;
        loop {
            let page = match self.registry.clients(&view.set.0, after.as_ref(), READ_AT_ONCE).await {
                Ok(page) => page,
                Err(error) => return Err(self.problem(error).await),
            };
            for (client, stored) in &page.clients {
                if stored.record.home == view.instance.0 {
                    count(view, books, client, &stored.record);
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

/// Counts one client that is at home there, and asks whether it could be moved now, each for itself.
fn count(view: &mut DrainView, books: Books<'_>, client: &ClientKey, placement: &Placement) {
    if !placement.phase.is_charged() {
        view.idle_clients += 1;
        return;
    }
    view.charged_clients += 1;
    // The gateways end the connections they carry, an `evict` URL reaches the others.
    let certain_to_leave = books.settings.presence == Presence::Connection || books.settings.evict.is_some();
    let wish = Wish::Move { from: None, to: None, reason: Reason::Drained, certain_to_leave };
    let ask = Ask { wish, by: String::new(), at: String::new() };
    let Err(refusal) = decide(books, client, Some(placement), &ask) else { return };
    *view.stuck.entry(refusal.reason().to_owned()).or_default() += 1;
    if view.examples.len() < EXAMPLES {
        let (reason, detail) = (refusal.reason().to_owned(), refusal.to_string());
        view.examples.push(StuckView { client: Text(client.clone()), reason, detail });
    }
}
