//! Small HTTP/1.1 for the control plane: administration, stores, probes, checks, the local API.
//!
//! [`serve`] answers on a listener until told to stop, [`serve_tls`] does so inside TLS; [`Client`] calls. All work over
//! TCP, and over Unix sockets, bound every size and every wait by a named limit, and tell apart what their callers must
//! treat differently. What they refuse to know: routes, tokens, records. The data plane has its own path and does not
//! come through here.

mod body;
mod client;
mod guard;
pub(crate) mod lines;
mod refusal;
mod server;
mod site;
mod tally;

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

pub use crate::net::Peer;
pub use body::{Gone, Sink};
pub use client::{Call, CallError, Client, ClientLimits, Reply, ReplyStream, StreamError, Target};
pub use server::{Limits, serve, serve_tls};
pub use site::{check_site, host_name};
pub use tally::{Reached, Tally};

/// A request as a handler sees it: read to its end.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path as sent, percent-encoding and all; always begins with `/` (or is `*`).
    pub path: String,
    /// What stood after the `?`, still encoded.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; empty where there was none.
    pub body: Bytes,
    /// Who sent it.
    pub peer: Peer,
}

impl Request {
    /// The request that begins with this head. A target in absolute form says what the `Host` is (RFC 9112 §3.2.2).
    fn of(head: ::http::request::Parts, peer: Peer) -> Request {
        let mut headers = head.headers;
        if let Some(authority) = head.uri.authority()
            && let Ok(authority) = HeaderValue::try_from(authority.as_str())
        {
            headers.append(header::HOST, authority);
        }
        Request {
            method: head.method,
            // CONNECT names an authority and no path.
            path: if head.uri.path().is_empty() { "/".into() } else { head.uri.path().to_string() },
            query: head.uri.query().map(str::to_string),
            headers,
            body: Bytes::new(),
            peer,
        }
    }

    /// Refuses a request that says more than one `Host`: two readers would read two of them.
    fn check_host(&self) -> Result<(), crate::problem::Problem> {
        let mut hosts = self.headers.get_all(header::HOST).iter();
        let first = hosts.next();
        if hosts.all(|host| Some(host) == first) {
            return Ok(());
        }
        let detail = "the request names more than one host, by Host or by its target: it is to name one";
        Err(crate::problem::Problem::bad_request("bad-host", detail))
    }

    /// A header's value, where it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The decoded pairs of the query, in order. `+` means a space. A pair whose encoding is broken is left out.
    pub fn query_pairs(&self) -> Vec<(String, String)> {
        let pairs = self.query.as_deref().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        pairs
            .filter_map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((decode_form(name)?, decode_form(value)?))
            })
            .collect()
    }

    /// The decoded value of the only query parameter called `name`; none where it is missing or given twice.
    pub fn query_value(&self, name: &str) -> Option<String> {
        let mut values = self.query_pairs().into_iter().filter(|(n, _)| n == name).map(|(_, value)| value);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// The decoded segments of the path; none where an encoding is broken.
    pub fn segments(&self) -> Option<Vec<String>> {
        let path = self.path.strip_prefix('/').unwrap_or(&self.path);
        path.split('/').map(|segment| String::from_utf8(percent_decode(segment)?).ok()).collect()
    }
}

/// The bytes that percent-encoded `text` stands for (RFC 3986 §2.1); none where a `%` is not followed by two hex digits.
pub fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        decoded.push(u8::try_from(value).ok()?);
    }
    Some(decoded)
}

/// `bytes` as one path segment or query value: everything but `A-Z a-z 0-9 - . _ ~` encoded.
pub fn percent_encode(bytes: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn decode_form(text: &str) -> Option<String> {
    String::from_utf8(percent_decode(&text.replace('+', " "))?).ok()
}

/// An answer: a status, headers, and a whole body or a stream.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers. `Content-Length`, `Transfer-Encoding`, `Connection` and `Date` are added by the server.
    pub headers: HeaderMap,
    pub(crate) body: body::Answer,
}

impl Response {
    /// An answer without a body.
    pub fn new(status: StatusCode) -> Response {
        Response { status, headers: HeaderMap::new(), body: body::Answer::whole(Bytes::new()) }
    }

    /// An answer with a body of a media type.
    pub fn full(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response {
        let answer = Response { body: body::Answer::whole(body.into()), ..Response::new(status) };
        answer.with(header::CONTENT_TYPE, HeaderValue::from_static(media_type))
    }

    /// 200 with plain text.
    pub fn text(body: impl Into<Bytes>) -> Response {
        Response::full(StatusCode::OK, "text/plain; charset=utf-8", body)
    }

    /// An answer with a value as JSON. A value that cannot be written as JSON is our bug and becomes a 500.
    pub fn json(status: StatusCode, value: &impl Serialize) -> Response {
        match serde_json::to_vec(value) {
            Ok(body) => Response::full(status, "application/json", body),
            Err(error) => {
                tracing::error!(%error, "cannot write an answer as JSON");
                crate::problem::Problem::internal().into()
            }
        }
    }

    /// 200 with a body that is produced while it is sent. `produce` is given the [`Sink`] to write to and runs as
    /// long as somebody listens: when the client goes away, stops reading for [`Limits::write_stall`], or the
    /// server is told to stop, it is dropped at whatever await it stands.
    pub fn stream<F, Fut>(media_type: &'static str, produce: F) -> Response
    where
        F: FnOnce(Sink) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let answer = Response { body: body::Answer::streamed(produce), ..Response::new(StatusCode::OK) };
        answer
            .with(header::CONTENT_TYPE, HeaderValue::from_static(media_type))
            .with(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
    }

    /// The same answer with one header more (or another value of it).
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Response {
        self.headers.insert(name, value);
        self
    }

    /// The same answer, which keeps `what` until it is sent, or given up: a place among few, say.
    #[must_use]
    pub fn keeping(mut self, what: impl Send + 'static) -> Response {
        self.body = self.body.keeping(what);
        self
    }

    /// The whole body, where it is not a stream: for tests of handlers.
    pub fn body(&self) -> Option<&Bytes> {
        self.body.as_whole()
    }
}

/// What every answer of a small server says, unless the handler says otherwise: it is as of now, and of the type it
/// says it is.
fn with_defaults(mut response: Response) -> Response {
    let headers = &mut response.headers;
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    response
}

/// What a handler returns.
pub type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Answers requests. The future runs to its end even if the client hangs up, so a change is never left half done
/// because somebody lost patience. A panic inside it is answered with 500 and logged.
pub trait Handler: Send + Sync + 'static {
    /// Whether a request may go on. Asked with its head, before anything of its body is read; a refusal is sent as it
    /// is, and ends the connection where a body follows.
    ///
    /// # Errors
    ///
    /// The refusal.
    #[expect(clippy::result_large_err, reason = "it is sent at once, and not passed on")]
    fn admit(&self, _head: &Request) -> Result<(), Response> {
        Ok(())
    }

    /// Answers one request that was admitted. Called many times at once.
    fn answer(self: Arc<Self>, request: Request) -> Answering;
}

impl<F, Fut> Handler for F
where
    F: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send + 'static,
{
    fn answer(self: Arc<Self>, request: Request) -> Answering {
        Box::pin(self(request))
    }
}

#[cfg(test)]
mod tests;
