//! The agent's own API, for its application: which epoch it leads at, which clients are here, how much it carries.
//!
//! ```text
//! GET    /v1/epoch             where the instance stands: what the probe says, always 200
//! PUT    /v1/clients/{client}  this client is connected here   {"weight": 8}, or nothing
//! DELETE /v1/clients/{client}  its last connection closed
//! DELETE /v1/clients           nobody is connected: for an application that starts and is not supervised
//! PUT    /v1/load              {"used": 12.5}
//! GET    /metrics  /healthz
//! ```
//!
//! It is a Unix socket of this user alone, or a loopback port if that is wished for; there is no token. On the port no
//! name but `localhost` is served, so that a page whose name was made to point here (DNS rebinding) is not, and what a
//! browser says comes from a page of another site is refused.

mod clients;
mod metrics;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use steadfast_core::Weight;
use steadfast_core::client::ClientKey;
use steadfast_host::clock;
use steadfast_host::http::{self, Answering, Handler, Limits, Method, Request, Response, StatusCode, Tally};
use steadfast_host::net::{BindError, Listener, Peer};
use steadfast_host::problem::Problem;
use steadfast_host::shutdown::Shutdown;
use tokio::task::JoinHandle;

use crate::life::Life;
use crate::load::Load;
use crate::member::Clients;
use crate::standing::Speaker;
use crate::{AgentConfig, ApiAddress, Error};

/// Connections at once: an application needs one, or one a thread.
const CONNECTIONS: usize = 1024;
/// Bytes of a request's body.
const BODY_BYTES: usize = 4 * 1024;

/// The API, listening and not answering yet.
#[derive(Debug)]
pub(crate) struct Api {
    listener: Listener,
    url: String,
    speaker: Speaker,
    load: Load,
    probe: Arc<Tally>,
}

/// The API at work.
#[derive(Debug)]
pub(crate) struct Served {
    shutdown: Shutdown,
    server: JoinHandle<()>,
}

/// Everything an answer is made of.
struct Service {
    speaker: Speaker,
    load: Load,
    /// None in a single set.
    clients: Option<Clients>,
    /// Whom the probe's server turned away.
    probe: Arc<Tally>,
    /// Whom this one did.
    own: Arc<Tally>,
}

impl Api {
    /// Listens where `config` says. `None` where nothing is said and the usual place cannot be had.
    /// `probe` counts whom the probe turned away, to be told with the other numbers.
    pub(crate) fn bind(
        config: &AgentConfig,
        life: &Life,
        speaker: Speaker,
        load: Load,
        probe: Arc<Tally>,
    ) -> Result<Option<Api>, Error> {
        let failed = |cause| Error::Listen { what: "the application's API".to_owned(), cause };
        let bound = match &config.api {
            Some(ApiAddress::Unix(path)) => unix(path),
            Some(ApiAddress::Loopback(address)) => Listener::tcp(*address).map(|listener| {
                let url = listener.local_addr().map(|address| format!("http://{address}")).unwrap_or_default();
                (listener, url)
            }),
            None => match unix(&life.api_socket()) {
                Err(cause) if cause.source.kind() == std::io::ErrorKind::InvalidInput => {
                    tracing::warn!(instance = %config.instance, %cause, "there is no API for the application");
                    return Ok(None);
                }
                bound => bound,
            },
        };
        let (listener, url) = bound.map_err(failed)?;
        Ok(Some(Api { listener, url, speaker, load, probe }))
    }

    /// What the application is told: `unix:/path`, or `http://address:port`.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Answers from now on; about clients only where there are `clients`.
    pub(crate) fn serve(self, clients: Option<Clients>) -> Served {
        let limits = Limits {
            connections: CONNECTIONS,
            body_bytes: BODY_BYTES,
            drain: Duration::from_secs(1),
            ..Limits::default()
        };
        let own = Arc::clone(&limits.tally);
        let service = Arc::new(Service { speaker: self.speaker, load: self.load, clients, probe: self.probe, own });
        let shutdown = Shutdown::new();
        let server = tokio::spawn(http::serve(self.listener, service, limits, shutdown.clone()));
        Served { shutdown, server }
    }
}

