//! gRPC over one HTTP/2 connection: frames, statuses, and what is known of a call that brought no answer.
//!
//! No general client is used, for one promise none of them makes: what was *not sent* is told apart from what was sent
//! and not answered. Nothing is sent twice here, and each call has one deadline for all of it.
//!
//! Protocol: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>, and RFC 9113.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use prost::Message;
use steadfast_host::clock::{self, Moment};
use steadfast_host::http::percent_decode;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Bytes of a message that is received. More breaks the call off. So much is what a refused batch of 128 names shows if
/// each of the records there is as large as one can be.
pub(super) const MESSAGE_BYTES: usize = 136 << 20;

/// Bytes of one stream that the server may send before we have read them.
const STREAM_WINDOW: u32 = 4 << 20;

/// Bytes of all streams that the server may send before we have read them.
const CONNECTION_WINDOW: u32 = 16 << 20;

/// Bytes of the headers of an answer. A longer block resets the stream.
const HEADER_BYTES: u32 = 16 << 10;

/// How long a connection that seems to break may take to say why.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Characters of a server's message that are shown.
const SHOWN_CHARACTERS: usize = 512;

/// The status of a call that took longer than the server was told it may.
const DEADLINE_EXCEEDED: u32 = 4;

/// A message's head: whether it is compressed, and its length.
const HEAD_BYTES: usize = 5;

/// Why a call brought no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// Nothing of it was acted upon, and nothing will be.
    NotSent(String),
    /// It was sent, and no whole answer came: it may have been acted upon, or may be yet.
    Unanswered(String),
    /// The server's answer is that it failed.
    Refused(Status),
    /// What came back is none of gRPC's, or not one message: whoever sent it may all the same have acted upon the call.
    Stranger(String),
}

/// What a call ended with that is not OK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    /// <https://grpc.io/docs/guides/status-codes/>
    pub(super) code: u32,
    /// The server's words, printable and not long.
    pub(super) message: String,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (gRPC status {})", self.message, self.code)
    }
}

