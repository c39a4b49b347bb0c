//! One connection to a server: what it takes to speak over it, and how many callers share one.
//!
//! Calls are *pipelined*: sent as they come, answered in the order they were sent. What was never handed to the kernel
//! is told apart from what was and found no answer. A caller that waited too long leaves its place in the order behind,
//! so that a late answer is nobody else's; whoever owns the connection then gives it no more calls
//! ([`Connection`] is forgotten), and it closes when nobody waits on it.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use steadfast_host::clock::{Moment, timeout_at};
use steadfast_host::net::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::interval;

use super::resp::{Commands, Decoder, Reply};
use crate::ticket::Ticket;

/// Bytes of calls that wait to be sent on one connection, at most. Who comes after them waits for room, within the
/// call's own time.
const WAITING_BYTES: usize = 64 << 20;

/// What a waiting call costs at least, so that there are not too many of them either.
const CALL_BYTES: usize = 4 << 10;

/// Bytes taken from the queue to be written at once. What is taken may have been sent.
const WRITE_BYTES: usize = 256 << 10;

/// Calls whose answers are awaited, at most.
const IN_FLIGHT: usize = 4096;

/// How soon a connection that is given no more calls notices that its last callers have left.
const LEAVING: Duration = Duration::from_millis(50);

/// A stream of commands and replies, for one who uses it alone.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    input: BytesMut,
    decoder: Decoder,
}

/// Why a call brought no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// Nothing of it was sent.
    NotSent(String),
    /// It may have been sent, and no answer came.
    Unanswered(String),
}

/// A connection that many share. Forgetting all clones of it lets it end.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    queue: mpsc::UnboundedSender<Call>,
    room: Arc<Semaphore>,
}

/// What waits to be sent.
struct Call {
    commands: Commands,
    ticket: Ticket,
    to: oneshot::Sender<Result<Vec<Reply>, Missed>>,
    room: OwnedSemaphorePermit,
}

/// Whom the next replies are for.
struct Waiter {
    missing: usize,
    replies: Vec<Reply>,
    to: oneshot::Sender<Result<Vec<Reply>, Missed>>,
}

/// The caller's end. One that is dropped takes its call with it, unless that was begun.
struct Answer {
    ticket: Ticket,
    from: oneshot::Receiver<Result<Vec<Reply>, Missed>>,
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Wire {
        Wire { stream, input: BytesMut::new(), decoder: Decoder::default() }
    }

    /// Sends the commands and returns their replies.
    pub(super) async fn ask(&mut self, commands: &Commands) -> io::Result<Vec<Reply>> {
        self.send(commands).await?;
        let mut replies = Vec::with_capacity(commands.count());
        while replies.len() < commands.count() {
            replies.push(self.receive().await?);
        }
        Ok(replies)
    }

    pub(super) async fn send(&mut self, commands: &Commands) -> io::Result<()> {
        self.stream.write_all(commands.bytes()).await?;
        self.stream.flush().await
    }

    /// The next reply. Cancel-safe.
    pub(super) async fn receive(&mut self) -> io::Result<Reply> {
        loop {
            if let Some(reply) = self.decoder.next(&mut self.input).map_err(malformed)? {
                return Ok(reply);
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(closed());
            }
        }
    }
}

impl Connection {
    /// Lets many share `wire`, until it breaks.
    pub(super) fn over(wire: Wire) -> Connection {
        let (queue, calls) = mpsc::unbounded_channel();
        tokio::spawn(drive(wire, calls));
        Connection { queue, room: Arc::new(Semaphore::new(WAITING_BYTES)) }
    }

    /// Whether nothing can be sent over it any more.
    pub(super) fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Whether both are the same connection.
    pub(super) fn is(&self, other: &Connection) -> bool {
        self.queue.same_channel(&other.queue)
    }

    /// The replies to `commands`.
    pub(super) async fn call(&self, commands: Commands, deadline: Moment) -> Result<Vec<Reply>, Missed> {
        let not_sent = |why: &str| Missed::NotSent(why.to_owned());
        let bytes = commands.bytes().len().clamp(CALL_BYTES, WAITING_BYTES);
        let room = Arc::clone(&self.room).acquire_many_owned(u32::try_from(bytes).unwrap_or(u32::MAX));
        let room = timeout_at(deadline, room).await.ok_or_else(|| not_sent("too many calls wait to be sent"))?;
        let room = room.map_err(|_| not_sent(CLOSED))?;
        let (to, from) = oneshot::channel();
        let ticket = Ticket::default();
        let call = Call { commands, ticket: ticket.clone(), to, room };
        self.queue.send(call).map_err(|_| not_sent(CLOSED))?;
        Answer { ticket, from }.wait(deadline).await
    }
}

