//! What is lost, and by whom it is noticed.

use std::collections::BTreeSet;
use std::sync::Mutex;

use steadfast_store::conformance::servers::wait_until;

use super::*;

/// What writers were told.
#[derive(Default)]
struct Told {
    /// First names of batches of two.
    acknowledged: Mutex<BTreeSet<String>>,
    unknown: Mutex<BTreeSet<String>>,
}

impl Told {
    fn acknowledged(&self) -> BTreeSet<String> {
        self.acknowledged.lock().expect("no writer panics").clone()
    }
}

/// Writes pairs of records until it is stopped.
async fn write(store: Arc<dyn Store>, writer: usize, told: Arc<Told>) {
    for n in 0.. {
        let (one, other) = (format!("order/{writer}-{n}"), format!("client/{writer}-{n}"));
        let both = vec![put(&one, Expect::Absent, "x"), put(&other, Expect::Absent, "x")];
        loop {
            match store.commit(batch(both.clone()), Duration::from_secs(5)).await {
                Ok(_) => drop(told.acknowledged.lock().expect("no writer panics").insert(one)),
                Err(Error::OutcomeUnknown(_)) => drop(told.unknown.lock().expect("no writer panics").insert(one)),
                Err(Error::Unavailable(_)) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                }
                Err(other) => panic!("a commit of what nobody else writes: {other}"),
            }
            break;
        }
    }
}

/// Follows the log through whatever happens, and adds the names under `order/` to `names`.
async fn follow(store: Arc<dyn Store>, names: Arc<Mutex<BTreeSet<String>>>) {
    let mut at = Cursor::START;
    loop {
        let mut watch = match watch(&store, at.clone()).await {
            Ok(watch) => watch,
            Err(Error::Unavailable(_)) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            }
            Err(other) => panic!("nothing was lost, and a watch says {other}"),
        };
        loop {
            match watch.next().await {
                Ok(Notice::Progress(cursor)) => at = cursor,
                Ok(Notice::Committed(commit)) => {
                    at = commit.cursor;
                    let changed = commit.changes.into_iter().filter_map(|(name, _)| String::from_utf8(name).ok());
                    names.lock().expect("no reader panics").extend(changed.filter(|name| name.starts_with("order/")));
                }
                Err(Error::Unavailable(_)) => break,
                Err(other) => panic!("nothing was lost, and a watch says {other}"),
            }
        }
    }
}

#[tokio::test]
async fn kill_nine_loses_nothing_acknowledged() {
    const WRITERS: usize = 8;
    const KILLS: usize = 3;
    const BETWEEN_KILLS: usize = 100;
    let mut server = server(&[]);
    let place = url(server.ports()[0]);
    let (told, names) = (Arc::<Told>::default(), Arc::<Mutex<BTreeSet<String>>>::default());
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        tasks.spawn(write(open(&place), writer, Arc::clone(&told)));
    }
    tasks.spawn(follow(open(&place), Arc::clone(&names)));
    let kills = async {
        for kill in 1..=KILLS {
            let told = Arc::clone(&told);
            (server, ()) = beside(server, move |server| {
                wait_until("some commits", || told.acknowledged().len() >= kill * BETWEEN_KILLS);
                server.kill9();
                server.start_again();
            })
            .await;
        }
        let (told, enough) = (Arc::clone(&told), (KILLS + 1) * BETWEEN_KILLS);
        beside(server, move |_| wait_until("some more", || told.acknowledged().len() >= enough)).await.0
    };
    let server = tokio::select! {
        ended = tasks.join_next() => panic!("somebody ended: {ended:?}"),
        server = kills => server,
    };
    let (acknowledged, follower) = (told.acknowledged(), Arc::clone(&names));
    let expected = acknowledged.clone();
    let heard = beside(server, move |_| {
        wait_until("the follower", || expected.is_subset(&follower.lock().expect("no reader panics")));
    });
    let (_server, ()) = tokio::select! {
        ended = tasks.join_next() => panic!("somebody ended: {ended:?}"),
        heard = heard => heard,
    };
    tasks.shutdown().await;
    let store = open(&place);
    for name in &acknowledged {
        assert!(read(&store, name).await.is_some(), "{name} was acknowledged");
    }
    let unknown = told.unknown.lock().expect("no writer panics").clone();
    for name in &unknown {
        let both = [read(&store, name).await, read(&store, &name.replace("order", "client")).await];
        assert_eq!(both[0], both[1], "{name} was written by half");
    }
}

