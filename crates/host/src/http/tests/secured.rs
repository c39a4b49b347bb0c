//! HTTP inside TLS.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::net::Stream;
use crate::tls::certs::{Authority, Pair, Valid};
use crate::tls::{self, Alpn, ClientFiles, ServerFiles};

/// A server on a free port that speaks TLS, and the authority that signs for both sides.
struct Secured {
    dir: tempfile::TempDir,
    ca: Authority,
    pair: Pair,
    running: Running,
}

impl Secured {
    fn new<F, Fut>(limits: Limits, client_ca: impl FnOnce(&Authority) -> Option<PathBuf>, handler: F) -> Secured
    where
        F: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response> + Send + 'static,
    {
        let dir = tempfile::tempdir().unwrap();
        let ca = Authority::new(dir.path(), "ca");
        let pair = ca.issue("server", &["127.0.0.1"], Valid::Now);
        let files = ServerFiles { cert: pair.cert.clone(), key: pair.key.clone(), client_ca: client_ca(&ca) };
        let tls = tls::Server::new(files, Alpn::Http1).unwrap();
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, tally) = (Shutdown::new(), Arc::clone(&limits.tally));
        let server = tokio::spawn(serve_tls(listener, tls, Arc::new(handler), limits, shutdown.clone()));
        let target = target_of(address, ClientFiles { ca: Some(ca.file()), ..ClientFiles::default() });
        let running = Running { address, target, client: Client::default(), tally, shutdown, server };
        Secured { dir, ca, pair, running }
    }

    fn plain() -> Secured {
        Secured::new(Limits::default(), |_| None, echo)
    }

    /// Asks under what these files prove, on a connection of its own.
    async fn asked_by(&self, files: ClientFiles) -> Result<Reply, CallError> {
        let call = Call::new(Method::POST, "/asked");
        Client::default().call(&target_of(self.running.address, files), call, SOON).await
    }

    /// Sends `bytes` on a connection of its own.
    async fn send(&self, bytes: &str) -> Stream {
        let Target::Tls { host, port, tls } = &self.running.target else { panic!("it is TLS") };
        let to = crate::net::Address::Tcp { host: host.clone(), port: *port };
        let mut stream = crate::net::dial(&to, Some(tls), clock::now() + SOON).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        stream
    }

    fn trusting(&self) -> ClientFiles {
        ClientFiles { ca: Some(self.ca.file()), ..ClientFiles::default() }
    }
}

fn target_of(address: SocketAddr, files: ClientFiles) -> Target {
    let tls = tls::Client::new(files, Alpn::Http1).unwrap();
    Target::Tls { host: steadfast_core::Host::Ip(address.ip()), port: address.port(), tls }
}

#[tokio::test]
async fn calls_and_streams_go_through_it_on_kept_connections() {
    let secured = Secured::new(
        Limits::default(),
        |_| None,
        |request| async move {
            if request.path == "/stream" {
                return Response::stream("text/plain", async |sink| {
                    for line in ["one\n", "two\n"] {
                        let _ = sink.send(line).await;
                    }
                });
            }
            Response::text(request.body)
        },
    );
    let running = &secured.running;
    // Larger than every buffer on the way, in both directions.
    let body = Bytes::from(vec![b'x'; 700 * 1024]);
    for _ in 0..3 {
        let call = Call { body: body.clone(), ..Call::new(Method::PUT, "/") };
        assert_eq!(running.call(call).await.body, body);
    }
    assert_eq!(running.client.idle(), 1);
    let mut stream = running.client.stream(&running.target, Call::get("/stream"), SOON).await.unwrap();
    for line in [Some("one"), Some("two"), None] {
        assert_eq!(stream.next_line().await.unwrap().as_deref(), line.map(str::as_bytes));
    }
    assert_eq!(running.target.to_string(), format!("https://{}", running.address));
    secured.running.stop().await;
}

#[tokio::test]
async fn who_speaks_plain_http_is_told_in_plain() {
    let secured = Secured::plain();
    let mut plain = secured.running.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let said = heard(&mut plain).await;
    assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
    assert!(said.contains("this port speaks TLS, and what came is not: ask by https://"), "{said}");
    assert_eq!(secured.running.tally.of(Reached::NotTls), 1);
    secured.running.stop().await;
}

#[tokio::test]
async fn who_speaks_tls_to_a_plain_port_is_told_that_nothing_was_sent() {
    let running = Running::new(Limits::default(), echo);
    let dir = tempfile::tempdir().unwrap();
    let files = ClientFiles { ca: Some(Authority::new(dir.path(), "ca").file()), ..ClientFiles::default() };
    let error = Client::default().call(&target_of(running.address, files), Call::get("/"), SOON).await.unwrap_err();
    let (address, said) = (running.address, error.to_string());
    assert!(!error.may_have_happened(), "{error:?}");
    assert_eq!(
        said,
        format!(
            "cannot reach https://{address}: {address} answers, and it is not TLS: is that port for plain connections?"
        )
    );
    running.stop().await;
}

