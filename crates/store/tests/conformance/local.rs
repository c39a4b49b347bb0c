//! The back ends of our own: memory, SQLite, and HTTP to another Steadfast.

use std::sync::Arc;
use std::time::Duration;

use steadfast_host::http::{Limits, Target, serve};
use steadfast_host::net::Listener;
use steadfast_host::shutdown::Shutdown;
use steadfast_store::conformance::Fixture;
use steadfast_store::http::{BODY_BYTES, Service};
use steadfast_store::{FoldBound, Http, LogBound, Memory, Sqlite, Store};

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
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    let open = || Arc::new(Sqlite::with_log(&path, SHORT_LOG).expect("a store"));
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

/// A store in memory behind a server on loopback.
async fn http() -> Fixture {
    let listener = Listener::tcp(([127, 0, 0, 1], 0).into()).expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let service = Arc::new(Service(Arc::new(Memory::with_log(SHORT_LOG))));
    let limits = Limits { body_bytes: BODY_BYTES, ..Limits::default() };
    let server = tokio::spawn(serve(listener, service, limits, Shutdown::new()));
    let client = || {
        let target = Target::Tcp { host: "127.0.0.1".parse().expect("a host"), port };
        Arc::new(Http::connect(target, None).expect("no token")) as Arc<dyn Store>
    };
    Fixture { keep: Box::new(server), ..short(vec![client(), client()]) }
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
steadfast_store::conformance!(over_http_through_faults, || async {
    http().await.through_faults(FAULTS, Duration::from_millis(600))
});
