//! A request of a sticky set: who its client is, where that is at home, and the answer in the route's way.
//!
//! A client that is charged costs no call to the store: its home comes from the table, and what is to be written of it
//! (a charge that ends soon, another weight) is written while nobody waits. Everybody else is asked for.

use std::rc::Rc;

use http::StatusCode;
use http::request::Parts;
use hyper::body::Incoming;
use steadfast_core::client::{BadRequest, Labels, RequestView};
use steadfast_core::placement::{Phase, Wish};
use steadfast_core::route::Captures;
use steadfast_core::settings::{Presence, ReturnHome};
use steadfast_core::{Moment, Weight};
use steadfast_host::clock;

use super::client::{Asked, Client, Shown, stands_at_home};
use super::placing::place;
use super::{Answered, assign, homeward, redirect, refusal};
use crate::clients::Entry;
use crate::config::Answer;
use crate::home::{DeferredWrite, View};
use crate::parked::news;
use crate::route::Route;
use crate::set::Known;
use crate::worker::{Guest, Homes, SetHere};

/// How often in a round (until the set's time passes, or something in it changes) a client is asked for because it may
/// go back to a home it had lost.
const MOST_RETURNS: u8 = 1;
/// How often in a round another weight of a client is written: one who says another one each time is not heard each
/// time.
const MOST_WEIGHTS: u8 = 4;

/// Which way a request goes on.
pub(crate) enum Way {
    /// The set is a single one.
    Single,
    /// To the home of its client.
    Home(Client),
    /// Not at all.
    Refused(Answered),
}

/// Finds the home of a request's client.
pub(crate) async fn find(guest: &Rc<Guest>, route: &Route, captures: &Captures<'_>, head: &Parts) -> Way {
    let set = &guest.worker.sets[route.set];
    let homes = match set.homes() {
        Some(homes) => homes,
        None => match kind(set, clock::now() + guest.worker.shared.bounds.place_within).await {
            Kind::Sticky(homes) => homes,
            Kind::Single => return Way::Single,
            // It waits for a leader, and is told that there was none.
            Kind::Unknown if route.answer == Answer::Proxy => return Way::Single,
            Kind::Unknown => return Way::Refused(refusal::no_settings(&set.shared)),
        },
    };
    let shown = Shown { head, captures, guest };
    let view = &homes.view;
    let bad = |error: BadRequest| {
        guest.worker.counters().refused(error.reason());
        Way::Refused(refusal::bad_request(&error))
    };
    let asked = match Asked::read(&shown, route, view) {
        Ok(asked) => asked,
        Err(error) => return bad(error),
    };
    let known = view.clients.look(asked.hash);
    if let Some(found) = known
        && stays_at_home(view, &asked, &found.entry)
    {
        guest.worker.counters().hits.add_one();
        if !found.asked
            && let Some(weight) = due(view, &found.entry, &asked)
            && (weight.is_none() || view.clients.try_in(asked.hash, view.round, MOST_WEIGHTS))
        {
            // What it requires now is not what it was: malformed labels are no reason to refuse one that is at home.
            let labels = view.settings.labels_said(&shown).unwrap_or_default();
            defer_write(guest, view, &asked, weight, labels);
        }
        return Way::Home(Client { asked, entry: found.entry, homes });
    }
    guest.worker.counters().misses.add_one();
    let labels = match view.settings.labels_said(&shown) {
        Ok(labels) => labels,
        Err(error) => return bad(error),
    };
    let source = shown.source();
    // In a box, so that the way of those who are known stays small.
    let placing = Box::pin(place(guest, set, &asked, labels, source, known.map(|found| found.entry)));
    match placing.await {
        Ok((homes, entry)) => Way::Home(Client { asked, entry, homes }),
        Err(refused) => Way::Refused(refused),
    }
}

/// Answers a request whose client's home is known. Takes the head where it is passed on, and leaves of the body what
/// nobody has read.
pub(crate) async fn answer(
    guest: &Rc<Guest>,
    route: &Route,
    client: Client,
    head: &mut Parts,
    body: &mut Option<Incoming>,
) -> Answered {
    let set = &guest.worker.sets[route.set];
    match route.answer {
        Answer::Redirect => {
            let Some(home) = client.home() else { return refusal::no_home(&set.shared) };
            let secure = guest.origin.borrow().is_secure(&head.headers);
            let answer = redirect::answer(&set.shared, home, route.slot, &head.uri, secure);
            if answer.status() == StatusCode::TEMPORARY_REDIRECT {
                guest.worker.counters().redirected.add_one();
            }
            answer
        }
        Answer::Assign => {
            let answer = assign::answer(&set.shared, &client);
            if answer.status() == StatusCode::OK {
                guest.worker.counters().assigned.add_one();
            }
            answer
        }
        Answer::Proxy => match body.take() {
            Some(taken) => {
                let (answer, unread) = homeward::answer(guest, set, route.slot, client, head, taken).await;
                *body = unread;
                answer
            }
            None => refusal::no_home(&set.shared),
        },
    }
}

enum Kind {
    Single,
    Sticky(Rc<Homes>),
    Unknown,
}

/// What kind of set it is. A gateway that has only just started waits until the books were read.
async fn kind(set: &SetHere, until: Moment) -> Kind {
    loop {
        if let Some(homes) = set.homes() {
            return Kind::Sticky(homes);
        }
        match set.shared.known() {
            Known::Single => return Kind::Single,
            Known::NotYet if news(set, until).await => {}
            Known::NotYet | Known::Absent | Known::Unheard => return Kind::Unknown,
        }
    }
}

/// Whether a client can be sent home without a word to the store: it stands at home, and is not to go back to one that
/// it had lost. Whether it can go back, the books are asked once a round, which begins when a home is open again.
fn stays_at_home(view: &View, asked: &Asked, entry: &Entry) -> bool {
    let goes_back = || {
        entry.returns
            && view.settings.return_home == ReturnHome::Always
            && view.clients.try_in(asked.hash, view.round, MOST_RETURNS)
    };
    stands_at_home(view, entry) && !goes_back()
}

/// Whether something is to be written of a client that is at home, and with which weight.
fn due(view: &View, entry: &Entry, asked: &Asked) -> Option<Option<Weight>> {
    let other = asked.weight.filter(|said| *said != entry.declared);
    let claims = entry.phase == Phase::Reserved && asked.present;
    let ends_soon = match view.settings.presence {
        Presence::Request => entry.until < view.due,
        Presence::Connection if asked.present => entry.until < view.due,
        Presence::Connection | Presence::Report => entry.until < view.due_on_its_way,
    };
    (other.is_some() || claims || ends_soon).then_some(other)
}

fn defer_write(guest: &Guest, view: &View, asked: &Asked, weight: Option<Weight>, labels: Labels) {
    if !view.clients.ask(asked.hash) {
        return;
    }
    let wish = Wish::Arrive { weight, labels, present: asked.present };
    let write = DeferredWrite { hash: asked.hash, client: asked.key.to_key(), wish, keep: false };
    if view.deferred.try_send(write).is_err() {
        view.clients.failed(asked.hash);
        guest.worker.counters().writes_dropped.add_one();
    }
}
