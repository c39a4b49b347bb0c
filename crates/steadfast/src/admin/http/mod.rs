//! The API over HTTP: who may ask what, and which noun answers.

mod clients;
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
use steadfast_core::SetName;
use steadfast_host::http::{
    Answering, Handler, HeaderValue, Method, Request, Response, StatusCode, header, percent_decode,
};
use steadfast_host::problem::Problem;

use self::rules::Rules;
use super::Service;

/// The API of one process.
pub struct Admin {
    service: Arc<Service>,
    rules: Rules,
    /// The store, for peers whose store is `http://` here.
    store: Option<Arc<dyn Handler>>,
    /// What else a demo can do.
    demo: Option<Arc<dyn Handler>>,
    ready: AtomicBool,
}

impl Admin {
    /// The API over `service`, listening on `listen`, for whoever has `token`.
    pub fn new(service: Arc<Service>, listen: SocketAddr, token: String) -> Admin {
        Admin { service, rules: Rules::new(listen, token), store: None, demo: None, ready: AtomicBool::new(false) }
    }

    /// The same, serving the store at `/store/` too.
    #[must_use]
    pub fn with_store(mut self, store: Arc<dyn Handler>) -> Admin {
        self.store = Some(store);
        self
    }

    /// The same, passing on to a demo what is meant for it.
    #[must_use]
    pub fn with_demo(mut self, demo: Arc<dyn Handler>) -> Admin {
        self.demo = Some(demo);
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
        // Undecoded, as the rules have seen it: a part of a path is decoded by whoever knows what it is.
        let path = request.path.clone();
        let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(&path).split('/').collect();
        match segments.as_slice() {
            ["healthz"] => only_get(&request).map(|()| Response::text("ok\n")),
            ["readyz"] => only_get(&request).and_then(|()| self.readiness()),
            ["metrics"] => only_get(&request).map(|()| metrics::answer(&self.service)),
            ["store", ..] => self.mounted_store(request).await,
            ["demo", ..] => match &self.demo {
                Some(demo) => Ok(Arc::clone(demo).answer(request).await),
                None => Err(unknown(&request)),
            },
            ["api", "v1", "sets", set, rest @ ..] => self.of_set(&parse(set)?, rest, &request).await,
            ["api", "v1", rest @ ..] => self.of_all(rest, &request).await,
            _ => Err(unknown(&request)),
        }
    }

    async fn of_all(&self, rest: &[&str], request: &Request) -> Result<Response, Problem> {
        let service = &self.service;
        match (verb(request), rest) {
            ("GET", ["status"]) => sets::status(service).await,
            ("GET", ["sets"]) => sets::list(service).await,
            ("GET", ["events"]) => events::answer(service, request).await,
            (_, ["status" | "sets" | "events"]) => Err(not_for(request)),
            _ => Err(unknown(request)),
        }
    }

    async fn of_set(&self, set: &SetName, rest: &[&str], request: &Request) -> Result<Response, Problem> {
        let service = &self.service;
        match (verb(request), rest) {
            ("GET", []) => sets::one(service, set).await,
            ("PUT", []) => sets::put(service, set, request).await,
            ("GET", ["leader"]) => sets::leader(service, set).await,
            ("GET", ["instances"]) => instances::list(service, set).await,
            ("POST", ["switchover"]) => orders::switchover(service, set, request).await,
            ("GET", ["clients"]) => clients::list(service, set, request).await,
            ("GET", ["explain"]) => clients::explain(service, set, request).await,
            ("GET", ["verify"]) => clients::verify(service, set).await,
            ("GET", ["clients", client]) => clients::one(service, set, &clients::key(client)?).await,
            ("PUT", ["clients", client]) => clients::put(service, set, &clients::key(client)?, request).await,
            ("DELETE", ["clients", client]) => clients::delete(service, set, &clients::key(client)?).await,
            ("POST", ["clients", client, "move"]) => {
                clients::move_to(service, set, &clients::key(client)?, request).await
            }
            ("GET", ["instances", id, "drain"]) => instances::drain_progress(service, set, &parse(id)?).await,
            ("POST", ["instances", id, "drain"]) => instances::drain(service, set, &parse(id)?, request).await,
            ("POST", ["instances", id, "undrain"]) => instances::undrain(service, set, &parse(id)?).await,
            ("POST", ["instances", id, "lost"]) => instances::lost(service, set, &parse(id)?).await,
            (_, [] | ["leader" | "instances" | "switchover" | "clients" | "explain" | "verify"])
            | (_, ["clients", _] | ["clients", _, "move"] | ["instances", _, "drain" | "undrain" | "lost"]) => {
                Err(not_for(request))
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

fn not_for(request: &Request) -> Problem {
    Problem::method_not_allowed(format!("{} is not for {}", request.method, request.path))
}

/// A name as it stands in a path.
fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(segment: &str) -> Result<T, Problem> {
    let text = percent_decode(segment).and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or_else(|| Problem::bad_request("bad-path", "the path is badly encoded"))?;
    text.parse().map_err(|error| Problem::bad_request("bad-name", format!("{error}")))
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
