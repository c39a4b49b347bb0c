//! Azure Storage, as Azurite is it.

mod leases;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use steadfast_host::tls::certs::{Authority, Valid};
use steadfast_store::conformance::failures::{self, Numbers};
use steadfast_store::conformance::servers::{Kind, Options, Place, Server, TlsFiles, shared};
use steadfast_store::conformance::{Fixture, load, reach};
use steadfast_store::{Access, Batch, Change, Cursor, Error, Expect, Key, Revision, Space, Store, Write};
use tokio::time::{sleep, timeout};

use crate::FAULTS;

/// Commits that the stores here keep.
const KEEP: usize = 256;

/// The log is cut once in so many commits.
const CUT_EVERY: usize = 64;

/// The time-out of calls that are to be answered.
const WITHIN: Duration = Duration::from_secs(30);

/// How long is waited for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A place that is looked at as often as may be, and keeps little.
fn brisk(place: Place) -> Place {
    place.with(&format!("keep={KEEP}")).with("poll=100ms")
}

fn fixture() -> Fixture {
    let place = brisk(shared(Kind::Azurite).fresh_place());
    let stores = vec![place.open(), place.open()];
    Fixture { counts_apart: true, ..Fixture::of_all(stores, KEEP + CUT_EVERY, WITHIN) }
}

steadfast_store::conformance!(plain, || async { fixture() });
steadfast_store::conformance!(through_faults, || async { fixture().through_faults(FAULTS, Duration::from_secs(2)) });

fn web() -> Space {
    Space::new("web").expect("a space")
}

fn put(name: &str, expect: Expect, value: &str) -> Change {
    Change { name: name.into(), expect, write: Write::Put(value.to_owned().into(), None) }
}

async fn commit(store: &Arc<dyn Store>, changes: Vec<Change>) -> Result<Cursor, Error> {
    store.commit(Batch { space: web(), changes }, WITHIN).await
}

async fn read(store: &Arc<dyn Store>, name: &str) -> Option<String> {
    let record = store.read(&Key::new(web(), name), WITHIN).await.expect("a look");
    record.map(|record| String::from_utf8(record.value.to_vec()).expect("text"))
}

#[tokio::test]
async fn what_is_said_while_the_way_is_bad() {
    let place = || brisk(shared(Kind::Azurite).fresh_place());
    reach::silence_is_doubt(place()).await;
    reach::a_closed_door_is_certain(place()).await;
}

#[tokio::test]
async fn a_watch_misses_nothing_across_cuts() {
    let place = brisk(shared(Kind::Azurite).fresh_place());
    let trim = reach::outgrow(&place, KEEP + CUT_EVERY);
    reach::a_watch_misses_nothing_across_cuts(place, Some(trim)).await;
}

#[tokio::test]
async fn idle_watches_cost_little() {
    reach::idle_watches_cost_little(shared(Kind::Azurite).fresh_place(), 3).await;
}

#[tokio::test]
async fn a_large_space_is_scanned_while_written_to() {
    load::a_large_space_is_scanned_while_written_to(fixture(), 3_000).await;
}

#[tokio::test]
async fn a_frozen_server_is_silence() {
    let server = Server::azurite(&Options::default());
    let place = brisk(server.fresh_place());
    failures::a_frozen_server_is_silence(server, place).await;
}

#[tokio::test]
async fn a_rollback_is_noticed() {
    let server = Server::azurite(&Options::default());
    let place = brisk(server.fresh_place());
    failures::a_rollback_is_noticed(server, place, Numbers::GoOn).await;
}

#[tokio::test]
async fn a_kill_is_noticed() {
    let server = Server::azurite(&Options::default());
    let place = brisk(server.fresh_place());
    failures::a_kill_is_noticed(server, place).await;
}