/// What a handle says of a server that no longer has what it had: no watch goes on, what is believed is asked anew,
/// and no version is given again that anybody here has seen.
async fn notices(store: &Arc<dyn Store>, live: &mut Box<dyn Watch>, last: &Cursor) {
    let ended = match end_of(live).await {
        // Cut off with the server; then the history it resumes from is gone.
        Error::Unavailable(_) => {
            let again = until("the watch to resume or not", async || match watch(store, last.clone()).await {
                Err(error @ Error::Unavailable(_)) => Err(error),
                made => Ok(made.map(drop)),
            });
            again.await.expect_err("a watch goes on from what is lost")
        }
        other => other,
    };
    assert!(matches!(ended, Error::Compacted(..)), "{ended:?}");
    let next =
        until("the next commit", async || commit(store, vec![put("order/next", Expect::Absent, "x")]).await).await;
    assert!(next.revision > last.revision, "{} was given again", next.revision);
    let found = read(store, "order/next").await.expect("what was just written");
    assert_eq!(found.version, next.revision);
    assert!(watch(store, next).await.is_ok(), "a new history begins");
}

#[tokio::test]
async fn a_copy_brought_back_is_noticed() {
    let mut server = server(&[]);
    let store = open(&url(server.ports()[0]));
    for n in 0..5 {
        add(&store, &format!("order/old-{n}")).await;
    }
    let snapshot = server.save();
    let mut last = until("the server", async || commit(&store, vec![put("order/a", Expect::Absent, "x")]).await).await;
    for n in 0..5 {
        last = add(&store, &format!("order/new-{n}")).await;
    }
    let mut live = watch(&store, last.clone()).await.expect("a watch");
    assert!(live.next().await.is_ok());
    server.restore(&snapshot);
    notices(&store, &mut live, &last).await;
    assert_eq!(read(&store, "order/new-0").await, None, "it was lost");
    assert!(read(&store, "order/old-0").await.is_some());
}

#[tokio::test]
async fn an_emptied_server_is_noticed_while_nobody_writes() {
    let server = server(&[]);
    let store = open(&url(server.ports()[0]));
    let mut last = add(&store, "order/0").await;
    for n in 1..5 {
        last = add(&store, &format!("order/{n}")).await;
    }
    let mut live = watch(&store, last.clone()).await.expect("a watch");
    assert!(live.next().await.is_ok());
    server.redis_cli(&["FLUSHALL"]);
    notices(&store, &mut live, &last).await;
}

/// Two histories can have the same number for a record. Who knows the one does not write upon the other.
#[tokio::test]
async fn a_version_of_another_history_is_not_believed() {
    let server = server(&[]);
    let place = url(server.ports()[0]);
    let (one, beats) = (open(&place), open(&place));
    let held = add(&one, "lease/web").await;
    add(&one, "order/1").await;
    server.redis_cli(&["FLUSHALL"]);
    let another = open(&place);
    assert_eq!(
        add(&another, "lease/web").await.revision,
        held.revision,
        "the number is given again to who saw nothing"
    );
    add(&another, "order/1").await;
    add(&another, "order/2").await;
    let renewal = || vec![put("lease/web", Expect::Version(held.revision), "renewed")];
    let refused = commit(&one, renewal()).await;
    let Err(Error::Conflict(records)) = &refused else { panic!("it writes upon a stranger's record: {refused:?}") };
    assert_eq!(records[0].1.as_ref().map(|record| record.version), Some(held.revision));
    // Told so, it may decide anew upon what it was shown.
    let settled = commit(&one, renewal()).await.expect("it knows what it writes upon");
    assert!(settled.revision > held.revision);
    // Somebody with nothing to lose may do as ever.
    assert!(commit(&beats, vec![put("beat/a", Expect::Absent, "x")]).await.is_ok());
}

/// A beat's number is no commit's: what a crash takes back of it hides no commit.
#[tokio::test]
async fn a_cursor_stands_at_a_commit_and_never_at_a_beat() {
    let server = server(&[]);
    let store = open(&url(server.ports()[0]));
    let order = add(&store, "order/1").await;
    let beat = add(&store, "beat/a").await;
    assert!(beat.revision > order.revision && beat.mark == order.mark);
    let page = store.scan(&web(), b"", None, 10, WITHIN).await.expect("a page");
    assert_eq!(page.cursor, order);
    let nothing = Change { name: b"order/1".into(), expect: Expect::Version(order.revision), write: Write::Nothing };
    assert_eq!(commit(&store, vec![nothing]).await, Ok(order.clone()));
    let mut watch = watch(&store, order.clone()).await.expect("a watch");
    assert!(matches!(watch.next().await, Ok(Notice::Committed(commit)) if commit.cursor == order));
    for _ in 0..3 {
        let notice = tokio::time::timeout(PATIENCE, watch.next()).await.expect("a notice");
        assert_eq!(notice, Ok(Notice::Progress(order.clone())));
    }
}
