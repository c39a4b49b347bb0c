//! One client connection from its first byte to its last.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::StatusCode;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use super::intake::{Intake, Next};
use super::{BUFFER_BYTES, ConnState, Place, Tunnel, Verdict, Worker, tunnel};
use crate::framing::{Limits, Refused};
use crate::headers::Origin;
use crate::limit::Limit;
use crate::request;
use crate::route::ListenerHere;

/// hyper's own bound on fields, for which it has a faster way than for any other.
const HYPERS_HEAD_FIELDS: usize = 100;
const HEAD_TOO_SLOW: Refused = Refused {
    status: StatusCode::REQUEST_TIMEOUT,
    reason: "head-too-slow",
    detail: "the head of the request took longer than this gateway waits for one",
    limit: Some(Limit::HeadWithin),
};
/// How long what is still coming is read and forgotten, so that the answer before it arrives …
const LINGER_FOR: Duration = Duration::from_secs(30);
/// … how long nothing of it may come …
const LINGER_SILENT_FOR: Duration = Duration::from_secs(5);
/// … and how much of it is read. Beyond any of these: the connection is closed as it is, and perhaps reset.
const LINGER_BYTES: usize = 64 << 20;
/// How much of that is read at a time.
const LINGER_BUFFER_BYTES: usize = 16 << 10;

/// A client connection, as its requests see it.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) worker: Rc<Worker>,
    pub(crate) listener: Rc<ListenerHere>,
    pub(crate) conn: Rc<ConnState>,
    pub(crate) intake: Rc<RefCell<Intake>>,
    /// What this connection's requests say of where they come from.
    pub(crate) origin: RefCell<Origin>,
    /// What this connection turns into when the answer under way has been written.
    pub(crate) tunnel: RefCell<Option<Tunnel>>,
}

/// Serves a connection until it ends.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    listener: Rc<ListenerHere>,
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
) {
    worker.counters().connections.add_one();
    let conn = place.conn.clone();
    let origin = RefCell::new(Origin::new(peer.ip().to_canonical(), &worker.shared.trusted_proxies));
    let tunnel = RefCell::default();
    let bounds = &worker.shared.bounds;
    let limits = Limits { line: bounds.request_line_bytes, head: bounds.head_bytes, fields: bounds.head_fields };
    let intake = Rc::new(RefCell::new(Intake::new(limits)));
    let guest =
        Rc::new(Guest { worker: worker.clone(), listener, conn: conn.clone(), intake: intake.clone(), origin, tunnel });
    let service = service_fn(|request| {
        let guest = guest.clone();
        async move { Ok::<_, Infallible>(request::handle(guest, request).await) }
    });
    let mut builder = Builder::new();
    if bounds.head_fields != HYPERS_HEAD_FIELDS {
        builder.max_headers(bounds.head_fields);
    }
    builder
        .max_header_size(bounds.head_bytes)
        .max_buf_size(bounds.head_bytes.max(BUFFER_BYTES))
        .header_read_timeout(None);
    let io = Io { inner: Some(stream), intake: intake.clone(), conn: conn.clone() };
    let mut connection = builder.serve_connection(TokioIo::new(io), service);
    let mut finishing = false;
    poll_fn(|cx| {
        conn.attend(cx);
        match conn.verdict() {
            Verdict::Close => return Poll::Ready(()),
            Verdict::Late => intake.borrow_mut().refuse(HEAD_TOO_SLOW),
            Verdict::Finish if !finishing => {
                finishing = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
            _ => {}
        }
        let ended = Pin::new(&mut connection).poll(cx).map(|end| {
            if let Err(error) = end {
                tracing::trace!(%peer, %error, "a client connection ended with an error");
            }
        });
        if ended.is_pending() && conn.verdict() == Verdict::Close { Poll::Ready(()) } else { ended }
    })
    .await;
    let tunnel = guest.tunnel.take();
    if conn.verdict() == Verdict::Close {
        return;
    }
    let parts = connection.into_parts();
    let Some(stream) = parts.io.into_inner().inner.take() else { return };
    match tunnel {
        Some(tunnel) => {
            let early = [parts.read_buf, intake.borrow_mut().take_held().into()].concat();
            tunnel::run(&worker, &conn, stream, early.into(), tunnel).await;
        }
        None if intake.borrow().is_left_over() => linger(stream, LINGER_SILENT_FOR).await,
        None => {}
    }
}

/// Closes a connection whose client may still be sending: with bytes unread, the kernel would reset it, and take the
/// answer from a client that has not read it yet. Ends when nothing came for a while.
pub(super) async fn linger(mut stream: TcpStream, silent_for: Duration) {
    // It may have been done already; a client that is gone does not mind.
    let _ = stream.shutdown().await;
    let swallow = async {
        let mut left = LINGER_BYTES;
        // On the heap: every connection's task would be larger by it.
        let mut bytes = vec![0; LINGER_BUFFER_BYTES];
        while let Ok(Ok(())) = tokio::time::timeout(silent_for, stream.readable()).await {
            match stream.try_read(&mut bytes) {
                Ok(1..) if left == 0 => return,
                Ok(count @ 1..) => left = left.saturating_sub(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return,
            }
        }
    };
    let _ = tokio::time::timeout(LINGER_FOR, swallow).await;
}

/// The client's socket, read through the intake; notes in its state when bytes move.
struct Io {
    /// None when it was taken out.
    inner: Option<TcpStream>,
    intake: Rc<RefCell<Intake>>,
    conn: Rc<ConnState>,
}

impl Io {
    fn socket(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.inner.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn noted<T>(&self, written: Poll<T>) -> Poll<T> {
        match written.is_ready() {
            true => self.conn.written(),
            false => self.conn.held_up(),
        }
        written
    }
}

impl AsyncRead for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            match self.intake.borrow_mut().hand_on(buf)? {
                Next::Taken => return Poll::Ready(Ok(())),
                // The end of the turn wakes whoever reads.
                Next::Wait => return Poll::Pending,
                Next::Read => {}
            }
            let before = buf.filled().len();
            ready!(self.socket()?.poll_read(cx, buf))?;
            self.conn.read();
            let ended = buf.filled().len() == before;
            if ended || self.intake.borrow_mut().take_in(buf, before) {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.socket()?.poll_write(cx, bytes);
        self.noted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.socket()?.poll_write_vectored(cx, slices);
        self.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A clean end would pass for the end of an answer that has no other.
        if self.conn.must_reset() { Poll::Ready(Ok(())) } else { self.socket()?.poll_shutdown(cx) }
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        if self.conn.must_reset()
            && let Some(stream) = &self.inner
        {
            let _ = stream.set_zero_linger();
        }
    }
}