/// A connection to a server. It ends when the last who holds it lets go of it.
#[derive(Debug)]
pub(super) struct Connection {
    requests: SendRequest<Bytes>,
    /// `http://host:port`, before each path.
    origin: String,
    driver: AbortHandle,
    /// Counts what came in, of whatever call.
    heard: Arc<AtomicU64>,
    /// Whether no new call belongs on it: it broke, or is given up.
    closed: watch::Sender<bool>,
    /// Why it broke.
    broke: Arc<OnceLock<String>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Speaks HTTP/2 over `io`. `origin` is `http://host:port` or `https://host:port`. Nothing is waited for: whether
    /// anybody is there is told by the first call.
    pub(super) async fn open<T>(io: T, origin: String) -> Result<Connection, Missed>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEADER_BYTES)
            .enable_push(false);
        let (requests, connection) =
            builder.handshake(io).await.map_err(|e| Missed::NotSent(format!("begin HTTP/2: {e}")))?;
        let closed = watch::Sender::new(false);
        let broke = Arc::<OnceLock<String>>::default();
        let (ended, why) = (closed.clone(), Arc::clone(&broke));
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to etcd ended");
                // Set once, here.
                let _ = why.set(error.to_string());
            }
            ended.send_replace(true);
        });
        let heard = Arc::default();
        Ok(Connection { requests, origin, driver: driver.abort_handle(), heard, closed, broke })
    }

    /// One message there, one back.
    pub(super) async fn call<A: Message + Default>(
        &self,
        path: &'static str,
        request: &impl Message,
        token: Option<&HeaderValue>,
        deadline: Moment,
    ) -> Result<A, Missed> {
        let heard = self.heard.load(Ordering::Relaxed);
        let mut answer = self.send(path, request, token, deadline, End::Here).await?;
        let whole = async {
            let Some(message) = answer.next().await? else {
                return Err(Missed::Stranger("an answer without a message".to_owned()));
            };
            match answer.next().await? {
                None => decode(message),
                Some(_) => Err(Missed::Stranger("an answer of two messages".to_owned())),
            }
        };
        let answer = clock::timeout_at(deadline, whole).await;
        let answer = answer.unwrap_or_else(|| Err(Missed::Unanswered("no answer in the time given".to_owned())));
        // The server, which was told how long we wait, may be the first to say that it took too long.
        let said_late = matches!(&answer, Err(Missed::Refused(status)) if status.code == DEADLINE_EXCEEDED);
        let by_others = self.heard.load(Ordering::Relaxed).saturating_sub(heard + u64::from(said_late));
        // While others are answered, it is the call that takes long. Where nobody is, a member may have lost the rest,
        // and whoever asks next is better off with another connection.
        if by_others == 0 && (said_late || clock::now() >= deadline) {
            self.close();
        }
        answer
    }

    /// One message there, and any number back, until the stream is dropped.
    pub(super) async fn stream(
        &self,
        path: &'static str,
        request: &impl Message,
        token: Option<&HeaderValue>,
        deadline: Moment,
    ) -> Result<Answer, Missed> {
        self.send(path, request, token, deadline, End::Open).await
    }

    /// Why a call was not answered over a connection that may just have broken, which says more than that call does.
    pub(super) async fn last_words(&self, missed: Missed) -> Missed {
        let Missed::Unanswered(why) = &missed else { return missed };
        clock::timeout_at(clock::now() + LAST_WORDS, self.closed()).await;
        match self.broke.get() {
            Some(broke) if broke != why => Missed::Unanswered(format!("{why}: {broke}")),
            _ => missed,
        }
    }

    /// No new call belongs here any more. Those that wait may still be answered.
    pub(super) fn close(&self) {
        self.closed.send_replace(true);
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Returns when the connection is closed.
    pub(super) async fn closed(&self) {
        // It cannot fail while `self` is there.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Hands a message over to be sent.
    async fn send(
        &self,
        path: &'static str,
        message: &impl Message,
        token: Option<&HeaderValue>,
        deadline: Moment,
        end: End,
    ) -> Result<Answer, Missed> {
        let not_sent = |why: String| {
            self.close();
            Missed::NotSent(why)
        };
        let ready = clock::timeout_at(deadline, self.requests.clone().ready()).await;
        let mut requests = ready
            .ok_or_else(|| not_sent("the connection takes no more calls".to_owned()))?
            .map_err(|e| not_sent(e.to_string()))?;
        let head = self.head(path, token, deadline, end)?;
        let (response, mut body) = requests.send_request(head, false).map_err(|e| not_sent(e.to_string()))?;
        // Without its message the server makes nothing of a call.
        body.send_data(framed(message), end == End::Here).map_err(|e| not_sent(e.to_string()))?;
        Ok(Answer {
            response: Some(response),
            body: None,
            frames: Frames::default(),
            heard: Arc::clone(&self.heard),
            _request: body,
        })
    }

    fn head(&self, path: &str, token: Option<&HeaderValue>, deadline: Moment, end: End) -> Result<Request<()>, Missed> {
        let mut head = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.origin))
            .header(header::TE, "trailers")
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::USER_AGENT, concat!("steadfast/", env!("CARGO_PKG_VERSION")));
        if end == End::Here {
            // A server that is told gives up, too. The form has eight digits at most.
            let left = deadline.since(clock::now()).as_millis().clamp(1, 99_999_999);
            head = head.header("grpc-timeout", format!("{left}m"));
        }
        if let Some(token) = token {
            head = head.header("token", token);
        }
        head.body(()).map_err(|e| Missed::NotSent(format!("the address {}: {e}", self.origin)))
    }
}

/// Whether a call's one message is all that is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It is.
    Here,
    /// The stream is held open, since its end would end the answers.
    Open,
}

/// The messages that come back.
#[derive(Debug)]
pub(super) struct Answer {
    response: Option<ResponseFuture>,
    body: Option<RecvStream>,
    frames: Frames,
    heard: Arc<AtomicU64>,
    /// Held, since dropping it would reset the stream.
    _request: SendStream<Bytes>,
}

