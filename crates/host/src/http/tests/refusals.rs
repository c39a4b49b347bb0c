//! What the server refuses by itself: every refusal is a problem document, the last words of its connection, counted.

use super::*;

/// What one connection hears: the status, the reason, the whole.
struct Heard {
    status: u16,
    reason: String,
    text: String,
}

/// The one answer in `text`, which must be a problem document, and the end of its connection.
#[track_caller]
fn refusal(text: String) -> Heard {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let head = head.to_ascii_lowercase();
    let length = format!("content-length: {}", body.len());
    for line in ["content-type: application/problem+json", "connection: close", "cache-control: no-store", &length] {
        assert!(head.lines().any(|found| found == line), "{line} is missing: {text}");
    }
    let document: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}"));
    let status = head.strip_prefix("http/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()).unwrap();
    assert_eq!(document["status"], status, "{text}");
    Heard { status, reason: document["reason"].as_str().unwrap().to_owned(), text }
}

/// Limits that are soon reached.
fn tight() -> Limits {
    Limits { head_bytes: 1000, body_bytes: 10, head_within: LONGER, body_within: LONGER, ..Limits::default() }
}

#[tokio::test]
async fn what_is_no_request_is_refused_in_words() {
    let running = Running::new(tight(), echo);
    let lines = |count: usize| (0..count).map(|n| format!("X-{n}:\r\n")).collect::<String>();
    let head = |more: &str| format!("GET / HTTP/1.1\r\nHost: x\r\n{more}\r\n");
    for (sent, status, reason, word) in [
        ("\0\0\0\0\r\n\r\n".to_owned(), 400, "not-http", "HTTP/1.1"),
        ("GET\r\n\r\n".to_owned(), 400, "not-http", "HTTP/1.1"),
        ("GET / HTTP/4.2\r\nHost: x\r\n\r\n".to_owned(), 400, "not-http", "version"),
        ("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_owned(), 400, "not-http", "HTTP/1.1"),
        (head("Content-Length: 1\r\nContent-Length: 2\r\n"), 400, "not-http", "HTTP/1.1"),
        (head("X: y\r\n folded\r\n"), 400, "not-http", "HTTP/1.1"),
        (head("No colon\r\n"), 400, "not-http", "HTTP/1.1"),
        ("\u{16}\u{3}\u{1}\0\u{5}hello".to_owned(), 400, "not-http", "TLS"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400, "not-http", "HTTP/2"),
        (head(&format!("X: {}\r\n", "y".repeat(1000))), 431, "head-too-large", "1000 bytes"),
        (head(&lines(101)), 431, "head-too-large", "100 fields"),
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "y".repeat(1000)), 414, "line-too-long", "1000 bytes"),
    ] {
        let mut stream = running.send(&sent).await;
        let heard = refusal(heard(&mut stream).await);
        assert_eq!((heard.status, heard.reason.as_str()), (status, reason), "{sent:?}: {}", heard.text);
        assert!(heard.text.contains(word), "{sent:?}: {}", heard.text);
    }
    let counted = |limit| running.tally.of(limit);
    assert_eq!((counted(Reached::NotHttp), counted(Reached::Head), counted(Reached::Line)), (9, 2, 1));
    assert_eq!(running.call(Call::get("/")).await.status, 200, "others are answered");
    running.stop().await;
}

