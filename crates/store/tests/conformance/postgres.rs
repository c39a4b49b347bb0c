//! PostgreSQL, met directly and through a pooler.

mod losses;
mod rights;
mod ways;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use steadfast_host::random;
use steadfast_store::conformance::failures::{self, Numbers};
use steadfast_store::conformance::servers::{Kind, Options, Place, Server, shared, wait_until};
use steadfast_store::conformance::{Fixture, load, reach};
use steadfast_store::{
    Access, Batch, Cursor, Description, Error, Expect, Key, Notice, PageToken, Revision, Secret, Space, Store, Write,
};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::FAULTS;

/// What the log keeps, and what trimming, which is done now and then, may leave.
const KEEP: usize = 256;
const TRIMMED_EVERY: usize = 64;

/// The time-out of a call that is to be answered.
const WITHIN: Duration = Duration::from_secs(30);

/// How long is waited for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

fn space() -> Space {
    Space::new("web").expect("a name for a space")
}

/// The schema that is this place.
fn schema(place: &Place) -> String {
    place.url().rsplit_once("schema=").expect("its schema").1.to_owned()
}

/// Writes a record, with its name in it.
async fn commit(store: &Arc<dyn Store>, name: &str, expect: Expect) -> Result<Cursor, Error> {
    let put = Write::Put(Bytes::copy_from_slice(name.as_bytes()), None);
    store.commit(Batch::one(Key::new(space(), name), expect, put), WITHIN).await
}

