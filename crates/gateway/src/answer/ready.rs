//! What a load balancer in front of gateways asks.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

use super::Answered;
use crate::body::Content;
use crate::worker::Guest;

/// 200 while this gateway takes traffic, 503 from the beginning of a shutdown on. Leaders have no say in it: a
/// gateway in front of a set without a leader parks its requests, and its peers would do no better.
pub(crate) fn answer(guest: &Guest) -> Answered {
    let (status, text) = match guest.listener.shutdown.begun() {
        false => (StatusCode::OK, "ready\n"),
        true => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    };
    let mut answer = Response::new(Content::Whole(text.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
