//! What fails: members that die, hang, or have no room left.

use std::sync::Arc;

use steadfast_store::conformance::servers::{Kind, Mode, Options, Server, shared};
use steadfast_store::conformance::{Later, refusals};
use steadfast_store::{Error, Grade, Store};

use super::support::{LONG, Mirror, SHORT, compact_as, new, patiently, read, settle, space};

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
async fn a_server_without_room_refuses_whole_until_it_has_some() {
    let server = Arc::new(Server::etcd(&Options::with(&["--quota-backend-bytes=16777216"])));
    let (place, full) = (server.fresh_place().with("pace=50ms"), Arc::clone(&server));
    let store = place.open();
    let make_room = move || -> Later<()> {
        let (server, store) = (Arc::clone(&full), Arc::clone(&store));
        Box::pin(async move {
            let why = once_more(&store).await;
            assert!(why.contains("alarm disarm"), "it is said what to do: {why}");
            assert!(bad(&store).await.iter().any(|about| about == "alarms"), "doctor shows it");
            compact_as(&server, &[]);
            server.etcdctl(&["defrag"]);
            server.etcdctl(&["alarm", "disarm"]);
            assert_eq!(bad(&store).await, [""; 0]);
        })
    };
    refusals::a_store_without_room_refuses_whole_until_it_has_some(place, Box::new(make_room)).await;
}

/// What a commit is answered with by a server that is full.
async fn once_more(store: &Arc<dyn Store>) -> String {
    match store.commit(new(&["order/more"]), LONG).await {
        // etcd may say so and make the commit all the same.
        Err(Error::OutcomeUnknown(why)) => why,
        other => panic!("a server without room: {other:?}"),
    }
}

/// What the server says of itself that is not well.
async fn bad(store: &Arc<dyn Store>) -> Vec<String> {
    let findings = store.examine(LONG).await.expect("it says so");
    findings.iter().filter(|finding| finding.grade == Grade::Bad).map(|finding| finding.about.to_string()).collect()
}

/// More operations, or more bytes, than the server takes, and not more than the URL says it takes.
#[tokio::test]
async fn a_transaction_beyond_the_servers_limits_is_refused_whole() {
    const LIES: &str = "max_txn_ops=1024";
    let beyond = refusals::a_batch_past_the_engines_own_limit_is_never_half_applied;
    let place = shared(Kind::Etcd).fresh_place();
    let lying = place.clone().with(LIES).open();
    assert_eq!((lying.limits().operations, place.open().limits().operations), (1023, 127));
    // One operation too many, with the head's.
    beyond(place, lying, 127, 10).await;
    let small = Server::etcd(&Options::with(&["--max-request-bytes=65536"]));
    let place = small.fresh_place();
    beyond(place.clone(), place.open(), 20, 10_000).await;
    // So large that the server does not read it.
    let place = small.fresh_place();
    beyond(place.clone(), place.open(), 20, 50_000).await;
}
