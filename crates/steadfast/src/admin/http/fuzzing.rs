//! The API, as anybody who reaches it may ask it.

use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use steadfast_core::client::{Source, Sources};
use steadfast_core::settings::{SetSettings, SingleSettings, Sticky, StickySettings};
use steadfast_host::http::{HeaderMap, HeaderName, Peer};
use steadfast_registry::Registry;
use steadfast_store::{Cursor, Space, Store};

use super::*;
use crate::admin::service::Local;

const TOKEN: &str = "0123456789abcdef";
const LISTEN: &str = "127.0.0.1:7400";

/// A line with a method, a path and a query, a field a line, an empty line, and a body. The answer is one of those there
/// are; whoever has no token, is a page of another site, or calls us by a name that is none of ours changes nothing; and
/// the token is never told.
pub fn admin_request(data: &[u8]) {
    let Some(request) = request(data) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let store = steadfast_store::open("memory:", &steadfast_store::Access::default()).expect("a store in memory");
        let registry = Registry::new(store.clone());
        for (name, settings) in settings() {
            let name = SetName::from_str(name).expect("a name");
            registry.introduce_set(&name, &settings).await.expect("a set");
        }
        let before = standing(store.as_ref()).await;
        let service = Arc::new(Service::new(registry, Local { operator: "fuzz".into(), ..Local::default() }));
        let admin = Arc::new(Admin::new(service, LISTEN.parse().expect("an address"), TOKEN.to_owned()));
        let response = match admin.admit(&Request { body: Bytes::new(), ..request.clone() }) {
            Ok(()) => admin.answer(request.clone()).await,
            Err(refusal) => refusal,
        };
        check(&request, &response);
        if !may_change(&request) {
            assert_eq!(standing(store.as_ref()).await, before, "{request:?} has changed something");
        }
    });
}

fn request(data: &[u8]) -> Option<Request> {
    let end = data.windows(2).position(|two| two == b"\n\n").unwrap_or(data.len());
    let body = data.get(end + 2..).unwrap_or_default();
    let mut lines = std::str::from_utf8(&data[..end]).ok()?.split('\n');
    let (method, target) = lines.next()?.split_once(' ')?;
    // What a parser of HTTP lets pass.
    let target: http::Uri = target.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers.append(name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value.trim()).ok()?);
    }
    Some(Request {
        method: method.parse().ok()?,
        path: target.path().to_owned(),
        query: target.query().map(str::to_owned),
        headers,
        body: Bytes::copy_from_slice(body),
        peer: Peer::Tcp(([127, 0, 0, 1], 4_711).into()),
    })
}

fn settings() -> [(&'static str, SetSettings); 2] {
    let client = Sources(vec![Source::Query("camera".into())]);
    let sticky = StickySettings::new(Sticky { client, ..Sticky::default() }).expect("settings");
    [("web", SetSettings::Single(SingleSettings::default())), ("rec", SetSettings::Sticky(Box::new(sticky)))]
}

/// Where the books of each set stand.
async fn standing(store: &dyn Store) -> Vec<Cursor> {
    let mut cursors = Vec::new();
    for space in ["@catalog", "web", "rec", "other"] {
        let space = Space::new(space).expect("a space");
        cursors.push(store.scan(&space, b"", None, 1, Duration::from_secs(1)).await.expect("a store in memory").cursor);
    }
    cursors
}

/// The rules once more: a token, a name of ours, no other site, and a change that is sent as JSON.
fn may_change(request: &Request) -> bool {
    let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let words: Vec<&str> = header("authorization").splitn(2, ' ').collect();
    let token = matches!(words[..], [scheme, token] if scheme.eq_ignore_ascii_case("bearer") && token.trim() == TOKEN);
    let host = header("host").to_ascii_lowercase();
    let ours = ["localhost", "127.", "[::1]", "::1", "[::ffff:127.", "::ffff:127."];
    let named = ours.iter().any(|ours| host.starts_with(ours)) || host.contains(".localhost");
    let same_site = matches!(header("sec-fetch-site"), "" | "same-origin" | "none");
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    token && named && same_site && !reads && header("content-type").to_ascii_lowercase().starts_with("application/json")
}

fn check(request: &Request, response: &Response) {
    let status = response.status.as_u16();
    assert!(status < 500 || status == 503, "{status} for {request:?}");
    if status >= 400 {
        let body = response.body().cloned().unwrap_or_default();
        let problem = Problem::of(response.status, &response.headers, &body).expect("an error is a problem");
        assert!(!problem.reason.starts_with("http-") && !problem.detail.is_empty(), "{problem:?}");
    }
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    assert!(reads || status >= 400 || may_change(request), "{request:?} is answered with {status}");
    let has_token = |text: &[u8]| text.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes());
    // Of what they say elsewhere people are told again what is wrong with it.
    let elsewhere =
        request.headers.iter().filter(|(name, _)| *name != header::AUTHORIZATION).map(|(_, value)| value.as_bytes());
    let query = request.query.as_deref().unwrap_or_default().as_bytes();
    if !elsewhere.chain([request.path.as_bytes(), query, &request.body]).any(has_token) {
        assert!(!response.body().is_some_and(|body| has_token(body)), "the token is told");
        assert!(!response.headers.values().any(|value| has_token(value.as_bytes())), "the token is told");
    }
}