impl Answer {
    /// The next message; `None` after the last, where the call ended well. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Missed> {
        self.begin().await?;
        let Some(body) = &mut self.body else { return Ok(None) };
        loop {
            if let Some(message) = self.frames.next()? {
                return Ok(Some(message));
            }
            let Some(data) = body.data().await else { break };
            let data = data.map_err(missed)?;
            self.heard.fetch_add(1, Ordering::Relaxed);
            // Fails only where the stream is gone, which the next read tells.
            let _ = body.flow_control().release_capacity(data.len());
            self.frames.add(&data);
        }
        let trailers = body.trailers().await.map_err(missed)?.unwrap_or_default();
        match status(&trailers) {
            _ if !self.frames.is_empty() => Err(Missed::Unanswered("the answer ends within a message".to_owned())),
            Some(Status { code: 0, .. }) => Ok(None),
            Some(status) => Err(Missed::Refused(status)),
            None => Err(Missed::Unanswered("the answer ends without a status".to_owned())),
        }
    }

    /// Reads the head of the answer, if that was not done.
    async fn begin(&mut self) -> Result<(), Missed> {
        let Some(response) = &mut self.response else { return Ok(()) };
        let response = response.await.map_err(missed)?;
        self.response = None;
        self.heard.fetch_add(1, Ordering::Relaxed);
        let (head, body) = response.into_parts();
        // What a proxy says before a server that is away or has too much to do.
        if head.status.is_server_error() || head.status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Missed::Unanswered(format!("HTTP status {}", head.status)));
        }
        let media = head.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        if head.status != StatusCode::OK || !media.starts_with(b"application/grpc") {
            return Err(Missed::Stranger(format!("HTTP status {} and no gRPC", head.status)));
        }
        match status(&head.headers) {
            Some(Status { code: 0, .. }) | None => self.body = Some(body),
            Some(status) => return Err(Missed::Refused(status)),
        }
        Ok(())
    }
}

/// What an error of the stream or connection says of a call whose message was handed over.
fn missed(error: h2::Error) -> Missed {
    // RFC 9113 §8.7: the server did nothing with a refused stream, nor with one beyond the last that a GOAWAY names,
    // and only such are given the error of a GOAWAY that came in. The others are told that the connection broke.
    let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    if error.is_remote() && (refused || error.is_go_away()) {
        return Missed::NotSent(format!("the server takes no calls: {error}"));
    }
    if error.is_go_away() && error.is_library() {
        return Missed::Stranger(format!("what it sends is no HTTP/2: {error}"));
    }
    Missed::Unanswered(error.to_string())
}

/// The status in an answer's head or trailers, if there is one.
fn status(headers: &HeaderMap) -> Option<Status> {
    const UNKNOWN: u32 = 2;
    let code = headers.get("grpc-status")?.to_str().ok().and_then(|code| code.parse().ok()).unwrap_or(UNKNOWN);
    let message = headers.get("grpc-message").map_or(&b""[..], HeaderValue::as_bytes);
    let message = String::from_utf8_lossy(message);
    let message = percent_decode(&message).map_or_else(|| message.to_string(), |m| String::from_utf8_lossy(&m).into());
    let shown = message.chars().filter(|c| !c.is_control()).take(SHOWN_CHARACTERS);
    Some(Status { code, message: shown.collect() })
}

/// A message as it is sent.
fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(HEAD_BYTES + length);
    frame.put_u8(0);
    // Batches have a bound far below 4 GiB.
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    message.encode_raw(&mut frame);
    frame.freeze()
}

/// A message's content.
pub(super) fn decode<A: Message + Default>(message: Bytes) -> Result<A, Missed> {
    A::decode(message).map_err(|e| Missed::Stranger(format!("a message that cannot be read: {e}")))
}

/// Messages out of a stream that comes in any pieces.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: BytesMut,
}

impl Frames {
    /// What came.
    pub(super) fn add(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
    }

    /// The next message, if it is whole. An error says what is wrong with the stream.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Missed> {
        let mut head = &self.bytes[..];
        if head.len() < HEAD_BYTES {
            return Ok(None);
        }
        let (compressed, length) = (head.get_u8(), head.get_u32() as usize);
        if compressed != 0 {
            return Err(Missed::Stranger("a compressed message, which was not asked for".to_owned()));
        }
        if length > MESSAGE_BYTES {
            return Err(Missed::Unanswered(format!("a message of {length} bytes, where {MESSAGE_BYTES} are the most")));
        }
        if head.len() < length {
            // Room for all of it at once, but never more than the windows let in before it is checked again.
            let missing = length - head.len();
            self.bytes.reserve(missing.min(STREAM_WINDOW as usize));
            return Ok(None);
        }
        self.bytes.advance(HEAD_BYTES);
        Ok(Some(self.bytes.split_to(length).freeze()))
    }

    /// Whether nothing is left of a message.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests;
