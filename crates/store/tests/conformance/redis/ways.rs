//! The ways to a master: with replicas, by Sentinels, over TLS.

use std::sync::atomic::{AtomicU16, Ordering};

use steadfast_host::tls::certs::{Authority, Pair, Valid};
use steadfast_store::TlsFiles;
use steadfast_store::conformance::servers::{self, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

fn replica_of(master: &Server) -> Server {
    server(&["--replicaof", "127.0.0.1", &master.ports()[0].to_string()])
}

/// Whether the replica has all that the master has.
fn is_in_step(master: &Server) -> bool {
    master.redis_cli(&["WAIT", "1", "100"]).trim() == "1"
}

#[tokio::test]
async fn a_commit_waits_for_replicas_if_it_is_to() {
    let master = server(&[]);
    let place = format!("{}&wait=1&wait_for=200ms", url(master.ports()[0]));
    let alone = commit(&open(&place), vec![put("order/1", Expect::Absent, "x")]).await;
    let Err(Error::OutcomeUnknown(why)) = &alone else { panic!("there is no replica: {alone:?}") };
    assert!(why.ends_with("written on the master, acknowledged by 0 of 1 replicas"), "{why}");
    assert_eq!(open(&place).describe().may_lose.as_deref(), Some("not known before the server has answered once"));
    let _replica = replica_of(&master);
    wait_until("the replica", || is_in_step(&master));
    let store = open(&format!("{}&wait=1&wait_for=10s", url(master.ports()[0])));
    add(&store, "order/2").await;
    // A sign of life waits for nobody.
    add(&store, "beat/a").await;
    let described = store.describe();
    assert!(!described.durable && described.may_lose.is_some_and(|ways| ways.contains("in a failover")));
}

#[tokio::test]
async fn a_lone_master_that_syncs_always_is_durable() {
    let server = server(&[]);
    let store = open(&url(server.ports()[0]));
    add(&store, "order/1").await;
    let described = store.describe();
    assert!(described.durable && described.may_lose.is_none() && described.push, "{described:?}");
    server.redis_cli(&["CONFIG", "SET", "appendfsync", "everysec"]);
    let later = open(&url(server.ports()[0]));
    add(&later, "order/2").await;
    assert!(later.describe().may_lose.is_some_and(|ways| ways.contains("everysec")));
}

/// A Sentinel that says what it is told to.
struct Oracle {
    port: u16,
    master: Arc<AtomicU16>,
}

impl Oracle {
    async fn of(master: u16) -> Oracle {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let master = Arc::new(AtomicU16::new(master));
        let told = Arc::clone(&master);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut question = [0; 1024];
                if stream.read(&mut question).await.is_ok() {
                    let port = told.load(Ordering::SeqCst).to_string();
                    let answer = format!("*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{port}\r\n", port.len());
                    drop(stream.write_all(answer.as_bytes()).await);
                }
            }
        });
        Oracle { port, master }
    }
}

/// A replica that did not hear of everything takes the master's place: what it never heard of is lost, and everybody
/// who saw it notices.
#[tokio::test]
async fn a_failover_that_lost_writes_is_noticed() {
    let mut master = server(&[]);
    let replica = replica_of(&master);
    wait_until("the replica", || is_in_step(&master));
    let oracle = Oracle::of(master.ports()[0]).await;
    let place = format!("redis+sentinel://127.0.0.1:{}/theirs?pace=250ms", oracle.port);
    let (store, another) = (open(&place), open(&place));
    let kept = add(&store, "order/kept").await;
    let held = add(&store, "lease/web").await;
    wait_until("the replica", || is_in_step(&master));
    replica.redis_cli(&["REPLICAOF", "NO", "ONE"]);
    let mut last = add(&store, "order/lost-0").await;
    for n in 1..5 {
        last = add(&store, &format!("order/lost-{n}")).await;
    }
    let renewed = commit(&store, vec![put("lease/web", Expect::Version(held.revision), "renewed")]).await.expect("it");
    let mut live = watch(&store, renewed.clone()).await.expect("a watch");
    assert!(live.next().await.is_ok());
    oracle.master.store(replica.ports()[0], Ordering::SeqCst);
    master.kill9();
    // Somebody who saw nothing of it is first, and is given numbers that were given before.
    let again = until("the failover", async || commit(&another, vec![put("order/x", Expect::Absent, "x")]).await).await;
    assert!(again.revision <= last.revision && again.mark != last.mark);
    // Who holds the lease learns that its renewal is lost.
    let renewal = vec![put("lease/web", Expect::Version(renewed.revision), "renewed again")];
    let lost = until("the failover", async || match commit(&store, renewal.clone()).await {
        Err(error @ (Error::Unavailable(_) | Error::OutcomeUnknown(_))) => Err(error),
        answer => Ok(answer),
    });
    let Err(Error::Conflict(records)) = lost.await else { panic!("it writes upon what it never saw") };
    assert_eq!(records[0].1.as_ref().map(|record| record.version), Some(held.revision));
    let next = commit(&store, vec![put("order/next", Expect::Absent, "x")]).await.expect("it was told");
    assert!(next.revision > renewed.revision, "{} was given again", next.revision);
    assert_eq!(read(&store, "order/lost-0").await, None);
    assert_eq!(read(&store, "order/kept").await.map(|record| record.version), Some(kept.revision));
    let ended = end_of(&mut live).await;
    assert!(matches!(ended, Error::Compacted(..) | Error::Unavailable(_)), "{ended:?}");
    let resumed = watch(&store, renewed).await.map(drop);
    assert!(matches!(resumed, Err(Error::Compacted(..))), "{resumed:?}");
    assert!(watch(&store, next).await.is_ok(), "a new history begins");
    assert!(store.describe().may_lose.is_some_and(|ways| ways.contains("failover")));
}

