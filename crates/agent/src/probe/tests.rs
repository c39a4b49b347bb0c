use steadfast_core::lease::{Phase, Standing};
use steadfast_core::{Epoch, Incarnation};
use steadfast_host::http::HeaderMap;
use steadfast_host::net::Peer;
use steadfast_registry::{ProbeAnswer, ProbeReason};

use super::*;
use crate::standing::{Cell, Posted, Serving};

fn at(ms: u64) -> Moment {
    Moment::from_nanos(ms * 1_000_000)
}

fn leading_until(serve_until: Moment) -> Probe {
    let cell = Cell::new();
    let standing = Standing { phase: Phase::Leading, epoch: Epoch(7), serve_until, ..Standing::NEW };
    let serving = Serving::Leased { standing, carry_until: serve_until };
    cell.post(Posted { serving, reason: ProbeReason::Standby });
    let (set, instance) = ("web".parse().unwrap(), "web-1".parse().unwrap());
    let speaker = Speaker { set, instance, incarnation: Incarnation(0xa1), cell };
    Probe { speaker, gateways: Gateways::default(), tally: Arc::default() }
}

fn request(method: Method, headers: &[(&'static str, &'static str)]) -> Request {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_static(value));
    }
    let peer = Peer::Unix { pid: None };
    Request { method, path: "/any".into(), query: None, headers: map, body: Default::default(), peer }
}

fn told(response: &Response) -> ProbeAnswer {
    serde_json::from_slice(response.body().unwrap()).unwrap()
}

#[test]
fn it_vouches_until_the_deadline_rounded_down_and_not_a_nanosecond_longer() {
    let probe = leading_until(at(2_000));
    let response = probe.answer(&request(Method::GET, &[]), at(0) + Duration::from_micros(1));
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(response.headers[EPOCH_HEADER], "7");
    let answer = told(&response);
    assert_eq!((answer.role, answer.valid_for_ms, answer.reason), (Role::Leader, 1_999, ProbeReason::Leading));
    assert_eq!(answer.leading(), Some(Epoch(7)));

    let response = probe.answer(&request(Method::HEAD, &[]), at(2_000));
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    let answer = told(&response);
    assert_eq!((answer.role, answer.valid_for_ms, answer.reason), (Role::Standby, 0, ProbeReason::LeaseLost));
}

#[test]
fn it_hears_gateways_and_changes_nothing() {
    let probe = leading_until(at(2_000));
    let from = |n| request(Method::GET, &[(GATEWAY_HEADER, "g1"), (IN_FLIGHT_HEADER, n)]);
    probe.answer(&from("2"), at(0));
    let bound = async |probe: &Probe| probe.gateways.let_go(at(0), Moment::ZERO).await;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime.block_on(bound(&probe)), ["g1"]);
    probe.answer(&from("2"), at(2_000));
    probe.answer(&from("0"), at(2_001));
    assert!(runtime.block_on(bound(&probe)).is_empty());
    let refused = probe.answer(&request(Method::POST, &[]), at(0));
    assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
}
