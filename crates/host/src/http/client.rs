//! The client: calls with one time-out for the whole, errors sorted by what the caller may conclude, streams by line.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use steadfast_core::{Endpoint, Host, Moment};
use tokio::task::AbortHandle;

use super::lines::{Lines, TooLong};
use super::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use crate::clock;
use crate::net::{self, Address, DialError};
use crate::tls;

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A server on TCP.
    Tcp {
        /// Its host.
        host: Host,
        /// Its port.
        port: u16,
    },
    /// A server on TCP that speaks TLS.
    Tls {
        /// Its host.
        host: Host,
        /// Its port.
        port: u16,
        /// Proves who it is.
        tls: tls::Client,
    },
    /// A server on a Unix socket.
    Unix(PathBuf),
}

impl Target {
    fn address(&self) -> Address {
        match self {
            Target::Tcp { host, port } | Target::Tls { host, port, .. } => {
                Address::Tcp { host: host.clone(), port: *port }
            }
            Target::Unix(path) => Address::Unix(path.clone()),
        }
    }

    fn tls(&self) -> Option<&tls::Client> {
        match self {
            Target::Tls { tls, .. } => Some(tls),
            Target::Tcp { .. } | Target::Unix(_) => None,
        }
    }

    /// What counts the changes of the files by which a connection to it is proven.
    fn generation(&self) -> u64 {
        self.tls().map_or(0, tls::Client::generation)
    }
}

