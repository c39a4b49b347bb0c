//! The store's calls over HTTP, as anybody on the network may send them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use steadfast_host::http::{HeaderMap, HeaderValue, Method, Peer, Request, Response, StatusCode, header};
use steadfast_host::problem::Problem;

use crate::http::{PATH, serve};
use crate::{Cursor, Key, Memory, Revision, Space, Store};

/// The last record of each space and name, with its revision; `None`: deleted.
type Committed = BTreeMap<(String, Vec<u8>), Option<(Revision, Vec<u8>)>>;

/// So many calls of one input are made: more find nothing that fewer do not.
const CALLS: usize = 16;

/// Each line is a call and its body (`commit {"space":…}`), made one after the other of one store. An answer is what was
/// asked for or a problem with a reason, and the store holds what it said it had committed.
pub fn store_server(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _inside = runtime.enter();
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let mut committed = Committed::new();
    for line in data.split(|byte| *byte == b'\n').take(CALLS) {
        let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let (Ok(call), body) = (std::str::from_utf8(&line[..end]), line.get(end + 1..).unwrap_or_default()) else {
            return;
        };
        let response = answer(&store, call, body);
        check_refusal(&response);
        if response.status == StatusCode::OK && call == "commit" {
            // The server passes over texts that it does not ask for; what is none of JSON's cannot be read here.
            let Ok(asked) = serde_json::from_slice(body) else { return };
            remember(&mut committed, &response, &asked);
        }
    }
    for ((space, name), record) in committed {
        let key = Key::new(Space::new(&space).expect("a space that was written to"), name);
        let found = at_once(store.read(&key, Duration::from_secs(1))).expect("a name that was written to");
        assert_eq!(found.map(|found| (found.version, found.value.to_vec())), record, "{key:?}");
    }
}

fn answer(store: &Arc<dyn Store>, call: &str, body: &[u8]) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let method = if call == "describe" { Method::GET } else { Method::POST };
    let (path, body) = (format!("{PATH}{call}"), Bytes::copy_from_slice(body));
    let peer = Peer::Unix { pid: None };
    at_once(serve(store, Request { method, path, query: None, headers, body, peer }))
}

fn check_refusal(response: &Response) {
    if response.status != StatusCode::OK {
        let body = response.body().expect("a problem is whole");
        let problem = Problem::of(response.status, &response.headers, body).expect("an error is a problem");
        let known = ["conflict", "compacted", "config", "not-found", "method-not-allowed", "not-json"];
        assert!(known.contains(&problem.reason.as_str()), "{problem:?}");
    }
}

/// What a commit that happened says, read once more and in another way than the server does.
fn remember(committed: &mut Committed, response: &Response, asked: &Value) {
    let reply: Value = serde_json::from_slice(response.body().expect("a reply is whole")).expect("a reply is JSON");
    let cursor: Cursor = reply["cursor"].as_str().and_then(|text| text.parse().ok()).expect("a cursor");
    let space = asked["space"].as_str().expect("a space");
    for change in asked["changes"].as_array().expect("changes") {
        let name = plain(&change["name"]);
        if let Some(put) = change["write"].get("put") {
            committed.insert((space.to_owned(), name), Some((cursor.revision, plain(&put["value"]))));
        } else if change["write"] == "delete" || change["write"].get("delete").is_some() {
            committed.insert((space.to_owned(), name), None);
        }
    }
}

fn plain(text: &Value) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text.as_str().expect("text")).expect("base64")
}

/// What a call of a store in memory answers: it never waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a store in memory waits for nobody"),
    }
}