const CLOSED: &str = "the connection was closed";

impl Answer {
    async fn wait(mut self, deadline: Moment) -> Result<Vec<Reply>, Missed> {
        let why = match timeout_at(deadline, &mut self.from).await {
            Some(Ok(answer)) => return answer,
            Some(Err(_)) => CLOSED,
            None => "no answer came in time",
        };
        let missed = if self.ticket.give_up() { Missed::NotSent } else { Missed::Unanswered };
        Err(missed(why.to_owned()))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.ticket.give_up();
    }
}

/// Sends what comes and hands out what is answered, until the connection breaks or nobody needs it.
async fn drive(wire: Wire, mut calls: mpsc::UnboundedReceiver<Call>) {
    let (reader, writer) = tokio::io::split(wire.stream);
    let mut traffic = Traffic {
        reader,
        writer,
        out: BytesMut::new(),
        input: wire.input,
        decoder: wire.decoder,
        waiters: VecDeque::new(),
    };
    let why = traffic.run(&mut calls).await.map_or_else(|e| e.to_string(), |()| CLOSED.to_owned());
    calls.close();
    for waiter in traffic.waiters {
        // A caller that left has made up its mind.
        drop(waiter.to.send(Err(Missed::Unanswered(why.clone()))));
    }
    while let Ok(call) = calls.try_recv() {
        drop(call.to.send(Err(Missed::NotSent(why.clone()))));
    }
}

/// What is under way on one connection.
struct Traffic {
    reader: ReadHalf<Stream>,
    writer: WriteHalf<Stream>,
    /// Taken from the queue and not yet written.
    out: BytesMut,
    input: BytesMut,
    decoder: Decoder,
    waiters: VecDeque<Waiter>,
}

impl Traffic {
    /// Returns when no more calls come and nobody waits.
    async fn run(&mut self, calls: &mut mpsc::UnboundedReceiver<Call>) -> io::Result<()> {
        let mut leaving = interval(LEAVING);
        let (mut more, mut unsent) = (true, false);
        loop {
            if !more && self.waiters.iter().all(|waiter| waiter.to.is_closed()) {
                return Ok(());
            }
            let room = self.out.len() < WRITE_BYTES && self.waiters.len() < IN_FLIGHT;
            tokio::select! {
                call = calls.recv(), if more && room => match call {
                    Some(call) => {
                        self.take(call, calls);
                        unsent = true;
                    }
                    None => more = false,
                },
                sent = send(&mut self.writer, &mut self.out), if unsent => unsent = !sent?,
                read = self.reader.read_buf(&mut self.input) => {
                    if read? == 0 {
                        return Err(closed());
                    }
                    self.hand_out()?;
                }
                _ = leaving.tick(), if !more => {}
            }
        }
    }

    /// Takes a call, and those that wait behind it, so that they are written at once.
    fn take(&mut self, first: Call, calls: &mut mpsc::UnboundedReceiver<Call>) {
        let mut next = Some(first);
        while let Some(call) = next.take() {
            if call.ticket.begin() {
                self.out.extend_from_slice(call.commands.bytes());
                self.waiters.push_back(Waiter { missing: call.commands.count(), replies: Vec::new(), to: call.to });
            }
            drop(call.room);
            if self.out.len() < WRITE_BYTES && self.waiters.len() < IN_FLIGHT {
                next = calls.try_recv().ok();
            }
        }
    }

    /// Gives each reply that is there to whom it is for.
    fn hand_out(&mut self) -> io::Result<()> {
        while let Some(reply) = self.decoder.next(&mut self.input).map_err(malformed)? {
            let unasked = || io::Error::new(io::ErrorKind::InvalidData, "the server said what nobody asked for");
            let waiter = self.waiters.front_mut().ok_or_else(unasked)?;
            waiter.replies.push(reply);
            waiter.missing -= 1;
            if waiter.missing == 0
                && let Some(waiter) = self.waiters.pop_front()
            {
                drop(waiter.to.send(Ok(waiter.replies)));
            }
        }
        Ok(())
    }
}

/// Sends some of `out`, and returns whether all of it has left this process. Cancel-safe.
async fn send(writer: &mut WriteHalf<Stream>, out: &mut BytesMut) -> io::Result<bool> {
    if out.is_empty() {
        return writer.flush().await.map(|()| true);
    }
    if writer.write_buf(out).await? == 0 {
        return Err(closed());
    }
    Ok(false)
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")
}

fn malformed(error: super::resp::Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests;
