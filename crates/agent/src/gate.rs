//! Gates: the agent's own listeners in front of the application. They take on connections only while the instance
//! serves, and end every one they carry when it may no longer, by their own look at the clock: a driver that stands
//! still cannot keep a gate open.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use steadfast_core::{Endpoint, EndpointName, Moment};
use steadfast_host::net::{self, Listener, Sharing, Stream};
use steadfast_host::{clock, relay};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::lane::Lane;
use crate::standing::Cell;
use crate::{AgentConfig, Error};

/// Connections a gate carries at once. Further ones wait in the kernel's backlog.
const CONNECTIONS: usize = 16 * 1024;
/// How long the application may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A connection on which nothing passes for so long is reset.
const IDLE: Duration = Duration::from_secs(24 * 3600);

/// All gates of one instance. A clone is the same.
#[derive(Clone, Debug)]
pub(crate) struct Gates(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    cell: Cell,
    cover_all: bool,
    /// Counts the cuts: connections look again whether they may go on.
    cuts: watch::Sender<u64>,
    /// How many connections are carried.
    carried: watch::Sender<usize>,
}

/// A gate that is bound and not yet open.
#[derive(Debug)]
pub(crate) struct Bound {
    name: EndpointName,
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Binds every gate of `config`.
    pub(crate) fn all(config: &AgentConfig) -> Result<Vec<Bound>, Error> {
        let bind = |(name, address): (&EndpointName, &SocketAddr)| {
            let listener = net::bind_tcp(*address, Sharing::Alone)
                .map_err(|source| Error::Listen { what: format!("the gate of {name}"), source })?;
            let address =
                listener.local_addr().map_err(|source| Error::Machine { what: "find a gate's address", source })?;
            Ok(Bound { name: name.clone(), listener, address })
        };
        config.gates.iter().map(bind).collect()
    }

    /// Which endpoint it stands in front of.
    pub(crate) fn name(&self) -> &EndpointName {
        &self.name
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Gates {
    /// Gates that go by `cell`. `cover_all`: there is no way to the application but through one of them.
    pub(crate) fn new(cell: Cell, cover_all: bool) -> Gates {
        Gates(Arc::new(Shared { cell, cover_all, cuts: watch::Sender::new(0), carried: watch::Sender::new(0) }))
    }

    /// Whether there is no way to the application but through a gate.
    pub(crate) fn cover_all(&self) -> bool {
        self.0.cover_all
    }

    /// Opens the `bound` gates on a thread of their own, each before the endpoint of its name in `direct`.
    pub(crate) fn open(
        &self,
        bound: Vec<Bound>,
        direct: &BTreeMap<EndpointName, Endpoint>,
    ) -> Result<Option<Lane>, Error> {
        if bound.is_empty() {
            return Ok(None);
        }
        let gates = self.clone();
        let pairs: Vec<(Bound, Endpoint)> =
            bound.into_iter().filter_map(|gate| direct.get(&gate.name).cloned().map(|to| (gate, to))).collect();
        Lane::start("gate", move |shutdown| async move {
            let mut open = JoinSet::new();
            for (gate, to) in pairs {
                open.spawn(gates.clone().serve(gate, to));
            }
            // Dropping what is open resets what it carries.
            shutdown.requested().await;
        })
        .map(Some)
    }

    /// Ends whatever the cell no longer permits, now.
    pub(crate) fn cut(&self) {
        self.0.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Returns once nothing is carried, at `give_up` at the latest.
    pub(crate) async fn idle(&self, give_up: Moment) {
        let mut carried = self.0.carried.subscribe();
        // Errors only if the sender were gone, which this value holds.
        drop(clock::timeout_at(give_up, carried.wait_for(|carried| *carried == 0)).await);
    }

    async fn serve(self, gate: Bound, to: Endpoint) {
        let listener = match Listener::from_std(gate.listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(gate = %gate.name, %error, "the gate cannot listen"),
        };
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let to = Arc::new(to);
        let mut carrying = JoinSet::new();
        loop {
            while carrying.try_join_next().is_some() {}
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            let (stream, peer) = listener.accept().await;
            let Stream::Tcp(stream) = stream else { continue };
            if clock::now() >= self.0.cell.serve_until() {
                refuse(&stream);
                continue;
            }
            let (gates, to) = (self.clone(), Arc::clone(&to));
            let carried = Carried::new(&gates);
            carrying.spawn(async move {
                let _held = (permit, carried);
                if let Err(error) = gates.carry(stream, &to).await {
                    tracing::debug!(%peer, %to, %error, "the gate could not reach the application");
                }
            });
        }
    }

    async fn carry(&self, stream: TcpStream, to: &Endpoint) -> std::io::Result<()> {
        // Whatever ends this early, the client sees a reset and not an orderly end.
        refuse(&stream);
        let connect = tokio::time::timeout(CONNECT_WITHIN, net::connect_tcp(to.host(), to.port()));
        let application = tokio::select! {
            biased;
            () = self.revoked() => return Ok(()),
            connected = connect => connected??,
        };
        let permit = || clock::now() < self.0.cell.carry_until();
        let outcome = relay::relay(stream, application, IDLE, permit, self.revoked()).await;
        tracing::trace!(?outcome, "a connection through the gate ended");
        Ok(())
    }

    /// Returns once nothing may be carried any more.
    async fn revoked(&self) {
        let mut cuts = self.0.cuts.subscribe();
        loop {
            cuts.mark_unchanged();
            let until = self.0.cell.carry_until();
            if clock::now() >= until {
                return;
            }
            // Errors only if the sender were gone, which this value holds.
            let _ = clock::timeout_at(until, cuts.changed()).await;
        }
    }
}

/// Counts one connection as long as it lives.
struct Carried(Gates);

impl Carried {
    fn new(gates: &Gates) -> Carried {
        gates.0.carried.send_modify(|carried| *carried += 1);
        Carried(gates.clone())
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.0.0.carried.send_modify(|carried| *carried -= 1);
    }
}

/// Makes the closing of `stream` a reset.
fn refuse(stream: &TcpStream) {
    // Fails only for a connection that is gone already.
    drop(stream.set_zero_linger());
}
