//! The client, mostly against servers that do not behave.

use std::sync::Mutex;

use tokio::net::TcpListener;

use super::*;

/// A server that plays a script: for each connection, in order, what it says to each request before it closes. It
/// tells which requests it has read.
struct Scripted {
    target: Target,
    read: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Scripted {
    async fn new(connections: &[&[&str]]) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = target(listener.local_addr().unwrap());
        let read = Arc::new(Mutex::new(Vec::new()));
        let script: Vec<Vec<String>> =
            connections.iter().map(|answers| answers.iter().map(|text| text.to_string()).collect()).collect();
        let seen = Arc::clone(&read);
        let task = tokio::spawn(async move {
            for answers in script {
                let (mut stream, _) = listener.accept().await.unwrap();
                for answer in answers {
                    let request = heard_until(&mut stream, "\r\n\r\n").await;
                    seen.lock().unwrap().push(request.lines().next().unwrap().to_string());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        Scripted { target, read, task }
    }

    async fn call(&self, client: &Client, call: Call) -> Result<Reply, CallError> {
        client.call(&self.target, call, SOON).await
    }

    fn read(&self) -> Vec<String> {
        self.read.lock().unwrap().clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn post() -> Call {
    Call::new(Method::POST, "/")
}

#[tokio::test]
async fn what_was_never_sent_is_told_apart() {
    // Bound, so that nobody else listens there, and not listening.
    let bound = tokio::net::TcpSocket::new_v4().unwrap();
    bound.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let free = bound.local_addr().unwrap();
    let client = Client::default();
    let error = client.call(&target(free), post(), SOON).await.unwrap_err();
    assert!(
        matches!(&error, CallError::NotSent { source, .. } if source.kind() == std::io::ErrorKind::ConnectionRefused)
    );
    assert!(error.to_string().starts_with(&format!("cannot reach http://{free}: ")), "{error}");

    let nobody = Target::Tcp { host: "nobody.invalid".parse().unwrap(), port: 80 };
    assert!(matches!(client.call(&nobody, post(), SOON).await, Err(CallError::NotSent { .. })));
    for path in ["relative", "/with space", ""] {
        let error = client.call(&target(free), Call::get(path), SOON).await.unwrap_err();
        assert!(error.to_string().contains(&format!("the path {path:?}")), "{error}");
    }
}

#[tokio::test]
async fn a_connection_nobody_takes_is_not_sent_within_the_time() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(0).unwrap();
    let address = full.local_addr().unwrap();
    // A backlog of none has room for one; the kernel leaves further ones without an answer.
    let _filler = TcpStream::connect(address).await.unwrap();
    let error = Client::default().call(&target(address), post(), SHORT).await.unwrap_err();
    assert!(
        matches!(&error, CallError::NotSent { source, .. } if source.kind() == std::io::ErrorKind::TimedOut),
        "{error}"
    );
    assert!(error.timed_out());
}

#[tokio::test]
async fn what_was_sent_and_not_answered_is_unknown() {
    for (answer, why) in [
        ("", "the connection was closed before an answer"),
        ("HTTP/1.1 200 OK\r\nContent-", "the connection was closed before an answer"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "the answer broke off"),
    ] {
        for call in [post(), Call::get("/")] {
            let server = Scripted::new(&[&[answer], &[OK]]).await;
            let error = server.call(&Client::default(), call).await.unwrap_err();
            assert!(matches!(error, CallError::Unknown { .. }) && error.to_string().contains(why), "{error}");
            assert!(!error.timed_out());
            assert_eq!(server.read().len(), 1, "never twice");
        }
    }
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_told_from_one_that_breaks_off() {
    for answer in ["", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"] {
        // On a machine so loaded that it cannot connect in the first time, there is a longer one.
        for within in [SHORT, LONGER, SOON] {
            // It waits for a second request that never comes.
            let server = Scripted::new(&[&[answer, OK]]).await;
            let error = Client::default().call(&server.target, post(), within).await.unwrap_err();
            if error.may_have_happened() {
                assert!(matches!(error, CallError::TimedOut { .. }) && error.timed_out(), "{error}");
                assert!(error.to_string().contains(&format!("within {within:?}")), "{error}");
                break;
            }
            assert!(within < SOON, "{error}");
        }
    }
}

#[tokio::test]
async fn what_is_no_http_is_malformed_and_what_is_too_large_is_told() {
    let limits = ClientLimits { head_bytes: 1000, body_bytes: 10, ..ClientLimits::default() };
    let client = Client::new(limits);
    let server = Scripted::new(&[&["SSH-2.0-OpenSSH_9.2\r\n"]]).await;
    let error = server.call(&client, post()).await.unwrap_err();
    assert!(matches!(error, CallError::Malformed { .. }) && error.may_have_happened(), "{error}");

    for (answer, limit) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n01234567890".to_string(), 10),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n6\r\n012345\r\n0\r\n\r\n".into(), 10),
        (format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(1000)), 1000),
    ] {
        let server = Scripted::new(&[&[&answer]]).await;
        let error = server.call(&client, post()).await.unwrap_err();
        assert!(matches!(error, CallError::TooLarge { limit: said, .. } if said == limit), "{error}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = Scripted::new(&[&[OK, OK, OK]]).await;
    let client = Client::default();
    for _ in 0..3 {
        assert_eq!(&server.call(&client, post()).await.unwrap().body[..], b"ok");
    }
}

#[tokio::test]
async fn a_kept_connection_found_closed_costs_nothing() {
    let server = Scripted::new(&[&[OK], &[OK]]).await;
    let client = Client::default();
    server.call(&client, post()).await.unwrap();
    until("the client sees that the server has closed", || client.idle() == 0).await;
    server.call(&client, post()).await.unwrap();
    assert_eq!(server.read().len(), 2);
}

#[tokio::test]
async fn on_a_kept_connection_that_dies_a_reading_call_is_repeated_and_a_writing_one_is_unknown() {
    let server = Scripted::new(&[&[OK, ""], &[OK]]).await;
    let client = Client::default();
    server.call(&client, Call::get("/")).await.unwrap();
    server.call(&client, Call::get("/again")).await.unwrap();
    assert_eq!(server.read(), ["GET / HTTP/1.1", "GET /again HTTP/1.1", "GET /again HTTP/1.1"]);

    let server = Scripted::new(&[&[OK, ""], &[OK]]).await;
    let client = Client::default();
    server.call(&client, post()).await.unwrap();
    let error = server.call(&client, post()).await.unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error}");
    assert_eq!(server.read().len(), 2, "not sent again");
}

#[tokio::test]
async fn idle_connections_expire_and_are_few() {
    let running = Running::new(Limits::default(), echo);
    let client = Client::new(ClientLimits { idle_per_target: 1, ..ClientLimits::default() });
    let calls = || client.call(&running.target, Call::get("/"), SOON);
    let (one, two) = tokio::join!(calls(), calls());
    assert_eq!((one.unwrap().status, two.unwrap().status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(client.idle(), 1);
    let client = Client::new(ClientLimits { idle: Duration::ZERO, ..ClientLimits::default() });
    for _ in 0..3 {
        client.call(&running.target, Call::get("/"), SOON).await.unwrap();
        assert_eq!(client.idle(), 1, "an expired one is replaced");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_stream_is_read_by_line() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = format!("{HEAD}4\r\none\n\r\n6\r\n\r\ntwo\n\r\n3\r\n\nth\r\n5\r\nree\r\n\r\n4\r\nlast\r\n0\r\n\r\n");
    let server = Scripted::new(&[&[&answer]]).await;
    let mut stream = Client::default().stream(&server.target, Call::get("/"), SOON).await.unwrap();
    assert_eq!(stream.status, 200);
    for line in ["one", "", "two", "", "three", "last"] {
        assert_eq!(stream.next_line().await.unwrap().as_deref(), Some(line.as_bytes()));
    }
    assert_eq!(stream.next_line().await.unwrap(), None);

    let server = Scripted::new(&[&[&format!("{HEAD}4\r\none\n\r\n3\r\nto")]]).await;
    let mut stream = Client::default().stream(&server.target, Call::get("/"), SOON).await.unwrap();
    assert_eq!(stream.next_line().await.unwrap().as_deref(), Some(&b"one"[..]));
    assert!(matches!(stream.next_line().await, Err(StreamError::Broken(_))), "a torn line is not a line");
}

#[tokio::test]
async fn a_line_has_a_bound() {
    let client = Client::new(ClientLimits { line_bytes: 4, ..ClientLimits::default() });
    for (body, good) in [("1234\n12345\n", 1), ("12345", 0), ("1234", 1), ("123456789", 0)] {
        let server = Scripted::new(&[&[&format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}")]]).await;
        let mut stream = client.stream(&server.target, Call::get("/"), SOON).await.unwrap();
        for _ in 0..good {
            assert_eq!(stream.next_line().await.unwrap().as_deref(), Some(&b"1234"[..]), "{body}");
        }
        if body.len() > 4 {
            assert!(matches!(stream.next_line().await, Err(StreamError::LineTooLong { limit: 4 })), "{body}");
        }
    }
}

#[tokio::test]
async fn waiting_for_a_line_can_be_given_up_without_losing_any_of_it() {
    let (go, wait) = tokio::sync::mpsc::channel::<()>(1);
    let wait = Arc::new(tokio::sync::Mutex::new(wait));
    let running = Running::new(Limits::default(), move |_| {
        let wait = Arc::clone(&wait);
        async move {
            Response::stream("application/x-ndjson", |sink| async move {
                let _ = sink.send("ha").await;
                wait.lock().await.recv().await;
                let _ = sink.send("lf\n").await;
            })
        }
    });
    let mut stream = running.client.stream(&running.target, Call::get("/"), SOON).await.unwrap();
    for _ in 0..3 {
        assert!(tokio::time::timeout(SHORT, stream.next_line()).await.is_err());
    }
    go.send(()).await.unwrap();
    assert_eq!(stream.next_line().await.unwrap().as_deref(), Some(&b"half"[..]));
    running.stop().await;
}

#[tokio::test]
async fn a_stream_that_turns_out_to_be_an_error_can_be_read_as_one() {
    let running = Running::new(Limits::default(), |_| async {
        crate::problem::Problem::not_found("there is no set \"web\"").into()
    });
    let stream = running.client.stream(&running.target, Call::get("/"), SOON).await.unwrap();
    let (status, headers) = (stream.status, stream.headers.clone());
    let body = stream.rest().await.unwrap();
    let problem = crate::problem::Problem::of(status, &headers, &body).unwrap();
    assert_eq!(problem.to_string(), "there is no set \"web\" (404 not-found)");
    running.stop().await;
}