impl From<&Endpoint> for Target {
    fn from(endpoint: &Endpoint) -> Target {
        Target::Tcp { host: endpoint.host().clone(), port: endpoint.port() }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Tcp { host, port } => write!(f, "http://{host}:{port}"),
            Target::Tls { host, port, .. } => write!(f, "https://{host}:{port}"),
            Target::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A request to be sent.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// Path and query, encoded, beginning with `/`.
    pub path: String,
    /// Headers; `Host` (the target's, unless given) and `Content-Length` are added.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Call {
    /// A call without a body.
    pub fn new(method: Method, path: impl Into<String>) -> Call {
        Call { method, path: path.into(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// A GET.
    pub fn get(path: impl Into<String>) -> Call {
        Call::new(Method::GET, path)
    }

    /// A call with a value as JSON. A value that cannot be written as JSON is our bug: it is logged and sent as `null`.
    pub fn json(method: Method, path: impl Into<String>, value: &impl Serialize) -> Call {
        let body = serde_json::to_vec(value).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot write a request as JSON");
            b"null".to_vec()
        });
        let call = Call { body: body.into(), ..Call::new(method, path) };
        call.with(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// The same call with one header more (or another value of it).
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Call {
        self.headers.insert(name, value);
        self
    }
}

/// A whole answer, of whatever status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// What the answer's status and body say went wrong; none below 400.
    pub fn problem(&self) -> Option<crate::problem::Problem> {
        crate::problem::Problem::of(self.status, &self.headers, &self.body)
    }
}

/// Why a call brought no answer, by what the caller may conclude from it.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nothing was sent: whatever was asked did not happen.
    #[error("cannot reach {target}: {source}")]
    NotSent {
        /// Where it was to go.
        target: String,
        /// Why it could not.
        source: io::Error,
    },
    /// It was sent, or may have been, and no whole answer came: it may have happened or may happen still.
    #[error("no answer from {target}: {why}")]
    Unknown {
        /// Where it went.
        target: String,
        /// What ended the wait.
        why: String,
    },
    /// It was sent, and no whole answer came in the time given: it may have happened or may happen still.
    #[error("no whole answer from {target} within {within:?}")]
    TimedOut {
        /// Where it went.
        target: String,
        /// How long it was waited for.
        within: Duration,
    },
    /// An answer came, with a head or body above the client's limit: it was handled.
    #[error("the answer from {target} has more than {limit} bytes")]
    TooLarge {
        /// Where it came from.
        target: String,
        /// The limit, in bytes.
        limit: usize,
    },
    /// What came is no HTTP: it may have happened.
    #[error("the answer from {target} is not HTTP/1.1: {why}")]
    Malformed {
        /// Where it came from.
        target: String,
        /// What is wrong with it.
        why: String,
    },
}

impl CallError {
    /// Whether the request may have been acted upon.
    pub fn may_have_happened(&self) -> bool {
        !matches!(self, CallError::NotSent { .. })
    }

    /// Whether there was nothing but silence: the time went by, for the connection or for the answer. Everything else
    /// is somebody's word.
    pub fn timed_out(&self) -> bool {
        match self {
            CallError::TimedOut { .. } => true,
            CallError::NotSent { source, .. } => source.kind() == io::ErrorKind::TimedOut,
            CallError::Unknown { .. } | CallError::TooLarge { .. } | CallError::Malformed { .. } => false,
        }
    }
}

/// What one client allows.
#[derive(Clone, Debug)]
pub struct ClientLimits {
    /// Idle connections kept for each target. One more is closed.
    pub idle_per_target: usize,
    /// How long one is kept: less than servers keep theirs, so that a request seldom meets a closing connection.
    pub idle: Duration,
    /// Bytes of an answer's head. More is [`CallError::TooLarge`].
    pub head_bytes: usize,
    /// Bytes of an answer's body. More is [`CallError::TooLarge`].
    pub body_bytes: usize,
    /// Bytes of one line of a stream. More is [`StreamError::LineTooLong`].
    pub line_bytes: usize,
}

impl Default for ClientLimits {
    fn default() -> ClientLimits {
        ClientLimits {
            idle_per_target: 8,
            idle: Duration::from_secs(30),
            head_bytes: 16 * 1024,
            body_bytes: 16 * 1024 * 1024,
            line_bytes: 4 * 1024 * 1024,
        }
    }
}

/// Calls servers, keeping connections for the next call. A clone shares them. Its connections belong to the tokio
/// runtime they were made in: use one client a runtime.
#[derive(Clone, Debug, Default)]
pub struct Client(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    limits: ClientLimits,
    idle: Mutex<HashMap<Target, Vec<Idle>>>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Moment,
}

/// A connection and the task that drives it, which ends with it.
#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
    /// Whether it has carried a call before.
    reused: bool,
    /// That of the target when it was made. Under another one it is not used again: what proved it may not count any
    /// more.
    generation: u64,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Client {
    /// A client with these limits.
    pub fn new(limits: ClientLimits) -> Client {
        Client(Arc::new(Shared { limits, idle: Mutex::default() }))
    }

    /// Sends `call` and waits for the whole answer, all of it `within` that time. An answer of any status is `Ok`.
    ///
    /// A GET or HEAD on a kept connection that turns out to be dead is sent once more on a new one; nothing else is
    /// ever sent twice. Dropping the future closes the connection; what was sent may still be acted upon.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn call(&self, target: &Target, call: Call, within: Duration) -> Result<Reply, CallError> {
        let deadline = clock::now() + within;
        let (head, body, connection) = self.head(target, call, deadline, within).await?;
        let limit = self.0.limits.body_bytes;
        let name = || target.to_string();
        let collected = clock::timeout_at(deadline, Limited::new(body, limit).collect())
            .await
            .ok_or_else(|| CallError::TimedOut { target: name(), within })?
            .map_err(|error| {
                if error.is::<LengthLimitError>() {
                    CallError::TooLarge { target: name(), limit }
                } else {
                    CallError::Unknown { target: name(), why: format!("the answer broke off: {error}") }
                }
            })?;
        self.keep(target, connection);
        Ok(Reply { status: head.status, headers: head.headers, body: collected.to_bytes() })
    }

    /// Sends `call`, waits for the answer's head `within` that time, and leaves its body to be read by line, for as
    /// long as it comes.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn stream(&self, target: &Target, call: Call, within: Duration) -> Result<ReplyStream, CallError> {
        let deadline = clock::now() + within;
        let (head, body, connection) = self.head(target, call, deadline, within).await?;
        Ok(ReplyStream {
            status: head.status,
            headers: head.headers,
            body,
            lines: Lines::new(self.0.limits.line_bytes),
            line_bytes: self.0.limits.line_bytes,
            _connection: connection,
        })
    }

