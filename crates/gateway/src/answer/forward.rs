//! One attempt to pass a request on to one instance: a connection, the request, its answer or why there is none.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use http::{Response, StatusCode, Version};
use hyper::body::Incoming;
use steadfast_core::Moment;
use steadfast_host::clock;

use super::{Answered, problem};
use crate::body::Content;
use crate::headers;
use crate::message::Message;
use crate::worker::{Broken, Fault, Guest, Phase, Pool, Relay, SetHere, TargetHere, Tunnel, Upstream, ticks};

/// A request that cannot be repeated goes only over a connection that was used so recently that its other end can
/// hardly be closing it now.
const FRESH_FOR: Duration = Duration::from_millis(500);

/// One attempt at one target.
pub(super) struct Attempt<'a> {
    pub(super) guest: &'a Rc<Guest>,
    pub(super) set: &'a SetHere,
    pub(super) here: &'a Rc<TargetHere>,
    pub(super) slot: usize,
}

/// Why an attempt brought no answer.
pub(super) enum Trouble {
    /// The instance has no such endpoint.
    NoEndpoint,
    /// Another request is finding out whether the instance takes connections.
    Doubted,
    /// It takes none.
    Unreachable(String),
    /// No connection can be opened from here, which says nothing of the instance.
    Exhausted(String),
    /// Not a byte was sent: the connection, or the right to forward, had ended.
    Unsent { reused: bool },
    /// The request was sent, at least in part.
    Broken { why: Broken, reused: bool },
}

impl Attempt<'_> {
    pub(super) async fn make(&self, message: &mut Message) -> Result<Answered, Trouble> {
        let Some(address) = self.here.target.addresses.get(self.slot).copied().flatten() else {
            return Err(Trouble::NoEndpoint);
        };
        message.ensure_host(address);
        let mut upstream = self.connection(address, message.is_repeatable()).await?;
        let reused = upstream.reused;
        let conn = &self.guest.conn;
        conn.forgive();
        conn.enter(Phase::Request { awaited: true });
        let response = match upstream.send(message.request(), conn).await {
            Ok(response) if response.status() != StatusCode::SWITCHING_PROTOCOLS => response,
            Ok(response) => return self.tunnel(message, response, upstream).map_err(|why| broken(why, reused)),
            Err(Broken::Unsent(request)) => {
                message.take_back(*request);
                return Err(Trouble::Unsent { reused });
            }
            Err(why) => return Err(broken(why, reused)),
        };
        if !headers::is_clearly_framed(response.headers()) {
            let why = "it says its length twice, or has a transfer coding besides chunked".to_owned();
            return Err(broken(Broken::Malformed(why), reused));
        }
        let (mut head, incoming) = response.into_parts();
        let target = &self.here.target;
        // Ours is the version we speak, whatever the instance speaks.
        head.version = Version::HTTP_11;
        headers::to_client(&mut head.headers, &target.instance_header, target.epoch_header.as_ref());
        let (here, worker) = (self.here.clone(), self.guest.worker.clone());
        let relay = Relay::new(incoming, upstream, here, self.slot, conn.clone(), worker);
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
            Ok(Err(error)) if is_ours(&error) => return Err(Trouble::Exhausted(error.to_string())),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no connection within {:?}", bounds.connect_within),
        };
        trial.failed();
        self.set.changed.notify_waiters();
        Err(Trouble::Unreachable(failed))
    }

    /// What it means that a request was sent and brought no answer: it may be sent again (with a moment, once the
    /// instance has been asked since), or there is nothing more to be done.
    #[expect(
        clippy::result_large_err,
        reason = "an answer in place of an answer: it is not on the way of those that succeed"
    )]
    pub(super) fn weigh(&self, why: Broken, reused: bool) -> Result<Option<Moment>, Answered> {
        let counters = self.guest.worker.counters();
        let (set, target) = (&self.set.shared, &self.here.target);
        match why {
            Broken::Lost | Broken::Unsent(_) => Ok(None),
            Broken::Sent => {
                counters.upstream_errors.add_one();
                Ok(self.suspect(reused))
            }
            Broken::Body => Err(match self.guest.conn.body_fault() {
                Some(Fault::TooLarge) => problem::body_too_large(self.guest.conn.most_body()),
                Some(Fault::TooSlow) => problem::body_too_slow(),
                Some(Fault::Broken) | None => problem::broken_body(),
            }),
            Broken::Overdue => {
                counters.timeouts.add_one();
                Err(problem::upstream_timeout(set, target))
            }
            Broken::Malformed(error) => {
                counters.upstream_errors.add_one();
                tracing::warn!(set = %set.name, instance = %target.instance, error, "an answer is not HTTP");
                Err(problem::upstream_malformed(set, target))
            }
        }
    }

    /// A connection ended under a request. A kept one may have died of age, and the others with it; a new one says
    /// something of the instance, which is asked, and this request waits for that.
    pub(super) fn suspect(&self, reused: bool) -> Option<Moment> {
        let now = clock::now();
        if reused {
            self.here.pools.iter().for_each(Pool::clear);
        }
        self.here.broke();
        (!reused).then_some(now)
    }

    /// The instance goes on in another protocol: so does the client's connection, once it has this answer.
    fn tunnel(
        &self,
        message: &Message,
        response: Response<Incoming>,
        upstream: Box<Upstream>,
    ) -> Result<Answered, Broken> {
        let (mut head, _) = response.into_parts();
        if !message.upgrades() || !headers::is_websocket(&head.headers) {
            return Err(Broken::Malformed("101 to a request that asked for no such upgrade".to_owned()));
        }
        let tunnel = Tunnel::new(upstream, &self.guest.conn).ok_or(Broken::Lost)?;
        self.guest.tunnel.replace(Some(tunnel));
        head.version = Version::HTTP_11;
        let target = &self.here.target;
        headers::to_client(&mut head.headers, &target.instance_header, target.epoch_header.as_ref());
        headers::insert_upgrade(&mut head.headers);
        Ok(Response::from_parts(head, Content::Empty))
    }
}

/// Whether a connection failed for want of something on this side: files, ports, memory.
fn is_ours(error: &std::io::Error) -> bool {
    let wanting = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS, libc::EADDRNOTAVAIL];
    error.raw_os_error().is_some_and(|code| wanting.contains(&code))
}

fn broken(why: Broken, reused: bool) -> Trouble {
    Trouble::Broken { why, reused }
}

#[cfg(test)]
mod tests;
