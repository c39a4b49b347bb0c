//! The API over HTTP: who may ask what, and which noun answers.

mod access;
mod clients;
mod events;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod input;
mod instances;
mod metrics;
mod orders;
mod page;
mod refused;
mod sets;
mod slots;
mod token;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use steadfast_core::SetName;
use steadfast_host::http::{
    Answering, Handler, HeaderName, HeaderValue, Limits, Method, Request, Response, StatusCode, header, percent_decode,
};
use steadfast_host::problem::Problem;

use self::access::Access;
use self::events::News;
use self::refused::Refused;
use self::slots::Slots;
pub use self::token::{BEFORE_COUNTS, OwnToken};
use super::Service;

/// Connections at once: those of all streams, and as many again for requests that are answered and done.
const CONNECTIONS: usize = 2 * (FOLLOWERS + WATCHES);
/// Streams of events at once: a page that is open has one. Beyond: 503 `too-many-streams`. Where this process may have
/// too few files for all [`CONNECTIONS`], there are fewer streams in the same measure.
const FOLLOWERS: usize = 256;
/// Watches of the store at once, for `http://` peers: one has a few a set. Beyond, and with few files: as [`FOLLOWERS`].
const WATCHES: usize = 1024;

/// Where `http://` peers watch.
const STORE_WATCH: &str = "/store/v1/watch";