/// What comes of it in the end.
async fn until<T, E: Debug>(what: &str, mut attempt: impl AsyncFnMut() -> Result<T, E>) -> T {
    let mut last = None;
    let success = async {
        loop {
            match attempt().await {
                Ok(done) => return done,
                Err(error) => last = Some(error),
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let done = timeout(PATIENCE, success).await.ok();
    done.unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain for {what}: {last:?}"))
}

/// Two handles of a schema of their own.
fn fixture(kind: Kind) -> Fixture {
    let place = shared(kind).fresh_place().with(&format!("keep={KEEP}"));
    Fixture::of_all(vec![place.open(), place.open()], KEEP + TRIMMED_EVERY, Duration::from_secs(30))
}

steadfast_store::conformance!(plain, || async { fixture(Kind::Postgres) });
steadfast_store::conformance!(through_faults, || async {
    fixture(Kind::Postgres).through_faults(FAULTS, Duration::from_millis(1_500))
});
steadfast_store::conformance!(through_a_pooler, || async { fixture(Kind::PgBouncer) });

#[tokio::test]
async fn silence_is_doubt() {
    reach::silence_is_doubt(shared(Kind::Postgres).fresh_place()).await;
}

#[tokio::test]
async fn a_closed_door_is_certain() {
    reach::a_closed_door_is_certain(shared(Kind::Postgres).fresh_place()).await;
}

#[tokio::test]
async fn a_watch_misses_nothing_across_cuts() {
    let place = shared(Kind::Postgres).fresh_place().with(&format!("keep={KEEP}"));
    let trim = reach::outgrow(&place, KEEP + TRIMMED_EVERY + 1);
    reach::a_watch_misses_nothing_across_cuts(place, Some(trim)).await;
}

#[tokio::test]
async fn idle_watches_cost_little() {
    reach::idle_watches_cost_little(shared(Kind::Postgres).fresh_place(), 3).await;
}

#[tokio::test]
async fn a_large_space_is_scanned_while_written_to() {
    load::a_large_space_is_scanned_while_written_to(fixture(Kind::Postgres), 50_000).await;
}

#[tokio::test]
async fn kill_nine_loses_nothing_acknowledged() {
    let (server, place) = alone();
    failures::kill_nine_loses_nothing_acknowledged(server, place).await;
}

#[tokio::test]
async fn a_frozen_server_is_silence() {
    let (server, place) = alone();
    failures::a_frozen_server_is_silence(server, place).await;
}

#[tokio::test]
async fn a_rollback_is_noticed() {
    let (server, place) = alone();
    failures::a_rollback_is_noticed(server, place, Numbers::GoOn).await;
}

/// A server that may be killed.
fn alone() -> (Server, Place) {
    let server = Server::postgres(&Options::default());
    let place = server.fresh_place();
    (server, place)
}

/// Once it was looked at for a while, whether word of commits reaches it.
async fn hears(kind: Kind) -> Description {
    let store = shared(kind).fresh_place().open();
    let _watch = store.watch(&space(), &[b""], Cursor::START, Duration::from_secs(1)).await.expect("a watch");
    let known = async {
        loop {
            let description = store.describe();
            if description.push || !description.notes.is_empty() {
                return description;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, known).await.expect("it is tried whether it hears")
}

#[tokio::test]
async fn word_of_commits_is_believed_only_where_it_arrives() {
    let direct = hears(Kind::Postgres).await;
    assert!(direct.push && direct.notes.is_empty() && direct.durable && direct.may_lose.is_none(), "{direct:?}");
    let pooled = hears(Kind::PgBouncer).await;
    assert!(!pooled.push && pooled.pace_ms > direct.pace_ms, "{pooled:?}");
    let note = "polls: what stands between swallows notifications, as a connection pooler does";
    assert_eq!(pooled.notes, [note]);
}

#[tokio::test]
async fn a_wrong_password_and_a_wrong_database_are_told_apart() {
    let place = shared(Kind::Postgres).fresh_place();
    let read = async |url: &str, secret: &str| {
        let store = steadfast_store::open(url, &Access::with_secret(secret)).expect("a URL");
        store.read(&Key::new(space(), *b"client/a"), WITHIN).await
    };
    let right = shared(Kind::Postgres).secret().expect("a password");
    assert_eq!(read(&place.url(), right).await, Ok(None));
    let said = read(&place.url(), "hunter2").await;
    assert!(matches!(&said, Err(Error::Denied(why)) if why.contains("give the user's password")), "{said:?}");
    let elsewhere = place.url().replace("/postgres?", "/nowhere?");
    let said = read(&elsewhere, right).await;
    assert!(matches!(&said, Err(Error::Config(why)) if why.contains("\"nowhere\" does not exist")), "{said:?}");
}

#[tokio::test]
async fn a_database_that_is_read_only_takes_nothing_and_shows_what_it_has() {
    let server = Server::postgres(&Options::default());
    let store = server.fresh_place().open();
    let key = Key::new(space(), *b"client/a");
    let put = |expect| Batch::one(key.clone(), expect, Write::Put((&b"x"[..]).into(), None));
    let written = store.commit(put(Expect::Absent), WITHIN).await.expect("a commit").revision;
    server.sql("ALTER DATABASE postgres SET default_transaction_read_only = on");
    // It counts for connections made from now on.
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'steadfast'");
    let refused = async {
        loop {
            match store.commit(put(Expect::Version(written)), WITHIN).await {
                Err(Error::Unavailable(why)) if why.contains("read-only") => return,
                // One that was sent on a connection that just ended.
                Err(Error::OutcomeUnknown(_) | Error::Unavailable(_)) => sleep(Duration::from_millis(10)).await,
                other => panic!("{other:?}"),
            }
        }
    };
    timeout(PATIENCE, refused).await.expect("a refusal");
    assert_eq!(store.read(&key, WITHIN).await.expect("a look").expect("a record").version, written);
}

#[tokio::test]
async fn what_a_later_version_made_is_not_touched() {
    let place = shared(Kind::Postgres).fresh_place();
    let key = Key::new(space(), *b"client/a");
    assert_eq!(place.open().read(&key, WITHIN).await, Ok(None));
    let schema = place.url().rsplit_once("schema=").expect("its schema").1.to_owned();
    shared(Kind::Postgres).sql(&format!("UPDATE {schema}.meta SET format = 7"));
    let said = place.open().read(&key, WITHIN).await;
    assert!(matches!(&said, Err(Error::Corrupt(why)) if why.contains("format 7")), "{said:?}");
}
