//! A connection that has left HTTP behind (101): bytes both ways, moved inside the kernel, while the right to forward
//! lasts. It is asked before each piece, as for an answer.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use steadfast_host::relay::{Ended, Meter, relay};
use tokio::net::TcpStream;

use super::conn_state::{Phase, Verdict};
use super::set::Pass;
use super::{ConnState, Upstream, Worker};
use crate::limit::Limit;

/// What a connection turns into: its other side, and the right to forward.
#[derive(Debug)]
pub(crate) struct Tunnel {
    upstream: Box<Upstream>,
    pass: Pass,
}

impl Tunnel {
    /// Takes the right to forward over from the request that asked for the tunnel. `None` if that has ended.
    pub(crate) fn new(upstream: Box<Upstream>, conn: &ConnState) -> Option<Tunnel> {
        Some(Tunnel { upstream, pass: conn.take_pass()? })
    }
}

/// Carries the tunnel until it ends. `early` is what the client sent behind its request.
pub(super) async fn run(
    worker: &Rc<Worker>,
    conn: &Rc<ConnState>,
    mut client: TcpStream,
    early: Bytes,
    tunnel: Tunnel,
) {
    let Tunnel { upstream, pass } = tunnel;
    let here = pass.here();
    conn.hold(pass);
    conn.enter(Phase::Tunnel);
    worker.counters().tunnels.add_one();
    let (mut instance, late) = upstream.into_stream();
    let bounds = &worker.shared.bounds;
    let begun = async {
        pass_on(conn, &mut instance, early).await?;
        pass_on(conn, &mut client, late).await
    };
    let begun = tokio::select! {
        biased;
        () = judged(conn) => Err(io::ErrorKind::Interrupted.into()),
        begun = tokio::time::timeout(bounds.stalled_for, begun) => begun.unwrap_or_else(|late| Err(late.into())),
    };
    let ended = match begun {
        Ok(()) => {
            let meter = Meter::default();
            let permit = || conn.may_forward();
            relay(client, instance, bounds.tunnel_idle_for, &meter, permit, judged(conn)).await
        }
        Err(error) => {
            let _ = (client.set_zero_linger(), instance.set_zero_linger());
            Ended::Failed(error)
        }
    };
    if matches!(ended, Ended::Idle) {
        worker.counters().limited(Limit::TunnelIdle);
    }
    tracing::debug!(instance = %here.target.instance, ?ended, "a tunnel ended");
    conn.release();
}

/// What was read together with a head. The right to forward is asked for before each piece: the peer may be slow.
async fn pass_on(conn: &ConnState, to: &mut TcpStream, bytes: Bytes) -> io::Result<()> {
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        to.writable().await?;
        if !conn.may_forward() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match to.try_write(rest) {
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Returns when the watchdog wants this connection to end.
async fn judged(conn: &ConnState) {
    poll_fn(|cx| {
        conn.attend(cx);
        if conn.verdict() == Verdict::Close { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
