//! Instances and their states.

use steadfast_core::{InstanceId, SetName};
use steadfast_host::http::Response;
use steadfast_host::problem::Problem;

use super::json;
use crate::admin::{Api, Service};

pub(super) async fn list(service: &Service, set: &SetName) -> Result<Response, Problem> {
    Ok(json(&service.instances(set).await?))
}

pub(super) async fn drain(service: &Service, set: &SetName, id: &InstanceId) -> Result<Response, Problem> {
    Ok(json(&service.drain(set, id).await?))
}

pub(super) async fn undrain(service: &Service, set: &SetName, id: &InstanceId) -> Result<Response, Problem> {
    Ok(json(&service.undrain(set, id).await?))
}