#[tokio::test]
async fn a_batch_that_fails_in_the_middle_leaves_nothing() {
    let place = brisk(shared(Kind::Azurite).fresh_place());
    let (one, other) = (place.open(), place.open());
    let before = commit(&one, vec![put("client/50", Expect::Absent, "there")]).await.expect("a commit");
    // The other handle has read nothing: Azure itself finds out, at the 51st of 98 records.
    let changes: Vec<Change> = (0..98).map(|n| put(&format!("client/{n:02}"), Expect::Absent, "new")).collect();
    let Err(Error::Conflict(records)) = commit(&other, changes).await else { panic!("a record is there already") };
    assert_eq!(records.len(), 1);
    let record = records[0].1.as_ref().expect("what is there");
    assert_eq!((&records[0].0[..], &record.value[..]), (&b"client/50"[..], &b"there"[..]));
    assert_eq!(record.version, before.revision);
    let page = one.scan(&web(), b"", None, 100, WITHIN).await.expect("a scan");
    assert_eq!((page.records.len(), page.cursor), (1, before));
}

#[tokio::test]
async fn what_another_process_wrote_is_written_over_only_by_who_knows_it() {
    let place = brisk(shared(Kind::Azurite).fresh_place());
    let (one, other) = (place.open(), place.open());
    let mut version = Expect::Absent;
    // They take turns: what each remembers of the record is out of date each time, and none asks before it writes.
    for round in 0..6 {
        let store = if round % 2 == 0 { &one } else { &other };
        let made =
            commit(store, vec![put("order/1", version, &round.to_string())]).await.expect("the version last written");
        let stale = commit(store, vec![put("order/1", version, "stale")]).await;
        assert!(matches!(stale, Err(Error::Conflict(_))), "{stale:?}");
        // A belief alone, about what the other wrote, is judged by what is there now.
        let other = if round % 2 == 0 { &other } else { &one };
        let belief = Change { name: b"order/1".to_vec(), expect: version, write: Write::Nothing };
        let stale = commit(other, vec![belief, put(&format!("event/{round}"), Expect::Absent, "")]).await;
        assert!(matches!(stale, Err(Error::Conflict(_))), "{stale:?}");
        version = Expect::Version(made.revision);
        let belief = Change { name: b"order/1".to_vec(), expect: version, write: Write::Nothing };
        commit(other, vec![belief, put(&format!("event/{round}"), Expect::Absent, "")]).await.expect("what is there");
    }
    assert_eq!(read(&one, "order/1").await.as_deref(), Some("5"));
}

#[tokio::test]
async fn an_emulator_killed_in_the_middle_serves_no_version_twice() {
    const WRITERS: usize = 4;
    let mut server = Server::azurite(&Options::default());
    let store = brisk(server.fresh_place()).open();
    let acknowledged = Arc::<AtomicUsize>::default();
    let mut versions = Vec::new();
    for life in 0..3 {
        let (begun, progress) = (acknowledged.load(Ordering::Relaxed), 2 * WRITERS);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write_until_refused(store.clone(), life, writer, acknowledged.clone())))
            .collect();
        // It saves every few seconds, and is killed at no moment in particular.
        let progressed = timeout(PATIENCE, async {
            while acknowledged.load(Ordering::Relaxed) < begun + progress {
                sleep(Duration::from_millis(5)).await;
            }
        });
        progressed.await.expect("they write");
        sleep(Duration::from_millis(100 * life)).await;
        server.kill9();
        for writer in writers {
            versions.extend(writer.await.expect("a writer"));
        }
        server.start_again();
    }
    let given = versions.len();
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), given, "a version was given twice");
    // All of it is there, or none of it: names that were written by one commit.
    let page = store.scan(&web(), b"client/", None, 4_096, WITHIN).await.expect("a scan");
    let names: Vec<String> = page.records.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
    for name in &names {
        let twin = if name.ends_with("-a") { name.replace("-a", "-b") } else { name.replace("-b", "-a") };
        assert!(names.contains(&twin), "{name} is there, and {twin} is not");
    }
}

/// Commits pairs until the store is away; the versions that were acknowledged.
async fn write_until_refused(
    store: Arc<dyn Store>,
    life: u64,
    writer: usize,
    acknowledged: Arc<AtomicUsize>,
) -> Vec<Revision> {
    let mut versions = Vec::new();
    for n in 0.. {
        let name = |end: &str| format!("client/{life}-{writer}-{n:04}-{end}");
        let pair = vec![put(&name("a"), Expect::Absent, ""), put(&name("b"), Expect::Absent, "")];
        match commit(&store, pair).await {
            Ok(cursor) => {
                acknowledged.fetch_add(1, Ordering::Relaxed);
                versions.push(cursor.revision);
            }
            Err(Error::Unavailable(_) | Error::OutcomeUnknown(_)) => break,
            Err(other) => panic!("a commit: {other}"),
        }
    }
    versions
}

