//! The server: accepts, reads a request whole, lets the handler answer, and ends in good order.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
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
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};

use super::body::Answer;
use super::guard::{Answered, Guard, Guarded, Overdue};
use super::refusal::Refusal;
use super::tally::{Reached, Tally};
use super::{Handler, HeaderValue, Method, Request, Response, header};
use crate::net::{Listener, Peer, Stream};
use crate::problem::Problem;
use crate::process::open_files;
use crate::shutdown::Shutdown;
use crate::tls::{self, Unaccepted};

/// Bytes buffered a connection in each direction, where the head limit does not ask for more.
const BUFFER_BYTES: usize = 64 * 1024;
/// How long a peer that was refused in the middle of its sending is listened to and ignored. Closed at once, the kernel
/// would reset the connection, and the refusal might be lost on its way.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes that a peer may send meanwhile: beyond, the connection is reset.
const LINGER_BYTES: u64 = 64 * 1024 * 1024;

/// Of the files this process may have open, the connections of one server take one in so many at most: peers, however
/// many, leave something to the other servers, to the store and the checks, and to the state files. Without that nobody
/// would be told to give way, for no connection could be accepted.
const PARTS: usize = 4;

/// Bytes that the body of a GET or HEAD may have: it means nothing (RFC 9110 §9.3.1), and yet some send one. More is
/// answered with 413, as what is above [`Limits::body_bytes`] is.
const IDLE_BODY_BYTES: usize = 4 * 1024;

/// What one server allows.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once, and answers still being made for those who hung up; fewer where that is more than a quarter
    /// of the files this process may have open. For a further one, that which has carried no request for longest gives
    /// way; where each carries one, it waits until one ends, and others behind it in the kernel's backlog.
    pub connections: usize,
    /// From a connection to the end of its TLS handshake, where the server speaks TLS. Then it is closed.
    pub handshake_within: Duration,
    /// Bytes of a request's line and headers. More is answered with 414 or 431.
    pub head_bytes: usize,
    /// From the first byte of a request to the end of its headers. Then 408.
    pub head_within: Duration,
    /// Bytes of a request's body. More is answered with 413; so is what is more than 4 KiB of a GET or HEAD.
    pub body_bytes: usize,
    /// From the end of the headers to the end of the body. Then 408.
    pub body_within: Duration,
    /// Between two requests of a connection. Then it is closed.
    pub idle: Duration,
    /// How long a reader may take nothing of an answer. Then the connection is closed.
    pub write_stall: Duration,
    /// How long requests under way are waited for at the end. Then their connections are closed, the handlers dropped.
    pub drain: Duration,
    /// Where it is counted how often these were reached.
    pub tally: Arc<Tally>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 1024,
            handshake_within: Duration::from_secs(10),
            head_bytes: 16 * 1024,
            head_within: Duration::from_secs(10),
            body_bytes: 1024 * 1024,
            body_within: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            write_stall: Duration::from_secs(15),
            drain: Duration::from_secs(5),
            tally: Arc::default(),
        }
    }
}

impl Limits {
    /// How many connections are taken at once, on a machine that gives this process so many files.
    pub fn seats(&self) -> usize {
        self.connections.min(open_files() / PARTS).max(1)
    }
}

/// Answers requests on `listener` until `shutdown` begins. Then it accepts nothing more, closes idle connections,
/// ends streams, waits [`Limits::drain`] for what is under way, and returns with nothing left running.
pub async fn serve(listener: Listener, handler: Arc<dyn Handler>, limits: Limits, shutdown: Shutdown) {
    run(listener, None, handler, limits, shutdown).await;
}

/// The same inside TLS. A handshake takes a seat as every connection does, and gives way as one without a request
/// does, so that peers who begin one and leave it there keep nobody out. Who speaks plain HTTP is told so, in plain.
pub async fn serve_tls(
    listener: Listener,
    tls: tls::Server,
    handler: Arc<dyn Handler>,
    limits: Limits,
    shutdown: Shutdown,
) {
    run(listener, Some(tls), handler, limits, shutdown).await;
}

