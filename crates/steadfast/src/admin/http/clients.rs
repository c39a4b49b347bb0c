//! Clients and their homes.
//!
//! A client's key stands in a path or a query as its text does: percent-encoded once, any bytes.

use steadfast_core::SetName;
use steadfast_core::client::ClientKey;
use steadfast_host::http::{Request, Response};
use steadfast_host::problem::Problem;

use super::input::{Nothing, Query, body};
use super::json;
use crate::admin::view::{ClientQuery, ExplainQuery};
use crate::admin::{Api, Service};

pub(super) async fn list(service: &Service, set: &SetName, request: &Request) -> Result<Response, Problem> {
    let mut query = Query::of(request)?;
    let asked = ClientQuery {
        after: query.client("after")?,
        limit: query.value("limit")?,
        home: query.value("home")?,
        phase: query.value("phase")?,
    };
    query.finish("after, limit, home and phase are")?;
    Ok(json(&service.clients(set, &asked).await?))
}

pub(super) async fn one(service: &Service, set: &SetName, client: &ClientKey) -> Result<Response, Problem> {
    Ok(json(&service.client(set, client).await?))
}

pub(super) async fn explain(service: &Service, set: &SetName, request: &Request) -> Result<Response, Problem> {
    let mut query = Query::of(request)?;
    let client = query
        .client("client")?
        .ok_or_else(|| Problem::bad_request("bad-query", "who is asked about? explain?client=KEY"))?;
    let weight = query.value("weight")?;
    let labels = query.rest()?.into_iter().collect();
    Ok(json(&service.explain(set, &client, &ExplainQuery { weight, labels }).await?))
}

pub(super) async fn put(
    service: &Service,
    set: &SetName,
    client: &ClientKey,
    request: &Request,
) -> Result<Response, Problem> {
    Ok(json(&service.place(set, client, &body(request)?).await?))
}

pub(super) async fn delete(
    service: &Service,
    set: &SetName,
    client: &ClientKey,
    request: &Request,
) -> Result<Response, Problem> {
    body::<Nothing>(request)?;
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
