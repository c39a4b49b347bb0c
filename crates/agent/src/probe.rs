//! The probe: what load balancers and gateways ask. Answered on its own thread, from memory: neither the store nor
//! the driver nor the application can delay it, and it cannot delay them.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use steadfast_core::Moment;
use steadfast_host::clock;
use steadfast_host::http::{
    self, HeaderName, HeaderValue, Limits, Method, Request, Response, StatusCode, Tally, header,
};
use steadfast_host::net::{self, Listener, Sharing};
use steadfast_host::problem::Problem;
use steadfast_registry::{EPOCH_HEADER, GATEWAY_HEADER, IN_FLIGHT_HEADER, Role};

use crate::Error;
use crate::gateways::Gateways;
use crate::own_thread::OwnThread;
use crate::standing::Speaker;

/// Load balancers ask from many addresses, and some keep each connection.
const CONNECTIONS: usize = 4096;

/// Everything an answer is made of.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) speaker: Speaker,
    pub(crate) gateways: Gateways,
    /// Whom its server turned away.
    pub(crate) tally: Arc<Tally>,
}

/// Listens for the probe, not answering yet.
pub(crate) fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let listener = net::bind_tcp(address, Sharing::Alone)
        .map_err(|cause| Error::Listen { what: "the probe".to_owned(), cause })?;
    let bound = listener.local_addr().map_err(|cause| Error::Machine { what: "find the probe's address", cause })?;
    Ok((listener, bound))
}

impl Probe {
    /// Answers on `listener` until the thread is ended.
    pub(crate) fn start(self, listener: TcpListener) -> Result<OwnThread, Error> {
        let limits = Limits {
            connections: CONNECTIONS,
            head_within: Duration::from_secs(5),
            idle: Duration::from_secs(60),
            body_bytes: 4 * 1024,
            drain: Duration::from_secs(1),
            tally: Arc::clone(&self.tally),
            ..Limits::default()
        };
        let probe = Arc::new(self);
        OwnThread::start("probe", move |shutdown| async move {
            let listener = match Listener::from_std(listener) {
                Ok(listener) => listener,
                Err(error) => return tracing::error!(%error, "the probe cannot listen"),
            };
            let handler = move |request: Request| std::future::ready(probe.answer(&request, clock::now()));
            http::serve(listener, Arc::new(handler), limits, shutdown).await;
        })
    }

    /// Any path means the role.
    fn answer(&self, request: &Request, now: Moment) -> Response {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return Problem::method_not_allowed("GET, HEAD", "the probe is asked by GET or HEAD").into();
        }
        let answer = self.speaker.answer(now);
        let serves = answer.role != Role::Standby;
        if let Some(name) = request.header(GATEWAY_HEADER) {
            let in_flight = request.header(IN_FLIGHT_HEADER).and_then(|text| text.parse().ok()).unwrap_or(0);
            self.gateways.heard(name, in_flight, now, serves);
        }
        let status = if serves { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        Response::json(status, &answer)
            .with(HeaderName::from_static(EPOCH_HEADER), HeaderValue::from(answer.epoch))
            .with(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
    }
}

#[cfg(test)]
mod tests;
