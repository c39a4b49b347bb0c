//! Connections that are more than their source may have: told so and closed, for as little as that can be done.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use steadfast_host::http::Response;
use steadfast_host::problem::Problem;
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use super::Worker;
use super::connection::linger;
use crate::limit::Limit;

/// How many are waited for at once, by all workers, until they have read why. Beyond: closed, and perhaps reset before
/// they have.
const WAITED_FOR: usize = 128;
/// How long nothing may come of one that is waited for. Beyond: closed.
const SILENT_FOR: Duration = Duration::from_secs(1);
/// How soon another connection may have ended.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Rejects {
    answer: Bytes,
    most: usize,
    waited_for: Rc<Cell<usize>>,
}

impl Rejects {
    pub(super) fn new(workers: usize) -> Rejects {
        let detail = "too many connections from this address are open";
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-connections", detail);
        let answer = written(problem.retry_after(RETRY_AFTER));
        Rejects { answer, most: (WAITED_FOR / workers.max(1)).max(1), waited_for: Rc::default() }
    }

    /// Says why, and closes.
    pub(super) fn take(&self, worker: &Worker, stream: TcpStream) {
        worker.counters().limited(Limit::ConnectionsPerSource);
        // A new connection takes this much at once; one that does not has not asked for an answer.
        let told = stream.try_write(&self.answer).is_ok_and(|written| written == self.answer.len());
        if !told || self.waited_for.get() >= self.most {
            return;
        }
        self.waited_for.set(self.waited_for.get() + 1);
        let waited_for = self.waited_for.clone();
        spawn_local(async move {
            linger(stream, SILENT_FOR).await;
            waited_for.set(waited_for.get().saturating_sub(1));
        });
    }
}

/// An answer as it goes over the wire, with the end of the connection announced.
fn written(problem: Problem) -> Bytes {
    let response = Response::from(problem);
    let mut head = format!("HTTP/1.1 {}\r\nConnection: close\r\n", response.status).into_bytes();
    for (name, value) in &response.headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    let body = response.body().cloned().unwrap_or_default();
    head.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    head.extend_from_slice(&body);
    head.into()
}
