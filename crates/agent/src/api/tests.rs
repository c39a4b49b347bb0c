use steadfast_core::{Epoch, Incarnation, Moment, lease};
use steadfast_host::http::HeaderMap;
use steadfast_host::net::Peer;
use steadfast_registry::ProbeReason;

use super::*;
use crate::standing::{Cell, Posted, Serving};

/// The API of an instance that leads a single set.
fn service() -> Service {
    let cell = Cell::new();
    let (phase, serve_until) = (lease::Phase::Leading, Moment::MAX);
    let standing = lease::Standing { phase, epoch: Epoch(7), serve_until, ..lease::Standing::NEW };
    cell.post(Posted { serving: Serving::Leased { standing, carry_until: serve_until }, reason: ProbeReason::Standby });
    let (set, instance) = ("web".parse().unwrap(), "web-1".parse().unwrap());
    let speaker = Speaker { set, instance, incarnation: Incarnation(0xa1), cell };
    Service { speaker, load: Load::default(), clients: None, probe: Arc::default(), own: Arc::default() }
}

async fn ask(service: &Service, method: Method, path: &str) -> Response {
    let peer = Peer::Unix { pid: None };
    let request =
        Request { method, path: path.into(), query: None, headers: HeaderMap::new(), body: Default::default(), peer };
    service.respond(request).await.unwrap_or_else(Response::from)
}

fn body(response: &Response) -> String {
    String::from_utf8(response.body().unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn an_application_learns_its_epoch_and_how_long_it_is_vouched_for() {
    let response = ask(&service(), Method::GET, "/v1/epoch").await;
    let answer: serde_json::Value = serde_json::from_str(&body(&response)).unwrap();
    assert_eq!((answer["role"].as_str(), answer["epoch"].as_u64()), (Some("leader"), Some(7)));
    assert!(answer["valid_for_ms"].as_u64().unwrap() > 0);
    let page = body(&ask(&service(), Method::GET, "/metrics").await);
    assert!(page.contains("\nsteadfast_agent_epoch{set=\"web\",instance=\"web-1\"} 7\n"), "{page}");
    let refused =
        "\nsteadfast_agent_refused_total{set=\"web\",instance=\"web-1\",server=\"probe\",reason=\"head-too-slow\"} 0\n";
    assert!(page.contains(refused), "{page}");
    assert_eq!(ask(&service(), Method::GET, "/healthz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_a_word_to_switch_on() {
    for (method, path, status, reason) in [
        (Method::PUT, "/v1/clients/cam-7", 409, "single-set"),
        (Method::DELETE, "/v1/clients/cam-7", 409, "single-set"),
        (Method::PUT, "/v1/load", 409, "single-set"),
        (Method::PUT, "/v1/clients/", 400, "bad-client"),
        (Method::PUT, "/v1/clients/%4", 400, "bad-client"),
        (Method::PUT, "/v1/epoch", 405, "method-not-allowed"),
        (Method::GET, "/v2/epoch", 404, "not-found"),
        (Method::GET, "/", 404, "not-found"),
    ] {
        let response = ask(&service(), method, path).await;
        assert_eq!(response.status.as_u16(), status, "{path}");
        assert!(body(&response).contains(&format!("\"reason\":\"{reason}\"")), "{path}: {}", body(&response));
    }
}

#[tokio::test]
async fn a_page_that_pretends_to_be_us_is_not_served() {
    let asked_as = async |host: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert("host", host.parse().unwrap());
        let peer = Peer::Tcp(([127, 0, 0, 1], 4711).into());
        let request = Request {
            method: Method::GET,
            path: "/healthz".into(),
            query: None,
            headers,
            body: Default::default(),
            peer,
        };
        service().admit(&request).map_or_else(|refused| refused.status.as_u16(), |()| 200)
    };
    for host in ["127.0.0.1:7402", "127.0.0.1", "[::1]:7402", "localhost:7402", "LocalHost"] {
        assert_eq!(asked_as(host).await, 200, "{host}");
    }
    for host in ["evil.example:7402", "evil.example", "", "localhost.evil.example"] {
        assert_eq!(asked_as(host).await, 421, "{host}");
    }
}

#[test]
fn a_load_is_a_number_of_thousandths_or_refused() {
    for (text, milli) in [("12.5", 12_500), ("0", 0), ("1e3", 1_000_000), ("0.00049", 0), ("7.0004999", 7_000)] {
        let body = format!("{{\"used\":{text}}}");
        assert_eq!(used(body.as_bytes()).map(Weight::as_milli), Ok(milli), "{text}");
    }
    for text in ["", "{}", "[]", "{\"used\":\"8\"}", "{\"used\":-1}", "{\"used\":1e300}", "{\"used\":1e999}"] {
        assert_eq!(used(text.as_bytes()).unwrap_err().reason, "bad-load", "{text}");
    }
    assert!(used(br#"{"used": 1, "of": 2}"#).is_err(), "a word we do not know may change what is meant");
}

#[test]
fn a_weight_may_be_said_as_a_number_or_as_a_text() {
    use super::clients::said_weight;
    for (text, weight) in
        [("", None), ("{}", None), (r#"{"weight":8}"#, Some("8")), (r#"{"weight":"0.5"}"#, Some("0.5"))]
    {
        let weight = weight.map(|text| text.parse().unwrap());
        assert_eq!(said_weight(text.as_bytes()).unwrap(), weight, "{text}");
    }
    for text in ["8", "null", r#"{"weight":0}"#, r#"{"weight":-1}"#, r#"{"weight":[]}"#, r#"{"weight":1e300}"#] {
        assert_eq!(said_weight(text.as_bytes()).unwrap_err().reason, "bad-weight", "{text}");
    }
}
