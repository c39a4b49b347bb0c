//! Passes a request on to the target of its set, as often as that is right, and waits where there is none.
//!
//! A request is sent again only where nothing of it was sent before, or where sending it twice is the same as once
//! (RFC 9110 §9.2.2), nothing of an answer was passed on, and its body is still here.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use http::request::Parts;
use http::{Response, StatusCode, Version};
use hyper::body::Incoming;
use steadfast_core::Moment;
use steadfast_host::clock;

use super::{Answered, problem};
use crate::headers;
use crate::message::Message;
use crate::parked::{Parked, news};
use crate::route::Route;
use crate::worker::{Broken, Failure, Guest, Phase, Pool, Relay, SetHere, TargetHere, Upstream, ticks};

/// A request that cannot be repeated goes only over a connection that was used so recently that its other end can
/// hardly be closing it now.
const FRESH_FOR: Duration = Duration::from_millis(500);

/// See the module.
pub(crate) async fn answer(guest: &Rc<Guest>, route: Route, mut head: Parts, body: Incoming) -> Answered {
    let set = &guest.worker.sets[route.set];
    headers::to_instance(&mut head.headers, &mut guest.origin.borrow_mut());
    let mut message = Message::new(head, body, guest.worker.shared.bounds.kept_body_bytes, &guest.seat);
    let mut waiting = Waiting::default();
    let mut failure = None;
    loop {
        let now = clock::now();
        let Some(pass) = set.admit(failure.as_ref(), now) else {
            match waiting.wait(guest, set, &message, now).await {
                Ok(()) => continue,
                Err(refusal) => return refusal,
            }
        };
        waiting.place = None;
        let here = pass.here();
        guest.seat.hold(pass);
        let attempt = Attempt { guest, set, here: &here, slot: route.slot };
        let trouble = match attempt.make(&mut message).await {
            Ok(answer) => return answer,
            Err(trouble) => trouble,
        };
        guest.seat.release();
        guest.seat.enter(Phase::Request { awaited: false });
        match attempt.judge(trouble, &message) {
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

/// One attempt at one target.
struct Attempt<'a> {
    guest: &'a Rc<Guest>,
    set: &'a SetHere,
    here: &'a Rc<TargetHere>,
    slot: usize,
}

/// Why an attempt brought no answer.
enum Trouble {
    /// The instance has no such endpoint.
    NoEndpoint,
    /// Another request is finding out whether the instance takes connections.
    Doubted,
    /// It takes none.
    Unreachable(String),
    /// Not a byte was sent: the connection, or the right to forward, had ended.
    Unsent { reused: bool },
    /// The request was sent, at least in part.
    Broken { why: Broken, reused: bool },
}

/// What follows.
enum Next {
    /// Try again; with a moment, not before the target has been asked since.
    Again(Option<Moment>),
    Answer(Answered),
}

impl Attempt<'_> {
    async fn make(&self, message: &mut Message) -> Result<Answered, Trouble> {
        let Some(address) = self.here.target.addresses.get(self.slot).copied().flatten() else {
            return Err(Trouble::NoEndpoint);
        };
        message.ensure_host(address);
        let mut upstream = self.connection(address, message.is_repeatable()).await?;
        let reused = upstream.reused;
        let seat = &self.guest.seat;
        seat.forgive();
        seat.enter(Phase::Request { awaited: true });
        let response = match upstream.send(message.request(), seat).await {
            Ok(response) if response.status() != StatusCode::SWITCHING_PROTOCOLS => response,
            Ok(_) => return Err(broken(Broken::Malformed("101 to a request without Upgrade".to_owned()), reused)),
            Err(Broken::Unsent(request)) => {
                message.take_back(*request);
                return Err(Trouble::Unsent { reused });
            }
            Err(why) => return Err(broken(why, reused)),
        };
        let (mut head, incoming) = response.into_parts();
        let target = &self.here.target;
        // Ours is the version we speak, whatever the instance speaks.
        head.version = Version::HTTP_11;
        headers::to_client(&mut head.headers, &target.instance_header, target.epoch_header.as_ref());
        let (here, worker) = (self.here.clone(), self.guest.worker.clone());
        let relay = Relay::new(incoming, upstream, here, self.slot, seat.clone(), worker);
        let content = relay.begin().await.map_err(|why| broken(why, reused))?;
        Ok(Response::from_parts(head, content))
    }

    /// A connection to the instance: a kept one, or a new one.
    async fn connection(&self, address: SocketAddr, repeatable: bool) -> Result<Box<Upstream>, Trouble> {
        let worker = &self.guest.worker;
        let bounds = &worker.shared.bounds;
        let pool = &self.here.pools[self.slot];
        let longest = ticks(if repeatable { bounds.idle_upstream_for } else { FRESH_FOR });
        if let Some(kept) = poll_fn(|cx| Poll::Ready(pool.take(cx, worker.tick.get(), longest))).await {
            return Ok(kept);
        }
        let trial = self.here.begin_trial().ok_or(Trouble::Doubted)?;
        let connecting = Upstream::connect(address, bounds.head_bytes);
        let failed = match tokio::time::timeout(bounds.connect_within, connecting).await {
            Ok(Ok(upstream)) => {
                worker.counters().upstream_connections.add_one();
                if trial.succeeded() {
                    self.set.changed.notify_waiters();
                }
                return Ok(Box::new(upstream));
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no connection within {:?}", bounds.connect_within),
        };
        trial.failed();
        Err(Trouble::Unreachable(failed))
    }

    fn judge(&self, trouble: Trouble, message: &Message) -> Next {
        let counters = self.guest.worker.counters();
        let set = &self.set.shared;
        let (why, reused) = match trouble {
            Trouble::NoEndpoint => return Next::Answer(problem::no_endpoint(set, self.slot, &self.here.target)),
            Trouble::Doubted => return Next::Again(None),
            Trouble::Unreachable(error) => {
                counters.upstream_errors.add_one();
                tracing::debug!(set = %set.name, instance = %self.here.target.instance, error, "cannot connect");
                return Next::Again(None);
            }
            Trouble::Unsent { reused } => return Next::Again(self.suspect(reused)),
            Trouble::Broken { why, reused } => (why, reused),
        };
        let suspected = match why {
            Broken::Lost | Broken::Unsent(_) => None,
            Broken::Sent => {
                counters.upstream_errors.add_one();
                self.suspect(reused)
            }
            Broken::Body => return Next::Answer(problem::broken_body()),
            Broken::Overdue if self.guest.seat.owes_body() => return Next::Answer(problem::request_timeout()),
            Broken::Overdue => {
                counters.timeouts.add_one();
                return Next::Answer(problem::upstream_timeout(set));
            }
            Broken::Malformed(error) => {
                counters.upstream_errors.add_one();
                tracing::warn!(set = %set.name, instance = %self.here.target.instance, error, "an answer is not HTTP");
                return Next::Answer(problem::upstream_malformed(set));
            }
        };
        if message.is_repeatable() && message.sends() < self.guest.worker.shared.bounds.sends {
            counters.retried.add_one();
            return Next::Again(suspected);
        }
        counters.leader_lost.add_one();
        Next::Answer(problem::leader_lost(set))
    }

    /// A connection ended under a request. A kept one may have died of age, and the others with it; a new one says
    /// something of the instance, which is asked, and this request waits for that.
    fn suspect(&self, reused: bool) -> Option<Moment> {
        let now = clock::now();
        if reused {
            self.here.pools.iter().for_each(Pool::clear);
        }
        self.here.broke();
        (!reused).then_some(now)
    }
}

fn broken(why: Broken, reused: bool) -> Trouble {
    Trouble::Broken { why, reused }
}
