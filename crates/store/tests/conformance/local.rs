//! The back ends of our own: memory, SQLite, and HTTP to another Steadfast, also inside TLS.

use std::sync::Arc;
use std::time::Duration;

use steadfast_host::http::{Limits, serve, serve_tls};
use steadfast_host::net::Listener;
use steadfast_host::shutdown::Shutdown;
use steadfast_host::tls::certs::{Authority, Pair, Valid};
use steadfast_host::tls::{self, Alpn, ServerFiles};
use steadfast_store::conformance::servers::Place;
use steadfast_store::conformance::{Fixture, load, reach};
use steadfast_store::http::{BODY_BYTES, Service};
use steadfast_store::{Access, FoldBound, LogBound, Memory, Sqlite, Store, open};
use tokio::task::JoinHandle;

use super::FAULTS;

/// A log short enough to outgrow in a test.
const SHORT_LOG: LogBound = LogBound { commits: 256, bytes: 64 << 20, age: Duration::from_secs(3_600) };

fn short(stores: Vec<Arc<dyn Store>>) -> Fixture {
    Fixture::of_all(stores, SHORT_LOG.commits, Duration::from_secs(30))
}

async fn memory() -> Fixture {
    short(vec![Arc::new(Memory::with_log(SHORT_LOG))])
}

/// Ways to one file: the first handle serves it, the others reach it through the socket.
async fn sqlite(serving: usize, calling: usize) -> Fixture {
    sqlite_with_log(SHORT_LOG, serving, calling)
}

fn sqlite_with_log(log: LogBound, serving: usize, calling: usize) -> Fixture {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    let open = || Arc::new(Sqlite::with_log(&path, log).expect("a store"));
    let server = open();
    assert!(server.serves());
    let callers: Vec<_> = (0..calling).map(|_| open()).collect();
    assert!(callers.iter().all(|caller| !caller.serves()));
    let mut stores: Vec<Arc<dyn Store>> = vec![server.clone(); serving];
    stores.extend(callers.into_iter().map(|caller| caller as Arc<dyn Store>));
    // The first to go is the server: it must not hand over to the callers while the test ends.
    Fixture { keep: Box::new((server, directory)), ..short(stores) }
}

/// One handle whose table of records is brought up to the log so.
async fn sqlite_folding(fold: FoldBound) -> Fixture {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Sqlite::with_bounds(directory.path().join("state.db"), SHORT_LOG, fold).expect("a store");
    Fixture { keep: Box::new(directory), ..short(vec![Arc::new(store)]) }
}

/// A store in memory with this log, behind a server on loopback: the server and its port.
fn serve_http(log: LogBound) -> (JoinHandle<()>, u16) {
    served(log, None)
}

/// The same, inside TLS if that is given.
fn served(log: LogBound, tls: Option<tls::Server>) -> (JoinHandle<()>, u16) {
    let listener = Listener::tcp(([127, 0, 0, 1], 0).into()).expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let service = Arc::new(Service(Arc::new(Memory::with_log(log))));
    let (limits, end) = (Limits { body_bytes: BODY_BYTES, ..Limits::default() }, Shutdown::new());
    let server = match tls {
        Some(tls) => tokio::spawn(serve_tls(listener, tls, service, limits, end)),
        None => tokio::spawn(serve(listener, service, limits, end)),
    };
    (server, port)
}

async fn http() -> Fixture {
    let (server, port) = serve_http(SHORT_LOG);
    let client = || Place::http(port).open();
    Fixture { keep: Box::new(server), ..short(vec![client(), client()]) }
}

async fn https() -> Fixture {
    let directory = tempfile::tempdir().expect("a directory");
    let ca = Authority::new(directory.path(), "ca");
    let Pair { cert, key } = ca.issue("server", &["127.0.0.1"], Valid::Now);
    let tls = tls::Server::new(ServerFiles { cert, key, client_ca: None }, Alpn::Http1).expect("our own certificate");
    let (server, port) = served(SHORT_LOG, Some(tls));
    let url = format!("https://127.0.0.1:{port}?ca={}", ca.file().display());
    let client = || open(&url, &Access::default()).expect("a store");
    Fixture { keep: Box::new((server, directory)), ..short(vec![client(), client()]) }
}

steadfast_store::conformance!(in_memory, memory);
steadfast_store::conformance!(in_memory_through_faults, || async {
    memory().await.through_faults(FAULTS, Duration::from_millis(20))
});
steadfast_store::conformance!(in_sqlite, || sqlite(1, 0));
steadfast_store::conformance!(in_sqlite_folding_all_the_time, || sqlite_folding(FoldBound {
    few: 0,
    changes: 3,
    bytes: 1 << 20,
    quiet: Duration::from_millis(1),
    after: Duration::from_millis(1)
}));
steadfast_store::conformance!(in_sqlite_from_the_log_alone, || sqlite_folding(FoldBound {
    few: 0,
    changes: usize::MAX,
    bytes: usize::MAX,
    quiet: Duration::from_secs(3600),
    after: Duration::from_secs(3600)
}));
steadfast_store::conformance!(in_sqlite_of_another, || sqlite(0, 2));
steadfast_store::conformance!(in_sqlite_from_both_sides, || sqlite(1, 2));
steadfast_store::conformance!(in_sqlite_through_faults, || async {
    sqlite(1, 1).await.through_faults(FAULTS, Duration::from_millis(600))
});
steadfast_store::conformance!(over_http, http);
steadfast_store::conformance!(over_https, https);
steadfast_store::conformance!(over_http_through_faults, || async {
    http().await.through_faults(FAULTS, Duration::from_millis(600))
});

#[tokio::test]
async fn over_http_silence_is_doubt() {
    let (_server, port) = serve_http(SHORT_LOG);
    reach::silence_is_doubt(Place::http(port)).await;
}

#[tokio::test]
async fn over_http_a_closed_door_is_certain() {
    let (_server, port) = serve_http(SHORT_LOG);
    reach::a_closed_door_is_certain(Place::http(port)).await;
}

#[tokio::test]
async fn over_http_a_watch_misses_nothing_across_cuts() {
    let (_server, port) = serve_http(SHORT_LOG);
    reach::a_watch_misses_nothing_across_cuts(Place::http(port), None).await;
}

/// The log is outgrown again and again while the watch is cut.
#[tokio::test]
async fn over_http_a_watch_misses_nothing_across_cuts_of_a_short_history() {
    let (_server, port) = serve_http(LogBound { commits: 16, bytes: 1, age: Duration::ZERO });
    reach::a_watch_misses_nothing_across_cuts(Place::http(port), None).await;
}

#[tokio::test]
async fn over_http_idle_watches_cost_little() {
    let (_server, port) = serve_http(SHORT_LOG);
    // Each watch is a request of its own here.
    reach::idle_watches_cost_little(Place::http(port), 1).await;
}

#[tokio::test]
async fn in_sqlite_a_large_space_is_scanned_while_written_to() {
    let fixture = sqlite_with_log(LogBound::default(), 1, 2);
    load::a_large_space_is_scanned_while_written_to(fixture, 100_000).await;
}
