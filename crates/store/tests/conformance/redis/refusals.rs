//! What a server refuses, and what is said of it.

use steadfast_store::conformance::servers::{Mode, Proxy, wait_until};
use steadfast_store::conformance::{Later, refusals};

use super::*;

/// What a commit of a new record is answered with.
async fn refusal(store: &Arc<dyn Store>, name: &str) -> Error {
    let answer = commit(store, vec![put(name, Expect::Absent, "x")]).await;
    answer.err().unwrap_or_else(|| panic!("{name} was written"))
}

#[tokio::test]
async fn a_server_without_memory_refuses_whole_until_it_has_some() {
    let server = Arc::new(server(&["--maxmemory", "12mb", "--maxmemory-policy", "noeviction"]));
    let place = server.fresh_place();
    let full = Arc::clone(&server);
    let make_room = move || -> Later<()> {
        drop(full.redis_cli(&["CONFIG", "SET", "maxmemory", "0"]));
        Box::pin(async {})
    };
    refusals::a_store_without_room_refuses_whole_until_it_has_some(place, Box::new(make_room)).await;
}

/// It cannot write a snapshot, and refuses to change what it could not keep.
#[tokio::test]
async fn a_server_whose_disk_fails_says_so_until_it_works() {
    let server = server(&[]);
    let store = open(&url(server.ports()[0]));
    add(&store, "order/1").await;
    // Where its file belongs there is a directory.
    let wrong = server.directory().join("data").join("dump.rdb");
    std::fs::create_dir(&wrong).expect("a directory");
    server.redis_cli(&["CONFIG", "SET", "save", "3600 1"]);
    let saved = |status: &str| {
        server.redis_cli(&["BGSAVE"]);
        let said = format!("rdb_last_bgsave_status:{status}");
        wait_until(&said, || server.redis_cli(&["INFO", "persistence"]).contains(&said));
    };
    saved("err");
    for name in ["order/2", "order/3"] {
        let error = refusal(&store, name).await;
        assert!(matches!(&error, Error::Unavailable(why) if why.contains("its disk failed")), "{error:?}");
        assert_eq!(read(&store, name).await, None);
    }
    let findings = store.examine(WITHIN).await.expect("it is shown");
    assert!(findings.iter().any(|found| found.about == "fsync" && found.grade == Grade::Bad), "{findings:?}");
    std::fs::remove_dir(&wrong).expect("no directory");
    saved("ok");
    add(&store, "order/2").await;
}

/// What it says as a replica is what it heard last, which may be long ago: nobody takes it for the store.
#[tokio::test]
async fn a_master_that_becomes_a_replica_is_away_until_it_is_one_no_more() {
    let server = server(&[]);
    let (store, watching) = (open(&url(server.ports()[0])), open(&url(server.ports()[0])));
    let first = add(&store, "order/1").await;
    let mut live = watch(&watching, first.clone()).await.expect("a watch");
    assert!(live.next().await.is_ok());
    server.redis_cli(&["REPLICAOF", "127.0.0.1", "1"]);
    // Also by who only watches.
    let ended = end_of(&mut live).await;
    assert!(matches!(&ended, Error::Unavailable(why) if why.contains("it is a replica")), "{ended:?}");
    for name in ["order/2", "order/3"] {
        let error = refusal(&store, name).await;
        assert!(matches!(&error, Error::Unavailable(why) if why.contains("it is a replica")), "{error:?}");
    }
    server.redis_cli(&["REPLICAOF", "NO", "ONE"]);
    add(&store, "order/2").await;
    assert!(watch(&watching, first).await.is_ok(), "it is the same history");
}

#[tokio::test]
async fn who_may_not_is_told_what_is_missing() {
    let server = server(&["--requirepass", "right"]);
    let place = url(server.ports()[0]);
    for (secret, said) in [(None, "it wants a password"), (Some("wrong"), "the user or the password is wrong")] {
        let store = open_with(&place, secret);
        let error = refusal(&store, "order/1").await;
        assert!(matches!(&error, Error::Denied(why) if why.contains(said)), "{error:?}");
    }
    add(&open_with(&place, Some("right")), "order/1").await;
    // One who may do nothing but log in.
    server.redis_cli(&["ACL", "SETUSER", "poor", "on", ">poor", "+select", "+client"]);
    let error = refusal(&open_with(&place.replace("redis://", "redis://poor@"), Some("poor")), "order/2").await;
    assert!(matches!(&error, Error::Denied(why) if why.contains("lacks a right")), "{error:?}");
}

