use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;
use crate::net::Listener;
use crate::shutdown::Shutdown;

const SOON: Duration = Duration::from_secs(10);

/// A server on a free port, and a client for it.
struct Running {
    address: SocketAddr,
    target: Target,
    client: Client,
    shutdown: Shutdown,
    server: JoinHandle<()>,
}

impl Running {
    fn new<F, Fut>(limits: Limits, handler: F) -> Running
    where
        F: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response> + Send + 'static,
    {
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let server = tokio::spawn(serve(listener, Arc::new(handler), limits, shutdown.clone()));
        let target = Target::Tcp { host: steadfast_core::Host::Ip(address.ip()), port: address.port() };
        Running { address, target, client: Client::default(), shutdown, server }
    }

    async fn call(&self, call: Call) -> Reply {
        self.client.call(&self.target, call, SOON).await.unwrap()
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn stop(self) {
        self.shutdown.begin();
        tokio::time::timeout(SOON, self.server).await.unwrap().unwrap();
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + SOON;
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn echo(request: Request) -> Response {
    let line = format!("{} {} {:?} {}", request.method, request.path, request.query, request.body.len());
    Response::text(line).with(HeaderName::from_static("x-tried"), HeaderValue::from_static("yes"))
}

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
    let server =
        tokio::spawn(serve(Listener::unix(&path).unwrap(), Arc::new(echo), Limits::default(), shutdown.clone()));
    let reply = Client::default().call(&Target::Unix(path.clone()), Call::get("/"), SOON).await.unwrap();
    assert_eq!(&reply.body[..], b"GET / None 0");
    shutdown.begin();
    server.await.unwrap();
    let error = Client::default().call(&Target::Unix(path), Call::get("/"), SOON).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent { .. }), "{error}");
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

#[tokio::test]
async fn a_handler_finishes_though_its_client_is_gone() {
    static FINISHED: AtomicUsize = AtomicUsize::new(0);
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    let go = Arc::new(tokio::sync::Semaphore::new(0));
    let wait = Arc::clone(&go);
    let running = Running::new(Limits::default(), move |_| {
        let wait = Arc::clone(&wait);
        async move {
            STARTED.fetch_add(1, Ordering::SeqCst);
            let _ = wait.acquire().await;
            FINISHED.fetch_add(1, Ordering::SeqCst);
            Response::new(StatusCode::OK)
        }
    });
    let mut client = running.connect().await;
    client.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    until("the start", || STARTED.load(Ordering::SeqCst) == 1).await;
    drop(client);
    tokio::time::sleep(Duration::from_millis(20)).await;
    go.add_permits(1);
    until("the end of the work", || FINISHED.load(Ordering::SeqCst) == 1).await;
    running.stop().await;
}
