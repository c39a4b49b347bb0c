//! What `watch` promises.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Caller, Fixture, Follower, PATIENCE, in_time, put};
use crate::{Committed, Cursor, Error, Notice, Record, Revision};

/// The names a commit changed, each with whether it is there now.
fn names(commit: &Committed) -> Vec<(&[u8], bool)> {
    commit.changes.iter().map(|(name, record)| (&name[..], record.is_some())).collect()
}

/// The cursors of the commits from the start: the way to learn a mark when a reply was lost.
async fn cursors(caller: &Caller, count: usize) -> Vec<Cursor> {
    let mut follower = caller.follow(b"", Cursor::START);
    let mut cursors = Vec::new();
    while cursors.len() < count {
        cursors.push(follower.commit().await.cursor);
    }
    cursors
}

/// Inclusive: the commit at the cursor comes first, so that a resumed watch proves that nothing was missed.
pub async fn a_watch_resumes_with_the_last_commit_seen(fixture: Fixture) {
    let caller = fixture.caller(0);
    let mut versions = Vec::new();
    for n in 0..5 {
        versions.push(caller.put(format!("client/{n}").as_bytes(), b"x").await);
    }
    let cursors = cursors(&caller, 5).await;
    assert_eq!(cursors.iter().map(|cursor| cursor.revision).collect::<Vec<_>>(), versions);
    for (n, cursor) in cursors.iter().enumerate() {
        let Ok(Notice::Committed(first)) = caller.first_notice(b"client/", cursor).await else {
            panic!("the commit at {cursor} did not come first");
        };
        assert_eq!(first.cursor, *cursor);
        assert_eq!(names(&first), [(format!("client/{n}").as_bytes(), true)]);
        let mut follower = caller.follow(b"client/", cursor.clone());
        for later in &cursors[n + 1..] {
            assert_eq!(follower.commit().await.cursor, *later);
        }
    }
}

/// Where the commit at the cursor did not touch the prefix, progress at or after it comes first, and at once.
pub async fn a_watch_begins_with_a_proof(fixture: Fixture) {
    let caller = fixture.caller(0);
    assert_eq!(caller.first_notice(b"", &Cursor::START).await, Ok(Notice::Progress(Cursor::START)));
    caller.put(b"order/1", b"x").await;
    let order = cursors(&caller, 1).await.remove(0);
    let client = caller.put(b"client/a", b"x").await;
    let Ok(Notice::Progress(first)) = caller.first_notice(b"client/", &order).await else {
        panic!("no proof that history goes on from {order}");
    };
    assert!(first.revision >= order.revision);
    assert_eq!(caller.follow(b"client/", order).commit().await.cursor.revision, client);
}

/// From before the first commit everything comes, in order, with what was deleted as deleted.
pub async fn a_watch_from_the_start_tells_all(fixture: Fixture) {
    let caller = fixture.caller(0);
    let version = caller.put(b"client/a", b"1").await;
    let batch = vec![put(b"client/a", Some(version), b"2"), put(b"client/b", None, b"1")];
    let version = caller.commit(batch).await.expect("expectations that hold");
    caller.delete(b"client/a").await;
    let mut follower = caller.follow(b"client/", Cursor::START);
    assert_eq!(names(&follower.commit().await), [(&b"client/a"[..], true)]);
    let both = follower.commit().await;
    let second = |value: &'static [u8]| Some(Record { version, value: value.into() });
    assert_eq!(both.cursor.revision, version);
    assert_eq!(both.changes, [(b"client/a".to_vec(), second(b"2")), (b"client/b".to_vec(), second(b"1"))]);
    assert_eq!(names(&follower.commit().await), [(&b"client/a"[..], false)]);
}

/// Of a commit only what is under the prefix is shown, and nothing of a commit that has nothing there.
pub async fn a_watch_shows_only_its_prefix(fixture: Fixture) {
    let caller = fixture.caller(0);
    let mut clients = caller.follow(b"client/", Cursor::START);
    let mut ledgers = caller.follow(b"ledger/", Cursor::START);
    caller.put(b"order/1", b"x").await;
    let batch = vec![put(b"client/a", None, b"1"), put(b"ledger/web-1", None, b"1"), put(b"clien", None, b"1")];
    let version = caller.commit(batch).await.expect("expectations that hold");
    let (client, ledger) = (clients.commit().await, ledgers.commit().await);
    assert_eq!(names(&client), [(&b"client/a"[..], true)]);
    assert_eq!(names(&ledger), [(&b"ledger/web-1"[..], true)]);
    assert_eq!((client.cursor.revision, &client.cursor), (version, &ledger.cursor));
}