#[tokio::test]
async fn sentinels_lead_to_whoever_is_master_now() {
    const MASTER: &str = "theirs";
    let mut master = server(&[]);
    let replica = replica_of(&master);
    wait_until("the replica", || is_in_step(&master));
    let sentinels: Vec<Server> = (0..3).map(|_| Server::sentinel(MASTER, master.ports()[0], 2)).collect();
    let hosts: Vec<String> = sentinels.iter().map(|one| format!("127.0.0.1:{}", one.ports()[0])).collect();
    let place = format!("redis+sentinel://{}/{MASTER}?pace=250ms", hosts.join(","));
    wait_until("the Sentinels to know each other and the replica", || {
        sentinels.iter().all(|one| {
            let known = one.redis_cli(&["SENTINEL", "MASTER", MASTER]);
            let of = |field: &str| known.lines().skip_while(|line| *line != field).nth(1).map(str::to_owned);
            of("num-other-sentinels").as_deref() == Some("2") && of("num-slaves").as_deref() == Some("1")
        })
    });
    let store = open(&place);
    let first = add(&store, "order/1").await;
    wait_until("the replica", || is_in_step(&master));
    master.kill9();
    let next = until("the failover", async || match commit(&store, vec![put("order/2", Expect::Absent, "x")]).await {
        Err(Error::Conflict(records)) => Ok(records[0].1.clone().expect("what was written").version),
        answer => answer.map(|cursor| cursor.revision),
    });
    assert!(next.await > first.revision);
    assert!(replica.redis_cli(&["ROLE"]).starts_with("master"));
    let mut watch = watch(&store, first).await.expect("nothing was lost: it is the same history");
    assert!(watch.next().await.is_ok());
    let unknown = open(&place.replace(MASTER, "nobodys"));
    let error = commit(&unknown, vec![put("order/x", Expect::Absent, "x")]).await;
    assert!(
        matches!(&error, Err(Error::Config(why)) if why.contains("knows of no master named `nobodys`")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_sentinel_that_was_taken_for_a_master_says_what_to_write() {
    let master = server(&[]);
    let sentinel = Server::sentinel("theirs", master.ports()[0], 1);
    let error = commit(&open(&url(sentinel.ports()[0])), vec![put("order/1", Expect::Absent, "x")]).await;
    assert!(matches!(&error, Err(Error::Config(why)) if why.contains("write redis+sentinel://")), "{error:?}");
}

#[tokio::test]
async fn tls_proves_who_is_there_or_there_is_no_connection() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new(directory.path(), "ours");
    let stranger = Authority::new(directory.path(), "stranger");
    let Pair { cert, key } = authority.issue("server", &["127.0.0.1", "localhost"], Valid::Now);
    let client = authority.issue("client", &["client"], Valid::Now);
    let tls = servers::TlsFiles { cert, key, client_ca: Some(authority.file()) };
    let server = Server::redis(&Options { tls: Some(tls), ..Options::default() });
    let port = server.ports()[0];
    let files = |ca: &Authority, own: Option<&Pair>| TlsFiles {
        ca: Some(ca.file()),
        cert: own.map(|own| own.cert.clone()),
        key: own.map(|own| own.key.clone()),
        name: None,
    };
    let opened = |place: &str, tls: TlsFiles| {
        let access = Access { tls, ..Access::default() };
        steadfast_store::open(place, &access).unwrap_or_else(|e| panic!("open {place}: {e}"))
    };
    let place = format!("rediss://127.0.0.1:{port}/steadfast");
    let store = opened(&place, files(&authority, Some(&client)));
    let first = add(&store, "order/1").await;
    assert!(watch(&store, first).await.is_ok());
    let plain = commit(&open(&url(port)), vec![put("order/2", Expect::Absent, "x")]).await;
    assert!(matches!(plain, Err(Error::Unavailable(_) | Error::Config(_))), "{plain:?}");
    for (place, tls, said) in [
        (&place, files(&stranger, Some(&client)), "certificate"),
        (&place, files(&authority, None), "certificate"),
        (&format!("{place}?name=db.internal&ca={}", authority.file().display()), TlsFiles::default(), "db.internal"),
    ] {
        let error = commit(&opened(place, tls), vec![put("order/2", Expect::Absent, "x")]).await;
        let Err(error) = error else { panic!("a connection without proof") };
        assert!(matches!(error, Error::Unavailable(_) | Error::Denied(_)), "{error:?}");
        assert!(error.to_string().contains(said), "{error}");
    }
}
