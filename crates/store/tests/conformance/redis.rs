//! Redis: the contract's clauses, and what only this engine can do wrong.

mod losses;
mod refusals;
mod rights;
mod ways;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use steadfast_host::clock;
use steadfast_store::conformance::failures::{self, Numbers};
use steadfast_store::conformance::servers::{Kind, Options, Server, shared};
use steadfast_store::conformance::{Fixture, load, reach};
use steadfast_store::{
    Access, Batch, Change, Cursor, Error, Expect, Grade, Key, LogBound, Notice, Record, Revision, Space, Store, Watch,
    Write,
};

use super::FAULTS;

/// The log is short enough to outgrow in a test. What is cut off it goes by whole nodes of a hundred entries.
const KEEP: usize = 256;
const KEPT_AT_MOST: usize = KEEP + 128;

/// What must come comes within this.
const PATIENCE: Duration = Duration::from_secs(60);
const WITHIN: Duration = Duration::from_secs(30);

/// Two ways to a place that nobody has been to.
fn fixture() -> Fixture {
    let place = shared(Kind::Redis).fresh_place().with(&format!("keep={KEEP}"));
    Fixture::of_all(vec![place.open(), place.open()], KEPT_AT_MOST, WITHIN)
}

steadfast_store::conformance!(plain, || async { fixture() });
steadfast_store::conformance!(through_faults, || async {
    fixture().through_faults(FAULTS, Duration::from_millis(600))
});

/// A server of a test's own.
fn server(arguments: &[&str]) -> Server {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    Server::redis(&Options { arguments, ..Options::default() })
}

fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}/steadfast?pace=250ms")
}

fn open(url: &str) -> Arc<dyn Store> {
    open_with(url, None)
}

fn open_with(url: &str, secret: Option<&str>) -> Arc<dyn Store> {
    let access = secret.map(Access::with_secret).unwrap_or_default();
    steadfast_store::open(url, &access).unwrap_or_else(|e| panic!("open {url}: {e}"))
}

fn web() -> Space {
    Space::new("web").expect("a space")
}

fn put(name: &str, expect: Expect, value: &str) -> Change {
    let value = Bytes::copy_from_slice(value.as_bytes());
    Change { name: name.into(), expect, write: Write::Put(value, None) }
}

fn batch(changes: Vec<Change>) -> Batch {
    Batch { space: web(), changes }
}

/// One commit, as a caller makes it who can wait for the answer.
async fn commit(store: &Arc<dyn Store>, changes: Vec<Change>) -> Result<Cursor, Error> {
    store.commit(batch(changes), WITHIN).await
}

/// A new record.
async fn add(store: &Arc<dyn Store>, name: &str) -> Cursor {
    commit(store, vec![put(name, Expect::Absent, name)]).await.unwrap_or_else(|e| panic!("add {name}: {e}"))
}

async fn read(store: &Arc<dyn Store>, name: &str) -> Option<Record> {
    store.read(&Key::new(web(), name), WITHIN).await.unwrap_or_else(|e| panic!("read {name}: {e}"))
}

/// A watch, or why there is none; that its proof was late on a busy machine is no reason.
async fn watch(store: &Arc<dyn Store>, from: Cursor) -> Result<Box<dyn Watch>, Error> {
    let attempt = async || match store.watch(&web(), &[b""], from.clone(), Duration::from_millis(250)).await {
        Err(late @ Error::Unavailable(_)) => Err(late),
        made => Ok(made),
    };
    until("a watch", attempt).await
}

/// How a watch ends.
async fn end_of(watch: &mut Box<dyn Watch>) -> Error {
    let end = async {
        loop {
            if let Err(error) = watch.next().await {
                return error;
            }
        }
    };
    tokio::time::timeout(PATIENCE, end).await.expect("the watch must end")
}

