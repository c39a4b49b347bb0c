//! Passes a request on to the target of its set, as often as that is right, and waits where there is none.
//!
//! A request is sent again only where nothing of it was sent before, or where sending it twice is the same as once
//! (RFC 9110 §9.2.2), nothing of an answer was passed on, and its body is still here.

use std::rc::Rc;

use http::request::Parts;
use hyper::body::Incoming;
use steadfast_core::Moment;
use steadfast_host::clock;

use super::forward::{Attempt, Trouble};
use super::{Answered, problem};
use crate::headers;
use crate::message::Message;
use crate::parked::{Parked, news};
use crate::route::Route;
use crate::worker::{Failure, Guest, Phase, SetHere};

/// See the module. Besides the answer, what nobody has read of the body.
pub(crate) async fn answer(
    guest: &Rc<Guest>,
    route: &Route,
    head: &mut Parts,
    body: Incoming,
) -> (Answered, Option<Incoming>) {
    headers::prepare(head, &body, &mut guest.origin.borrow_mut());
    let mut message = Message::new(head, body, guest.worker.shared.bounds.kept_body_bytes, &guest.conn);
    let answer = pass_on(guest, route, &mut message).await;
    (answer, message.into_unread())
}

async fn pass_on(guest: &Rc<Guest>, route: &Route, message: &mut Message) -> Answered {
    let set = &guest.worker.sets[route.set];
    let mut waiting = Waiting::default();
    let mut failure = None;
    loop {
        let now = clock::now();
        let Some(pass) = set.admit(failure.as_ref(), now) else {
            match waiting.wait(guest, set, message, now).await {
                Ok(()) => continue,
                Err(refusal) => return refusal,
            }
        };
        waiting.place = None;
        let here = pass.here();
        guest.conn.hold(pass);
        let attempt = Attempt { guest, set, here: &here, slot: route.slot };
        let trouble = match attempt.make(message).await {
            Ok(answer) => return answer,
            Err(trouble) => trouble,
        };
        guest.conn.release();
        guest.conn.enter(Phase::Request { awaited: false });
        match judge(&attempt, trouble, message) {
            Next::Again(failed) => failure = failed.map(|when| Failure { at: here, when }),
            Next::Answer(answer) => return answer,
        }
    }
}

/// A request's time among those who wait.
#[derive(Default)]
struct Waiting<'a> {
    place: Option<Parked<'a>>,
    /// When it had to wait for the first time: the time allowed counts from there, however often it waits.
    since: Option<Moment>,
}

impl<'a> Waiting<'a> {
    async fn wait(
        &mut self,
        guest: &'a Guest,
        set: &'a SetHere,
        message: &Message,
        now: Moment,
    ) -> Result<(), Answered> {
        let counters = guest.worker.counters();
        let since = *self.since.get_or_insert_with(|| {
            counters.parked.add_one();
            now
        });
        if self.place.is_none() {
            self.place = Parked::enter(&guest.worker, set, message.head_bytes());
        }
        if self.place.is_none() {
            counters.overloaded.add_one();
            return Err(problem::overloaded(&set.shared));
        }
        if news(set, since + set.shared.park_for().duration()).await {
            return Ok(());
        }
        counters.no_leader.add_one();
        Err(problem::no_leader(&set.shared))
    }
}

/// What follows an attempt without an answer.
enum Next {
    /// Try again; with a moment, not before the target has been asked since.
    Again(Option<Moment>),
    Answer(Answered),
}

fn judge(attempt: &Attempt<'_>, trouble: Trouble, message: &Message) -> Next {
    let counters = attempt.guest.worker.counters();
    let set = &attempt.set.shared;
    let (why, reused) = match trouble {
        Trouble::NoEndpoint => return Next::Answer(problem::no_endpoint(set, attempt.slot, &attempt.here.target)),
        Trouble::Doubted => return Next::Again(None),
        Trouble::Exhausted(error) => {
            counters.overloaded.add_one();
            tracing::warn!(set = %set.name, error, "this gateway cannot open another connection");
            return Next::Answer(problem::exhausted(set));
        }
        Trouble::Unreachable(error) => {
            counters.upstream_errors.add_one();
            tracing::debug!(set = %set.name, instance = %attempt.here.target.instance, error, "cannot connect");
            return Next::Again(None);
        }
        Trouble::Unsent { reused } => return Next::Again(attempt.suspect(reused)),
        Trouble::Broken { why, reused } => (why, reused),
    };
    let suspected = match attempt.weigh(why, reused) {
        Ok(suspected) => suspected,
        Err(answer) => return Next::Answer(answer),
    };
    if message.is_repeatable() && message.sends() < attempt.guest.worker.shared.bounds.sends {
        counters.retried.add_one();
        return Next::Again(suspected);
    }
    counters.leader_lost.add_one();
    Next::Answer(problem::leader_lost(set))
}