/// Several prefixes make one watch: commits in their one order, each once with all it did under any of them, nothing of
/// others; and it resumes at its cursor like any other.
pub async fn a_watch_of_several_prefixes_is_one_history(fixture: Fixture) {
    const PREFIXES: &[&[u8]] = &[b"ledger/", b"order/", b"order/1"];
    let caller = fixture.caller(0);
    let order = caller.put(b"order/1", b"x").await;
    caller.put(b"client/a", b"x").await;
    let all = vec![
        put(b"order/1", Some(order), b"2"),
        put(b"client/b", None, b"1"),
        put(b"ledger/web-1", None, b"1"),
        put(b"ledger", None, b"1"),
    ];
    let all = caller.commit(all).await.expect("expectations that hold");
    let ledger = caller.put(b"ledger/web-1", b"2").await;
    caller.delete(b"order/1").await;
    let mut follower = caller.follow_any(PREFIXES, Cursor::START);
    let mut told = Vec::new();
    for expected in [
        &[(&b"order/1"[..], true)][..],
        &[(b"ledger/web-1", true), (b"order/1", true)],
        &[(b"ledger/web-1", true)],
        &[(b"order/1", false)],
    ] {
        let commit = follower.commit().await;
        let mut seen = names(&commit);
        seen.sort_unstable();
        assert_eq!(seen, expected);
        told.push(commit.cursor);
    }
    assert_eq!(told[..3].iter().map(|cursor| cursor.revision).collect::<Vec<_>>(), [order, all, ledger]);
    for (n, cursor) in told.iter().enumerate() {
        match caller.first_notice_of(PREFIXES, cursor).await {
            Ok(Notice::Committed(first)) => assert_eq!(first.cursor, *cursor, "the commit at the cursor comes first"),
            other => panic!("the commit at {cursor} did not come first: {other:?}"),
        }
        let mut follower = caller.follow_any(PREFIXES, cursor.clone());
        for later in &told[n + 1..] {
            assert_eq!(follower.commit().await.cursor, *later);
        }
    }
    let none = caller.watch(&[], &Cursor::START).await.map(drop);
    assert!(matches!(none, Err(Error::Config(_))), "a watch of nothing: {none:?}");
}

/// Beats are polled: no watch shows one, also not one of their own prefix, and watches resume across them.
pub async fn beats_are_in_no_watch(fixture: Fixture) {
    let caller = fixture.caller(0);
    let (mut all, mut beats) = (caller.follow(b"", Cursor::START), caller.follow(b"beat/", Cursor::START));
    caller.put(b"beat/web-1", b"1").await;
    caller.put(b"client/a", b"1").await;
    caller.put(b"beat/web-1", b"2").await;
    let between = caller.head().await;
    caller.put(b"beat/web-1", b"3").await;
    let last = caller.put(b"client/b", b"1").await;
    assert_eq!(names(&all.commit().await), [(&b"client/a"[..], true)]);
    assert_eq!(names(&all.commit().await), [(&b"client/b"[..], true)]);
    assert_eq!(caller.follow(b"", between).commit().await.cursor.revision, last);
    loop {
        match beats.notice().await {
            Notice::Committed(commit) => panic!("a watch shows a beat: {commit:?}"),
            Notice::Progress(at) if at.revision >= last => break,
            Notice::Progress(_) => {}
        }
    }
}

/// A watch tells what a lease is, in order; all that it was, unless leases are kept apart. It goes on after one, and one
/// that begins later learns of the lease as well.
pub async fn a_watch_tells_what_a_lease_is(fixture: Fixture) {
    let (caller, writer) = (fixture.caller(0), fixture.caller(1));
    let begin = caller.put(b"order/1", b"x").await;
    let begin = cursor_of(&caller, begin).await;
    let mut follower = caller.follow(b"", begin.clone());
    let (mut written, mut told) = (Vec::new(), Vec::new());
    for round in 0..5u8 {
        written.push(writer.put(b"lease/web", &[round]).await);
        // Where leases are apart, what is between two looks may be missed: each is waited for.
        let mut last = hear_of_lease(&mut follower, &fixture, &mut told).await;
        while last != *written.last().expect("one at least") {
            last = hear_of_lease(&mut follower, &fixture, &mut told).await;
        }
    }
    assert!(fixture.counts_apart || told == written, "{told:?} of {written:?}");
    let order = writer.put(b"order/2", b"x").await;
    let mut commit = follower.commit().await;
    while names(&commit) == [(&b"lease/web"[..], true)] {
        commit = follower.commit().await;
    }
    assert_eq!((commit.cursor.revision, &names(&commit)[..]), (order, &[(&b"order/2"[..], true)][..]));
    // Also from where it began before there was a lease.
    let (mut late, mut told) = (caller.follow(b"lease/", begin), Vec::new());
    while hear_of_lease(&mut late, &fixture, &mut told).await != *written.last().expect("one at least") {}
    assert!(fixture.counts_apart || told == written, "{told:?} of {written:?}");
}