/// Tries until it succeeds.
async fn until<T>(what: &str, mut attempt: impl AsyncFnMut() -> Result<T, Error>) -> T {
    let began = clock::now();
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => {
                assert!(clock::now().since(began) < PATIENCE, "waited in vain for {what}: {error}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

#[tokio::test]
async fn what_is_said_while_the_way_is_bad() {
    let place = || shared(Kind::Redis).fresh_place();
    reach::silence_is_doubt(place()).await;
    reach::a_closed_door_is_certain(place()).await;
}

#[tokio::test]
async fn a_watch_misses_nothing_across_cuts() {
    let place = shared(Kind::Redis).fresh_place().with(&format!("keep={KEEP}"));
    let trim = reach::outgrow(&place, KEPT_AT_MOST);
    reach::a_watch_misses_nothing_across_cuts(place, Some(trim)).await;
}

#[tokio::test]
async fn idle_watches_cost_little() {
    reach::idle_watches_cost_little(shared(Kind::Redis).fresh_place(), 3).await;
}

#[tokio::test]
async fn a_large_space_is_scanned_while_written_to() {
    const RECORDS: usize = 100_000;
    let place = shared(Kind::Redis).fresh_place();
    let stores = vec![place.open(), place.open()];
    let fixture = Fixture::of_all(stores, LogBound::default().commits, WITHIN);
    load::a_large_space_is_scanned_while_written_to(fixture, RECORDS).await;
}

#[tokio::test]
async fn kill_nine_loses_nothing_acknowledged() {
    let server = server(&[]);
    let place = server.fresh_place();
    failures::kill_nine_loses_nothing_acknowledged(server, place).await;
}

#[tokio::test]
async fn a_frozen_server_is_silence() {
    let server = server(&[]);
    let place = server.fresh_place();
    failures::a_frozen_server_is_silence(server, place).await;
}

#[tokio::test]
async fn a_rollback_is_noticed() {
    let server = server(&[]);
    let place = server.fresh_place();
    failures::a_rollback_is_noticed(server, place, Numbers::GoOn).await;
}

#[tokio::test]
async fn a_commit_of_another_process_is_told_without_being_asked_for() {
    // By itself it looks that often, and rests a tenth of that after each page.
    const LOOKS_EVERY: Duration = Duration::from_secs(100);
    let place = shared(Kind::Redis).fresh_place().with("pace=10s");
    let (here, there) = (place.open(), place.open());
    let begin = add(&there, "order/1").await;
    let mut watch = here.watch(&web(), &[b""], begin, LOOKS_EVERY).await.expect("a watch");
    let written = std::cell::Cell::new(Revision(1));
    let mut next = async || loop {
        if let Notice::Committed(commit) = watch.next().await.expect("a notice") {
            return commit.cursor.revision;
        }
    };
    let heard = async {
        next().await;
        // What it reads to begin with may be several; what is written after that it must be told of.
        let by_now = next().await.max(written.get());
        while next().await <= by_now {}
    };
    let writes = async {
        for n in 2.. {
            written.set(add(&there, &format!("order/{n}")).await.revision);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let told = tokio::select! {
        () = writes => false,
        heard = tokio::time::timeout(PATIENCE, heard) => heard.is_ok(),
    };
    assert!(told, "it would have looked in {LOOKS_EVERY:?}");
}

#[tokio::test]
async fn what_is_bulky_is_cut_off_for_itself() {
    const LARGE: usize = 500 << 10;
    let store = shared(Kind::Redis).fresh_place().with("keep_bytes=8388608").open();
    let large = "x".repeat(LARGE);
    for n in 0..40 {
        let ledger = put(&format!("ledger/{n}"), Expect::Absent, "small");
        commit(&store, vec![put(&format!("client/{n}"), Expect::Absent, &large), ledger]).await.expect("a commit");
    }
    let bulky = store.watch(&web(), &[b"client/"], Cursor::START, WITHIN).await.map(drop);
    assert!(matches!(bulky, Err(Error::Compacted(..))), "20 MB of 8 are kept: {bulky:?}");
    let mut rest = store.watch(&web(), &[b"ledger/"], Cursor::START, WITHIN).await.expect("the rest is all there");
    let mut told = 0;
    while told < 40 {
        match tokio::time::timeout(PATIENCE, rest.next()).await.expect("a notice").expect("no end") {
            Notice::Committed(commit) => told += commit.changes.len(),
            Notice::Progress(_) => {}
        }
    }
    let page = store.scan(&web(), b"client/", None, 100, WITHIN).await.expect("a page");
    assert!(page.next.is_some() && page.records.len() < 4, "a page of {} large records", page.records.len());
}