#[tokio::test]
async fn a_body_is_refused_as_soon_as_it_is_known_to_be_too_large() {
    // Whoever waits for a body that is announced waits for ever here.
    let running = Running::new(Limits { body_within: Duration::from_secs(3600), ..tight() }, echo);
    for announced in [
        "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\nsome of it",
        "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n400000\r\n01234567890",
        "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n01234567\r\n8\r\n01234567\r\n",
    ] {
        let mut stream = running.send(announced).await;
        let heard = refusal(heard(&mut stream).await);
        assert_eq!((heard.status, heard.reason.as_str()), (413, "body-too-large"), "{announced:?}");
    }
    assert_eq!(running.tally.of(Reached::Body), 5);
    running.stop().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_or_is_slow_is_refused() {
    let running = Running::new(tight(), echo);
    let mut slow = running.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab").await;
    let slow = refusal(heard(&mut slow).await);
    assert_eq!((slow.status, slow.reason.as_str()), (408, "body-too-slow"));
    let mut broken = running.send("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n").await;
    let broken = refusal(heard(&mut broken).await);
    assert_eq!((broken.status, broken.reason.as_str()), (400, "body-broken"));
    let mut head = running.send("GET / HTTP/1.1\r\nHost: x\r\nX:").await;
    let head = refusal(heard(&mut head).await);
    assert_eq!((head.status, head.reason.as_str()), (408, "head-too-slow"));
    let mut continued =
        running.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n").await;
    assert!(heard_until(&mut continued, "\r\n\r\n").await.starts_with("HTTP/1.1 100"), "what may come is asked for");
    let counted = [Reached::BodyWithin, Reached::BodyBroken, Reached::HeadWithin].map(|limit| running.tally.of(limit));
    assert_eq!(counted, [1, 1, 1]);
    running.stop().await;
}

#[tokio::test]
async fn a_refusal_follows_the_answers_before_it() {
    let running = Running::new(tight(), echo);
    let mut stream = running.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n\r\n").await;
    let text = heard(&mut stream).await;
    assert!(text.contains("GET /1 None 0HTTP/1.1 400"), "{text}");
    running.stop().await;
}

/// Says no to everything but `/yes`, before the body.
struct Choosy;

impl Handler for Choosy {
    fn admit(&self, head: &Request) -> Result<(), Response> {
        let refused = || crate::problem::Problem::new(StatusCode::UNAUTHORIZED, "no", "not you");
        if head.path == "/yes" { Ok(()) } else { Err(refused().into()) }
    }

    fn answer(self: Arc<Self>, request: Request) -> Answering {
        Box::pin(std::future::ready(Response::text(format!("{}", request.body.len()))))
    }
}

#[tokio::test]
async fn who_is_not_admitted_is_refused_before_the_body() {
    let limits = Limits { body_within: Duration::from_secs(3600), ..Limits::default() };
    let running = Running::with(limits, Arc::new(Choosy));
    for more in ["", "Expect: 100-continue\r\n"] {
        let mut stream = running.send(&format!("PUT /no HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n{more}\r\n")).await;
        let heard = refusal(heard(&mut stream).await);
        assert_eq!((heard.status, heard.reason.as_str()), (401, "no"), "without waiting for a body");
    }
    // The whole of it may be written first: the refusal is not lost to a reset.
    let mut stream = running.send("PUT /no HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n").await;
    let _ = stream.write_all(&vec![b'x'; 1_000_000]).await;
    assert_eq!(refusal(heard(&mut stream).await).status, 401);

    let mut kept = running.send("GET /no HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(heard_until(&mut kept, "}").await.starts_with("HTTP/1.1 401"));
    kept.write_all(b"PUT /yes HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab").await.unwrap();
    assert!(heard(&mut kept).await.ends_with("\r\n\r\n2"), "where no body follows the connection goes on");
    running.stop().await;
}

#[tokio::test]
async fn a_request_has_one_host() {
    let hosts = |request: Request| async move {
        let hosts = request.headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or("?"));
        Response::text(hosts.collect::<Vec<_>>().join(" "))
    };
    let running = Running::new(Limits::default(), hosts);
    for (target, lines, expected) in [
        ("/", "Host: a\r\n", Ok("a")),
        ("/", "", Ok("")),
        ("http://a/", "", Ok("a")),
        ("http://a/", "Host: a\r\n", Ok("a a")),
        ("/", "Host: a\r\nHost: b\r\n", Err("bad-host")),
        ("http://evil.example/", "Host: localhost\r\n", Err("bad-host")),
    ] {
        let mut stream = running.send(&format!("GET {target} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n")).await;
        let text = heard(&mut stream).await;
        match expected {
            Ok(host) => assert!(text.ends_with(&format!("\r\n\r\n{host}")), "{target} {lines}: {text}"),
            Err(reason) => assert!(text.contains(reason), "{target} {lines}: {text}"),
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn who_carries_no_request_gives_way() {
    let limits = Limits { connections: 2, idle: Duration::from_secs(3600), drain: SHORT, ..Limits::default() };
    let running = Running::new(limits, |request: Request| async move {
        if request.path == "/wait" { std::future::pending().await } else { Response::text("done") }
    });
    let _busy = running.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut older = running.send("").await;
    until("both are seated", || running.tally.connections() == 2).await;
    for _ in 0..3 {
        // Each that comes takes the seat of the one before it, which has said nothing, or half of something.
        let newer = running.send("GET / HT").await;
        assert_eq!(heard(&mut older).await, "", "it is closed");
        older = newer;
    }
    let mut asking = running.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(heard(&mut asking).await.ends_with("done"), "a request finds its way in");
    assert_eq!(heard(&mut older).await, "");
    assert_eq!((running.tally.of(Reached::Connections), running.tally.of(Reached::GaveWay)), (4, 4));
    running.stop().await;
}

#[tokio::test]
async fn a_stream_keeps_its_place_until_its_reader_is_gone() {
    let places = Arc::new(tokio::sync::Semaphore::new(1));
    let given = Arc::clone(&places);
    let running = Running::new(Limits::default(), move |_| {
        let place = Arc::clone(&given).try_acquire_owned();
        std::future::ready(match place {
            Ok(place) => Response::stream("text/event-stream", |sink| async move {
                let _ = sink.send(": hello\n\n").await;
                std::future::pending::<()>().await;
            })
            .keeping(place),
            Err(_) => Response::new(StatusCode::SERVICE_UNAVAILABLE),
        })
    });
    let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut first = running.send(get).await;
    heard_until(&mut first, ": hello\n\n").await;
    assert!(heard_until(&mut running.send(get).await, "\r\n\r\n").await.starts_with("HTTP/1.1 503"));
    drop(first);
    until("the place is free", || places.available_permits() == 1).await;
    running.stop().await;
}