    /// Sends a call and reads the head of its answer.
    async fn head(
        &self,
        target: &Target,
        call: Call,
        deadline: Moment,
        within: Duration,
    ) -> Result<(::http::response::Parts, Incoming, Connection), CallError> {
        let again = matches!(call.method, Method::GET | Method::HEAD).then(|| call.clone());
        let mut request = request(target, call)?;
        let mut again = again.map(|call| self::request(target, call)).transpose()?;
        let mut kept = self.take(target, deadline).await;
        loop {
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => self.connect(target, deadline, within).await?,
            };
            let sent = clock::timeout_at(deadline, connection.sender.try_send_request(request)).await;
            match sent {
                Some(Ok(response)) => {
                    let (head, body) = response.into_parts();
                    return Ok((head, body, connection));
                }
                None => return Err(CallError::TimedOut { target: target.to_string(), within }),
                // hyper gives a request back only if it never began to write it. A kept connection may have died
                // before us, and a new one is tried once; after that the answer is what it is.
                Some(Err(mut failed)) => match (failed.take_message(), connection.reused, again.take()) {
                    (Some(unsent), true, _) => request = unsent,
                    (None, true, Some(repeated)) => request = repeated,
                    (Some(_), false, _) => {
                        let source = io::Error::other(failed.into_error());
                        return Err(CallError::NotSent { target: target.to_string(), source });
                    }
                    (None, ..) => return Err(self.failed(target, &failed.into_error())),
                },
            }
        }
    }

    fn failed(&self, target: &Target, error: &hyper::Error) -> CallError {
        let target = target.to_string();
        let socket = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
        match socket {
            // With TLS 1.3 a server may turn us away after we have begun to speak: it has read nothing of it.
            Some(socket) if tls::Refused::is_in(socket) => {
                CallError::NotSent { target, source: io::Error::new(socket.kind(), socket.to_string()) }
            }
            Some(socket) => CallError::Unknown { target, why: socket.to_string() },
            None if error.is_parse_too_large() => CallError::TooLarge { target, limit: self.0.limits.head_bytes },
            None if error.is_parse() => CallError::Malformed { target, why: error.to_string() },
            None if error.is_incomplete_message() => {
                CallError::Unknown { target, why: "the connection was closed before an answer".into() }
            }
            None => CallError::Unknown { target, why: error.to_string() },
        }
    }

    async fn connect(&self, target: &Target, deadline: Moment, within: Duration) -> Result<Connection, CallError> {
        let not_sent = |source| CallError::NotSent { target: target.to_string(), source };
        let late = |what: &str| io::Error::new(io::ErrorKind::TimedOut, format!("{what} within {within:?}"));
        let generation = target.generation();
        let stream = net::dial(&target.address(), target.tls(), deadline).await.map_err(|error| {
            not_sent(match error {
                DialError::Late => late("no connection"),
                DialError::LateHandshake => late("no end of the TLS handshake"),
                other => other.into(),
            })
        })?;
        let limits = &self.0.limits;
        let (sender, driver) = http1::Builder::new()
            .max_header_size(limits.head_bytes)
            .max_buf_size(limits.head_bytes.max(BUFFER_BYTES))
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| not_sent(io::Error::other(error)))?;
        let driver = tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::trace!(%error, "a client connection ended");
            }
        });
        Ok(Connection { sender, driver: driver.abort_handle(), reused: false, generation })
    }

    /// A kept connection that is not known to be dead.
    async fn take(&self, target: &Target, deadline: Moment) -> Option<Connection> {
        while let Some(mut connection) = self.pop(target) {
            // Its driver may not have seen yet that the last answer is over.
            if let Some(Ok(())) = clock::timeout_at(deadline, connection.sender.ready()).await {
                return Some(connection);
            }
        }
        None
    }

    /// The one used last: the likeliest to live.
    fn pop(&self, target: &Target) -> Option<Connection> {
        let generation = target.generation();
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let of_target = idle.get_mut(target)?;
        of_target.retain(|one| one.connection.generation == generation);
        let one = of_target.pop()?;
        (clock::now().since(one.since) < self.0.limits.idle).then_some(one.connection)
    }

    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        let idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.values().flatten().filter(|one| !one.connection.sender.is_closed()).count()
    }

    fn keep(&self, target: &Target, mut connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        connection.reused = true;
        let expired = self.0.limits.idle;
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|_, kept| {
            kept.retain(|one| clock::now().since(one.since) < expired && !one.connection.sender.is_closed());
            !kept.is_empty()
        });
        let kept = idle.entry(target.clone()).or_default();
        if kept.len() < self.0.limits.idle_per_target {
            kept.push(Idle { connection, since: clock::now() });
        }
    }
}

