//! Tells a client that asks first where its home is: every endpoint, of whatever scheme.

use std::collections::BTreeMap;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;
use steadfast_core::placement::{TICK, Tick};

use super::client::Client;
use super::{Answered, refusal};
use crate::body::Content;
use crate::headers::STEADFAST_INSTANCE;
use crate::set::SetShared;

/// The document.
#[derive(Serialize)]
struct Assignment<'a> {
    client: String,
    set: &'a str,
    instance: &'a str,
    owner_epoch: u64,
    phase: &'static str,
    endpoints: BTreeMap<&'a str, String>,
    /// How long the place is kept if nothing more is heard of the client.
    expires_in_ms: Option<u64>,
}

pub(super) fn answer(set: &SetShared, client: &Client) -> Answered {
    let Some(home) = client.home() else { return refusal::no_home(set) };
    let entry = &client.entry;
    let endpoints = home.facts.endpoints.iter().map(|(name, at)| (name.as_str(), at.to_string()));
    let document = Assignment {
        client: client.asked.key.to_key().to_string(),
        set: set.name.as_str(),
        instance: home.target.instance.as_str(),
        owner_epoch: entry.epoch.0,
        phase: entry.phase.as_str(),
        endpoints: endpoints.collect(),
        expires_in_ms: expires_in_ms(client.homes.view.tick, entry.until),
    };
    // Texts and numbers only: it always serializes.
    let body = serde_json::to_vec(&document).unwrap_or_default();
    let mut answer = Response::new(Content::Whole(body.into()));
    *answer.status_mut() = StatusCode::OK;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(STEADFAST_INSTANCE, home.target.instance_header.clone());
    answer
}

/// From now, the beginning of a tick at the latest, to the end of a phase. `None`: it does not end.
fn expires_in_ms(now: Tick, until: Tick) -> Option<u64> {
    (until != Tick::NEVER).then(|| until.0.saturating_sub(now.0).saturating_mul(TICK.as_millis()))
}