/// The cursor of the commit of this revision.
async fn cursor_of(caller: &Caller, revision: Revision) -> Cursor {
    let mut follower = caller.follow(b"", Cursor::START);
    loop {
        let cursor = follower.commit().await.cursor;
        if cursor.revision == revision {
            return cursor;
        }
    }
}

/// The version of the lease that is told next; those not told before are added to `told`.
async fn hear_of_lease(follower: &mut Follower, fixture: &Fixture, told: &mut Vec<Revision>) -> Revision {
    loop {
        let Notice::Committed(commit) = follower.notice().await else { continue };
        let [(name, Some(lease))] = &commit.changes[..] else { continue };
        if name == b"lease/web" {
            assert!(fixture.counts_apart || lease.version == commit.cursor.revision, "{commit:?}");
            // A watch that was cut begins with what it told last.
            if told.last().is_none_or(|last| *last < lease.version) {
                told.push(lease.version);
            }
            return lease.version;
        }
    }
}

/// A cursor of a history that is not this store's, rolled back or replaced, is not resumed from.
pub async fn another_history_is_compacted(fixture: Fixture) {
    let caller = fixture.caller(0);
    for n in 0..3 {
        caller.put(b"client/a", &[n]).await;
    }
    let head = caller.head().await;
    let other_mark = |mark: &[u8]| mark.iter().map(|byte| !byte).collect::<Vec<u8>>();
    let strangers = [
        Cursor { mark: other_mark(&head.mark), ..head.clone() },
        Cursor { mark: Vec::new(), ..head.clone() },
        Cursor { revision: Revision(head.revision.0 + 1), ..head.clone() },
        Cursor { revision: Revision(head.revision.0 - 1), ..head.clone() },
        Cursor { revision: Revision(0), ..head.clone() },
        Cursor { revision: Revision(u64::MAX), ..head.clone() },
    ];
    for stranger in strangers {
        let ended = caller.first_notice(b"client/", &stranger).await;
        assert!(matches!(ended, Err(Error::Compacted(at, _)) if at == stranger.revision), "{stranger}: {ended:?}");
    }
    let empty = caller.within_space("emptied").first_notice(b"client/", &head).await;
    assert!(matches!(empty, Err(Error::Compacted(..))), "{empty:?}");
    assert!(caller.first_notice(b"client/", &head).await.is_ok());
}

/// The log is bounded: who comes back too late is told so and not handed a history with a hole.
pub async fn a_trimmed_commit_is_compacted(fixture: Fixture) {
    let fixture = fixture.alone().await;
    let caller = fixture.caller(0);
    caller.put(b"client/first", b"x").await;
    let first = cursors(&caller, 1).await.remove(0);
    outgrow_the_log(&fixture).await;
    fixture.trim().await;
    for gone in [first, Cursor::START] {
        let ended = caller.first_notice(b"client/", &gone).await;
        assert!(matches!(ended, Err(Error::Compacted(at, _)) if at == gone.revision), "{ended:?}");
    }
    assert!(caller.first_notice(b"client/", &caller.head().await).await.is_ok());
}

/// Makes more commits than the log keeps; returns their revisions in order.
async fn outgrow_the_log(fixture: &Fixture) -> Vec<Revision> {
    const AT_ONCE: usize = 64;
    let mut writers = JoinSet::new();
    for writer in 0..AT_ONCE {
        let (caller, rounds) = (fixture.caller(writer), fixture.log_commits / AT_ONCE + 1);
        writers.spawn(async move {
            let name = format!("client/{writer}").into_bytes();
            let mut versions = Vec::new();
            for round in 0..rounds {
                let change = put(&name, versions.last().copied(), &round.to_be_bytes());
                versions.push(caller.commit(vec![change]).await.expect("nobody else writes here"));
            }
            versions
        });
    }
    let mut revisions: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    revisions.sort();
    revisions
}