/// What every answer says to a browser: it is no page, nothing of it is run, shown elsewhere, or told to others.
const FOR_BROWSERS: [(HeaderName, &str); 2] = [
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// The API of one process.
pub struct Admin {
    service: Arc<Service>,
    access: Access,
    /// The store, for peers whose store is `http://` here.
    store: Option<Arc<dyn Handler>>,
    /// What else a demo can do.
    demo: Option<Arc<dyn Handler>>,
    ready: AtomicBool,
    followers: Slots,
    watches: Slots,
    news: News,
    refused: Refused,
}

impl Admin {
    /// The API over `service`, listening on `listen`, for whoever has `token`.
    pub fn new(service: Arc<Service>, listen: SocketAddr, token: impl Into<OwnToken>) -> Admin {
        let seats = Limits { connections: CONNECTIONS, ..Limits::default() }.seats();
        let share = |most: usize| (most * seats / CONNECTIONS).max(1);
        Admin {
            service,
            access: Access::new(listen, token.into()),
            store: None,
            demo: None,
            ready: AtomicBool::new(false),
            followers: Slots::new(share(FOLLOWERS), "follow the events"),
            watches: Slots::new(share(WATCHES), "watch the store"),
            news: News::default(),
            refused: Refused::default(),
        }
    }

    /// What the server that serves this is to allow.
    pub fn limits(&self) -> Limits {
        Limits {
            connections: CONNECTIONS,
            // Only who has the token may send a body at all.
            body_bytes: steadfast_store::http::BODY_BYTES,
            tally: self.refused.tally(),
            ..Limits::default()
        }
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

    /// Looks whether the token has changed: to be called now and then, so that the one of before goes in time even if
    /// nobody asks anything.
    pub fn look_at_token(&self) {
        self.access.look_at_token();
    }

    /// What `/readyz` says from now on.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    async fn respond(&self, request: Request) -> Result<Response, Problem> {
        if let Some(page) = page::answer(&request) {
            return Ok(page);
        }
        // Undecoded, as the rules have seen it: a part of a path is decoded by whoever knows what it is.
        let path = request.path.clone();
        let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(&path).split('/').collect();
        match segments.as_slice() {
            ["healthz"] => only_get(&request).map(|()| Response::text("ok\n")),
            ["readyz"] => only_get(&request).and_then(|()| self.readiness()),
            ["metrics"] => only_get(&request).map(|()| metrics::answer(self)),
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
            ("GET", ["events"]) => events::answer(service, &self.followers, &self.news, request).await,
            (_, ["status" | "sets" | "events"]) => Err(not_for(request, "GET, HEAD")),
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
            ("DELETE", ["clients", client]) => clients::delete(service, set, &clients::key(client)?, request).await,
            ("POST", ["clients", client, "move"]) => {
                clients::move_to(service, set, &clients::key(client)?, request).await
            }
            ("GET", ["instances", id, "drain"]) => instances::drain_progress(service, set, &parse(id)?).await,
            ("POST", ["instances", id, "drain"]) => instances::drain(service, set, &parse(id)?, request).await,
            ("POST", ["instances", id, "undrain"]) => instances::undrain(service, set, &parse(id)?, request).await,
            ("POST", ["instances", id, "lost"]) => instances::lost(service, set, &parse(id)?, request).await,
            _ => Err(methods_of(rest).map_or_else(|| unknown(request), |allow| not_for(request, allow))),
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
            Some(store) if request.path == STORE_WATCH => {
                let place = self.watches.take()?;
                Ok(Arc::clone(store).answer(request).await.keeping(place))
            }
            Some(store) => Ok(Arc::clone(store).answer(request).await),
            None => Err(Problem::not_found("this process does not serve its store: ask one that runs `steadfast run`")),
        }
    }
}

impl Admin {
    /// A refusal as it is sent, and counted.
    fn refuse(&self, problem: Problem) -> Response {
        self.refused.add(&problem.reason);
        let unknown = problem.status == StatusCode::UNAUTHORIZED.as_u16();
        let response = Response::from(problem);
        if unknown { response.with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")) } else { response }
    }
}

impl Handler for Admin {
    fn admit(&self, head: &Request) -> Result<(), Response> {
        if page::answer(head).is_some() && self.access.admit_to_page(head) {
            return Ok(());
        }
        self.access.admit(head).map_err(|problem| for_browsers(self.refuse(problem)))
    }

    fn answer(self: Arc<Self>, request: Request) -> Answering {
        Box::pin(
            async move { for_browsers(self.respond(request).await.unwrap_or_else(|problem| self.refuse(problem))) },
        )
    }
}

/// The answer with what it says to browsers, unless it says something else.
fn for_browsers(mut response: Response) -> Response {
    for (name, value) in FOR_BROWSERS {
        response.headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// The method as routes tell it: HEAD is a GET whose body is not sent.
fn verb(request: &Request) -> &str {
    if request.method == Method::HEAD { "GET" } else { request.method.as_str() }
}

fn only_get(request: &Request) -> Result<(), Problem> {
    if verb(request) == "GET" { Ok(()) } else { Err(not_for(request, "GET, HEAD")) }
}

/// The methods a path below a set's is for; none where there is no such path.
fn methods_of(rest: &[&str]) -> Option<&'static str> {
    Some(match rest {
        [] => "GET, HEAD, PUT",
        ["leader" | "instances" | "clients" | "explain" | "verify"] => "GET, HEAD",
        ["clients", _] => "GET, HEAD, PUT, DELETE",
        ["instances", _, "drain"] => "GET, HEAD, POST",
        ["switchover"] | ["clients", _, "move"] | ["instances", _, "undrain" | "lost"] => "POST",
        _ => return None,
    })
}

fn unknown(request: &Request) -> Problem {
    Problem::not_found(format!("there is nothing at {}; the API begins at /api/v1/status", request.path))
}

fn not_for(request: &Request, allow: &'static str) -> Problem {
    Problem::method_not_allowed(allow, format!("{} is not for {}: {allow}", request.method, request.path))
}

/// A name as it stands in a path.
fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(segment: &str) -> Result<T, Problem> {
    let text = percent_decode(segment).and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or_else(|| Problem::bad_request("bad-path", "the path is badly encoded"))?;
    text.parse().map_err(|error| Problem::bad_request("bad-name", format!("{error}")))
}

/// An answer with `value` as JSON.
fn json(value: &impl serde::Serialize) -> Response {
    Response::json(StatusCode::OK, value)
}
