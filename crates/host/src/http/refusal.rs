//! What the server itself refuses, before any handler has seen it: each with its status, a reason and a sentence.
//!
//! hyper would answer some of this with a bare status. Its answer is swallowed ([`Guard`](super::guard::Guard) knows
//! which one it is), and ours is written in its place.

use std::time::Duration;

use super::server::Limits;
use super::tally::Reached;
use super::{HeaderValue, Response, StatusCode, header};
use crate::problem::Problem;

/// A record of a TLS handshake begins so, whatever the version.
const TLS_HANDSHAKE: [u8; 2] = [0x16, 0x03];
/// The preface of HTTP/2 (RFC 9113 §3.4) begins so.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2";

/// A limit that was reached, and what is answered for it.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) reached: Reached,
    status: StatusCode,
    detail: String,
}

impl Refusal {
    fn new(reached: Reached, status: StatusCode, detail: impl Into<String>) -> Refusal {
        Refusal { reached, status, detail: detail.into() }
    }

    /// Why hyper stopped reading a head, of which `head` had arrived; none if that is not why it stopped.
    pub(super) fn of_head(error: &hyper::Error, head: &[u8], limits: &Limits) -> Option<Refusal> {
        if !error.is_parse() {
            return None;
        }
        let not_http = |detail: String| Some(Refusal::new(Reached::NotHttp, StatusCode::BAD_REQUEST, detail));
        if head.starts_with(&TLS_HANDSHAKE) {
            return not_http("this port speaks plain HTTP, and a TLS handshake came: ask by http://".to_owned());
        }
        if head.starts_with(HTTP2_PREFACE) {
            return not_http("this port speaks HTTP/1.1, and HTTP/2 came".to_owned());
        }
        if !error.is_parse_too_large() {
            return not_http(format!("what came is no request of HTTP/1.1: {error}"));
        }
        let most = limits.head_bytes;
        let line = head.iter().position(|byte| *byte == b'\n');
        if line.is_some_and(|end| end < most) {
            let detail = format!("the request's headers may have {most} bytes and be 100 fields at most");
            return Some(Refusal::new(Reached::Head, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, detail));
        }
        let detail = format!("the request's line and headers may have {most} bytes together");
        Some(Refusal::new(Reached::Line, StatusCode::URI_TOO_LONG, detail))
    }

    /// What came to a port that speaks TLS does not begin as that does.
    pub(super) fn not_tls() -> Refusal {
        let detail = "this port speaks TLS, and what came is not: ask by https://";
        Refusal::new(Reached::NotTls, StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn head_too_slow(within: Duration) -> Refusal {
        let detail = format!("the head of the request did not arrive within {within:?}");
        Refusal::new(Reached::HeadWithin, StatusCode::REQUEST_TIMEOUT, detail)
    }

    pub(super) fn body_too_large(bytes: usize) -> Refusal {
        let detail = format!("the body may have at most {bytes} bytes");
        Refusal::new(Reached::Body, StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    pub(super) fn body_too_slow(within: Duration) -> Refusal {
        let detail = format!("the body did not arrive within {within:?}");
        Refusal::new(Reached::BodyWithin, StatusCode::REQUEST_TIMEOUT, detail)
    }

    pub(super) fn body_broken(why: impl std::fmt::Display) -> Refusal {
        let detail = format!("the body ended early or is badly framed: {why}");
        Refusal::new(Reached::BodyBroken, StatusCode::BAD_REQUEST, detail)
    }

    /// The answer. It is the last one of its connection: what follows cannot be told from what was refused.
    pub(super) fn response(self) -> Response {
        let problem = Problem::new(self.status, self.reached.as_str(), self.detail);
        Response::from(problem).with(header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// The same as bytes, for a connection that hyper has given up.
    pub(super) fn bytes(self) -> Vec<u8> {
        let status = self.status;
        let response = super::with_defaults(self.response());
        let mut head = format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or("Error"));
        for (name, value) in &response.headers {
            // Every value of a problem's headers is text.
            head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap_or_default()));
        }
        let body = response.body().cloned().unwrap_or_default();
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        [head.as_bytes(), &body].concat()
    }
}