/// A watch that is not read falls behind. What it still tells has no hole; then it ends, and says so.
pub async fn a_watch_left_behind_has_no_hole(fixture: Fixture) {
    let caller = fixture.caller(0);
    let mut watch = caller.watch(&[b"client/"], &Cursor::START).await.expect("the beginning of history");
    // Proved to be where it should be; what comes now is its own doing. (If it was cut, it has nothing to tell.)
    drop(in_time(watch.next()).await);
    let revisions = outgrow_the_log(&fixture).await;
    let mut told = Vec::new();
    let ended = loop {
        match in_time(watch.next()).await {
            Ok(Notice::Committed(commit)) => told.push(commit.cursor.revision),
            Ok(Notice::Progress(_)) if told.len() == revisions.len() => break None,
            Ok(Notice::Progress(_)) => {}
            Err(error) => break Some(error),
        }
    };
    assert!(revisions.starts_with(&told), "the watch left something out");
    assert!(matches!(ended, None | Some(Error::Compacted(..) | Error::Unavailable(_))), "{ended:?}");
}

/// A watch that waits is told what comes; where the store pushes, without waiting for its interval of progress.
pub async fn a_waiting_watch_is_woken(fixture: Fixture) {
    let (caller, writer) = (fixture.caller(0), fixture.caller(1));
    let mut follower = caller.follow(b"client/", Cursor::START);
    for n in 0..5u8 {
        let head = caller.head().await.revision;
        loop {
            match follower.notice().await {
                Notice::Progress(at) if at.revision >= head => break,
                _ => {}
            }
        }
        let version = writer.put(b"client/a", &[n]).await;
        assert_eq!(follower.commit().await.cursor.revision, version);
    }
    let store = &fixture.stores[0];
    if !store.describe().push {
        return;
    }
    let begun = store.watch(&caller.space, &[b"client/"], caller.head().await, 100 * PATIENCE).await;
    let Ok(mut watch) = begun else { return };
    let told = tokio::spawn(async move {
        loop {
            match watch.next().await {
                Ok(Notice::Committed(commit)) if commit.changes[0].0 == b"client/pushed" => return true,
                Ok(_) => {}
                // A watch that was cut has nothing to prove here.
                Err(error) => return matches!(error, Error::Unavailable(_)),
            }
        }
    });
    writer.put(b"client/pushed", b"x").await;
    assert!(in_time(told).await.expect("the watcher"));
}

/// With nothing to tell, a watch still says that the store is alive and where it stands; one can resume there.
pub async fn an_idle_watch_says_where_the_store_stands(fixture: Fixture) {
    let caller = fixture.caller(0);
    caller.put(b"client/a", b"x").await;
    let mut follower = caller.follow(b"client/", caller.head().await);
    let elsewhere = caller.put(b"order/1", b"x").await;
    let mut idle = None;
    while idle.is_none() {
        if let Notice::Progress(at) = follower.notice().await {
            idle = Some(at).filter(|at| at.revision >= elsewhere);
        }
    }
    let at = idle.expect("the loop ended");
    assert_eq!(at, caller.head().await);
    let next = caller.put(b"client/b", b"x").await;
    assert_eq!(caller.follow(b"client/", at).commit().await.cursor.revision, next);
}

/// A wait for the next notice can be given up at any moment.
pub async fn a_dropped_wait_loses_nothing(fixture: Fixture) {
    const COMMITS: usize = 40;
    let caller = fixture.caller(0);
    let writer = fixture.caller(1);
    let writing = tokio::spawn(async move {
        let mut version = None;
        for n in 0..COMMITS {
            let change = put(b"client/a", version, &n.to_be_bytes());
            version = Some(writer.commit(vec![change]).await.expect("nobody else writes here"));
        }
    });
    let mut follower = caller.follow(b"client/", Cursor::START);
    let mut told = Vec::new();
    for tries in 0.. {
        follower.resume().await;
        let patience = Duration::from_micros(tries % 7 * 100);
        if let Ok(Some(notice)) = timeout(patience, follower.hear()).await {
            let changes = follower.new_commit(notice).map(|commit| commit.changes).unwrap_or_default();
            told.extend(changes.into_iter().filter_map(|(_, record)| Some(record?.value)));
        }
        tokio::task::yield_now().await;
        if told.len() == COMMITS {
            break;
        }
    }
    writing.await.expect("the writer");
    let written: Vec<_> = (0..COMMITS).map(|n| n.to_be_bytes().to_vec()).collect();
    assert_eq!(told, written);
}