/// The rights that the document names are enough for all that the store does.
#[tokio::test]
async fn the_rights_that_are_documented_are_enough() {
    const DOCUMENT: &str = include_str!("../../../../../docs/stores/redis.md");
    let line =
        DOCUMENT.lines().find(|line| line.starts_with("ACL SETUSER steadfast ")).expect("the line for redis-cli");
    let server = server(&[]);
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(server.redis_cli(&words).trim(), "OK");
    let password = words.iter().find_map(|word| word.strip_prefix('>')).expect("a password");
    let place = url(server.ports()[0]).replace("redis://", "redis://steadfast@");
    let store = open_with(&place, Some(password));
    let first = add(&store, "order/1").await;
    let changed = vec![put("order/1", Expect::Version(first.revision), "x"), put("client/a", Expect::Absent, "x")];
    commit(&store, changed).await.expect("to write");
    let gone = read(&store, "client/a").await.expect("to read").version;
    let delete = Change { name: b"client/a".into(), expect: Expect::Version(gone), write: Write::Delete };
    commit(&store, vec![delete]).await.expect("to delete");
    store.scan(&web(), b"", None, 10, WITHIN).await.expect("to scan");
    let mut watch = watch(&store, Cursor::START).await.expect("to watch");
    assert!(watch.next().await.is_ok());
    assert!(store.describe().durable, "it may ask how the server writes: {:?}", store.describe());
    let findings = store.examine(WITHIN).await.expect("to examine");
    assert!(findings.iter().any(|finding| finding.about == "fsync" && finding.value == "always"), "{findings:?}");
    let mut waits = 0;
    while server.redis_cli(&["PUBSUB", "NUMSUB", "steadfast:{web}:log"]).split_whitespace().last() != Some("1") {
        waits += 1;
        assert!(waits < 600, "it may not listen");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn what_lies_under_the_prefix_and_is_not_ours_is_left_alone() {
    for key in ["head", "records", "names", "log", "bulk"] {
        let server = server(&[]);
        let store = open(&url(server.ports()[0]));
        server.redis_cli(&["SET", &format!("steadfast:{{web}}:{key}"), "a stranger's"]);
        let both = vec![put("order/1", Expect::Absent, "x"), put("client/a", Expect::Absent, "x")];
        let error = commit(&store, both).await;
        assert!(matches!(&error, Err(Error::Corrupt(why)) if why.contains("something else lies")), "{key}: {error:?}");
        server.redis_cli(&["DEL", &format!("steadfast:{{web}}:{key}")]);
        assert_eq!(server.redis_cli(&["DBSIZE"]).trim(), "0", "{key}: something was written");
        add(&store, "order/1").await;
    }
}

#[tokio::test]
async fn a_log_without_its_head_is_said_to_be_damaged() {
    let server = server(&[]);
    let store = open(&url(server.ports()[0]));
    add(&store, "order/1").await;
    add(&store, "order/2").await;
    server.redis_cli(&["DEL", "steadfast:{web}:head"]);
    let stranger = open(&url(server.ports()[0]));
    let error = refusal(&stranger, "order/3").await;
    assert!(matches!(&error, Error::Corrupt(why) if why.contains("removed by hand")), "{error:?}");
    assert_eq!(read(&stranger, "order/3").await, None);
}

#[tokio::test]
async fn a_cluster_is_no_store() {
    let server = server(&["--cluster-enabled", "yes"]);
    let error = refusal(&open(&url(server.ports()[0])), "order/1").await;
    assert!(matches!(&error, Error::Config(why) if why.contains("cluster mode")), "{error:?}");
}

#[tokio::test]
async fn what_is_no_redis_is_said_to_be_none() {
    let server = server(&[]);
    let proxy = Proxy::before(&server);
    proxy.set(Mode::Answer(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()));
    let error = refusal(&open(&url(proxy.ports()[0])), "order/1").await;
    assert!(matches!(&error, Error::Config(why) if why.contains("no reply of Redis")), "{error:?}");
}

#[tokio::test]
async fn a_server_that_forgot_its_scripts_is_told_them_again() {
    let server = server(&[]);
    let store = open(&url(server.ports()[0]));
    add(&store, "order/1").await;
    server.redis_cli(&["SCRIPT", "FLUSH"]);
    add(&store, "order/2").await;
    server.redis_cli(&["SCRIPT", "FLUSH"]);
    let page = store.scan(&web(), b"", None, 10, WITHIN).await.expect("a page");
    assert_eq!(page.records.len(), 2);
}
