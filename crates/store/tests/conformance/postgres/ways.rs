//! Ways to a server: one of several, inside TLS, in a database of bytes.

use steadfast_host::tls::certs::{Authority, Pair, Valid};
use steadfast_store::TlsFiles;
use steadfast_store::conformance::records;
use steadfast_store::conformance::servers::{self, Mode, Proxy};

use super::*;

/// One that takes connections and says nothing does not hide the next one.
#[tokio::test]
async fn a_silent_server_does_not_hide_the_next() {
    let server = shared(Kind::Postgres);
    for mode in [Mode::Swallow, Mode::Mute] {
        let silent = Proxy::before(server);
        silent.set(mode);
        let store = server.fresh_place().at(&[silent.ports()[0], server.ports()[0]]).open();
        until("the second server", async || commit(&store, "order/1", Expect::Absent).await).await;
    }
}

#[tokio::test]
async fn of_several_a_read_only_one_is_left() {
    let (frozen, other) = (Server::postgres(&Options::default()), shared(Kind::Postgres));
    frozen.sql("ALTER DATABASE postgres SET default_transaction_read_only = on");
    let store = other.fresh_place().at(&[frozen.ports()[0], other.ports()[0]]).open();
    until("the second, which takes commits", async || commit(&store, "order/1", Expect::Absent).await).await;
}

/// The primary is found behind a standby, and its successor when that is promoted.
#[tokio::test]
async fn the_one_that_takes_commits_is_used_and_its_successor_followed() {
    let mut primary = Server::postgres(&Options::default());
    let standby = Server::standby(&primary);
    let place = primary.fresh_place().at(&[standby.ports()[0], primary.ports()[0]]);
    let store = place.open();
    let alone = place.at(standby.ports()).open();
    let said = commit(&alone, "order/0", Expect::Absent).await;
    assert!(matches!(&said, Err(Error::Unavailable(why)) if why.contains("is a standby")), "{said:?}");
    let last = until("the primary", async || commit(&store, "order/1", Expect::Absent).await).await;
    let described = store.describe();
    assert!(described.durable, "{described:?}");
    assert!(described.may_lose.is_some_and(|how| how.contains("asynchronous standby")));
    let mut watch = store.watch(&space(), &[b""], last.clone(), Duration::from_secs(1)).await.expect("a watch");
    assert!(watch.next().await.is_ok());
    let schema = schema(&place);
    until("the standby to have it", async || {
        let there = standby.sql(&format!("SELECT count(*) FROM pg_tables WHERE schemaname = '{schema}'"));
        if there != "4" {
            return Err(there);
        }
        let there = standby.sql(&format!("SELECT count(*) FROM {schema}.log"));
        if there == "1" { Ok(()) } else { Err(there) }
    })
    .await;
    primary.kill9();
    standby.sql("SELECT pg_promote()");
    let next = until("the successor", async || match commit(&store, "order/2", Expect::Absent).await {
        // Of an earlier try, whose answer was lost.
        Err(Error::Conflict(_)) => panic!("it was not made at all: its server was dead"),
        said => said,
    })
    .await;
    assert!(next.revision > last.revision);
    let mut resumed = until("the watch to resume", async || {
        store.watch(&space(), &[b""], last.clone(), Duration::from_secs(1)).await.map_err(|error| error.to_string())
    })
    .await;
    for expected in [&last, &next] {
        let told = timeout(PATIENCE, resumed.next()).await.expect("a notice");
        assert!(matches!(&told, Ok(Notice::Committed(commit)) if commit.cursor == *expected), "{told:?}");
    }
}

