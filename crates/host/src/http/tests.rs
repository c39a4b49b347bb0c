mod client;
mod refusals;
mod secured;
mod server;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;
use crate::clock;
use crate::net::Listener;
use crate::shutdown::Shutdown;

const SOON: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(50);
/// Longer than a loaded machine keeps a test from writing what it is about to write.
const LONGER: Duration = Duration::from_secs(1);

/// A server on a free port, and a client for it.
struct Running {
    address: SocketAddr,
    target: Target,
    client: Client,
    tally: Arc<Tally>,
    shutdown: Shutdown,
    server: JoinHandle<()>,
}

fn target(address: SocketAddr) -> Target {
    Target::Tcp { host: steadfast_core::Host::Ip(address.ip()), port: address.port() }
}

impl Running {
    fn new<F, Fut>(limits: Limits, handler: F) -> Running
    where
        F: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response> + Send + 'static,
    {
        Running::with(limits, Arc::new(handler))
    }

    fn with(limits: Limits, handler: Arc<dyn Handler>) -> Running {
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, tally) = (Shutdown::new(), Arc::clone(&limits.tally));
        let server = tokio::spawn(serve(listener, handler, limits, shutdown.clone()));
        Running { address, target: target(address), client: Client::default(), tally, shutdown, server }
    }

    async fn call(&self, call: Call) -> Reply {
        self.client.call(&self.target, call, SOON).await.unwrap()
    }

    /// Sends `bytes` on a connection of its own.
    async fn send(&self, bytes: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream
    }

    async fn stop(self) {
        self.shutdown.begin();
        soon("the server ends", self.server).await.unwrap();
    }
}

async fn soon<F: Future>(what: &str, work: F) -> F::Output {
    clock::timeout_at(clock::now() + SOON, work).await.unwrap_or_else(|| panic!("not in time: {what}"))
}

/// Everything until the peer closes.
async fn heard(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset after the answer is an end, too.
    let _ = soon("the server closes", stream.read_to_end(&mut text)).await;
    String::from_utf8_lossy(&text).into_owned()
}

/// Everything until `end` has come.
async fn heard_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        text.push(char::from(soon(end, stream.read_u8()).await.unwrap()));
    }
    text
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    soon(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

async fn echo(request: Request) -> Response {
    let line = format!("{} {} {:?} {}", request.method, request.path, request.query, request.body.len());
    Response::text(line).with(HeaderName::from_static("x-tried"), HeaderValue::from_static("yes"))
}

#[test]
fn what_is_encoded_is_decoded() {
    for (text, encoded) in
        [("", ""), ("a-Z.0_~", "a-Z.0_~"), ("a b/c?d=e&f+g%", "a%20b%2Fc%3Fd%3De%26f%2Bg%25"), ("ü\0", "%C3%BC%00")]
    {
        assert_eq!(percent_encode(text.as_bytes()), encoded);
        assert_eq!(percent_decode(encoded).as_deref(), Some(text.as_bytes()));
    }
    for broken in ["%", "%4", "%zz", "a%f", "%+1"] {
        assert_eq!(percent_decode(broken), None, "{broken}");
    }
}

#[test]
fn a_request_is_taken_apart() {
    let request = |path: &str, query: Option<&str>| Request {
        method: Method::GET,
        path: path.into(),
        query: query.map(str::to_string),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        peer: Peer::Unix { pid: None },
    };
    let asked = request("/api/v1/clients/a%2Fb", Some("a=1&b=x+y%21&c&a=2&=z&&bad=%zz"));
    assert_eq!(asked.segments().unwrap(), ["api", "v1", "clients", "a/b"]);
    let pairs = asked.query_pairs();
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(pairs, [("a", "1"), ("b", "x y!"), ("c", ""), ("a", "2"), ("", "z")]);
    assert_eq!(asked.query_value("b").as_deref(), Some("x y!"));
    assert_eq!(asked.query_value("a"), None, "given twice, two readers would read two values");
    assert_eq!(asked.query_value("bad"), None);
    assert_eq!(request("/%ff", None).segments(), None);
    assert_eq!(request("/", None).segments().unwrap(), [""]);
    assert!(request("/", None).query_pairs().is_empty());
}
