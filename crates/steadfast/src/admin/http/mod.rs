//! The API over HTTP: who may ask what, and which noun answers.

mod events;
mod instances;
mod metrics;
mod orders;
mod page;
mod rules;
mod sets;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::de::DeserializeOwned;
use steadfast_core::{InstanceId, SetName};
use steadfast_host::http::{Answering, Handler, HeaderValue, Method, Request, Response, StatusCode, header};
use steadfast_host::problem::Problem;

use self::rules::Rules;
use super::Service;

/// The API of one process.
pub struct Admin {
    service: Arc<Service>,
    rules: Rules,
    /// The store, for peers whose store is `http://` here.
    store: Option<Arc<dyn Handler>>,
    ready: AtomicBool,
}

impl Admin {
    /// The API over `service`, listening on `listen`, for whoever has `token`.
    pub fn new(service: Arc<Service>, listen: SocketAddr, token: String) -> Admin {
        Admin { service, rules: Rules::new(listen, token), store: None, ready: AtomicBool::new(false) }
    }

    /// The same, serving the store at `/store/` too.
    #[must_use]
    pub fn with_store(mut self, store: Arc<dyn Handler>) -> Admin {
        self.store = Some(store);
        self
    }

    /// What `/readyz` says from now on.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    async fn respond(&self, request: Request) -> Result<Response, Problem> {
        if let Some(page) = page::answer(&request) {
            return Ok(page);
        }
        self.rules.admit(&request)?;
        let segments =
            request.segments().ok_or_else(|| Problem::bad_request("bad-path", "the path is badly encoded"))?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["healthz"] => only_get(&request).map(|()| Response::text("ok\n")),
            ["readyz"] => only_get(&request).and_then(|()| self.readiness()),
            ["metrics"] => only_get(&request).map(|()| metrics::answer(&self.service)),
            ["store", ..] => self.mounted_store(request).await,
            ["api", "v1", rest @ ..] => self.api(rest, &request).await,
            _ => Err(unknown(&request)),
        }
    }

    async fn api(&self, rest: &[&str], request: &Request) -> Result<Response, Problem> {
        let service = &self.service;
        match (verb(request), rest) {
            ("GET", ["status"]) => sets::status(service).await,
            ("GET", ["sets"]) => sets::list(service).await,
            ("GET", ["events"]) => events::answer(service, request).await,
            ("GET", ["sets", set]) => sets::one(service, &parse(set)?).await,
            ("PUT", ["sets", set]) => sets::put(service, &parse(set)?, request).await,
            ("GET", ["sets", set, "leader"]) => sets::leader(service, &parse(set)?).await,
            ("GET", ["sets", set, "instances"]) => instances::list(service, &parse(set)?).await,
            ("POST", ["sets", set, "switchover"]) => orders::switchover(service, &parse(set)?, request).await,
            ("POST", ["sets", set, "instances", id, "drain"]) => {
                instances::drain(service, &parse::<SetName>(set)?, &parse::<InstanceId>(id)?).await
            }
            ("POST", ["sets", set, "instances", id, "undrain"]) => {
                instances::undrain(service, &parse::<SetName>(set)?, &parse::<InstanceId>(id)?).await
            }
            (_, ["status" | "sets" | "events"] | ["sets", _] | ["sets", _, "leader" | "instances" | "switchover"])
            | (_, ["sets", _, "instances", _, "drain" | "undrain"]) => {
                Err(Problem::method_not_allowed(format!("{} is not for {}", request.method, request.path)))
            }
            _ => Err(unknown(request)),
        }
    }

    fn readiness(&self) -> Result<Response, Problem> {
        if self.ready.load(Ordering::Relaxed) {
            return Ok(Response::text("ready\n"));
        }
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "this process is starting or stopping"))
    }

    async fn mounted_store(&self, request: Request) -> Result<Response, Problem> {
        match &self.store {
            Some(store) => Ok(Arc::clone(store).answer(request).await),
            None => Err(Problem::not_found("this process does not serve its store: ask one that runs `steadfast run`")),
        }
    }
}

impl Handler for Admin {
    fn answer(self: Arc<Self>, request: Request) -> Answering {
        Box::pin(async move {
            match self.respond(request).await {
                Ok(response) => response,
                Err(problem) if problem.status == StatusCode::UNAUTHORIZED.as_u16() => {
                    Response::from(problem).with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
                }
                Err(problem) => problem.into(),
            }
        })
    }
}

/// The method as routes tell it: HEAD is a GET whose body is not sent.
fn verb(request: &Request) -> &str {
    if request.method == Method::HEAD { "GET" } else { request.method.as_str() }
}

fn only_get(request: &Request) -> Result<(), Problem> {
    if verb(request) == "GET" {
        return Ok(());
    }
    Err(Problem::method_not_allowed(format!("{} is not for {}: GET it", request.method, request.path)))
}

fn unknown(request: &Request) -> Problem {
    Problem::not_found(format!("there is nothing at {}; the API begins at /api/v1/status", request.path))
}

/// A name of a path.
fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(segment: &str) -> Result<T, Problem> {
    segment.parse().map_err(|error| Problem::bad_request("bad-name", format!("{error}")))
}

/// The body of a change.
fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    let text: &[u8] = if request.body.is_empty() { b"{}" } else { &request.body };
    serde_json::from_slice(text).map_err(|error| Problem::bad_request("bad-body", format!("the body: {error}")))
}

/// An answer with `value` as JSON.
fn json(value: &impl serde::Serialize) -> Response {
    Response::json(StatusCode::OK, value)
}