#[tokio::test]
async fn tls_proves_who_is_there_or_there_is_no_connection() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new(directory.path(), "ours");
    let stranger = Authority::new(directory.path(), "stranger");
    let Pair { cert, key } = authority.issue("server", &["127.0.0.1", "localhost"], Valid::Now);
    let client = authority.issue("client", &["client"], Valid::Now);
    let tls = servers::TlsFiles { cert, key, client_ca: Some(authority.file()) };
    let server = Server::postgres(&Options { tls: Some(tls), ..Options::default() });
    let place = server.fresh_place();
    let files = |ca: &Authority, own: Option<&Pair>| TlsFiles {
        ca: Some(ca.file()),
        cert: own.map(|own| own.cert.clone()),
        key: own.map(|own| own.key.clone()),
        name: None,
    };
    let opened = |url: &str, tls: TlsFiles| {
        let access = Access { tls, ..place.access.clone() };
        steadfast_store::open(url, &access).unwrap_or_else(|e| panic!("open {url}: {e}"))
    };
    let url = place.url();
    let store = opened(&url, files(&authority, Some(&client)));
    let first = commit(&store, "order/1", Expect::Absent).await.expect("a commit");
    assert!(store.watch(&space(), &[b""], first, Duration::from_secs(1)).await.is_ok());
    for (url, tls, said) in [
        (&url, files(&stranger, Some(&client)), "certificate"),
        (&url, files(&authority, None), "certificate"),
        (&format!("{url}&name=db.internal&ca={}", authority.file().display()), TlsFiles::default(), "db.internal"),
        // In the open: the server takes nobody so.
        (&url, TlsFiles::default(), "no pg_hba.conf entry"),
    ] {
        let error = commit(&opened(url, tls), "order/2", Expect::Absent).await.expect_err("a connection without proof");
        assert!(error.to_string().contains(said), "{said}: {error:?}");
        assert!(!matches!(error, Error::OutcomeUnknown(_)), "nothing was sent: {error:?}");
    }
    // One that speaks no TLS, and a way that is cut in the middle of it.
    let plain = shared(Kind::Postgres).fresh_place();
    let access = Access { tls: files(&authority, None), ..plain.access.clone() };
    let store = steadfast_store::open(&plain.url(), &access).expect("a URL");
    let said = commit(&store, "order/1", Expect::Absent).await;
    assert!(matches!(&said, Err(Error::Config(why)) if why.contains("does not support TLS")), "{said:?}");
}

/// A database that knows bytes and no characters is as good as any.
#[tokio::test]
async fn a_database_of_bytes_keeps_any_name() {
    let server = shared(Kind::Postgres);
    server.sql("CREATE DATABASE bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    let place = server.fresh_place();
    let url = place.url().replace("/postgres?", "/bytes?");
    let open = || steadfast_store::open(&url, &place.access).expect("a URL");
    let fixture = || Fixture::of_all(vec![open(), open()], KEEP + TRIMMED_EVERY, WITHIN);
    records::names_are_any_bytes(fixture()).await;
    records::pages_are_in_order_and_bounded(fixture()).await;
}

/// Whatever the database thinks of isolation by default, no increment is lost.
#[tokio::test]
async fn serializable_by_default_loses_no_increment() {
    const WRITERS: usize = 4;
    const ROUNDS: usize = 10;
    let (server, place) = alone();
    server.sql("ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'");
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let store = place.open();
        writers.spawn(async move {
            for _ in 0..ROUNDS {
                timeout(PATIENCE, increment(&store)).await.expect("an increment");
            }
        });
    }
    writers.join_all().await;
    let record = place.open().read(&Key::new(space(), *b"order/count"), WITHIN).await.expect("a look");
    assert_eq!(usize::from(record.expect("a record").value[0]), WRITERS * ROUNDS);
}

async fn increment(store: &Arc<dyn Store>) {
    let key = Key::new(space(), *b"order/count");
    loop {
        match store.read(&key, WITHIN).await {
            Err(error) => assert!(matches!(error, Error::Unavailable(_)), "{error:?}"),
            Ok(found) => {
                let count = found.as_ref().map_or(0, |record| record.value[0]);
                let expect = found.map_or(Expect::Absent, |record| Expect::Version(record.version));
                let put = Write::Put(Bytes::copy_from_slice(&[count + 1]), None);
                match store.commit(Batch::one(key.clone(), expect, put), WITHIN).await {
                    Ok(_) => return,
                    Err(error) => assert!(matches!(error, Error::Unavailable(_) | Error::Conflict(_)), "{error:?}"),
                }
            }
        }
        sleep(Duration::from_millis(5)).await;
    }
}
