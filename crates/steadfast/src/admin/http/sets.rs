//! Sets and their leases.

use steadfast_core::SetName;
use steadfast_host::http::{Request, Response, StatusCode};
use steadfast_host::problem::Problem;

use super::input::body;
use super::json;
use crate::admin::view::SettingsView;
use crate::admin::{Api, Service};

pub(super) async fn status(service: &Service) -> Result<Response, Problem> {
    Ok(json(&service.status().await?))
}

pub(super) async fn list(service: &Service) -> Result<Response, Problem> {
    Ok(json(&service.sets().await?))
}

pub(super) async fn one(service: &Service, set: &SetName) -> Result<Response, Problem> {
    Ok(json(&service.set(set).await?))
}

pub(super) async fn leader(service: &Service, set: &SetName) -> Result<Response, Problem> {
    Ok(json(&service.leader(set).await?))
}

pub(super) async fn put(service: &Service, set: &SetName, request: &Request) -> Result<Response, Problem> {
    let settings = body::<SettingsView>(request)?.settings();
    let settings = settings.map_err(|why| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-settings", why))?;
    Ok(json(&service.apply(set, &settings).await?))
}
