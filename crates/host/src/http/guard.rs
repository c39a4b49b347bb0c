//! Watches one server connection: what it is doing, and until when it may.
//!
//! hyper's own header time-out also covers the wait between two requests, and it has none for a reader that stalls;
//! so the socket is wrapped, and the wrapper and the service tell one shared state what happens. The same state knows
//! when hyper answers by itself, with a bare status: that is swallowed, and the server says more in its place.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use steadfast_core::Moment;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::Limits;
use crate::clock;
use crate::net::Stream;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing of a further request has arrived.
    Idle,
    /// A request's head is arriving.
    Head,
    /// A request is being read, handled or answered; the service bounds what needs it.
    Busy,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    since: Moment,
    /// Since when the peer has taken nothing that we want to write.
    stalled_since: Option<Moment>,
    /// hyper may still hold bytes of an answer that the service gave.
    unwritten: bool,
    /// Part of what the peer sent is left unread on purpose.
    unread: bool,
}

/// The shared state of one connection.
#[derive(Clone, Debug)]
pub(super) struct Guard(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// The next deadline may be another one.
    changed: Notify,
    /// A request came, or the last one was answered.
    turned: Notify,
}

/// Why a connection is ended from our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    Idle,
    Head,
    Writing,
}

impl Guard {
    pub(super) fn new() -> Guard {
        let state =
            State { phase: Phase::Idle, since: clock::now(), stalled_since: None, unwritten: false, unread: false };
        Guard(Arc::new(Shared { state: Mutex::new(state), changed: Notify::new(), turned: Notify::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.state();
        if state.phase != phase {
            let turned = (state.phase == Phase::Busy) != (phase == Phase::Busy);
            state.phase = phase;
            state.since = clock::now();
            self.0.changed.notify_one();
            if turned {
                self.0.turned.notify_waiters();
            }
        }
    }

    /// A request's head is complete. The returned value ends the request when its answer's body is dropped.
    pub(super) fn request(&self) -> Answered {
        self.enter(Phase::Busy);
        self.state().unwritten = true;
        Answered(self.clone())
    }

    /// The rest of what the peer sends is left unread, and the connection ends with the answer.
    pub(super) fn leave_unread(&self) {
        self.state().unread = true;
    }

    /// Whether the peer may still be sending what nobody reads.
    pub(super) fn is_unread(&self) -> bool {
        self.state().unread
    }

    /// Whether nothing of an answer is on its way: what would be written now is not the service's.
    pub(super) fn is_quiet(&self) -> bool {
        let state = self.state();
        state.phase != Phase::Busy && !state.unwritten
    }

    /// hyper has nothing left to write. That it has all of an answer is certain once the answer's body was dropped.
    fn flushed(&self) {
        let mut state = self.state();
        if state.phase != Phase::Busy {
            state.unwritten = false;
        }
    }

    /// Returns when `crowded` says so while this connection carries no request. Of several that wait, the one that
    /// has carried none for longest returns.
    pub(super) async fn gives_way(&self, crowded: &Notify) {
        loop {
            let mut turned = std::pin::pin!(self.0.turned.notified());
            turned.as_mut().enable();
            if self.state().phase == Phase::Busy {
                turned.await;
                continue;
            }
            tokio::select! {
                biased;
                () = turned => {}
                () = crowded.notified() => return,
            }
        }
    }

    fn bytes_arrived(&self) {
        if self.state().phase == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    fn wrote(&self, progress: bool) {
        let mut state = self.state();
        match (progress, state.stalled_since) {
            (true, Some(_)) => state.stalled_since = None,
            (false, None) => {
                state.stalled_since = Some(clock::now());
                self.0.changed.notify_one();
            }
            _ => {}
        }
    }

    fn next_deadline(&self, limits: &Limits) -> Option<(Moment, Overdue)> {
        let state = self.state();
        let phase = match state.phase {
            Phase::Idle => Some((state.since + limits.idle, Overdue::Idle)),
            Phase::Head => Some((state.since + limits.head_within, Overdue::Head)),
            Phase::Busy => None,
        };
        let writing = state.stalled_since.map(|since| (since + limits.write_stall, Overdue::Writing));
        phase.into_iter().chain(writing).min_by_key(|(at, _)| *at)
    }

    /// Returns when the connection has used up one of its times.
    pub(super) async fn overdue(&self, limits: &Limits) -> Overdue {
        loop {
            let changed = self.0.changed.notified();
            match self.next_deadline(limits) {
                None => changed.await,
                Some((at, why)) => {
                    let _ = clock::timeout_at(at, changed).await;
                    if self.next_deadline(limits) == Some((at, why)) && clock::now() >= at {
                        return why;
                    }
                }
            }
        }
    }
}

/// Held by the body of an answer; its end is the end of the request.
#[derive(Debug)]
pub(super) struct Answered(Guard);

impl Drop for Answered {
    fn drop(&mut self) {
        self.0.enter(Phase::Idle);
    }
}

/// A socket that tells a [`Guard`] what passes through it, and swallows what hyper says by itself.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) stream: Stream,
    pub(super) guard: Guard,
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.guard.bytes_arrived();
        }
        read
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.guard.is_quiet() {
            return Poll::Ready(Ok(buf.len()));
        }
        let wrote = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.guard.wrote(wrote.is_ready());
        wrote
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.guard.is_quiet() {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.guard.wrote(wrote.is_ready());
        wrote
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper asks for this once its own buffer is empty.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.guard.flushed();
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        // TLS takes what it cannot pass on yet: a reader that stalls shows here.
        self.guard.wrote(flushed.is_ready());
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
