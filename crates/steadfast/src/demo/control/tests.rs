use super::*;

use steadfast_host::http::HeaderMap;
use steadfast_host::net::Peer;

#[test]
fn a_page_without_such_an_instance_says_so() {
    let page = ControlPage { players: Vec::new(), about: watch::Sender::new("all is well".to_owned()).subscribe() };
    let ask = |method: Method, path: &str| {
        let request = Request {
            method,
            path: path.to_owned(),
            query: None,
            headers: HeaderMap::new(),
            body: bytes::Bytes::new(),
            peer: Peer::Tcp("127.0.0.1:1".parse().unwrap()),
        };
        page.respond(&request)
    };
    let view = ask(Method::GET, "/demo/v1").unwrap();
    assert_eq!(view.body().unwrap(), r#"{"about":"all is well","instances":[]}"#);
    for (method, path) in [
        (Method::POST, "/demo/v1/instances/recorder/rec-9/kill"),
        (Method::POST, "/demo/v1/instances/recorder/rec-9/explode"),
        (Method::GET, "/demo/v1/instances/recorder/rec-9/kill"),
        (Method::DELETE, "/demo/v1"),
    ] {
        assert_eq!(ask(method, path).unwrap_err().status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_camera_is_sent_away_by_its_bell() {
    let bells: Bells = (0..2).map(|_| tokio::sync::Notify::new()).collect();
    let door = Arc::new(Door(Arc::clone(&bells)));
    let ask = async |method: Method, path: &str| {
        let request = Request {
            method,
            path: path.to_owned(),
            query: None,
            headers: HeaderMap::new(),
            body: bytes::Bytes::new(),
            peer: Peer::Tcp("127.0.0.1:1".parse().unwrap()),
        };
        Arc::clone(&door).answer(request).await.status
    };
    assert_eq!(ask(Method::POST, "/evict/cam-02").await, StatusCode::NO_CONTENT);
    bells[1].notified().await;
    for (method, path) in [(Method::GET, "/evict/cam-01"), (Method::POST, "/evict/cam-99"), (Method::POST, "/")] {
        assert_eq!(ask(method, path).await, StatusCode::NOT_FOUND, "{path}");
    }
}
