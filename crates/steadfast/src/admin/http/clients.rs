//! Clients and their homes.
//!
//! A client's key stands in a path or a query as its text does: percent-encoded once, any bytes.

use std::str::FromStr;

use steadfast_core::client::{ClientKey, LabelName, Labels};
use steadfast_core::{SetName, Weight};
use steadfast_host::http::{Request, Response};
use steadfast_host::problem::Problem;

use super::{body, json};
use crate::admin::view::{ClientQuery, ExplainQuery};
use crate::admin::{Api, Service};

pub(super) async fn list(service: &Service, set: &SetName, request: &Request) -> Result<Response, Problem> {
    let mut asked = ClientQuery { after: key_in_query(request, "after")?, ..ClientQuery::default() };
    for (name, value) in request.query_pairs() {
        match name.as_str() {
            "after" => {}
            "limit" => asked.limit = Some(value_of("limit", &value)?),
            "home" => asked.home = Some(value_of("home", &value)?),
            "phase" => asked.phase = Some(value_of("phase", &value)?),
            other => {
                let detail = format!("{other:?} is not asked for here: after, limit, home and phase are");
                return Err(Problem::bad_request("bad-query", detail));
            }
        }
    }
    Ok(json(&service.clients(set, &asked).await?))
}

pub(super) async fn one(service: &Service, set: &SetName, client: &ClientKey) -> Result<Response, Problem> {
    Ok(json(&service.client(set, client).await?))
}

pub(super) async fn explain(service: &Service, set: &SetName, request: &Request) -> Result<Response, Problem> {
    let client = key_in_query(request, "client")?
        .ok_or_else(|| Problem::bad_request("bad-query", "who is asked about? explain?client=KEY"))?;
    let mut asked = ExplainQuery::default();
    let mut labels = Labels::new();
    for (name, value) in request.query_pairs() {
        match name.as_str() {
            "client" => {}
            "weight" => asked.weight = Some(value_of::<Weight>("weight", &value)?),
            label => {
                labels.insert(value_of::<LabelName>("a label", label)?, value);
            }
        }
    }
    asked.labels = labels;
    Ok(json(&service.explain(set, &client, &asked).await?))
}

pub(super) async fn put(
    service: &Service,
    set: &SetName,
    client: &ClientKey,
    request: &Request,
) -> Result<Response, Problem> {
    Ok(json(&service.place(set, client, &body(request)?).await?))
}

pub(super) async fn delete(service: &Service, set: &SetName, client: &ClientKey) -> Result<Response, Problem> {
    Ok(json(&service.forget(set, client).await?))
}

pub(super) async fn move_to(
    service: &Service,
    set: &SetName,
    client: &ClientKey,
    request: &Request,
) -> Result<Response, Problem> {
    Ok(json(&service.move_client(set, client, &body(request)?).await?))
}

pub(super) async fn verify(service: &Service, set: &SetName) -> Result<Response, Problem> {
    Ok(json(&service.verify(set).await?))
}

/// A client's key as it stands in a URL.
pub(super) fn key(text: &str) -> Result<ClientKey, Problem> {
    text.parse().map_err(|error| Problem::bad_request("bad-client", format!("{error}")))
}

/// The client's key that the parameter `name` has. Its bytes need not be text, so it is read undecoded; `+` is a space.
fn key_in_query(request: &Request, name: &str) -> Result<Option<ClientKey>, Problem> {
    let pairs = request.query.as_deref().unwrap_or_default().split('&');
    let mut values = pairs.filter_map(|pair| pair.split_once('=').filter(|(found, _)| *found == name));
    let Some((_, value)) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::bad_request("bad-query", format!("{name} is there more than once")));
    }
    key(&value.replace('+', "%20")).map(Some)
}

fn value_of<T: FromStr<Err: std::fmt::Display>>(name: &str, value: &str) -> Result<T, Problem> {
    value.parse().map_err(|error| Problem::bad_request("bad-query", format!("{name}: {error}")))
}
