//! Those who wait: a bounded queue of asks, each with its deadline and somebody who listens, or has hung up.

use std::collections::VecDeque;
use std::time::Duration;

use steadfast_core::Moment;
use steadfast_core::client::ClientKey;
use steadfast_core::placement::{Ask, Placement, Wish};
use steadfast_store::Revision;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{PlaceError, Placed};

/// An ask that has no answer yet.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) client: ClientKey,
    pub(super) ask: Ask,
    /// Who asks is told by then.
    pub(super) until: Moment,
    /// What was attempted for it with an unknown outcome, as often as its time allows.
    pub(super) doubts: Vec<Doubt>,
    reply: oneshot::Sender<Result<Placed, PlaceError>>,
    /// Its place among those who may wait; given back before it is answered, so that whoever was answered may ask again.
    place: Option<OwnedSemaphorePermit>,
}

/// An attempt of which nobody knows whether it happened, or will.
#[derive(Clone, Debug)]
pub(super) struct Doubt {
    /// The version of the client's record that it believed.
    pub(super) believed: Option<Revision>,
    /// What it would have made of it: if the books say just that now, it happened.
    pub(super) attempted: Option<Placement>,
    /// Where it would stand that the client is to be asked to leave, if it is.
    pub(super) leaving: Option<String>,
}

impl Pending {
    pub(super) fn new(
        client: ClientKey,
        wish: Wish,
        by: String,
        until: Moment,
        place: Option<OwnedSemaphorePermit>,
    ) -> (Pending, oneshot::Receiver<Result<Placed, PlaceError>>) {
        let (reply, answer) = oneshot::channel();
        let ask = Ask { wish, by, at: String::new() };
        (Pending { client, ask, until, doubts: Vec::new(), reply, place }, answer)
    }

    /// Whether nobody listens any more.
    pub(super) fn hung_up(&self) -> bool {
        self.reply.is_closed()
    }

    /// Answers. Whoever hung up meanwhile asks again and finds what the books say.
    pub(super) fn answer(self, answer: Result<Placed, PlaceError>) {
        drop(self.place);
        drop(self.reply.send(answer));
    }
}

/// The asks in the order they came.
#[derive(Debug)]
pub(super) struct Queue {
    incoming: mpsc::UnboundedReceiver<Pending>,
    waiting: VecDeque<Pending>,
}

impl Queue {
    /// Of what comes in here, which the places of those who wait bound.
    pub(super) fn new(incoming: mpsc::UnboundedReceiver<Pending>) -> Queue {
        Queue { incoming, waiting: VecDeque::new() }
    }

    /// The next at most `most` asks, as soon as there is one; `None` when nobody will ask any more.
    pub(super) async fn gather(&mut self, most: usize) -> Option<Vec<Pending>> {
        if self.waiting.is_empty() {
            self.waiting.push_back(self.incoming.recv().await?);
        }
        while self.waiting.len() < most {
            let Ok(pending) = self.incoming.try_recv() else { break };
            self.waiting.push_back(pending);
        }
        Some(self.waiting.drain(..most.min(self.waiting.len())).collect())
    }

    /// These were put off: they come first next time.
    pub(super) fn give_back(&mut self, put_off: Vec<Pending>) {
        put_off.into_iter().rev().for_each(|pending| self.waiting.push_front(pending));
    }
}

/// How long is left until `until`.
pub(super) fn left(until: Moment) -> Duration {
    until.since(steadfast_host::clock::now())
}

#[cfg(test)]
mod tests;