#[tokio::test]
async fn who_may_only_read_is_denied() {
    let server = shared(Kind::Azurite);
    let place = brisk(server.fresh_place());
    let store = place.open();
    commit(&store, vec![put("order/1", Expect::Absent, "x")]).await.expect("a commit");
    let signature = account_sas(server.secret().expect("a key"), "rl");
    let url = place.url().replace("credential=key", "credential=sas");
    let reader = steadfast_store::open(&url, &Access::with_secret(&signature)).expect("a URL");
    assert_eq!(read(&reader, "order/1").await.as_deref(), Some("x"));
    let page = reader.scan(&web(), b"", None, 10, WITHIN).await.expect("a scan");
    assert_eq!(page.records.len(), 1);
    // Azurite does not look at the permissions of a transaction. Azure does, and answers as it does here.
    let refused = commit(&reader, vec![put("lease/web", Expect::Absent, "y")]).await;
    let Err(Error::Denied(why)) = refused else { panic!("it may only read: {refused:?}") };
    assert!(!why.contains("sig=") && !why.contains(&signature), "{why}");
    assert_eq!(read(&store, "lease/web").await, None);
}

/// A signature for all of the account, with these permissions.
fn account_sas(key: &str, permissions: &str) -> String {
    let (version, start, end) = ("2020-12-06", "2020-01-01T00:00:00Z", "2120-01-01T00:00:00Z");
    let (account, services, types) = ("steadfast", "bt", "sco");
    let text = format!("{account}\n{permissions}\n{services}\n{types}\n{start}\n{end}\n\nhttps,http\n{version}\n\n");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(key).expect("base64"));
    let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
    let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    format!(
        "sv={version}&ss={services}&srt={types}&sp={permissions}&st={start}&se={end}&spr=https,http&sig={signature}"
    )
}

#[tokio::test]
async fn a_wrong_key_is_denied_and_quoted_nowhere() {
    const WRONG: &str = "d3JvbmctLS13cm9uZy0tLXdyb25nLS0td3JvbmctLS13cm9uZy0tLXdyb25nLS0td3JvbmctLS13cm9uZy0tLQ==";
    let place = brisk(shared(Kind::Azurite).fresh_place());
    let store = steadfast_store::open(&place.url(), &Access::with_secret(WRONG)).expect("a key, as far as one sees");
    let errors = [
        commit(&store, vec![put("order/1", Expect::Absent, "x")]).await.expect_err("a wrong key"),
        commit(&store, vec![put("lease/web", Expect::Absent, "x")]).await.expect_err("a wrong key"),
        store.read(&Key::new(web(), "order/1"), WITHIN).await.expect_err("a wrong key"),
    ];
    for error in &errors {
        assert!(matches!(error, Error::Denied(_)), "{error:?}");
    }
    let shown = format!("{errors:?} {store:?} {:?}", store.describe());
    assert!(!shown.contains(&WRONG[..20]), "{shown}");
}

#[tokio::test]
async fn over_tls_the_account_proves_who_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let [ours, other] = ["ours", "other"].map(|name| Authority::new(directory.path(), name));
    let pair = ours.issue("server", &["127.0.0.1"], Valid::Now);
    let tls = TlsFiles { cert: pair.cert, key: pair.key, client_ca: None };
    let server = Server::azurite(&Options { tls: Some(tls), ..Options::default() });
    let place = brisk(server.fresh_place());
    let trusting = |authority: &Authority| place.clone().with(&format!("ca={}", authority.file().display())).open();
    let refused = commit(&trusting(&other), vec![put("order/1", Expect::Absent, "x")]).await;
    let Err(Error::Unavailable(why)) = refused else { panic!("nobody knows who signed it: {refused:?}") };
    assert!(why.contains("certificate"), "{why}");
    let store = trusting(&ours);
    commit(&store, vec![put("order/1", Expect::Absent, "x")]).await.expect("a commit");
    commit(&store, vec![put("lease/web", Expect::Absent, "y")]).await.expect("a lease");
    assert_eq!(read(&store, "order/1").await.as_deref(), Some("x"));
}
