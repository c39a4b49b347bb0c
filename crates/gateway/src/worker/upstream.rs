//! One connection to an instance, driven by whoever uses it.
//!
//! hyper would have a task of its own for each connection. Here the request's own task drives it instead: two task
//! switches fewer a request, and a connection never outlives the right to use it unnoticed, because dropping the
//! request or its answer closes it.

use std::fmt;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::BUFFER_BYTES;
use super::conn_state::{ConnState, Fault, Verdict};
use super::wire::Wire;
use crate::body::Carried;

/// See the module.
pub(crate) struct Upstream {
    sender: SendRequest<Carried>,
    connection: Connection<TokioIo<Wire>, Carried>,
    /// It has carried a request before: it may have been closed at the other end without our seeing it.
    pub(crate) reused: bool,
}

/// Why a request that was to be sent brought no answer.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Not a byte of it was sent. Here it is again.
    Unsent(Box<Request<Carried>>),
    /// It was sent, at least in part, and the connection ended.
    Sent,
    /// The right to forward ended.
    Lost,
    /// No answer in time.
    Overdue,
    /// The client did not send the body it had announced, or not so that it is taken: its state knows what is wrong with it.
    Body,
    /// What came back is not HTTP, or has too large a head.
    Malformed(String),
}

impl Upstream {
    pub(crate) async fn connect(address: SocketAddr, head_bytes: usize) -> std::io::Result<Upstream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut builder = Builder::new();
        builder.max_header_size(head_bytes).max_buf_size(head_bytes.max(BUFFER_BYTES));
        let handshake = builder.handshake(TokioIo::new(Wire::new(stream)));
        let (sender, connection) = handshake.await.map_err(std::io::Error::other)?;
        Ok(Upstream { sender, connection, reused: false })
    }

    /// Whether it is open and waits for a request.
    pub(crate) fn is_ready(&mut self, cx: &mut Context<'_>) -> bool {
        self.poll_drive(cx).is_pending() && self.sender.is_ready()
    }

    /// Moves bytes. Ready when the connection has ended.
    pub(crate) fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Why it ended reaches those who wait for an answer or a body by themselves.
        Pin::new(&mut self.connection).poll(cx).map(drop)
    }

    /// The connection itself, and what was read of it already: after an answer that ended HTTP on it.
    pub(crate) fn into_stream(self) -> (TcpStream, Bytes) {
        let parts = self.connection.into_parts();
        (parts.io.into_inner().into_stream(), parts.read_buf)
    }

    /// Sends a request and waits for the head of its answer, while the connection of `conn` has the right to.
    pub(crate) async fn send(
        &mut self,
        request: Request<Carried>,
        conn: &ConnState,
    ) -> Result<Response<Incoming>, Broken> {
        if !conn.may_forward() {
            return Err(Broken::Unsent(Box::new(request)));
        }
        let mut begun = false;
        let mut answer = pin!(self.sender.try_send_request(request));
        let connection = &mut self.connection;
        std::future::poll_fn(|cx| {
            if begun && !conn.may_forward() {
                return Poll::Ready(Err(Broken::Lost));
            }
            begun = true;
            if let Some(late) = late(conn) {
                return Poll::Ready(Err(late));
            }
            let ended = Pin::new(&mut *connection).poll(cx).is_ready();
            match answer.as_mut().poll(cx) {
                Poll::Ready(Ok(response)) if conn.may_forward() => Poll::Ready(Ok(response)),
                Poll::Ready(Ok(_)) => Poll::Ready(Err(Broken::Lost)),
                Poll::Ready(Err(mut failed)) => Poll::Ready(Err(match failed.take_message() {
                    Some(unsent) => Broken::Unsent(Box::new(unsent)),
                    None => sort(failed.error(), conn),
                })),
                Poll::Pending if ended => Poll::Ready(Err(Broken::Sent)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

/// Whether the watchdog has given up on what the instance, or the client, is to send.
pub(super) fn late(conn: &ConnState) -> Option<Broken> {
    if conn.verdict() == Verdict::Overdue {
        return Some(Broken::Overdue);
    }
    (conn.body_fault() == Some(Fault::TooSlow)).then_some(Broken::Body)
}

fn sort(error: &hyper::Error, conn: &ConnState) -> Broken {
    if !conn.may_forward() {
        // The request's own body refused to go on.
        Broken::Lost
    } else if error.is_user() {
        Broken::Body
    } else if error.is_parse() {
        Broken::Malformed(error.to_string())
    } else {
        Broken::Sent
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("reused", &self.reused).finish_non_exhaustive()
    }
}
