//! Instances and their states.

use steadfast_core::{InstanceId, SetName};
use steadfast_host::http::{Request, Response};
use steadfast_host::problem::Problem;

use super::input::{Nothing, body};
use super::json;
use crate::admin::{Api, Service};

pub(super) async fn list(service: &Service, set: &SetName) -> Result<Response, Problem> {
    Ok(json(&service.instances(set).await?))
}

pub(super) async fn drain(
    service: &Service,
    set: &SetName,
    id: &InstanceId,
    request: &Request,
) -> Result<Response, Problem> {
    Ok(json(&service.drain(set, id, &body(request)?).await?))
}

pub(super) async fn drain_progress(service: &Service, set: &SetName, id: &InstanceId) -> Result<Response, Problem> {
    Ok(json(&service.drain_progress(set, id).await?))
}

pub(super) async fn undrain(
    service: &Service,
    set: &SetName,
    id: &InstanceId,
    request: &Request,
) -> Result<Response, Problem> {
    body::<Nothing>(request)?;
    Ok(json(&service.undrain(set, id).await?))
}

pub(super) async fn lost(
    service: &Service,
    set: &SetName,
    id: &InstanceId,
    request: &Request,
) -> Result<Response, Problem> {
    body::<Nothing>(request)?;
    Ok(json(&service.lost(set, id).await?))
}
