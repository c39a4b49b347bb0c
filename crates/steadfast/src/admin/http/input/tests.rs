use steadfast_core::client::LabelName;
use steadfast_host::http::{HeaderMap, Method, Peer};

use super::*;

fn request(query: &str, body: &[u8]) -> Request {
    Request {
        method: Method::GET,
        path: "/".to_owned(),
        query: Some(query.to_owned()),
        headers: HeaderMap::new(),
        body: bytes::Bytes::copy_from_slice(body),
        peer: Peer::Tcp("127.0.0.1:1".parse().unwrap()),
    }
}

#[test]
fn a_query_is_read_one_way_or_not_at_all() {
    let mut query = Query::of(&request("after=%FF+a&limit=7&zone=a%26b&&", b"")).ok().unwrap();
    assert_eq!(query.client("after").unwrap().unwrap().as_bytes(), b"\xff a");
    assert_eq!(query.value::<usize>("limit").unwrap(), Some(7));
    assert_eq!(query.value::<usize>("limit").unwrap(), None, "it was taken");
    let rest: Vec<(LabelName, String)> = query.rest().unwrap();
    assert_eq!(rest, [("zone".parse().unwrap(), "a&b".to_owned())]);

    for twice in ["limit=1&limit=2", "limit=1&lim%69t=1", "limit&limit", "%zz=1", "limit=%", "limit=%4", "%FF=1"] {
        let refused = Query::of(&request(twice, b"")).err().map(|problem| (problem.status, problem.reason));
        assert_eq!(refused, Some((400, "bad-query".to_owned())), "{twice}");
    }
    for (text, wanted) in [("limit=-1", "limit"), ("limit=1e9", "limit"), ("limit=%FF", "limit"), ("limit=", "limit")] {
        let refused = Query::of(&request(text, b"")).ok().unwrap().value::<usize>(wanted);
        assert_eq!(refused.err().map(|problem| problem.reason).as_deref(), Some("bad-query"), "{text}");
    }
    let refused = Query::of(&request("limt=1", b"")).ok().unwrap().finish("limit is").err().unwrap();
    assert_eq!(refused.detail, "\"limt\" is not asked for here: limit is");
}

#[test]
fn a_body_is_one_object_with_every_key_once() {
    let read =
        |text: &[u8]| body::<serde_json::Map<String, serde_json::Value>>(&request("", text)).map(|map| map.len());
    assert_eq!(read(b"").ok(), Some(0));
    assert_eq!(read(br#"{"a": [1, {"b": null}], "c": {"b": -1.5, "d": true}}"#).ok(), Some(2));
    let deep = [b"{\"a\":".as_slice(), &b"[".repeat(100_000)].concat();
    for wrong in [
        &br#"{"a": 1, "a": 1}"#[..],
        br#"{"a": [{"b": 1, "\u0062": 2}]}"#,
        br#"{"a": 1"#,
        br#"{"a": 1} {}"#,
        b"[]",
        b"\"text\"",
        b"{\"a\": \"\xff\"}",
        b"{\"a\": 1e999}",
        b"\xef\xbb\xbf{}",
        &deep,
    ] {
        let refused = read(wrong).err().map(|problem| (problem.status, problem.reason));
        assert_eq!(refused, Some((400, "bad-body".to_owned())), "{:?}", String::from_utf8_lossy(wrong));
    }
    assert!(body::<Nothing>(&request("", b"{}")).is_ok());
    assert!(body::<Nothing>(&request("", br#"{"force": true}"#)).is_err());
}
