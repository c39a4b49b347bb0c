//! A client that the table does not send home: the books are asked, and what the store is away for is answered as the
//! table "With the store away" of the project's design has it.

use std::net::IpAddr;
use std::rc::Rc;

use steadfast_core::client::Labels;
use steadfast_core::placement::{Phase, Reason, Wish};
use steadfast_core::settings::HomeFull;
use steadfast_host::clock;
use steadfast_registry::{PlaceError, Placed};

use super::client::{Asked, stands_at_home};
use super::{Answered, refusal};
use crate::clients::Entry;
use crate::home::{DeferredWrite, View};
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
    let new_clients = &guest.worker.shared.new_clients;
    let name = &set.shared.name;
    // Spent also by those who do not wait for the answer: what was asked for them is placed all the same.
    if known.is_none() {
        new_clients.take(name, source, view.settings.new_per_source, now).map_err(|wait| {
            counters.refused("too-many-new-clients");
            refusal::too_many_new(wait)
        })?;
    }
    let ticket = view.clients.ticket(asked.hash);
    let wish = Wish::Arrive { weight: asked.weight, labels, present: asked.present };
    let within = guest.worker.shared.bounds.place_within;
    let answer = tokio::time::timeout(within, view.placer.ask(asked.key.to_key(), wish)).await;
    if known.is_none() && answer.as_ref().is_ok_and(is_no_newcomer) {
        new_clients.give_back(name, source);
    }
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
    count(guest, &placed);
    let entry = placed
        .client
        .as_ref()
        .and_then(|client| view.clients.answer(asked.hash, ticket, client.version.0, &client.record));
    match entry {
        Some(entry) => {
            if view.clients.has_left(asked.hash, entry.home) {
                // What is still carried at the former home sleeps, perhaps, and is to end now.
                set.shared.ring();
            }
            Ok((in_sight(guest, set, homes, &entry).await?, entry))
        }
        None => Err(refusal::no_home(&set.shared)),
    }
}

/// Whether an answer says for certain that no new client came of it. What may have happened counts as happened.
fn is_no_newcomer(answer: &Result<Placed, PlaceError>) -> bool {
    match answer {
        Ok(placed) => !is_new(placed),
        Err(PlaceError::Refused(_) | PlaceError::Busy) => true,
        Err(PlaceError::Unavailable(_) | PlaceError::Books(_)) => false,
    }
}

/// Whether this ask has placed a client that there was none of.
fn is_new(placed: &Placed) -> bool {
    let client = placed.client.as_ref().filter(|_| placed.wrote);
    client.is_some_and(|client| client.record.why.reason == Reason::Placed && client.record.owner_epoch.0 == 1)
}

/// Counts what the books did.
fn count(guest: &Guest, placed: &Placed) {
    let counters = guest.worker.counters();
    let Some(client) = placed.client.as_ref().filter(|_| placed.wrote) else { return };
    match client.record.why.reason {
        Reason::Placed if is_new(placed) => counters.placed.add_one(),
        Reason::Returned => counters.returned.add_one(),
        Reason::HomeLost | Reason::HomeBack | Reason::HomeFull => counters.moved.add_one(),
        _ => {}
    }
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
/// lost, or its reservation is over, which nobody can delete now, or it is idle.
fn is_served_away(view: &View, known: Option<Entry>) -> bool {
    known.is_some_and(|entry| {
        let may = match entry.phase {
            Phase::Idle => view.settings.home_full != HomeFull::Refuse,
            Phase::Reserved | Phase::Active => true,
        };
        may && view.home(entry.home).is_some_and(|home| !home.lost)
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
    if stands_at_home(view, &entry) {
        return Ok((homes.clone(), entry));
    }
    counters.served_away.add_one();
    if view.clients.ask(asked.hash)
        && let Some(home) = view.home(entry.home)
    {
        // Where it was sent is where it is to be charged: it must not be moved by being written late.
        let wish = Wish::Served { at: home.target.instance.clone(), weight: asked.weight };
        let write = DeferredWrite { hash: asked.hash, client: asked.key.to_key(), wish, keep: true };
        if view.deferred.try_send(write).is_err() {
            view.clients.failed(asked.hash);
            counters.writes_dropped.add_one();
        }
    }
    Ok((homes.clone(), entry))
}

#[cfg(test)]
mod tests;
