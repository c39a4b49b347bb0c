//! A client that the table does not send home: the books are asked, and what the store is away for is answered as the
//! table "With the store away" of the project's design has it.

use std::net::IpAddr;
use std::rc::Rc;

use steadfast_core::client::Labels;
use steadfast_core::placement::{Phase, Reason, Wish};
use steadfast_core::settings::HomeFull;
use steadfast_host::clock;
use steadfast_registry::{PlaceError, Placed};

use super::sticky::{Asked, stands_at_home};
use super::{Answered, refusal};
use crate::clients::Entry;
use crate::home::{Errand, View};
use crate::newcomers::Newcomers;
use crate::parked::news;
use crate::worker::{Guest, Homes, SetHere};

/// The client's home, after the books were asked. `known`: what the table says of it.
pub(super) async fn place(
    guest: &Guest,
    set: &SetHere,
    asked: &Asked,
    labels: Labels,
    source: IpAddr,
    known: Option<Entry>,
) -> Result<(Rc<Homes>, Entry), Answered> {
    let Some(homes) = set.homes() else { return Err(refusal::no_settings(&set.shared)) };
    let (view, now) = (&homes.view, clock::now());
    let counters = guest.worker.counters();
    if view.is_away(now) {
        return without_store(guest, set, &homes, asked, known);
    }
    let newcomers = &guest.worker.shared.newcomers;
    // A token is given back unless the client turns out to be new: also when nobody waits for the answer any more.
    let mut token = Token { newcomers, source: None };
    if known.is_none() {
        newcomers.take(source, view.settings.new_per_source, now).map_err(|wait| {
            counters.refused("too-many-new-clients");
            refusal::too_many_new(wait)
        })?;
        token.source = Some(source);
    }
    let ticket = view.clients.ticket(asked.hash);
    let wish = Wish::Arrive { weight: asked.weight, labels, present: asked.present };
    let within = guest.worker.shared.bounds.place_within;
    let answer = tokio::time::timeout(within, view.placer.ask(asked.key.to_key(), wish)).await;
    let placed = match answer {
        Ok(Ok(placed)) => placed,
        Ok(Err(PlaceError::Refused(refused))) => {
            counters.refused(refused.reason());
            return Err(refusal::refused(&set.shared, &refused));
        }
        Ok(Err(PlaceError::Unavailable(why))) => {
            tracing::debug!(set = %set.shared.name, why, "a client could not be placed");
            return without_store(guest, set, &homes, asked, known);
        }
        Ok(Err(PlaceError::Busy)) => {
            counters.overloaded.add_one();
            return Err(refusal::overloaded(&set.shared));
        }
        Ok(Err(PlaceError::Books(why))) => return Err(refusal::books(&set.shared, &why)),
        Err(_) if is_served_away(view, known) => return without_store(guest, set, &homes, asked, known),
        Err(_) => {
            counters.refused("placing-timed-out");
            return Err(refusal::timed_out(&set.shared, within));
        }
    };
    if count(guest, &placed) {
        token.source = None;
    }
    let entry = placed
        .client
        .as_ref()
        .and_then(|client| view.clients.answer(asked.hash, ticket, client.version.0, &client.record));
    match entry {
        Some(entry) => Ok((in_sight(guest, set, homes, &entry).await?, entry)),
        None => Err(refusal::no_home(&set.shared)),
    }
}

/// Counts what the books did. True if the client was new.
fn count(guest: &Guest, placed: &Placed) -> bool {
    let counters = guest.worker.counters();
    let Some(client) = placed.client.as_ref().filter(|_| placed.wrote) else { return false };
    match client.record.why.reason {
        Reason::Placed if client.record.owner_epoch.0 == 1 => {
            counters.placed.add_one();
            return true;
        }
        Reason::Returned => counters.returned.add_one(),
        Reason::HomeLost | Reason::HomeBack | Reason::HomeFull => counters.moved.add_one(),
        _ => {}
    }
    false
}

/// The home may have been written so lately that this gateway has not heard of it yet.
async fn in_sight(guest: &Guest, set: &SetHere, homes: Rc<Homes>, entry: &Entry) -> Result<Rc<Homes>, Answered> {
    let until = clock::now() + guest.worker.shared.bounds.connect_within;
    // It may also have heard of it while the client was being placed.
    let mut homes = Some(homes).filter(|homes| homes.view.home(entry.home).is_some()).or_else(|| set.homes());
    loop {
        match homes {
            Some(homes) if homes.view.home(entry.home).is_some() => return Ok(homes),
            _ if !news(set, until).await => return Err(refusal::no_home(&set.shared)),
            _ => homes = set.homes(),
        }
    }
}

/// Whether a client is sent home while the store is away: it is charged there and was only to go back to a home it had
/// lost, or it is idle.
fn is_served_away(view: &View, known: Option<Entry>) -> bool {
    known.is_some_and(|entry| {
        let idle = entry.phase == Phase::Idle
            && view.settings.home_full != HomeFull::Refuse
            && view.home(entry.home).is_some_and(|home| !home.lost);
        idle || stands_at_home(view, &entry)
    })
}

/// What is not committed is not accepted: nobody is placed or moved. One that is idle at a home that is there is sent
/// there, and charged when the store is back.
#[expect(clippy::result_large_err, reason = "an answer in place of an answer: it is not on the way of known clients")]
fn without_store(
    guest: &Guest,
    set: &SetHere,
    homes: &Rc<Homes>,
    asked: &Asked,
    known: Option<Entry>,
) -> Result<(Rc<Homes>, Entry), Answered> {
    let view = &homes.view;
    let counters = guest.worker.counters();
    let Some(entry) = known.filter(|_| is_served_away(view, known)) else {
        counters.refused("store-unavailable");
        return Err(refusal::store_unavailable(&set.shared));
    };
    if entry.phase != Phase::Idle {
        return Ok((homes.clone(), entry));
    }
    counters.served_away.add_one();
    if view.clients.ask(asked.hash)
        && let Some(home) = view.home(entry.home)
    {
        // Where it was sent is where it is to be charged: it must not be moved by being written late.
        let wish = Wish::Served { at: home.target.instance.clone(), weight: asked.weight };
        let errand = Errand { hash: asked.hash, client: asked.key.to_key(), wish, keep: true };
        if view.errands.try_send(errand).is_err() {
            view.clients.failed(asked.hash);
            counters.errands_dropped.add_one();
        }
    }
    Ok((homes.clone(), entry))
}

/// A token of a source, given back when dropped unless it was spent.
struct Token<'a> {
    newcomers: &'a Newcomers,
    source: Option<IpAddr>,
}

impl Drop for Token<'_> {
    fn drop(&mut self) {
        if let Some(source) = self.source {
            self.newcomers.give_back(source);
        }
    }
}
