//! What a client of a sticky set is told when it cannot be sent home.

use std::time::Duration;

use http::StatusCode;
use steadfast_core::client::BadRequest;
use steadfast_core::placement::{Refusal, TICK};
use steadfast_host::problem::Problem;

use super::Answered;
use super::problem::{SOON, answer};
use crate::set::{Known, SetShared, Target};

/// How soon asking again may help where somebody has to do something first.
const LATER: Duration = Duration::from_secs(5);

fn unavailable(reason: &'static str, detail: String) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason, detail)
}

/// The request does not say who its client is, or says it badly.
pub(super) fn bad_request(error: &BadRequest) -> Answered {
    answer(Problem::bad_request(error.reason(), error.to_string()))
}

/// The books say no.
pub(super) fn refused(set: &SetShared, refusal: &Refusal) -> Answered {
    let problem = unavailable(refusal.reason(), format!("set {}: {refusal}", set.name));
    answer(match refusal {
        // No waiting helps.
        Refusal::TooHeavy { .. } => problem,
        Refusal::HomeLost { ticks: Some(ticks), .. } => {
            problem.retry_after(Duration::from_millis(ticks.saturating_mul(TICK.as_millis())))
        }
        Refusal::NoRoom { .. } => problem.retry_after(SOON),
        _ => problem.retry_after(LATER),
    })
}

/// It is not known whether the set is a sticky one.
pub(super) fn no_settings(set: &SetShared) -> Answered {
    if set.known() == Known::Absent {
        let detail =
            format!("the store knows no set {}: write it to the configuration, or start an agent of it", set.name);
        return answer(unavailable("no-set", detail).retry_after(LATER));
    }
    let detail = format!("the store is unavailable, and nothing has been heard of set {} yet", set.name);
    answer(unavailable("store-unavailable", detail).retry_after(SOON))
}

pub(super) fn store_unavailable(set: &SetShared) -> Answered {
    let detail = format!("set {}: the store is unavailable, and without it nobody is placed or moved", set.name);
    answer(unavailable("store-unavailable", detail).retry_after(SOON))
}

pub(super) fn books(set: &SetShared, why: &str) -> Answered {
    answer(unavailable("books-unusable", format!("set {}: {why}", set.name)).retry_after(LATER))
}

pub(super) fn timed_out(set: &SetShared, within: Duration) -> Answered {
    let detail = format!("set {}: the store did not place the client within {within:?}", set.name);
    answer(unavailable("placing-timed-out", detail).retry_after(SOON))
}

pub(super) fn overloaded(set: &SetShared) -> Answered {
    let detail = format!("set {}: too many clients wait to be placed already", set.name);
    answer(unavailable("overloaded", detail).retry_after(SOON))
}

pub(super) fn too_many_new(wait: Duration) -> Answered {
    let detail = "too many new clients came from this address";
    answer(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-new-clients", detail).retry_after(wait.max(SOON)))
}

/// The home is in the record, but not in what this gateway knows of the set.
pub(super) fn no_home(set: &SetShared) -> Answered {
    let detail = format!("set {}: the client's home is not known here", set.name);
    answer(unavailable("home-unknown", detail).retry_after(SOON))
}

pub(super) fn home_unreachable(set: &SetShared, target: &Target) -> Answered {
    let detail = format!("{} of set {}, the client's home, cannot be reached from here", target.instance, set.name);
    answer(unavailable("home-unreachable", detail).retry_after(SOON))
}

/// The home cannot be reached, and without the store nobody is moved off it.
pub(super) fn stranded(set: &SetShared, target: &Target) -> Answered {
    let detail = format!(
        "{} of set {}, the client's home, cannot be reached from here; the store is unavailable, and without it nobody \
         is moved",
        target.instance, set.name
    );
    answer(unavailable("store-unavailable", detail).retry_after(SOON))
}

pub(super) fn home_moved(set: &SetShared) -> Answered {
    let detail = format!(
        "set {}: the client's home became another one in the middle of this request, which may have been carried out",
        set.name
    );
    answer(unavailable("home-moved", detail).retry_after(SOON))
}

pub(super) fn home_broke(set: &SetShared, target: &Target) -> Answered {
    let detail = format!(
        "the connection to {} of set {} broke in the middle of this request, which may have been carried out and is \
         not repeated",
        target.instance, set.name
    );
    answer(Problem::new(StatusCode::BAD_GATEWAY, "home-broke", detail))
}

pub(super) fn no_direct(set: &SetShared, slot: usize, target: &Target) -> Answered {
    let name = set.endpoints.get(slot).map(ToString::to_string).unwrap_or_default();
    let detail = format!("{} of set {} has no endpoint {name:?} of scheme http or https", target.instance, set.name);
    answer(Problem::new(StatusCode::BAD_GATEWAY, "no-endpoint", detail))
}

/// A proxied route to an endpoint that is reached by TLS.
pub(super) fn no_tls(set: &SetShared, target: &Target) -> Answered {
    let detail = format!(
        "{} of set {} is reached by https, to which this gateway can redirect but not yet proxy",
        target.instance, set.name
    );
    answer(Problem::new(StatusCode::BAD_GATEWAY, "no-tls", detail))
}

pub(super) fn insecure(set: &SetShared, target: &Target) -> Answered {
    let detail = format!(
        "the request came by https, and {} of set {} is reached by http: nobody is redirected from one to the other",
        target.instance, set.name
    );
    answer(Problem::new(StatusCode::BAD_GATEWAY, "insecure-redirect", detail))
}

pub(super) fn bad_target() -> Answered {
    answer(Problem::bad_request("bad-request", "the request's target cannot stand in a Location field"))
}
