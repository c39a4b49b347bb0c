//! The server, mostly against peers that do not behave.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, mpsc};

use super::*;

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn calls_are_answered_over_kept_connections() {
    let running = Running::new(Limits::default(), echo);
    for _ in 0..3 {
        let reply = running.call(Call::get("/a%20b?c=d")).await;
        assert_eq!((reply.status, &reply.body[..]), (StatusCode::OK, &b"GET /a%20b Some(\"c=d\") 0"[..]));
        assert_eq!(reply.headers["x-tried"], "yes");
        let reply = running.call(Call::json(Method::PUT, "/x", &[1, 2, 3])).await;
        assert_eq!(&reply.body[..], b"PUT /x None 7");
        let reply = running.call(Call::new(Method::HEAD, "/x")).await;
        assert_eq!((reply.body.len(), &reply.headers[header::CONTENT_LENGTH]), (0, &HeaderValue::from_static("14")));
    }
    running.stop().await;
}

#[tokio::test]
async fn a_unix_socket_serves_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("api");
    let shutdown = Shutdown::new();
    let listener = Listener::unix(&path).unwrap();
    let server = tokio::spawn(serve(listener, Arc::new(echo), Limits::default(), shutdown.clone()));
    let reply = Client::default().call(&Target::Unix(path.clone()), Call::get("/"), SOON).await.unwrap();
    assert_eq!(&reply.body[..], b"GET / None 0");
    shutdown.begin();
    soon("the server ends", server).await.unwrap();
    let error = Client::default().call(&Target::Unix(path), Call::get("/"), SOON).await.unwrap_err();
    assert!(!error.may_have_happened(), "{error}");
}

