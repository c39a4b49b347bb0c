//! Calls that wait for the thread that owns the file. Bounded; a call whose caller gave up is never begun.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::history::locked;
use crate::ticket::Ticket;
use crate::{Batch, Cursor, Error, Key, Page, PageToken, Record, Space};

/// Calls that wait, at most. One more is refused.
const WAITING_CALLS: usize = 16_384;

/// Bytes of batches that wait, at most.
const WAITING_BYTES: usize = 64 << 20;

/// Calls, or changes of theirs, taken at once: what one transaction holds, so that nobody waits long for it. The last
/// batch taken may go over it.
const GROUP_CHANGES: usize = 4096;

/// The same in bytes of names and values.
const GROUP_BYTES: usize = 4 << 20;

/// What is asked of the file.
#[derive(Debug)]
pub(super) enum Call {
    Read(Key, Reply<Option<Record>>),
    Scan(Scan, Reply<Page>),
    Commit(Batch, Reply<Cursor>),
}

/// A page to read.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) space: Space,
    pub(super) prefix: Vec<u8>,
    pub(super) token: Option<PageToken>,
    pub(super) records_at_most: usize,
}

/// Where an answer goes.
#[derive(Debug)]
pub(super) struct Reply<T> {
    to: oneshot::Sender<Result<T, Error>>,
    ticket: Ticket,
}

/// The caller's end.
pub(super) struct Answer<T> {
    from: oneshot::Receiver<Result<T, Error>>,
    ticket: Ticket,
}

/// The queue between callers and the thread.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// Says that something waits, or that the queue was closed.
    news: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    calls: VecDeque<Call>,
    bytes: usize,
    /// Why nothing is taken any more.
    closed: Option<Error>,
}

/// Both ends of an answer.
pub(super) fn answer<T>() -> (Reply<T>, Answer<T>) {
    let (to, from) = oneshot::channel();
    let ticket = Ticket::default();
    (Reply { to, ticket: ticket.clone() }, Answer { from, ticket })
}

impl<T> Reply<T> {
    /// Whether the call is to be made: `false` if its caller has given up.
    pub(super) fn begin(&self) -> bool {
        self.ticket.begin()
    }

    /// Answers. A caller that left has made up its mind.
    pub(super) fn send(self, result: Result<T, Error>) {
        drop(self.to.send(result));
    }
}

impl<T> Answer<T> {
    /// The answer. If there is none `within` the time: [`Error::Unavailable`] if the call is never begun, and
    /// otherwise what `begun` makes of the reason.
    pub(super) async fn wait(mut self, within: Duration, begun: fn(String) -> Error) -> Result<T, Error> {
        let why = match timeout(within, &mut self.from).await {
            Ok(Ok(result)) => return result,
            Ok(Err(_)) => "the store's thread ended".to_owned(),
            Err(_) => format!("no answer within {within:?}"),
        };
        if self.ticket.give_up() { Err(Error::Unavailable(why)) } else { Err(begun(why)) }
    }
}

/// A caller that is gone takes its waiting call with it.
impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.ticket.give_up();
    }
}

impl Call {
    fn bytes(&self) -> usize {
        if let Call::Commit(batch, _) = self { batch.bytes() } else { 0 }
    }

    fn changes(&self) -> usize {
        if let Call::Commit(batch, _) = self { batch.changes.len() } else { 1 }
    }

    /// Answers a call that was not made.
    pub(super) fn refuse(self, error: Error) {
        match self {
            Call::Read(_, reply) => reply.send(Err(error)),
            Call::Scan(_, reply) => reply.send(Err(error)),
            Call::Commit(_, reply) => reply.send(Err(error)),
        }
    }
}

impl Queue {
    /// Lets a call wait; refuses it if the queue is full or closed.
    pub(super) fn push(&self, call: Call) {
        let mut waiting = locked(&self.waiting);
        let refused = match &waiting.closed {
            Some(error) => error.clone(),
            None if waiting.calls.len() >= WAITING_CALLS || waiting.bytes >= WAITING_BYTES => {
                Error::Unavailable(format!("{} calls wait for the store already", waiting.calls.len()))
            }
            None => {
                waiting.bytes += call.bytes();
                waiting.calls.push_back(call);
                drop(waiting);
                return self.news.notify_one();
            }
        };
        drop(waiting);
        call.refuse(refused);
    }

    /// What waits, up to a group; waits itself until there is something, with nothing to show for it after `patience`
    /// (`None`: it is endless). `None`: the queue was closed.
    pub(super) fn take(&self, patience: Option<Duration>) -> Option<Vec<Call>> {
        let waiting = locked(&self.waiting);
        let idle = |waiting: &mut Waiting| waiting.calls.is_empty() && waiting.closed.is_none();
        let mut waiting = match patience {
            None => self.news.wait_while(waiting, idle).unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                self.news.wait_timeout_while(waiting, patience, idle).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        if waiting.closed.is_some() {
            return None;
        }
        let mut group = Vec::new();
        let (mut changes, mut bytes) = (0, 0);
        while changes < GROUP_CHANGES && bytes < GROUP_BYTES {
            let Some(call) = waiting.calls.pop_front() else { break };
            changes += call.changes();
            bytes += call.bytes();
            group.push(call);
        }
        waiting.bytes -= bytes;
        Some(group)
    }

    /// Whether something waits, or the queue was closed.
    pub(super) fn has_calls(&self) -> bool {
        let waiting = locked(&self.waiting);
        !waiting.calls.is_empty() || waiting.closed.is_some()
    }

    /// Takes nothing from now on, and refuses what waits: none of it was begun.
    pub(super) fn close(&self, error: Error) {
        let mut waiting = locked(&self.waiting);
        waiting.closed.get_or_insert_with(|| error.clone());
        waiting.bytes = 0;
        let refused = std::mem::take(&mut waiting.calls);
        drop(waiting);
        self.news.notify_all();
        refused.into_iter().for_each(|call| call.refuse(error.clone()));
    }
}

#[cfg(test)]
mod tests;
