//! What fails: members that die, hang, or have no room left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use steadfast_store::conformance::servers::{Kind, Mode, Options, Server, shared};
use steadfast_store::{Batch, Error, Expect, Grade};
use tokio::task::JoinSet;

use super::support::{LONG, Mirror, SHORT, compact, new, patiently, put, read, scan, settle, space};

/// What became of one batch.
enum Told {
    Done,
    NotDone,
    Unknown,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9() {
    const WRITERS: usize = 8;
    const COMMITS_BETWEEN: usize = 100;
    let mut server = Server::etcd(&Options::default());
    let place = server.fresh_place();
    let (acknowledged, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, acknowledged, over) = (place.open(), Arc::clone(&acknowledged), Arc::clone(&over));
        writers.spawn(async move {
            let mut told = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let names = [format!("client/{writer}-{}", told.len()), format!("ledger/{writer}-{}", told.len())];
                told.push(match store.commit(new(&[&names[0], &names[1]]), LONG).await {
                    Ok(_) => {
                        acknowledged.fetch_add(1, Ordering::Relaxed);
                        Told::Done
                    }
                    Err(Error::Unavailable(_)) => {
                        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                        Told::NotDone
                    }
                    Err(Error::OutcomeUnknown(_)) => Told::Unknown,
                    Err(other) => panic!("a commit: {other}"),
                });
            }
            (writer, told)
        });
    }
    for _ in 0..3 {
        let enough = acknowledged.load(Ordering::Relaxed) + COMMITS_BETWEEN;
        patiently(async || match acknowledged.load(Ordering::Relaxed) >= enough {
            true => Ok(()),
            false => Err(Error::Unavailable("not yet".to_owned())),
        })
        .await;
        server = tokio::task::spawn_blocking(move || {
            server.kill9();
            server.start_again();
            server
        })
        .await
        .expect("it starts again");
    }
    over.store(true, Ordering::Relaxed);
    let told = writers.join_all().await;
    let (_, records) = scan(&place.open()).await;
    let in_doubt = told.iter().flat_map(|(_, told)| told).any(|told| matches!(told, Told::Unknown));
    assert!(in_doubt, "it was killed in the middle of something");
    for (writer, told) in told {
        for (n, told) in told.iter().enumerate() {
            let there = |kind: &str| records.contains_key(format!("{kind}/{writer}-{n}").as_bytes());
            let (client, ledger) = (there("client"), there("ledger"));
            assert_eq!(client, ledger, "all or nothing");
            match told {
                Told::Done => assert!(client, "acknowledged and gone: {writer}-{n}"),
                Told::NotDone => assert!(!client, "said not to have happened: {writer}-{n}"),
                Told::Unknown => {}
            }
        }
    }
}

#[tokio::test]
async fn of_three_members_any_may_die_or_hang() {
    let mut members = Server::etcd_members(3, &Options::default());
    let ports: Vec<u16> = members.iter().map(|member| member.ports()[0]).collect();
    let store = members[0].fresh_place().at(&ports).open();
    assert!(!store.describe().one_machine);
    let mut mirror = Mirror::new(Arc::clone(&store)).await;
    for (n, member) in members.iter_mut().enumerate() {
        settle(&store, &new(&[&format!("order/before-{n}")]), LONG).await;
        member.kill9();
        settle(&store, &new(&[&format!("order/dead-{n}")]), LONG).await;
        mirror.until(|mirror| mirror.records.contains_key(format!("order/dead-{n}").as_bytes())).await;
        member.start_again();
    }
    for (n, member) in members.iter().enumerate() {
        settle(&store, &new(&[&format!("order/thawed-{n}")]), LONG).await;
        member.freeze();
        // Shorter than what the frozen one would need: the call after the first that is not answered goes elsewhere.
        settle(&store, &new(&[&format!("order/frozen-{n}")]), 5 * SHORT).await;
        mirror.until(|mirror| mirror.records.contains_key(format!("order/frozen-{n}").as_bytes())).await;
        member.thaw();
    }
    assert_eq!(mirror.compacted, 0, "a member that dies is no other history");
    assert_eq!(mirror.records.len(), 12);
}

