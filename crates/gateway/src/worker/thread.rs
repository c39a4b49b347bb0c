//! A worker's thread, from its listeners to its last connection.

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use steadfast_core::Moment;
use steadfast_host::clock;
use steadfast_host::shutdown::Shutdown;
use tokio::net;
use tokio::task::{JoinSet, spawn_local};

use super::reject::Rejects;
use super::{ConnState, Worker, connection, watchdog};
use crate::connections::TooMany;
use crate::limit::Limit;
use crate::route::{ListenerHere, Routed};
use crate::shared::Shared;

/// How often a worker that has no room for a connection looks whether it has.
const ROOM_EVERY: Duration = Duration::from_millis(20);
/// How often the end of the last connections is looked for.
const DRAIN_EVERY: Duration = Duration::from_millis(10);
/// How long accepting rests when the process has no descriptors left.
const REST_WHEN_EXHAUSTED: Duration = Duration::from_millis(100);
/// How often that is told at most.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What one worker is given.
#[derive(Debug)]
pub(crate) struct Duty {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    /// This worker's own sockets, one for each listener.
    pub(crate) listeners: Vec<(TcpListener, Arc<Routed>)>,
    pub(crate) shutdown: Shutdown,
}

/// Runs a worker until shutdown has begun, its listeners have lingered, and its connections have ended.
pub(crate) fn run(duty: Duty) -> std::io::Result<()> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_io().enable_time().build_local(Default::default())?;
    runtime.block_on(work(duty))
}

async fn work(duty: Duty) -> std::io::Result<()> {
    let worker = Rc::new(Worker::new(duty.index, duty.shared));
    let watchdog = spawn_local(watchdog::watch(worker.clone()));
    let mut accepting = JoinSet::new();
    for (listener, routed) in duty.listeners {
        let listener = net::TcpListener::from_std(listener)?;
        let here = Rc::new(ListenerHere { routed, shutdown: duty.shutdown.clone() });
        accepting.spawn_local(accept(worker.clone(), listener, here));
    }
    while accepting.join_next().await.is_some() {}
    drain(&worker).await;
    watchdog.abort();
    Ok(())
}

/// Accepts until some time after shutdown has begun.
async fn accept(worker: Rc<Worker>, listener: net::TcpListener, here: Rc<ListenerHere>) {
    let connections = &worker.shared.connections;
    let rejects = Rejects::new(worker.shared.counters.len());
    let mut full = false;
    let mut told = None;
    let closing = async {
        here.shutdown.requested().await;
        tokio::time::sleep(here.routed.linger.duration()).await;
    };
    let mut closing = std::pin::pin!(closing);
    loop {
        if !connections.has_room() {
            if !std::mem::replace(&mut full, true) {
                worker.counters().limited(Limit::Connections);
            }
            worker.each_conn(ConnState::make_room);
            tokio::select! {
                () = &mut closing => return,
                () = tokio::time::sleep(ROOM_EVERY) => continue,
            }
        }
        full = false;
        tokio::select! {
            () = &mut closing => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    // Fails only for a connection that is already gone, which the first read will tell.
                    let _ = stream.set_nodelay(true);
                    match connections.enter(peer.ip()) {
                        Ok(counted) => {
                            let place = worker.enter(counted);
                            spawn_local(connection::serve(worker.clone(), here.clone(), stream, peer, place));
                        }
                        Err(TooMany) => rejects.take(&worker, stream),
                    }
                }
                Err(error) => rest(&error, &here, &mut told).await,
            },
        }
    }
}

async fn rest(error: &std::io::Error, here: &ListenerHere, told: &mut Option<Moment>) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
        let now = clock::now();
        if told.is_none_or(|at| now.since(at) >= TELL_EVERY) {
            *told = Some(now);
            tracing::warn!(%error, listener = %here.routed.address, "cannot accept connections; trying again and again");
        }
        tokio::time::sleep(REST_WHEN_EXHAUSTED).await;
    }
}

/// Lets every connection finish its request, for a while.
async fn drain(worker: &Worker) {
    let deadline = clock::now() + worker.shared.bounds.drain_within;
    worker.drain();
    while worker.connected() > 0 && clock::now() < deadline {
        tokio::time::sleep(DRAIN_EVERY).await;
    }
    if worker.connected() > 0 {
        tracing::warn!(connections = worker.connected(), "connections were closed in the middle of a request");
        worker.each_conn(ConnState::cut);
        tokio::task::yield_now().await;
    }
}
