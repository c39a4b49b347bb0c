//! The server: accepts, reads a request whole, lets the handler answer, and ends in good order.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::body::Answer;
use super::guard::{Answered, Guard, Guarded};
use super::{Handler, Request, Response, StatusCode};
use crate::net::{Listener, Peer, Stream};
use crate::problem::Problem;
use crate::shutdown::Shutdown;

/// Bytes buffered a connection in each direction, where the head limit does not ask for more.
const BUFFER_BYTES: usize = 64 * 1024;

/// What one server allows.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once. Further ones wait in the kernel's backlog until one ends.
    pub connections: usize,
    /// Bytes of a request's line and headers. More is answered with 431.
    pub head_bytes: usize,
    /// From the first byte of a request to the end of its headers. Then the connection is closed.
    pub head_within: Duration,
    /// Bytes of a request's body. More is answered with 413.
    pub body_bytes: usize,
    /// From the end of the headers to the end of the body. Then 408.
    pub body_within: Duration,
    /// Between two requests of a connection. Then it is closed.
    pub idle: Duration,
    /// How long a reader may take nothing of an answer. Then the connection is closed.
    pub write_stall: Duration,
    /// How long requests under way are waited for at the end. Then their connections are closed, the handlers dropped.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 1024,
            head_bytes: 16 * 1024,
            head_within: Duration::from_secs(10),
            body_bytes: 1024 * 1024,
            body_within: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            write_stall: Duration::from_secs(15),
            drain: Duration::from_secs(5),
        }
    }
}

/// Answers requests on `listener` until `shutdown` begins. Then it accepts nothing more, closes idle connections,
/// ends streams, waits [`Limits::drain`] for what is under way, and returns with nothing left running.
pub async fn serve(listener: Listener, handler: Arc<dyn Handler>, limits: Limits, shutdown: Shutdown) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let (alive, mut all_ended) = mpsc::channel(1);
    let (drain, abandon) = (limits.drain, Shutdown::new());
    let server = Arc::new(Server { handler, limits, shutdown, abandon: abandon.clone(), _alive: alive });
    loop {
        let next = async {
            let permit = Arc::clone(&room).acquire_owned().await.ok()?;
            Some((permit, listener.accept().await))
        };
        let (permit, (stream, peer)) = tokio::select! {
            biased;
            () = server.shutdown.requested() => break,
            accepted = next => match accepted {
                Some(accepted) => accepted,
                None => break,
            },
        };
        tokio::spawn(Arc::clone(&server).connection(stream, peer, permit));
    }
    drop(listener);
    drop(server);
    if tokio::time::timeout(drain, all_ended.recv()).await.is_err() {
        tracing::warn!("closing connections whose requests did not end within {drain:?}");
        abandon.begin();
        all_ended.recv().await;
    }
}

/// What every task of one server shares. The last one to end drops it, which ends the wait in [`serve`].
struct Server {
    handler: Arc<dyn Handler>,
    limits: Limits,
    shutdown: Shutdown,
    /// Begins when waiting is over: connections close, handlers are dropped.
    abandon: Shutdown,
    _alive: mpsc::Sender<()>,
}

impl Server {
    async fn connection(self: Arc<Self>, stream: Stream, peer: Peer, _room: OwnedSemaphorePermit) {
        let guard = Guard::new();
        let service = service_fn(|request| {
            let (server, answered) = (Arc::clone(&self), guard.request());
            async move {
                let response = Arc::clone(&server).answer(request, peer).await;
                Ok::<_, Infallible>(server.finish(response, answered))
            }
        });
        let io = TokioIo::new(Guarded { stream, guard: guard.clone() });
        let mut connection = std::pin::pin!(
            http1::Builder::new()
                .max_header_size(self.limits.head_bytes)
                .max_buf_size(self.limits.head_bytes.max(BUFFER_BYTES))
                .header_read_timeout(None)
                .serve_connection(io, service)
        );
        let mut ending = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%peer, %error, "a connection ended early");
                    }
                    return;
                }
                overdue = guard.overdue(&self.limits) => {
                    tracing::debug!(%peer, ?overdue, "closing a connection");
                    return;
                }
                () = self.abandon.requested() => return,
                () = self.shutdown.requested(), if !ending => {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    /// Reads the body, then answers in a task of its own: a client that hangs up ends the connection, not the work.
    async fn answer(self: Arc<Self>, request: hyper::Request<Incoming>, peer: Peer) -> Response {
        let (head, body) = request.into_parts();
        let body = match self.read(body).await {
            Ok(body) => body,
            Err(problem) => return problem.into(),
        };
        let request = Request {
            method: head.method,
            // CONNECT names an authority and no path.
            path: if head.uri.path().is_empty() { "/".into() } else { head.uri.path().to_string() },
            query: head.uri.query().map(str::to_string),
            headers: head.headers,
            body,
            peer,
        };
        let place = format!("{} {}", request.method, request.path);
        let server = Arc::clone(&self);
        let work = tokio::spawn(async move {
            tokio::select! {
                biased;
                answer = Arc::clone(&server.handler).answer(request) => answer,
                () = server.abandon.requested() => Problem::stopping().into(),
            }
        });
        work.await.unwrap_or_else(|error| {
            tracing::error!(%peer, %place, %error, "a handler panicked: this is a bug in Steadfast");
            Problem::internal().into()
        })
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, Problem> {
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let Limits { body_bytes, body_within, .. } = self.limits;
        match tokio::time::timeout(body_within, Limited::new(body, body_bytes).collect()).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                format!("the body may have at most {body_bytes} bytes"),
            )),
            Ok(Err(error)) => {
                Err(Problem::new(StatusCode::BAD_REQUEST, "body-broken", format!("the body ended early: {error}")))
            }
            Err(_) => Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "body-too-slow",
                format!("the body did not arrive within {body_within:?}"),
            )),
        }
    }

    fn finish(&self, response: Response, answered: Answered) -> hyper::Response<Sent> {
        let body = Sent { body: response.body.ending_with(&self.shutdown), _answered: answered };
        let mut sent = hyper::Response::new(body);
        *sent.status_mut() = response.status;
        *sent.headers_mut() = response.headers;
        sent
    }
}

/// A body being sent: the request ends with it.
struct Sent {
    body: Answer,
    _answered: Answered,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