#[tokio::test]
async fn requests_sent_in_one_go_are_answered_in_order() {
    let running = Running::new(Limits::default(), echo);
    let mut stream = running
        .send("POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nabGET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    let text = heard(&mut stream).await;
    let (one, two) = (text.find("POST /1 None 2").unwrap(), text.find("GET /2 None 0").unwrap());
    assert!(one < two);
    running.stop().await;
}

#[tokio::test]
async fn a_panic_is_a_500_and_not_the_end() {
    let running = Running::new(Limits::default(), |request: Request| async move {
        assert_ne!(request.path, "/panic", "on purpose");
        Response::new(StatusCode::NO_CONTENT)
    });
    for _ in 0..2 {
        let reply = running.call(Call::get("/panic")).await;
        assert_eq!(reply.problem().unwrap().reason, "internal");
        assert_eq!(running.call(Call::get("/")).await.status, 204);
    }
    running.stop().await;
}

/// A handler that waits for a permit, and counts.
#[derive(Clone)]
struct Slow {
    started: Arc<AtomicUsize>,
    finished: Arc<AtomicUsize>,
    go: Arc<Semaphore>,
}

impl Slow {
    fn new() -> Slow {
        Slow { started: Arc::default(), finished: Arc::default(), go: Arc::new(Semaphore::new(0)) }
    }

    fn serve(&self, limits: Limits) -> Running {
        let slow = self.clone();
        Running::new(limits, move |_| {
            let slow = slow.clone();
            async move {
                slow.started.fetch_add(1, Ordering::SeqCst);
                slow.go.acquire().await.unwrap().forget();
                slow.finished.fetch_add(1, Ordering::SeqCst);
                Response::text("done")
            }
        })
    }

    async fn has_started(&self, count: usize) {
        until("handlers start", || self.started.load(Ordering::SeqCst) == count).await;
    }
}

#[tokio::test]
async fn a_handler_finishes_though_its_client_is_gone() {
    let slow = Slow::new();
    let running = slow.serve(Limits::default());
    let client = running.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
    slow.has_started(1).await;
    drop(client);
    // Long enough for the server to see it.
    tokio::time::sleep(SHORT).await;
    slow.go.add_permits(1);
    until("the work ends", || slow.finished.load(Ordering::SeqCst) == 1).await;
    running.stop().await;
}

#[tokio::test]
async fn a_stop_lets_requests_finish_and_turns_new_ones_away() {
    let slow = Slow::new();
    let running = slow.serve(Limits::default());
    let mut idle = running.send("").await;
    let mut busy = running.send(GET).await;
    slow.has_started(1).await;
    running.shutdown.begin();
    assert_eq!(heard(&mut idle).await, "", "an idle connection is closed");
    until("the listener is closed", || std::net::TcpStream::connect(running.address).is_err()).await;
    assert!(!running.server.is_finished());
    slow.go.add_permits(1);
    assert!(heard(&mut busy).await.ends_with("done"));
    soon("the server ends", running.server).await.unwrap();
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let slow = Slow::new();
    let running = slow.serve(Limits { drain: SHORT, ..Limits::default() });
    let mut stuck = running.send(GET).await;
    slow.has_started(1).await;
    running.stop().await;
    heard(&mut stuck).await;
    assert_eq!(slow.finished.load(Ordering::SeqCst), 0);
    assert_eq!(Arc::strong_count(&slow.go), 1, "nothing of the server is left");
}

#[tokio::test]
async fn who_hangs_up_keeps_his_place_until_his_work_is_done() {
    let slow = Slow::new();
    let running = slow.serve(Limits { connections: 2, ..Limits::default() });
    for started in 1..=2 {
        let client = running.send(GET).await;
        slow.has_started(started).await;
        drop(client);
    }
    until("both to be gone", || running.tally.connections() == 0).await;
    let mut third = running.send(GET).await;
    tokio::time::sleep(SHORT).await;
    assert_eq!(slow.started.load(Ordering::SeqCst), 2, "nobody has more done at once than there are places");
    slow.go.add_permits(3);
    heard_until(&mut third, "done").await;
    running.stop().await;
}

#[tokio::test]
async fn a_crowd_that_comes_at_once_is_answered_one_by_one() {
    const CROWD: usize = 200;
    let running = Running::new(Limits { connections: 1, ..Limits::default() }, echo);
    let address = running.address;
    // Each has sent its request before its connection is accepted: none of them is idle.
    let crowd: Vec<_> = (0..CROWD)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            std::io::Write::write_all(&mut stream, GET.as_bytes()).unwrap();
            stream.set_nonblocking(true).unwrap();
            TcpStream::from_std(stream).unwrap()
        })
        .collect();
    for mut stream in crowd {
        heard_until(&mut stream, "GET / None 0").await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_connection_too_many_waits_for_room() {
    let slow = Slow::new();
    let running = slow.serve(Limits { connections: 2, ..Limits::default() });
    let (_one, mut two, mut three) = (running.send(GET).await, running.send(GET).await, running.send(GET).await);
    slow.has_started(2).await;
    tokio::time::sleep(SHORT).await;
    assert_eq!(slow.started.load(Ordering::SeqCst), 2);
    slow.go.add_permits(3);
    heard_until(&mut two, "done").await;
    drop(two);
    heard_until(&mut three, "done").await;
    running.stop().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let running = Running::new(Limits { head_bytes: 1000, body_bytes: 10, ..Limits::default() }, echo);
    assert_eq!(running.call(Call { body: "0123456789".into(), ..Call::new(Method::PUT, "/") }).await.status, 200);
    let reply = running.call(Call { body: "0123456789A".into(), ..Call::new(Method::PUT, "/") }).await;
    assert_eq!(reply.problem().map(|problem| (problem.status, problem.reason)), Some((413, "body-too-large".into())));
    // A body that means nothing has less room, however much one may have.
    let roomy = Running::new(Limits::default(), echo);
    for (bytes, status) in [(4096, 200), (4097, 413)] {
        for method in [Method::GET, Method::HEAD] {
            let reply = roomy.call(Call { body: vec![b'x'; bytes].into(), ..Call::new(method, "/") }).await;
            assert_eq!(reply.status, status, "{bytes}");
        }
        let chunk = format!("{bytes:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(bytes));
        let head = "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = heard_until(&mut roomy.send(&format!("{head}{chunk}")).await, "\r\n\r\n").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    roomy.stop().await;
    let mut chunked = running
        .send("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n01234567\r\n8\r\n01234567\r\n0\r\n\r\n")
        .await;
    assert!(heard_until(&mut chunked, "\r\n\r\n").await.starts_with("HTTP/1.1 413"));
    let mut head = running.send(&format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(1000))).await;
    assert!(heard(&mut head).await.starts_with("HTTP/1.1 431"));
    running.stop().await;
}

#[tokio::test]
async fn what_is_too_slow_is_cut_off() {
    let running = Running::new(Limits { head_within: SHORT, body_within: SHORT, ..Limits::default() }, echo);
    let mut head = running.send("GET / HTTP/1.1\r\nHost:").await;
    assert!(heard(&mut head).await.starts_with("HTTP/1.1 408"));
    let mut body = running.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab").await;
    assert!(heard_until(&mut body, "\r\n\r\n").await.starts_with("HTTP/1.1 408"));
    running.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_one_that_speaks_is_not() {
    let running = Running::new(Limits { idle: LONGER, ..Limits::default() }, echo);
    let mut silent = running.send("").await;
    assert_eq!(heard(&mut silent).await, "");
    let mut kept = running.send(GET).await;
    assert!(heard(&mut kept).await.ends_with("GET / None 0"), "it is answered first");
    let mut speaking = running.send("GET / HT").await;
    tokio::time::sleep(LONGER + SHORT).await;
    speaking.write_all(b"TP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(heard(&mut speaking).await.ends_with("GET / None 0"));
    running.stop().await;
}

#[tokio::test]
async fn a_slow_handler_is_not_an_idle_connection() {
    let slow = Slow::new();
    let running = slow.serve(Limits { head_within: LONGER, idle: LONGER, write_stall: LONGER, ..Limits::default() });
    let mut stream = running.send(GET).await;
    slow.has_started(1).await;
    tokio::time::sleep(LONGER + SHORT).await;
    slow.go.add_permits(1);
    assert!(heard(&mut stream).await.ends_with("done"));
    running.stop().await;
}

/// A server whose answers are streams of `chunk`s without end, and word of each that was dropped.
fn endless(limits: Limits, chunk: &'static str) -> (Running, mpsc::UnboundedReceiver<()>) {
    struct Tell(mpsc::UnboundedSender<()>);
    impl Drop for Tell {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (dropped, told) = mpsc::unbounded_channel();
    let running = Running::new(limits, move |_| {
        let tell = Tell(dropped.clone());
        async move {
            Response::stream("application/x-ndjson", |sink| async move {
                let _tell = tell;
                sink.send(Bytes::new()).await.unwrap();
                while sink.send(chunk).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(u64::from(chunk.len() < 100))).await;
                }
            })
        }
    });
    (running, told)
}

#[tokio::test]
async fn a_stream_ends_with_its_reader() {
    let (running, mut told) = endless(Limits::default(), "line\n");
    let mut stream = running.send(GET).await;
    heard_until(&mut stream, "line\n\r\n5\r\nline\n").await;
    told.try_recv().unwrap_err();
    drop(stream);
    soon("the producer is dropped", told.recv()).await;
    running.stop().await;
}

#[tokio::test]
async fn a_silent_stream_ends_with_its_reader_too() {
    let (dropped, mut told) = mpsc::unbounded_channel::<()>();
    let running = Running::new(Limits::default(), move |_| {
        let held = dropped.clone();
        async move {
            Response::stream("text/event-stream", |sink| async move {
                let _ = sink.send(": hello\n\n").await;
                std::future::pending::<()>().await;
                drop((held, sink));
            })
        }
    });
    let mut stream = running.send(GET).await;
    heard_until(&mut stream, ": hello\n\n").await;
    drop(stream);
    running.shutdown.begin();
    soon("the server ends", running.server).await.unwrap();
    assert!(told.recv().await.is_none(), "the producer was dropped");
}

#[tokio::test]
async fn a_stream_ends_in_good_order_when_the_server_stops() {
    let (running, mut told) = endless(Limits::default(), "line\n");
    let mut stream = running.send(GET).await;
    heard_until(&mut stream, "line\n").await;
    running.stop().await;
    assert!(heard(&mut stream).await.ends_with("\r\n0\r\n\r\n"), "the client is told that it ended");
    soon("the producer is dropped", told.recv()).await;
}

#[tokio::test]
async fn a_reader_that_stalls_is_cut_off() {
    const CHUNK: &str = match std::str::from_utf8(&[b'x'; 64 * 1024]) {
        Ok(text) => text,
        Err(_) => "",
    };
    let (running, mut told) = endless(Limits { write_stall: SHORT, ..Limits::default() }, CHUNK);
    let stream = running.send(GET).await;
    soon("the producer is dropped", told.recv()).await;
    drop(stream);
    running.stop().await;
}

#[tokio::test]
async fn a_stream_is_no_further_than_its_reader_needs() {
    use http_body::Body as _;
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let mut stream = Response::stream("text/event-stream", |sink| async move {
        while sink.send("line\n").await.is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    for taken in 1..10 {
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut stream.body).poll_frame(cx)).await;
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "line\n");
        let ahead = made.load(Ordering::SeqCst) - (taken - 1);
        assert!(ahead <= 2, "{ahead} chunks wait for a reader who may never take them");
    }
}

#[tokio::test]
async fn a_finished_stream_is_whole() {
    let running = Running::new(Limits::default(), |_| async {
        Response::stream("application/x-ndjson", |sink| async move {
            for number in 0..100 {
                sink.send_json(&number).await.unwrap();
            }
        })
    });
    let reply = running.call(Call::get("/")).await;
    let expected: String = (0..100).map(|number| format!("{number}\n")).collect();
    assert_eq!(
        (reply.body.as_ref(), &reply.headers[header::CACHE_CONTROL]),
        (expected.as_bytes(), &HeaderValue::from_static("no-store"))
    );
    running.stop().await;
}
