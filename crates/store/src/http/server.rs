//! The server's side: one function from request to answer.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use steadfast_host::http::{Answering, Handler, HeaderValue, Method, Request, Response, StatusCode, header};
use steadfast_host::problem::{self, Problem};

use super::{PATH, PROTOCOL, wire};
use crate::{Error, Key, Store};

/// Bytes of the largest request: a batch at its limits, in base64 and with what JSON adds. For the server's limits.
pub const BODY_BYTES: usize = 4 << 20;

/// Bytes of the records a conflict shows, at most.
const CONFLICT_BYTES: usize = 8 << 20;

/// The longest a request may wait here, whatever it asks for.
const WITHIN_AT_MOST: Duration = Duration::from_secs(60);

/// A store as a handler of its own: for a socket where whoever gets in may do all.
#[derive(Debug)]
pub struct Service(pub Arc<dyn Store>);

impl Handler for Service {
    fn answer(self: Arc<Self>, request: Request) -> Answering {
        Box::pin(async move { serve(&self.0, request).await })
    }
}

/// Answers a request whose path begins with [`PATH`]. Whoever calls it has settled that the sender may.
pub async fn serve(store: &Arc<dyn Store>, request: Request) -> Response {
    let method = match request.path.strip_prefix(PATH) {
        Some("read" | "commit" | "scan" | "watch" | "examine") => Method::POST,
        Some("describe") => Method::GET,
        _ => return Problem::not_found(format!("`{}` is no call of a store's", request.path)).into(),
    };
    if request.method != method {
        let detail = format!("`{}` is called with {method}", request.path);
        let allow = if method == Method::GET { "GET" } else { "POST" };
        return Problem::method_not_allowed(allow, detail).into();
    }
    if method == Method::POST && !is_json(&request) {
        let detail = "the body must be sent as `Content-Type: application/json`";
        return Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", detail).into();
    }
    let answered = match request.path.rsplit('/').next() {
        Some("read") => read(store, &request).await,
        Some("commit") => commit(store, &request).await,
        Some("scan") => scan(store, &request).await,
        Some("watch") => watch(store, &request).await,
        Some("examine") => examine(store, &request).await,
        _ => Ok(describe(store)),
    };
    answered.unwrap_or_else(refuse)
}

fn is_json(request: &Request) -> bool {
    let media = request.header("content-type").unwrap_or_default();
    media.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
}

async fn read(store: &Arc<dyn Store>, request: &Request) -> Result<Response, Error> {
    let wire::Read { space, name, within_ms } = parse(request)?;
    let record = store.read(&Key::new(space.0, name.0), within(within_ms)).await?;
    Ok(ok(&wire::ReadReply { record: record.map(wire::WireRecord::of) }))
}

async fn commit(store: &Arc<dyn Store>, request: &Request) -> Result<Response, Error> {
    let commit: wire::Commit = parse(request)?;
    let within = within(commit.within_ms);
    match store.commit(commit.batch(), within).await {
        Ok(cursor) => Ok(ok(&wire::CommitReply { cursor: wire::WireCursor(cursor) })),
        Err(Error::Conflict(records)) => {
            let bytes: usize =
                records.iter().map(|(name, record)| name.len() + record.as_ref().map_or(0, |r| r.value.len())).sum();
            if bytes > CONFLICT_BYTES {
                let what = format!("the records that differ have {bytes} bytes; an answer shows {CONFLICT_BYTES}");
                return Err(Error::Config(format!("{what}: nothing was written; change fewer at once")));
            }
            Err(Error::Conflict(records))
        }
        Err(other) => Err(other),
    }
}

async fn scan(store: &Arc<dyn Store>, request: &Request) -> Result<Response, Error> {
    let wire::Scan { space, prefix, page, limit, within_ms } = parse(request)?;
    let token = page.map(wire::WireToken::token);
    let page = store.scan(&space.0, &prefix.0, token, limit, within(within_ms)).await?;
    Ok(ok(&wire::ScanReply::of(page)))
}

/// Streams notices until the watch or its reader ends.
async fn watch(store: &Arc<dyn Store>, request: &Request) -> Result<Response, Error> {
    let wire::Watch { space, prefixes, from, progress_ms } = parse(request)?;
    let progress_every = Duration::from_millis(progress_ms);
    let prefixes: Vec<&[u8]> = prefixes.iter().map(|prefix| &prefix.0[..]).collect();
    let mut watch = store.watch(&space.0, &prefixes, from.0, progress_every).await?;
    Ok(Response::stream("application/x-ndjson", async move |sink| {
        loop {
            let (line, last) = match watch.next().await {
                Ok(notice) => (wire::Line::of(notice), false),
                Err(error) => (wire::Line::Ended(wire::Problem::of(error)), true),
            };
            if sink.send_json(&line).await.is_err() || last {
                return;
            }
        }
    }))
}

async fn examine(store: &Arc<dyn Store>, request: &Request) -> Result<Response, Error> {
    let wire::Examine { within_ms } = parse(request)?;
    Ok(ok(&wire::ExamineReply { findings: store.examine(within(within_ms)).await? }))
}

fn describe(store: &Arc<dyn Store>) -> Response {
    ok(&wire::Describe { protocol: PROTOCOL, limits: store.limits(), description: store.describe() })
}

fn parse<T: DeserializeOwned>(request: &Request) -> Result<T, Error> {
    serde_json::from_slice(&request.body).map_err(|e| Error::Config(format!("the request to `{}`: {e}", request.path)))
}

fn within(asked_ms: u64) -> Duration {
    Duration::from_millis(asked_ms).min(WITHIN_AT_MOST)
}

fn ok(reply: &impl Serialize) -> Response {
    Response::json(StatusCode::OK, reply)
}

fn refuse(error: Error) -> Response {
    let document = wire::Problem::of(error);
    let status = StatusCode::from_u16(document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let response = Response::json(status, &document);
    response.with(header::CONTENT_TYPE, HeaderValue::from_static(problem::MEDIA_TYPE))
}

#[cfg(test)]
mod tests;
