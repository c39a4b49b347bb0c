//! What a client is told when there is no answer to pass on.

use std::time::Duration;

use http::header::{CONNECTION, HeaderValue};
use http::{Response, StatusCode};
use steadfast_core::Size;
use steadfast_host::http::Response as Whole;
use steadfast_host::problem::Problem;

use super::Answered;
use crate::body::Content;
use crate::framing::Refused;
use crate::set::{SetShared, Target};

/// How soon asking again may help where nothing better is known.
pub(super) const SOON: Duration = Duration::from_secs(1);

/// What is behind such a request is not looked at: the connection ends.
pub(crate) fn refused(refused: Refused) -> Answered {
    let mut answer = answer(Problem::new(refused.status, refused.reason, refused.detail));
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

pub(crate) fn no_route(host: &str, path: &str) -> Answered {
    answer(Problem::new(
        StatusCode::NOT_FOUND,
        "no-route",
        format!("no route of this listener is for host {host:?} and path {path:?}"),
    ))
}

pub(crate) fn not_sticky(set: &SetShared) -> Answered {
    let detail = format!("set {} is a single set: its routes answer = \"proxy\"", set.name);
    answer(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-sticky", detail))
}

pub(crate) fn no_leader(set: &SetShared) -> Answered {
    let detail = format!("set {} had no leader for {}", set.name, set.park_for());
    answer(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no-leader", detail).retry_after(SOON))
}

pub(crate) fn overloaded(set: &SetShared) -> Answered {
    let detail = format!("set {} has no leader, and too many requests wait for one already", set.name);
    answer(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail).retry_after(SOON))
}

/// It is this gateway that has no more files, ports or memory for connections.
pub(crate) fn exhausted(set: &SetShared) -> Answered {
    let detail = format!("set {}: this gateway cannot open another connection now", set.name);
    answer(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail).retry_after(SOON))
}

pub(crate) fn leader_lost(set: &SetShared) -> Answered {
    let detail = format!(
        "the leader of set {} was lost in the middle of this request, which may have been carried out and is not \
         repeated",
        set.name
    );
    answer(Problem::new(StatusCode::BAD_GATEWAY, "leader-lost", detail))
}

pub(crate) fn upstream_timeout(set: &SetShared, target: &Target) -> Answered {
    let detail = format!("{} of set {} did not begin to answer in time", target.instance, set.name);
    answer(Problem::new(StatusCode::GATEWAY_TIMEOUT, "upstream-timeout", detail))
}

pub(crate) fn body_too_slow() -> Answered {
    let detail = "the request's body stopped coming, or came too slowly";
    closing(Problem::new(StatusCode::REQUEST_TIMEOUT, "body-too-slow", detail))
}

pub(crate) fn body_too_large(most_bytes: u64) -> Answered {
    let detail = format!("the request's body has more than the {} that are taken here", Size::from_bytes(most_bytes));
    closing(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail))
}

pub(crate) fn upstream_malformed(set: &SetShared, target: &Target) -> Answered {
    let detail =
        format!("what {} of set {} answered is not HTTP/1.1 or has too large a head", target.instance, set.name);
    answer(Problem::new(StatusCode::BAD_GATEWAY, "upstream-malformed", detail))
}

pub(crate) fn no_endpoint(set: &SetShared, slot: usize, target: &Target) -> Answered {
    let name = set.endpoints.get(slot).map(ToString::to_string).unwrap_or_default();
    let detail = format!("{} of set {} has no endpoint {name:?} of scheme http", target.instance, set.name);
    answer(Problem::new(StatusCode::BAD_GATEWAY, "no-endpoint", detail))
}

pub(crate) fn broken_body() -> Answered {
    closing(Problem::bad_request("bad-request", "the request's body is not what its head announced"))
}

/// An answer after which the connection ends: what is still coming is not read.
fn closing(problem: Problem) -> Answered {
    let mut answer = answer(problem);
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

pub(super) fn answer(problem: Problem) -> Answered {
    let whole = Whole::from(problem);
    let mut answer = Response::new(whole.body().cloned().map_or(Content::Empty, Content::Whole));
    *answer.status_mut() = whole.status;
    *answer.headers_mut() = whole.headers;
    answer
}
