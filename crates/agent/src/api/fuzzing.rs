//! The application's API: what it is asked, and what reports say.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use steadfast_core::{Epoch, Incarnation, Moment, lease};
use steadfast_host::http::{HeaderMap, HeaderValue, header};
use steadfast_registry::ProbeReason;

use super::clients::said_weight;
use super::*;
use crate::standing::{Cell, Posted, Serving};

/// A line with a method and a path, a line with the `Host`, and a body. The answer is one of those there are, a stranger's
/// name is not served, and a number in a report is the number that stands there.
pub fn agent_api(data: &[u8]) {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (asked, host, body) = (line(), line(), line());
    check_body(body);
    let Some((method, path)) = std::str::from_utf8(asked).ok().and_then(|asked| asked.split_once(' ')) else { return };
    let (Ok(method), Ok(host)) = (method.parse::<Method>(), HeaderValue::from_bytes(host)) else { return };
    let peer = Peer::Tcp(([127, 0, 0, 1], 4_711).into());
    let body = body.to_vec().into();
    let headers = HeaderMap::from_iter([(header::HOST, host.clone())]);
    let request = Request { method: method.clone(), path: path.to_owned(), query: None, headers, body, peer };
    let service = Arc::new(service());
    let response = match service.admit(&Request { body: Default::default(), ..request.clone() }) {
        Ok(()) => at_once(service.answer(request)),
        Err(refusal) => refusal,
    };
    if response.status == StatusCode::OK {
        assert!(matches!(method, Method::GET | Method::HEAD), "{method} {path}");
        let name = host.as_bytes().rsplitn(2, |byte| *byte == b':').last().unwrap_or_default();
        let name = name.strip_suffix(b".").unwrap_or(name);
        assert!(name.eq_ignore_ascii_case(b"localhost") || is_address(&host), "{host:?} is served");
        return;
    }
    let body = response.body().cloned().unwrap_or_default();
    let problem = Problem::of(response.status, &response.headers, &body).expect("an error is a problem");
    let known = ["foreign-host", "not-found", "method-not-allowed", "single-set", "bad-client"];
    assert!(known.contains(&problem.reason.as_str()), "{problem:?}");
}

/// Digits and the marks of addresses: no name that anybody could register.
fn is_address(host: &HeaderValue) -> bool {
    let marks = |b: &u8| b.is_ascii_hexdigit() || b":.[]".contains(b);
    let has_mark = host.as_bytes().iter().any(|b| matches!(b, b':' | b'.'));
    has_mark && host.as_bytes().iter().all(marks)
}

fn check_body(body: &[u8]) {
    let document: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    // Serde takes the fields as a list, too.
    let document = document.as_ref();
    let field = |name: &str| document.and_then(|document| document.get(name).or_else(|| document.get(0)));
    if let Ok(weight) = used(body) {
        assert!(weight <= Weight::MAX);
        let said = field("used").and_then(serde_json::Value::as_f64).expect("a number was said");
        assert!((said * 1_000.0 - weight.as_milli() as f64).abs() <= 0.5 + said * 1e-9, "{said} is {weight}");
    }
    if let Ok(weight) = said_weight(body) {
        let said = field("weight").filter(|weight| !weight.is_null());
        assert_eq!(weight.is_some(), said.is_some());
        assert!(weight.is_none_or(|weight| weight > Weight::ZERO && weight <= Weight::MAX));
        let text = said.map(|said| said.as_str().map_or_else(|| said.to_string(), str::to_owned));
        assert_eq!(weight, text.map(|text| text.parse().expect("a weight was said")));
    }
}

/// The API of an instance that leads a single set.
fn service() -> Service {
    let cell = Cell::new();
    let (phase, serve_until) = (lease::Phase::Leading, Moment::MAX);
    let standing = lease::Standing { phase, epoch: Epoch(7), serve_until, ..lease::Standing::NEW };
    cell.post(Posted { serving: Serving::Leased { standing, carry_until: serve_until }, reason: ProbeReason::Standby });
    let (set, instance) = ("web".parse().expect("a name"), "web-1".parse().expect("an id"));
    let speaker = Speaker { set, instance, incarnation: Incarnation(0xa1), cell };
    Service { speaker, load: Load::default(), clients: None, probe: Arc::default(), own: Arc::default() }
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("without clients nothing is waited for"),
    }
}
