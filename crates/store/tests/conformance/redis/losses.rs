//! What is lost, and by whom it is noticed.

use super::*;

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
    // Also not by who has seen the new one, and may not have told who relied on the old one.
    one.scan(&web(), b"order/", None, 10, WITHIN).await.expect("a page");
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

/// Who finds no lease because a key was evicted does not take it.
#[tokio::test]
async fn nobody_writes_upon_what_was_evicted() {
    const KEYS: [&str; 3] = ["steadfast:{web}:head", "steadfast:{web}:records", "steadfast:{web}:names"];
    // Any of them, or several.
    for lost in 1..1usize << KEYS.len() {
        let server = server(&[]);
        let store = open(&url(server.ports()[0]));
        add(&store, "lease/web").await;
        add(&store, "order/1").await;
        let gone: Vec<&str> = (0..KEYS.len()).filter(|at| lost >> at & 1 == 1).map(|at| KEYS[at]).collect();
        server.redis_cli(&[&["DEL"], &gone[..]].concat());
        for another in [&store, &open(&url(server.ports()[0]))] {
            let taken = commit(another, vec![put("lease/web", Expect::Absent, "mine")]).await;
            let told = matches!(&taken, Err(Error::Corrupt(why)) if why.contains("evicted, or removed by hand"));
            assert!(told, "{gone:?}: {taken:?}");
        }
        if gone.len() < KEYS.len() {
            let seen = store.scan(&web(), b"", None, 10, WITHIN).await.map(|page| page.records.len());
            assert!(matches!(seen, Err(Error::Corrupt(_))), "{gone:?}: {seen:?}");
        }
    }
}