#[tokio::test]
async fn the_end_of_a_connection_is_told_so_that_it_is_no_cut() {
    let secured = Secured::new(
        Limits::default(),
        |_| None,
        |_| async {
            Response::stream("text/plain", async |sink| {
                let _ = sink.send("all of it").await;
            })
        },
    );
    // A body of HTTP/1.0 ends where the connection does.
    for (version, lines) in [("1.0", ""), ("1.1", "Host: a\r\nConnection: close\r\n")] {
        let mut stream = secured.send(&format!("GET / HTTP/{version}\r\n{lines}\r\n")).await;
        let mut said = String::new();
        let ended = soon("the server closes", stream.read_to_string(&mut said)).await;
        assert!(ended.is_ok() && said.contains("all of it"), "{version}: {ended:?} {said}");
    }
    secured.running.stop().await;
}

#[tokio::test]
async fn handshakes_that_are_left_undone_keep_nobody_out() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let secured = Secured::new(limits, |_| None, echo);
    let mut undone = Vec::new();
    for _ in 0..5 {
        undone.push(secured.running.send("\x16\x03").await);
    }
    assert_eq!(secured.running.call(Call::get("/")).await.status, StatusCode::OK);
    assert!(secured.running.tally.of(Reached::GaveWay) >= 3);
    // Nor does one keep the server from ending.
    secured.running.stop().await;
}

#[tokio::test]
async fn a_handshake_has_its_time() {
    let limits = Limits { handshake_within: SHORT, ..Limits::default() };
    let secured = Secured::new(limits, |_| None, echo);
    for begun in ["", "\x16\x03"] {
        assert_eq!(heard(&mut secured.running.send(begun).await).await, "");
    }
    until("both are counted", || secured.running.tally.of(Reached::Handshake) == 2).await;
    secured.running.stop().await;
}

#[tokio::test]
async fn a_client_that_is_not_let_in_knows_that_nothing_was_asked() {
    let secured = Secured::new(Limits::default(), |ca| Some(ca.file()), echo);
    let address = secured.running.address;
    let own = secured.ca.issue("client", &["me"], Valid::Now);
    let known = ClientFiles { cert: Some(own.cert), key: Some(own.key), ..secured.trusting() };
    assert_eq!(secured.asked_by(known).await.unwrap().status, StatusCode::OK);

    let error = secured.asked_by(secured.trusting()).await.unwrap_err();
    assert!(!error.may_have_happened(), "{error:?}");
    assert_eq!(
        error.to_string(),
        format!(
            "cannot reach https://{address}: {address} wants a client certificate, and none is given: give one with its key"
        )
    );
    secured.running.stop().await;
}

#[tokio::test]
async fn a_kept_connection_that_was_proven_by_what_counts_no_longer_is_not_used_again() {
    let secured = Secured::plain();
    let running = &secured.running;
    running.call(Call::get("/")).await;
    assert_eq!(running.client.idle(), 1);

    // Another authority is trusted from now on: who was trusted before is asked again who it is.
    let other = Authority::new(secured.dir.path(), "other");
    fs::copy(other.file(), secured.ca.file()).unwrap();
    let refused = async {
        loop {
            match running.client.call(&running.target, Call::get("/"), SOON).await {
                Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => return error,
            }
        }
    };
    let error = soon("the change is seen", refused).await;
    assert!(error.to_string().contains("is signed by no authority"), "{error}");

    // The server shows what the other one signed: back in business.
    let fresh = other.issue("fresh", &["127.0.0.1"], Valid::Now);
    fs::copy(fresh.cert, &secured.pair.cert).unwrap();
    fs::copy(fresh.key, &secured.pair.key).unwrap();
    let taken = async {
        while running.client.call(&running.target, Call::get("/"), SOON).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the new certificate is shown", taken).await;
    secured.running.stop().await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_closed_inside_tls_too() {
    let limits = Limits { write_stall: LONGER, ..Limits::default() };
    let secured = Secured::new(
        limits,
        |_| None,
        |_| async {
            Response::stream("text/plain", async |sink| while sink.send(vec![b'x'; 64 * 1024]).await.is_ok() {})
        },
    );
    let running = &secured.running;
    let stalled = secured.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    until("it is closed", || running.tally.of(Reached::WriteStall) == 1).await;
    drop(stalled);
    secured.running.stop().await;
}