async fn run(
    listener: Listener,
    tls: Option<tls::Server>,
    handler: Arc<dyn Handler>,
    limits: Limits,
    shutdown: Shutdown,
) {
    let room = Arc::new(Semaphore::new(limits.seats()));
    let (alive, mut all_ended) = mpsc::channel(1);
    let (drain, abandon) = (limits.drain, Shutdown::new());
    let crowded = Notify::new();
    let server = Server { tls, handler, limits, shutdown, abandon: abandon.clone(), crowded, _alive: alive };
    let server = Arc::new(server);
    loop {
        let next = async {
            let (stream, peer) = listener.accept().await;
            Some((server.seat(&room).await?, stream, peer))
        };
        let (seat, stream, peer) = tokio::select! {
            biased;
            () = server.shutdown.requested() => break,
            accepted = next => match accepted {
                Some(accepted) => accepted,
                None => break,
            },
        };
        tokio::spawn(Arc::clone(&server).connection(stream, peer, seat));
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
    tls: Option<tls::Server>,
    handler: Arc<dyn Handler>,
    limits: Limits,
    shutdown: Shutdown,
    /// Begins when waiting is over: connections close, handlers are dropped.
    abandon: Shutdown,
    /// A connection waits for a seat: one that carries no request is to give its own.
    crowded: Notify,
    _alive: mpsc::Sender<()>,
}

/// How a connection ended.
enum End {
    /// In good order, or its peer did.
    Done,
    /// hyper gave up.
    Failed(hyper::Error),
    /// It used up one of its times.
    Overdue(Overdue),
    /// Another one needed its seat.
    GaveWay,
    /// The server stopped waiting.
    Abandoned,
}

impl Server {
    /// A seat for one connection more.
    async fn seat(&self, room: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        if let Ok(seat) = Arc::clone(room).try_acquire_owned() {
            return Some(seat);
        }
        self.limits.tally.add(Reached::Connections);
        self.crowded.notify_one();
        Arc::clone(room).acquire_owned().await.ok()
    }

    async fn connection(self: Arc<Self>, stream: Stream, peer: Peer, seat: OwnedSemaphorePermit) {
        let seat = Arc::new(seat);
        let tally = Arc::clone(&self.limits.tally);
        let _counted = tally.connection();
        let guard = Guard::new();
        let Some(stream) = self.secured(stream, peer, &guard).await else { return };
        let service = {
            let (server, guard) = (Arc::clone(&self), guard.clone());
            service_fn(move |request| {
                let (server, guard, answered) = (Arc::clone(&server), guard.clone(), guard.request());
                let seat = Arc::clone(&seat);
                Box::pin(async move {
                    let response = Arc::clone(&server).answer(request, peer, &guard, seat).await;
                    Ok::<_, Infallible>(server.finish(response, answered))
                })
            })
        };
        let io = TokioIo::new(Guarded { stream, guard: guard.clone() });
        let mut connection = http1::Builder::new()
            .max_header_size(self.limits.head_bytes)
            .max_buf_size(self.limits.head_bytes.max(BUFFER_BYTES))
            .header_read_timeout(None)
            .serve_connection(io, service);
        let mut ending = false;
        let end = loop {
            tokio::select! {
                // In this order: what has arrived already is read before anybody asks whether this connection is idle.
                biased;
                ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break ended.map_or_else(End::Failed, |()| End::Done),
                overdue = guard.overdue(&self.limits) => break End::Overdue(overdue),
                () = guard.gives_way(&self.crowded) => break End::GaveWay,
                () = self.abandon.requested() => break End::Abandoned,
                () = self.shutdown.requested(), if !ending => {
                    ending = true;
                    Pin::new(&mut connection).graceful_shutdown();
                }
            }
        };
        let parts = connection.into_parts();
        self.part(parts.io.into_inner(), &parts.read_buf, end, peer).await;
    }

    /// The stream to speak HTTP on, if there is to be one.
    async fn secured(&self, stream: Stream, peer: Peer, guard: &Guard) -> Option<Stream> {
        let (tls, tcp) = match (&self.tls, stream) {
            (Some(tls), Stream::Tcp(tcp)) => (tls, tcp),
            (_, stream) => return Some(stream),
        };
        let tally = &self.limits.tally;
        let accepted = tokio::select! {
            biased;
            accepted = tls.accept(tcp, self.limits.handshake_within) => accepted,
            () = guard.gives_way(&self.crowded) => {
                tally.add(Reached::GaveWay);
                return None;
            }
            () = self.shutdown.requested() => return None,
        };
        match accepted {
            Ok(stream) => return Some(stream),
            Err(Unaccepted::NotTls(tcp)) => {
                let refusal = Refusal::not_tls();
                tally.add(refusal.reached);
                self.last_words(&mut Stream::Tcp(tcp), &refusal.bytes()).await;
            }
            // Who looks whether somebody listens here is not counted.
            Err(Unaccepted::Failed(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => {
                tracing::debug!(%peer, %error, "a connection was not taken");
                tally.add(Reached::Handshake);
            }
        }
        None
    }

    /// Says what there is to say at the end of a connection, and closes it.
    async fn part(&self, io: Guarded, unread: &[u8], end: End, peer: Peer) {
        let tally = &self.limits.tally;
        let refusal = match end {
            End::Done => None,
            End::Failed(error) => {
                tracing::debug!(%peer, %error, "a connection ended early");
                Refusal::of_head(&error, unread, &self.limits)
            }
            End::Overdue(overdue) => {
                tracing::debug!(%peer, ?overdue, "closing a connection");
                match overdue {
                    Overdue::Idle => None,
                    Overdue::Head => Some(Refusal::head_too_slow(self.limits.head_within)),
                    Overdue::Writing => return tally.add(Reached::WriteStall),
                }
            }
            End::GaveWay => return tally.add(Reached::GaveWay),
            End::Abandoned => return,
        };
        let mut stream = io.stream;
        let last_words = match refusal {
            Some(refusal) => {
                tally.add(refusal.reached);
                // In the middle of another answer it would be read as part of that one.
                if !io.guard.is_quiet() {
                    return;
                }
                refusal.bytes()
            }
            None if io.guard.is_unread() => Vec::new(),
            None => return self.close(&mut stream).await,
        };
        self.last_words(&mut stream, &last_words).await;
    }

    /// Ends in good order. Inside TLS the peer is told: without that it could not tell an end from a cut.
    async fn close(&self, stream: &mut Stream) {
        tokio::select! {
            _ = tokio::time::timeout(LINGER, stream.shutdown()) => {}
            () = self.abandon.requested() => {}
        }
    }

    /// Says `words`, and listens a while for whether they were heard.
    async fn last_words(&self, stream: &mut Stream, words: &[u8]) {
        let farewell = async {
            stream.write_all(words).await?;
            stream.shutdown().await?;
            tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
        };
        tokio::select! {
            // That the peer is gone before it is over is its own choice.
            _ = tokio::time::timeout(LINGER, farewell) => {}
            () = self.abandon.requested() => {}
        }
    }

    /// Asks whether the request may go on, reads its body, then answers in a task of its own: a client that hangs up
    /// ends the connection, not the work, which keeps the seat until it is done: who hangs up and comes again, and again,
    /// does not have more done at once than those who wait.
    async fn answer(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        peer: Peer,
        guard: &Guard,
        seat: Arc<OwnedSemaphorePermit>,
    ) -> Response {
        let (head, body) = request.into_parts();
        let has_body = !body.is_end_stream();
        let mut request = Request::of(head, peer);
        let admitted = match request.check_host() {
            Ok(()) => self.handler.admit(&request),
            Err(problem) => Err(problem.into()),
        };
        if let Err(refused) = admitted {
            if !has_body {
                return refused;
            }
            guard.leave_unread();
            return refused.with(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if has_body {
            let idle = matches!(request.method, Method::GET | Method::HEAD);
            let most = if idle { self.limits.body_bytes.min(IDLE_BODY_BYTES) } else { self.limits.body_bytes };
            match self.read(body, most).await {
                Ok(body) => request.body = body,
                Err(refusal) => {
                    self.limits.tally.add(refusal.reached);
                    guard.leave_unread();
                    return refusal.response();
                }
            }
        }
        let place = format!("{} {}", request.method, request.path);
        let server = Arc::clone(&self);
        let work = tokio::spawn(async move {
            let _seat = seat;
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

    async fn read(&self, body: Incoming, body_bytes: usize) -> Result<Bytes, Refusal> {
        let body_within = self.limits.body_within;
        // What announces itself as too large is not waited for.
        if body.size_hint().lower() > body_bytes as u64 {
            return Err(Refusal::body_too_large(body_bytes));
        }
        match tokio::time::timeout(body_within, Limited::new(body, body_bytes).collect()).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::body_too_large(body_bytes)),
            Ok(Err(error)) => Err(Refusal::body_broken(error)),
            Err(_) => Err(Refusal::body_too_slow(body_within)),
        }
    }

    fn finish(&self, response: Response, answered: Answered) -> hyper::Response<Sent> {
        let response = super::with_defaults(response);
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
