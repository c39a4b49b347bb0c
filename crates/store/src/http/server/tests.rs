use bytes::Bytes;
use steadfast_host::http::{HeaderMap, Peer};

use super::*;
use crate::Memory;

async fn ask(method: Method, path: &str, media: Option<&'static str>, body: &'static str) -> (u16, String) {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let mut headers = HeaderMap::new();
    if let Some(media) = media {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    }
    let body = Bytes::from_static(body.as_bytes());
    let peer = Peer::Unix { pid: None };
    let request = Request { method, path: path.to_owned(), query: None, headers, body, peer };
    let response = serve(&store, request).await;
    let text = String::from_utf8(response.body().expect("a whole body").to_vec()).unwrap();
    (response.status.as_u16(), text)
}

const JSON: Option<&str> = Some("application/json");

#[tokio::test]
async fn a_request_that_is_no_call_is_told_why() {
    for (method, path, media, body, status, words) in [
        (Method::POST, "/store/v1/drop", JSON, "{}", 404, "no call of a store's"),
        (Method::GET, "/store/v1/read", None, "", 405, "called with POST"),
        (Method::POST, "/store/v1/describe", JSON, "{}", 405, "called with GET"),
        (Method::POST, "/store/v1/read", None, "{}", 415, "application/json"),
        (Method::POST, "/store/v1/read", Some("text/plain"), "{}", 415, "application/json"),
        (Method::POST, "/store/v1/read", JSON, "{", 400, "`/store/v1/read`"),
        (
            Method::POST,
            "/store/v1/commit",
            JSON,
            r#"{"space":"a/b","changes":[],"within_ms":1}"#,
            400,
            "printable ASCII",
        ),
        (
            Method::POST,
            "/store/v1/commit",
            JSON,
            r#"{"space":"web","changes":[],"within_ms":1}"#,
            400,
            "one change at least",
        ),
    ] {
        let (answered, text) = ask(method, path, media, body).await;
        assert_eq!(answered, status, "{path}: {text}");
        assert!(text.contains(words), "{path}: {text}");
    }
}

#[tokio::test]
async fn a_call_is_answered_in_json() {
    let read = r#"{"space":"web","name":"YQ==","within_ms":1000}"#;
    let media = Some("Application/JSON; charset=utf-8");
    assert_eq!(ask(Method::POST, "/store/v1/read", media, read).await, (200, r#"{"record":null}"#.to_owned()));
    let (status, text) = ask(Method::GET, "/store/v1/describe", None, "").await;
    assert_eq!(status, 200);
    assert!(text.starts_with(r#"{"protocol":1,"limits":{"operations":"#), "{text}");
}