impl Served {
    /// Ends it, once what is under way is answered.
    pub(crate) async fn end(mut self) {
        self.shutdown.begin();
        if (&mut self.server).await.is_err() {
            tracing::error!("the application's API ended by a panic: this is a bug in Steadfast");
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.shutdown.begin();
        self.server.abort();
    }
}

fn unix(path: &std::path::Path) -> Result<(Listener, String), BindError> {
    Ok((Listener::unix(path)?, format!("unix:{}", path.display())))
}

impl Handler for Service {
    fn admit(&self, head: &Request) -> Result<(), Response> {
        check_page(head).map_err(Response::from)
    }

    fn answer(self: Arc<Self>, request: Request) -> Answering {
        Box::pin(async move { self.respond(request).await.unwrap_or_else(Response::from) })
    }
}

impl Service {
    async fn respond(&self, request: Request) -> Result<Response, Problem> {
        match request.path.as_str() {
            "/healthz" => get(&request).map(|()| Response::text("ok\n")),
            "/metrics" => get(&request).map(|()| metrics::page(self, clock::now())),
            "/v1/epoch" => get(&request).map(|()| Response::json(StatusCode::OK, &self.speaker.answer(clock::now()))),
            "/v1/load" => self.load(&request),
            "/v1/clients" => self.nobody(&request),
            path => match path.strip_prefix("/v1/clients/") {
                Some(client) => {
                    let client = client.parse().map_err(|bad| not_a_client(&bad))?;
                    self.client(&request, client).await
                }
                None => Err(Problem::not_found(
                    "there are /v1/epoch, /v1/clients/{client}, /v1/load, /metrics and /healthz",
                )),
            },
        }
    }

    fn load(&self, request: &Request) -> Result<Response, Problem> {
        self.of_sticky_set()?;
        if request.method != Method::PUT {
            return Err(Problem::method_not_allowed("PUT", "the load is told by PUT"));
        }
        self.load.report(used(&request.body)?, clock::now());
        Ok(Response::new(StatusCode::NO_CONTENT))
    }

    async fn client(&self, request: &Request, client: ClientKey) -> Result<Response, Problem> {
        let clients = self.of_sticky_set()?;
        match request.method {
            Method::PUT => clients.put(client, &request.body).await,
            Method::DELETE => clients.delete(client).await,
            _ => {
                let detail = "a client is told by PUT, and its leaving by DELETE";
                Err(Problem::method_not_allowed("PUT, DELETE", detail))
            }
        }
    }

    fn nobody(&self, request: &Request) -> Result<Response, Problem> {
        let clients = self.of_sticky_set()?;
        if request.method != Method::DELETE {
            return Err(Problem::method_not_allowed("DELETE", "that nobody is connected is told by DELETE"));
        }
        clients.roster.clear();
        Ok(Response::new(StatusCode::NO_CONTENT))
    }

    fn of_sticky_set(&self) -> Result<&Clients, Problem> {
        self.clients.as_ref().ok_or_else(|| {
            let detail = format!("the set {} is single: it has no clients, and no load is asked", self.speaker.set);
            Problem::new(StatusCode::CONFLICT, "single-set", detail)
        })
    }
}

/// How much the application carries, as the body of a report says it.
fn used(body: &[u8]) -> Result<Weight, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        used: f64,
    }
    let bad = |why: String| Problem::bad_request("bad-load", format!(r#"expected {{"used": 12.5}}: {why}"#));
    let Body { used } = serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    // A measured number may have any number of places. What is too large for an integer stays too large as one.
    let milli = (used * 1000.0).round();
    let weight = if milli >= 0.0 { Weight::from_milli(milli as u64) } else { None };
    weight.ok_or_else(|| bad(format!("used is a number from 0 to {}", Weight::MAX)))
}

/// On a port a browser may be who asks, in the name of any page it shows.
fn check_page(request: &Request) -> Result<(), Problem> {
    let Peer::Tcp(_) = request.peer else { return Ok(()) };
    let name = http::host_name(request);
    let ip = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    if ip.is_ok() || name == "localhost" {
        return http::check_site(request);
    }
    let detail = format!("nothing here is called {name:?}: ask by the address the application was told");
    Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "foreign-host", detail))
}

fn get(request: &Request) -> Result<(), Problem> {
    match request.method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Problem::method_not_allowed("GET, HEAD", "this is only read, by GET")),
    }
}

fn not_a_client(bad: &impl std::fmt::Display) -> Problem {
    Problem::bad_request("bad-client", format!("{bad}; in the path it is percent-encoded"))
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;
