//! One client connection from its first byte to its last.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{BUFFER_BYTES, Place, Seat, Tunnel, Verdict, Worker, tunnel};
use crate::headers::Origin;
use crate::request;
use crate::route::ListenerHere;

/// hyper's own bound on fields, for which it has a faster way than for any other.
const HYPERS_HEAD_FIELDS: usize = 100;

/// A client connection, as its requests see it.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) worker: Rc<Worker>,
    pub(crate) listener: Rc<ListenerHere>,
    pub(crate) seat: Rc<Seat>,
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
    let seat = place.seat.clone();
    let origin = RefCell::new(Origin::new(peer.ip().to_canonical(), &worker.shared.trusted_proxies));
    let tunnel = RefCell::default();
    let guest = Rc::new(Guest { worker: worker.clone(), listener, seat: seat.clone(), origin, tunnel });
    let bounds = &worker.shared.bounds;
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
    let io = Io { inner: Some(TokioIo::new(stream)), seat: seat.clone() };
    let mut connection = builder.serve_connection(io, service);
    let mut finishing = false;
    poll_fn(|cx| {
        seat.attend(cx);
        match seat.verdict() {
            Verdict::Close => return Poll::Ready(()),
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
        if ended.is_pending() && seat.verdict() == Verdict::Close { Poll::Ready(()) } else { ended }
    })
    .await;
    let tunnel = guest.tunnel.take();
    if let Some(tunnel) = tunnel.filter(|_| seat.verdict() != Verdict::Close) {
        let mut parts = connection.into_parts();
        if let Some(stream) = parts.io.inner.take() {
            drop(parts.io);
            tunnel::run(&worker, &seat, stream.into_inner(), parts.read_buf, tunnel).await;
        }
    }
}

/// The client's socket; notes in the seat when bytes move.
struct Io {
    /// None when it was taken out.
    inner: Option<TokioIo<TcpStream>>,
    seat: Rc<Seat>,
}

impl Io {
    fn socket(&mut self) -> io::Result<Pin<&mut TokioIo<TcpStream>>> {
        self.inner.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn noted<T>(&self, written: Poll<T>) -> Poll<T> {
        if written.is_ready() {
            self.seat.written();
        }
        written
    }
}

impl Read for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let read = self.socket()?.poll_read(cx, buf);
        if read.is_ready() {
            self.seat.read();
        }
        read
    }
}

impl Write for Io {
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
        if self.seat.must_reset() { Poll::Ready(Ok(())) } else { self.socket()?.poll_shutdown(cx) }
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        if self.seat.must_reset()
            && let Some(stream) = &self.inner
        {
            let _ = stream.inner().set_zero_linger();
        }
    }
}
