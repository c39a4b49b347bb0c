//! Orders to those who hold something.

use steadfast_core::SetName;
use steadfast_host::http::{Request, Response};
use steadfast_host::problem::Problem;

use super::input::body;
use super::json;
use crate::admin::view::SwitchoverOrder;
use crate::admin::{Api, Service};

pub(super) async fn switchover(service: &Service, set: &SetName, request: &Request) -> Result<Response, Problem> {
    let order: SwitchoverOrder = body(request)?;
    Ok(json(&service.switchover(set, order.to.as_ref().map(|to| &to.0)).await?))
}
