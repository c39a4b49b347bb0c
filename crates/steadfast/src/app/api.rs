//! The API of this process: its listener, its token, and the end of both.

use std::net::SocketAddr;
use std::sync::Arc;

use steadfast_gateway::Gateway;
use steadfast_host::http::{Handler, serve, serve_tls};
use steadfast_host::net::Listener;
use steadfast_host::reread::{LOOK_EVERY, Reread};
use steadfast_host::shutdown::Shutdown;
use steadfast_host::state::StateDir;
use steadfast_host::tls::{self, Alpn};
use steadfast_registry::{Registry, Text};
use tokio::task::JoinHandle;

pub(super) use crate::admin::GatewayLook;
use crate::admin::Service;
use crate::admin::http::Admin;
use crate::admin::view::{
    GatewayClientTotals, GatewayClientsView, GatewayConnectionsView, GatewaySetView, GatewayTotals, GatewayView,
};
use crate::config;
use crate::exit::{Exit, Failure};
use crate::token;

/// An address for the API, held, and the token.
pub(super) struct ApiServer {
    listener: Listener,
    address: SocketAddr,
    token: Reread<String>,
    tls: Option<tls::Server>,
}

/// The API, served.
pub(super) struct Served {
    admin: Arc<Admin>,
    address: SocketAddr,
    tls: bool,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl ApiServer {
    /// Reads the token, which is made if there is none, and the files of TLS, and listens.
    pub(super) fn bind(admin: &config::Admin, state: &StateDir) -> Result<ApiServer, Failure> {
        let config::Admin { listen, token_file, tls } = admin;
        let token = token::own(token_file, state)?;
        let tls = tls.clone().map(|files| tls::Server::new(files, Alpn::Http1)).transpose();
        let tls = tls.map_err(|error| Failure::usage(format!("the TLS of the API: {error}")))?;
        if tls.is_none() && !listen.ip().is_loopback() {
            tracing::warn!(
                "the API listens on {listen} without TLS: whoever reads this network reads its token; give it a \
                 certificate (tls in [admin]), or keep the port on a network you trust"
            );
        }
        let listener = Listener::tcp(*listen).map_err(|error| {
            let advice = "the API needs an address of its own: change listen in [admin], or --admin";
            Failure::new(Exit::Usage, anyhow::anyhow!("{error}; {advice}"))
        })?;
        let address = listener.local_addr().unwrap_or(*listen);
        Ok(ApiServer { listener, address, token, tls })
    }

    /// Serves `service`, the store of `registry` for peers, and whatever more a `demo` can do.
    pub(super) fn start(self, service: Arc<Service>, registry: &Registry, demo: Option<Arc<dyn Handler>>) -> Served {
        let store = Arc::new(steadfast_store::http::Service(Arc::clone(registry.store())));
        let admin = Admin::new(service, self.address, self.token).with_store(store);
        let admin = Arc::new(match demo {
            Some(demo) => admin.with_demo(demo),
            None => admin,
        });
        let shutdown = Shutdown::new();
        let (handler, limits, end) = (admin.clone(), admin.limits(), shutdown.clone());
        let (listener, tls) = (self.listener, self.tls.is_some());
        let work = match self.tls {
            Some(tls) => tokio::spawn(serve_tls(listener, tls, handler, limits, end)),
            None => tokio::spawn(serve(listener, handler, limits, end)),
        };
        tokio::spawn(look_at_token(admin.clone(), shutdown.clone()));
        Served { admin, address: self.address, tls, shutdown, task: work }
    }
}

impl Served {
    /// Where it is served.
    pub(super) fn address(&self) -> String {
        if self.tls { format!("https://{}", self.address) } else { self.address.to_string() }
    }

    /// What `/readyz` says from now on.
    pub(super) fn set_ready(&self, ready: bool) {
        self.admin.set_ready(ready);
    }

    /// Ends it in good order.
    pub(super) async fn end(self) {
        self.shutdown.begin();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the API ended badly");
        }
    }
}

/// Notices a change of the token though nobody asks anything, so that the one of before goes in time.
async fn look_at_token(admin: Arc<Admin>, end: Shutdown) {
    loop {
        tokio::select! {
            () = end.requested() => return,
            () = tokio::time::sleep(LOOK_EVERY) => admin.look_at_token(),
        }
    }
}

/// A look at `gateway`, for as long as anybody wants.
pub(super) fn look(gateway: &Gateway) -> GatewayLook {
    let status = gateway.status();
    let listeners: Vec<String> = gateway.addresses().iter().map(SocketAddr::to_string).collect();
    Box::new(move || {
        let totals = status.totals();
        let connections = status.connections();
        let of_set = |set: steadfast_gateway::SetStatus| GatewaySetView {
            set: Text(set.set),
            epoch: set.target.as_ref().and_then(|target| target.epoch).map(|epoch| epoch.0),
            left_ms: set.target.as_ref().and_then(|target| target.left_ms),
            handing_over: set.target.as_ref().is_some_and(|target| target.closed),
            running: set.target.as_ref().map_or(0, |target| target.running as u64),
            instance: set.target.map(|target| Text(target.instance)),
            waiting: set.parked as u64,
            clients: set.clients.map(|clients| GatewayClientsView {
                remembered: clients.remembered,
                bytes: clients.bytes,
                evicted: clients.evicted,
                carried: clients.carried,
                silent_ms: clients.silent_ms,
            }),
        };
        GatewayView {
            listeners: listeners.clone(),
            sets: status.sets().into_iter().map(of_set).collect(),
            connections: GatewayConnectionsView {
                now: connections.now as u64,
                most: connections.most as u64,
                most_per_source: connections.most_per_source as u64,
                sources: connections.sources as u64,
            },
            totals: GatewayTotals {
                connections: totals.connections,
                requests: totals.requests,
                answered: totals.answers[..5].iter().sum(),
                failed: totals.answers[5],
                retried: totals.retried,
                waited: totals.parked,
                leader_lost: totals.leader_lost,
                home_broke: totals.home_broke,
                no_leader: totals.no_leader,
                overloaded: totals.overloaded,
                timeouts: totals.timeouts,
                cut: totals.cut,
                tunnels: totals.tunnels,
                limited: totals.limited.iter().map(|(key, count)| ((*key).to_owned(), *count)).collect(),
                clients: GatewayClientTotals {
                    redirected: totals.redirected,
                    assigned: totals.assigned,
                    known: totals.hits,
                    asked_for: totals.misses,
                    placed: totals.placed,
                    returned: totals.returned,
                    moved: totals.moved,
                    served_away: totals.served_away,
                    refused: totals.refused.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect(),
                },
            },
        }
    })
}
