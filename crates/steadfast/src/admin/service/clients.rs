//! Clients: who is at home where, and the changes an operator may want.

use steadfast_core::SetName;
use steadfast_core::client::ClientKey;
use steadfast_core::placement::{Reason, Refusal, Wish};
use steadfast_core::settings::{Presence, SetSettings, StickySettings};
use steadfast_host::http::StatusCode;
use steadfast_host::problem::Problem;
use steadfast_registry::{PlaceError, Placed, Snapshot, Text};

use super::{RETRY_AFTER, Service, store_unavailable};
use crate::admin::view::{
    ClientQuery, ClientView, Clients, ForgottenView, MoveOrder, PlaceOrder, PlacedView, labels_of,
};

/// So many clients are on a page where nothing is said.
const PAGE_CLIENTS: usize = 100;
/// More than so many are on none.
const LONGEST_PAGE_CLIENTS: usize = 1_000;
/// So many records are looked at for one page; with a filter that few match, the page is short then.
const LOOKED_AT_CLIENTS: usize = 20_000;
/// The reason of a refusal to move or forget a client that is there.
const CONNECTED: &str = "connected";
/// Records that are read at once.
pub(super) const READ_AT_ONCE: usize = 1_000;

impl Service {
    /// What is known of `set`, which must be a sticky one, with its settings.
    pub(super) async fn sticky(
        &self,
        set: &SetName,
    ) -> Result<(std::sync::Arc<Snapshot>, Box<StickySettings>), Problem> {
        let snapshot = self.snapshot(set).await?;
        match &snapshot.settings {
            Some(SetSettings::Sticky(settings)) => Ok((snapshot.clone(), settings.clone())),
            Some(SetSettings::Single(_)) => {
                let detail = format!("set {set} is a single one: only the clients of sticky sets have homes");
                Err(Problem::new(StatusCode::CONFLICT, "not-sticky", detail))
            }
            None => {
                let detail = format!("the settings of set {set} cannot be used; see `steadfast status {set}`");
                Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "store-unusable", detail))
            }
        }
    }

    /// A page of the clients that `query` asks for.
    pub(super) async fn page_of_clients(&self, set: &SetName, query: &ClientQuery) -> Result<Clients, Problem> {
        let (snapshot, _) = self.sticky(set).await?;
        if let Some(home) = query.home.as_ref().filter(|home| !snapshot.instances.contains_key(*home)) {
            return Err(self.no_instance(set, home).await);
        }
        let limit = query.limit.unwrap_or(PAGE_CLIENTS).clamp(1, LONGEST_PAGE_CLIENTS);
        let filtered = query.home.is_some() || query.phase.is_some();
        let at_once = if filtered { READ_AT_ONCE } else { limit };
        let mut found = Vec::new();
        let mut after = query.after.clone();
        let mut looked_at = 0;
        loop {
            let page = match self.registry.clients(set, after.as_ref(), at_once).await {
                Ok(page) => page,
                Err(error) => return Err(self.problem(error).await),
            };
            looked_at += page.clients.len();
            let of_page = page.clients.len();
            for (index, (client, stored)) in page.clients.into_iter().enumerate() {
                let placement = &stored.record;
                let asked_for = query.home.as_ref().is_none_or(|home| *home == placement.home)
                    && query.phase.is_none_or(|phase| phase == placement.phase);
                if asked_for {
                    found.push(ClientView::new(&client, placement, snapshot.tick));
                }
                let more = index + 1 < of_page || page.next.is_some();
                if found.len() == limit && more {
                    return Ok(Clients { clients: found, next: Some(Text(client)) });
                }
            }
            match page.next {
                Some(next) if looked_at >= LOOKED_AT_CLIENTS => {
                    return Ok(Clients { clients: found, next: Some(Text(next)) });
                }
                Some(next) => after = Some(next),
                None => return Ok(Clients { clients: found, next: None }),
            }
        }
    }

    /// Where a client is at home.
    pub(super) async fn one_client(&self, set: &SetName, client: &ClientKey) -> Result<ClientView, Problem> {
        let (snapshot, _) = self.sticky(set).await?;
        match self.registry.client(set, client).await {
            Ok(Some(stored)) => Ok(ClientView::new(client, &stored.record, snapshot.tick)),
            Ok(None) => Err(no_client(set, client)),
            Err(error) => Err(self.problem(error).await),
        }
    }

    /// Places a client that is not there yet; one that has a home keeps it.
    pub(super) async fn place_client(
        &self,
        set: &SetName,
        client: &ClientKey,
        order: &PlaceOrder,
    ) -> Result<PlacedView, Problem> {
        let (snapshot, _) = self.sticky(set).await?;
        let weight = match order.weight {
            None => None,
            Some(said) => Some(said.weight().ok_or_else(|| {
                Problem::bad_request("bad-weight", format!("{said} is not the weight of a client: it weighs something"))
            })?),
        };
        let to = order.instance.as_ref().map(|id| id.0.clone());
        let wish = Wish::Place { to, weight, labels: labels_of(&order.labels) };
        let placed = self.ask(set, client, wish).await?;
        self.placed_view(set, client, &snapshot, placed)
    }

    /// Moves a client.
    pub(super) async fn move_one(
        &self,
        set: &SetName,
        client: &ClientKey,
        order: &MoveOrder,
    ) -> Result<PlacedView, Problem> {
        let (snapshot, settings) = self.sticky(set).await?;
        let to = order.to.as_ref().map(|id| id.0.clone());
        // A gateway that carries its connections closes them when it hears of the move; where the set says how, its
        // application is asked to send it away.
        let certain_to_leave = settings.presence == Presence::Connection || settings.evict.is_some();
        let wish = Wish::Move { from: None, to, reason: Reason::MovedByOperator, certain_to_leave };
        let placed = self.ask(set, client, wish).await?;
        self.placed_view(set, client, &snapshot, placed)
    }

    /// Forgets a client. One that is not there is forgotten already.
    pub(super) async fn forget_client(&self, set: &SetName, client: &ClientKey) -> Result<ForgottenView, Problem> {
        self.sticky(set).await?;
        let changed = match self.ask(set, client, Wish::Forget).await {
            Ok(placed) => placed.wrote,
            Err(problem) if problem.reason == "no-client" => false,
            Err(problem) => return Err(problem),
        };
        Ok(ForgottenView { set: Text(set.clone()), client: Text(client.clone()), changed })
    }

    async fn ask(&self, set: &SetName, client: &ClientKey, wish: Wish) -> Result<Placed, Problem> {
        match self.placer(set).ask(client.clone(), wish).await {
            Ok(placed) => Ok(placed),
            Err(PlaceError::Refused(refusal)) => Err(self.refused(set, client, &refusal).await),
            Err(PlaceError::Unavailable(why)) => Err(store_unavailable(&why)),
            Err(PlaceError::Busy) => {
                let detail = "too many placements wait already; ask again";
                Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(RETRY_AFTER))
            }
            Err(PlaceError::Books(why)) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "store-unusable", why)),
        }
    }

    /// A refusal as the API tells it. It is one of the order as things stand, not of the service: 409, not 503.
    async fn refused(&self, set: &SetName, client: &ClientKey, refusal: &Refusal) -> Problem {
        match refusal {
            Refusal::NoClient => no_client(set, client),
            Refusal::NotThere { instance } => self.no_instance(set, instance).await,
            Refusal::Connected { home } => {
                let detail = format!(
                    "{client} is connected at {home}, and nothing would make it leave: end its connection there, or \
                     let the set know how (evict = \"http://…/{{client}}\")"
                );
                Problem::new(StatusCode::CONFLICT, CONNECTED, detail)
            }
            other => Problem::new(StatusCode::CONFLICT, other.reason(), format!("set {set}: {other}")),
        }
    }

    fn placed_view(
        &self,
        set: &SetName,
        client: &ClientKey,
        snapshot: &Snapshot,
        placed: Placed,
    ) -> Result<PlacedView, Problem> {
        // Somebody may have had it forgotten in the same moment.
        let stored = placed.client.ok_or_else(|| no_client(set, client))?;
        let home = snapshot.instances.get(&stored.record.home).and_then(|one| one.description.as_ref());
        Ok(PlacedView {
            set: Text(set.clone()),
            client: ClientView::new(client, &stored.record, snapshot.tick),
            changed: placed.wrote,
            endpoints: home.map(|description| description.endpoints.clone()).unwrap_or_default(),
        })
    }
}

fn no_client(set: &SetName, client: &ClientKey) -> Problem {
    let detail =
        format!("set {set} knows no client {:?}; `steadfast clients {set}` shows those it knows", client.to_string());
    Problem::new(StatusCode::NOT_FOUND, "no-client", detail)
}

#[cfg(test)]
mod tests;