#[tokio::test]
async fn what_hangs_is_unknown_and_what_never_began_did_not_happen() {
    let place = shared(Kind::Etcd).fresh_place();
    let (by_proxy, proxy) = place.through_a_proxy();
    let (direct, through) = (place.open(), by_proxy.open());
    let unknown = |answer: Result<_, Error>| assert!(matches!(answer, Err(Error::OutcomeUnknown(_))), "{answer:?}");
    let away = |answer: Result<_, Error>| assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");

    settle(&through, &new(&["order/0"]), LONG).await;
    // It arrives, or it came too late for the server: which of them is not known here. One of several arrives.
    let mut arrived = false;
    for within in [SHORT, 4 * SHORT, 16 * SHORT] {
        let name = format!("order/mute-{}", within.as_millis());
        proxy.set(Mode::Mute);
        unknown(through.commit(new(&[&name]), within).await);
        arrived = arrived || read(&direct, &name).await.is_some();
        proxy.set(Mode::Pass);
        settle(&through, &new(&[&format!("{name}-after")]), LONG).await;
    }
    assert!(arrived, "what is not known may have happened");

    proxy.set(Mode::Swallow);
    unknown(through.commit(new(&["order/swallowed"]), SHORT).await);
    // The connection was given up; the next one is never made.
    away(through.commit(new(&["order/never"]), SHORT).await);
    away(by_proxy.open().commit(new(&["order/never"]), SHORT).await);
    let key = steadfast_store::Key::new(space(), "order/0");
    let look = through.read(&key, SHORT).await;
    assert!(matches!(look, Err(Error::Unavailable(_))), "{look:?}");

    proxy.set(Mode::Refuse);
    away(by_proxy.open().commit(new(&["order/never"]), LONG).await);
    proxy.set(Mode::Answer(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()));
    // The answer may be lost with the connection, which ends right after it; not each time.
    let stranger = patiently(async || match by_proxy.open().commit(new(&["order/never"]), LONG).await {
        Err(Error::Unavailable(why)) => Err(Error::Unavailable(why)),
        other => Ok(other),
    });
    let stranger = stranger.await;
    assert!(matches!(&stranger, Err(Error::Config(why)) if why.contains("no etcd")), "{stranger:?}");

    proxy.set(Mode::Pass);
    settle(&through, &new(&["order/2"]), LONG).await;
    assert_eq!(read(&direct, "order/never").await, None);
    assert_eq!(read(&direct, "order/swallowed").await, None);
}

/// A watch says nothing while its server hangs, and ends; what happened meanwhile is told by the next one.
#[tokio::test]
async fn a_watch_of_a_server_that_hangs_ends() {
    let place = shared(Kind::Etcd).fresh_place();
    let (by_proxy, proxy) = place.through_a_proxy();
    let (direct, through) = (place.open(), by_proxy.open());
    let first = settle(&through, &new(&["order/1"]), LONG).await;
    let mut mirror = Mirror::new(Arc::clone(&through)).await;
    mirror.until(|mirror| mirror.at.revision == first).await;
    proxy.set(Mode::Mute);
    settle(&direct, &new(&["order/2"]), LONG).await;
    mirror.until(|mirror| mirror.cut > 0).await;
    assert_eq!(mirror.records.len(), 1);
    proxy.set(Mode::Pass);
    mirror.until(|mirror| mirror.records.len() == 2).await;
    assert_eq!(mirror.compacted, 0);
}

#[tokio::test]
async fn a_server_without_room_says_so_until_it_has_some() {
    const VALUE_BYTES: usize = 500_000;
    let server = Server::etcd(&Options::with(&["--quota-backend-bytes=16777216"]));
    let store = server.fresh_place().open();
    let mut version = Expect::Absent;
    let mut refused = None;
    for n in 0..200u8 {
        let batch = Batch { space: space(), changes: vec![put("client/a", version, vec![n; VALUE_BYTES])] };
        match store.commit(batch, LONG).await {
            Ok(cursor) => version = Expect::Version(cursor.revision),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    let why = match refused {
        Some(Error::Unavailable(why)) => why,
        other => panic!("a full server: {other:?}"),
    };
    assert!(why.contains("out of space") && why.contains("alarm disarm"), "{why}");
    assert_eq!(read(&store, "client/a").await.map(|record| Expect::Version(record.version)), Some(version));
    let findings = store.examine(LONG).await.expect("it says so");
    let bad = |about: &str| findings.iter().any(|finding| finding.about == about && finding.grade == Grade::Bad);
    assert!(bad("alarms"), "{findings:?}");

    compact(&server);
    server.etcdctl(&["defrag"]);
    server.etcdctl(&["alarm", "disarm"]);
    settle(&store, &new(&["order/1"]), LONG).await;
    let findings = store.examine(LONG).await.expect("it says so");
    assert!(findings.iter().all(|finding| finding.grade != Grade::Bad), "{findings:?}");
}

/// More than the server takes, and not more than the URL says it takes.
#[tokio::test]
async fn a_transaction_beyond_the_servers_limit_is_refused_whole() {
    let place = shared(Kind::Etcd).fresh_place();
    let (store, fitting) = (place.clone().with("max_txn_ops=300").open(), place.open());
    assert_eq!((store.limits().operations, fitting.limits().operations), (299, 127));
    let names: Vec<String> = (0..200).map(|n| format!("client/{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let refused = store.commit(new(&names), LONG).await;
    assert!(matches!(&refused, Err(Error::Config(why)) if why.contains("max_txn_ops")), "{refused:?}");
    assert_eq!(scan(&fitting).await.1.len(), 0);
    settle(&fitting, &new(&names[..127]), LONG).await;
    assert_eq!(scan(&store).await.1.len(), 127);
}