/// Bytes buffered a connection in each direction, where the head limit does not ask for more.
const BUFFER_BYTES: usize = 64 * 1024;

fn request(target: &Target, call: Call) -> Result<::http::Request<Full<Bytes>>, CallError> {
    let host = match target {
        Target::Tcp { host, port: 80 } | Target::Tls { host, port: 443, .. } => host.to_string(),
        Target::Tcp { host, port } | Target::Tls { host, port, .. } => format!("{host}:{port}"),
        Target::Unix(_) => "localhost".to_string(),
    };
    let invalid = |why: String| CallError::NotSent {
        target: target.to_string(),
        source: io::Error::new(io::ErrorKind::InvalidInput, why),
    };
    if !call.path.starts_with('/') {
        return Err(invalid(format!("the path {:?} does not begin with /", call.path)));
    }
    let mut request = ::http::Request::new(Full::new(call.body));
    *request.uri_mut() = call.path.parse().map_err(|error| invalid(format!("the path {:?}: {error}", call.path)))?;
    *request.method_mut() = call.method;
    *request.headers_mut() = call.headers;
    if !request.headers().contains_key(header::HOST) {
        let host = HeaderValue::from_str(&host).map_err(|error| invalid(error.to_string()))?;
        request.headers_mut().insert(header::HOST, host);
    }
    Ok(request)
}

/// An answer whose body is read while it comes. Dropping it closes its connection.
#[derive(Debug)]
pub struct ReplyStream {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Incoming,
    lines: Lines,
    line_bytes: usize,
    _connection: Connection,
}

/// Why a stream gives no more lines.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The connection broke before the body's end.
    #[error("the stream broke off: {0}")]
    Broken(#[source] hyper::Error),
    /// A line is longer than allowed.
    #[error("a line of the stream has more than {limit} bytes")]
    LineTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
}

impl ReplyStream {
    /// The next line without its end (`\n` or `\r\n`), which may be empty; a last line without an end counts. `None`
    /// at the end of the body. Cancel safe: nothing is lost when the future is dropped.
    ///
    /// # Errors
    ///
    /// [`StreamError`]; then the stream is of no more use.
    pub async fn next_line(&mut self) -> Result<Option<Bytes>, StreamError> {
        let limit = self.line_bytes;
        let too_long = |TooLong| StreamError::LineTooLong { limit };
        loop {
            if let Some(line) = self.lines.line().map_err(too_long)? {
                return Ok(Some(line));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.lines.arrived(&data);
                    }
                }
                Some(Err(error)) => return Err(StreamError::Broken(error)),
                None => return self.lines.last().map_err(too_long),
            }
        }
    }

    /// The whole rest of the body, for an answer that turned out to be an error.
    ///
    /// # Errors
    ///
    /// [`StreamError`]; a body of more than a line's limit is [`StreamError::LineTooLong`].
    pub async fn rest(mut self) -> Result<Bytes, StreamError> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(data) = frame.map_err(StreamError::Broken)?.into_data() {
                self.lines.arrived(&data);
            }
            if self.lines.waiting() > self.line_bytes {
                return Err(StreamError::LineTooLong { limit: self.line_bytes });
            }
        }
        Ok(self.lines.rest())
    }
}
