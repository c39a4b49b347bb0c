//! Passes a request on to the home of its client, and to nobody else.
//!
//! It is sent again only as a single set's is: nothing of it was sent before, or sending it twice is the same as once.
//! A home that cannot be reached is no reason to move a client: from here it gets no new ones for a while, and it is
//! tried again when its agent's probe has said that it is the one it was.

use std::rc::Rc;
use std::time::Duration;

use http::request::Parts;
use hyper::body::Incoming;
use steadfast_host::clock;

use super::client::Client;
use super::forward::{Attempt, Trouble};
use super::{Answered, problem, refusal};
use crate::headers;
use crate::message::Message;
use crate::parked::news;
use crate::worker::{Broken, Guest, Phase, SetHere};

/// How long an instance that could not be reached gets no new clients from here.
const SUSPENDED_FOR: Duration = Duration::from_secs(10);

/// See the module. Besides the answer, what nobody has read of the body.
pub(super) async fn answer(
    guest: &Rc<Guest>,
    set: &SetHere,
    slot: usize,
    client: Client,
    head: &mut Parts,
    body: Incoming,
) -> (Answered, Option<Incoming>) {
    headers::prepare(head, &body, &mut guest.origin.borrow_mut());
    headers::insert_owner_epoch(&mut head.headers, client.entry.epoch);
    let mut message = Message::new(head, body, guest.worker.shared.bounds.kept_body_bytes, &guest.conn);
    let answer = pass_on(guest, set, slot, client, &mut message).await;
    (answer, message.into_unread())
}

async fn pass_on(guest: &Rc<Guest>, set: &SetHere, slot: usize, client: Client, message: &mut Message) -> Answered {
    let Client { asked, entry, homes } = client;
    let (view, shared) = (&homes.view, &set.shared);
    let Some(here) = set.at_home(&homes, entry.home) else { return refusal::no_home(shared) };
    let bounds = &guest.worker.shared.bounds;
    let stay = || view.clients.carry(asked.hash, &asked.key.to_key(), &entry);
    let unreachable = || match view.is_away(clock::now()) {
        true => refusal::stranded(shared, &here.target),
        false => refusal::home_unreachable(shared, &here.target),
    };
    let mut unsent = 0;
    let mut tried_until = None;
    loop {
        // Whoever listens there now may be somebody else.
        if here.target.is_refused() {
            return unreachable();
        }
        let Some(stay) = stay() else { return refusal::home_moved(shared) };
        let Some(pass) = here.enter(Some(stay), clock::now()) else { return unreachable() };
        guest.conn.hold(pass);
        let attempt = Attempt { guest, set, here: &here, slot };
        let trouble = match attempt.make(message).await {
            Ok(answer) => return answer,
            Err(trouble) => trouble,
        };
        let moved = !guest.conn.may_forward();
        guest.conn.release();
        guest.conn.enter(Phase::Request { awaited: false });
        match trouble {
            Trouble::NoEndpoint => {
                let direct = view.home(entry.home).and_then(|home| home.direct.get(slot)?.as_ref());
                return match direct {
                    Some(_) => refusal::no_tls(shared, &here.target),
                    None => problem::no_endpoint(shared, slot, &here.target),
                };
            }
            Trouble::Doubted => {
                // Another request tries whether it takes connections again: soon that is known.
                let until = *tried_until.get_or_insert_with(|| clock::now() + bounds.connect_within);
                if !news(set, until).await {
                    return unreachable();
                }
            }
            Trouble::Exhausted(error) => {
                guest.worker.counters().overloaded.add_one();
                tracing::warn!(set = %shared.name, error, "this gateway cannot open another connection");
                return problem::exhausted(shared);
            }
            Trouble::Unreachable(error) => {
                guest.worker.counters().upstream_errors.add_one();
                tracing::debug!(set = %shared.name, instance = %here.target.instance, error, "cannot connect");
                view.placer.suspend(&here.target.instance, SUSPENDED_FOR);
                return unreachable();
            }
            Trouble::Unsent { .. } if moved => return refusal::home_moved(shared),
            Trouble::Unsent { reused } => {
                attempt.suspect(reused);
                unsent += 1;
                if unsent >= bounds.sends {
                    return unreachable();
                }
            }
            Trouble::Broken { why: Broken::Lost, .. } => return refusal::home_moved(shared),
            Trouble::Broken { why, reused } => {
                if let Err(answer) = attempt.weigh(why, reused) {
                    return answer;
                }
                if !message.is_repeatable() || message.sends() >= bounds.sends {
                    guest.worker.counters().home_broke.add_one();
                    return refusal::home_broke(shared, &here.target);
                }
                guest.worker.counters().retried.add_one();
            }
        }
    }
}
