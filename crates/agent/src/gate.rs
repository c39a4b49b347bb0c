//! Gates: the agent's own listeners in front of the application. They take on connections only while the instance
//! serves, and end every one they carry when it may no longer, by their own look at the clock: a driver that stands
//! still cannot keep a gate open.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use steadfast_core::{Endpoint, EndpointName, Moment};
use steadfast_host::clock;
use steadfast_host::net::{self, Listener, Sharing, Stream};
use steadfast_host::process::open_files;
use steadfast_host::relay::{self, Meter};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;

use crate::own_thread::OwnThread;
use crate::standing::Cell;
use crate::{AgentConfig, Error};

/// Connections a gate carries at once; fewer where the process may not have so many files open. Further ones wait in the
/// kernel's backlog.
const CONNECTIONS: usize = 16 * 1024;
/// What is reckoned for each connection of the files this process may have open: itself, one to the application, the
/// pipes between them, and as much again as half of that for everything else.
const FILES_EACH: usize = 9;
/// How long the application may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A connection on which nothing passes for so long is reset.
const IDLE: Duration = Duration::from_secs(24 * 3600);
/// A connection on which the application had the last word so long ago is taken to wait for nothing. Kept-alive ones
/// would hold up a hand-over otherwise; what gateways still wait for, they say themselves.
const QUIET: Duration = Duration::from_millis(100);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// All gates of one instance. A clone is the same.
#[derive(Clone, Debug)]
pub(crate) struct Gates(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    cell: Cell,
    cover_all: bool,
    /// Counts the cuts: connections look again whether they may go on.
    cuts: watch::Sender<u64>,
    carried: Mutex<Carried>,
    /// Told when the last connection has ended.
    emptied: Notify,
}

/// The connections a gate carries, by a number of their own; without a meter until they reach the application.
#[derive(Debug, Default)]
struct Carried {
    next: u64,
    connections: BTreeMap<u64, Option<Arc<Meter>>>,
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
                .map_err(|cause| Error::Listen { what: format!("the gate of {name}"), cause })?;
            let address =
                listener.local_addr().map_err(|cause| Error::Machine { what: "find a gate's address", cause })?;
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
        let (cuts, carried, emptied) = (watch::Sender::new(0), Mutex::default(), Notify::new());
        Gates(Arc::new(Shared { cell, cover_all, cuts, carried, emptied }))
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
    ) -> Result<Option<OwnThread>, Error> {
        if bound.is_empty() {
            return Ok(None);
        }
        let gates = self.clone();
        let pairs: Vec<(Bound, Endpoint)> =
            bound.into_iter().filter_map(|gate| direct.get(&gate.name).cloned().map(|to| (gate, to))).collect();
        OwnThread::start("gate", move |shutdown| async move {
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

    /// Whether no connection is left: what was carried has ended, and can do nothing more.
    pub(crate) fn is_empty(&self) -> bool {
        self.carried().connections.is_empty()
    }

    /// Returns once no connection is left.
    pub(crate) async fn emptied(&self) {
        loop {
            // Made before the look, so that what ends after it is heard of.
            let told = self.0.emptied.notified();
            if self.is_empty() {
                return;
            }
            told.await;
        }
    }

    /// Returns once nobody who came through a gate waits for an answer, at `give_up` at the latest.
    pub(crate) async fn at_rest(&self, give_up: Moment) {
        while !self.carried().is_at_rest(clock::now()) && clock::now() < give_up {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn carried(&self) -> MutexGuard<'_, Carried> {
        self.0.carried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(self, gate: Bound, to: Endpoint) {
        let listener = match Listener::from_std(gate.listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(gate = %gate.name, %error, "the gate cannot listen"),
        };
        let room = Arc::new(Semaphore::new(CONNECTIONS.min(open_files() / FILES_EACH).max(1)));
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
            let one = Carrying::new(&gates);
            carrying.spawn(async move {
                let _permit = permit;
                if let Err(error) = gates.carry(stream, &to, &one).await {
                    tracing::debug!(%peer, %to, %error, "the gate could not reach the application");
                }
            });
        }
    }

    async fn carry(&self, stream: TcpStream, to: &Endpoint, one: &Carrying) -> std::io::Result<()> {
        // Whatever ends this early, the client sees a reset and not an orderly end.
        refuse(&stream);
        let connect = tokio::time::timeout(CONNECT_WITHIN, net::connect_tcp(to.host(), to.port()));
        let application = tokio::select! {
            biased;
            () = self.revoked() => return Ok(()),
            connected = connect => connected??,
        };
        let permit = || clock::now() < self.0.cell.carry_until();
        let meter = one.reached();
        let ended = relay::relay(stream, application, IDLE, &meter, permit, self.revoked()).await;
        tracing::trace!(?ended, ?meter, "a connection through the gate ended");
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

impl Carried {
    fn is_at_rest(&self, now: Moment) -> bool {
        let rests = |meter: &Meter| meter.is_answered() && now.since(meter.last()) >= QUIET;
        self.connections.values().all(|meter| meter.as_ref().is_some_and(|meter| rests(meter)))
    }
}

/// One connection, known to its gates as long as this lives.
struct Carrying {
    gates: Gates,
    number: u64,
}

impl Carrying {
    fn new(gates: &Gates) -> Carrying {
        let mut carried = gates.carried();
        carried.next += 1;
        let number = carried.next;
        carried.connections.insert(number, None);
        drop(carried);
        Carrying { gates: gates.clone(), number }
    }

    /// It has reached the application.
    fn reached(&self) -> Arc<Meter> {
        let meter = Arc::new(Meter::default());
        self.gates.carried().connections.insert(self.number, Some(Arc::clone(&meter)));
        meter
    }
}

impl Drop for Carrying {
    fn drop(&mut self) {
        let mut carried = self.gates.carried();
        carried.connections.remove(&self.number);
        let empty = carried.connections.is_empty();
        drop(carried);
        if empty {
            self.gates.0.emptied.notify_waiters();
        }
    }
}

/// Makes the closing of `stream` a reset.
fn refuse(stream: &TcpStream) {
    // Fails only for a connection that is gone already.
    drop(stream.set_zero_linger());
}

#[cfg(test)]
mod tests;
