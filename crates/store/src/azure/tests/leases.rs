//! Leases, where Azure or somebody else does what an emulator does not.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::{Hold, Notice};

fn web() -> Space {
    Space::new("web").unwrap()
}

fn lease(expect: Expect, hold: Hold) -> Batch {
    let write = Write::Put("{\"v\":1}".into(), Some(hold));
    Batch { space: web(), changes: vec![Change { name: b"lease/web".to_vec(), expect, write }] }
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
}

fn refused(status: &str, code: &str) -> String {
    answer(status, &format!("x-ms-error-code: {code}\r\n"), "")
}

/// A lease that Azure holds, as it answers but for a lease of the blob (`act`) and a write of its record (`write`), which
/// are given the head of the request. `version` is that of the record, and its ETag. What is written without a lease, or
/// over what is not there any more, is refused as Azure does.
async fn native(
    version: Arc<AtomicU64>,
    act: impl Fn(&str) -> String + Send + Sync + 'static,
    write: impl Fn(&str) -> String + Send + Sync + 'static,
) -> Stub {
    Stub::new(move |head| {
        let is_word = head.contains("/web/lease/web ");
        match head {
            _ if head.contains("comp=lease") => act(head),
            _ if head.contains("comp=metadata") && header(head, "x-ms-lease-id").is_empty() => {
                refused("412 Precondition Failed", "LeaseIdMissing")
            }
            _ if head.contains("comp=metadata")
                && header(head, "if-match") != format!("\"{}\"", version.load(Ordering::Relaxed)) =>
            {
                refused("412 Precondition Failed", "ConditionNotMet")
            }
            _ if head.contains("comp=metadata") => write(head),
            _ if head.starts_with("HEAD") && is_word => answer("200 OK", "x-ms-meta-steadfast_mode: native\r\n", ""),
            _ if head.starts_with("HEAD") => {
                let version = version.load(Ordering::Relaxed);
                let metadata =
                    format!("x-ms-meta-steadfast_version: {version}\r\nx-ms-meta-steadfast_record: {{}}\r\n");
                answer("200 OK", &format!("etag: \"{version}\"\r\n{metadata}"), "")
            }
            _ => panic!("asked for {head}"),
        }
    })
    .await
}

/// What Azure answers to who acquires or renews a lease.
fn held(head: &str) -> String {
    let id = [header(head, "x-ms-proposed-lease-id"), header(head, "x-ms-lease-id")].concat();
    answer("200 OK", &format!("x-ms-lease-id: {id}\r\n"), "")
}

const NATIVE: &str = "&lease=native";

#[tokio::test]
async fn a_blob_that_somebody_leases_is_not_asked_for_again_and_again() {
    let stub = Stub::new(|head| match head {
        _ if head.starts_with("GET") => refused("404 Not Found", "BlobNotFound"),
        _ => refused("412 Precondition Failed", "LeaseIdMissing"),
    })
    .await;
    let error = stub.store("", Some(KEY)).commit(lease(Expect::Absent, Hold::Take), WITHIN).await;
    assert!(matches!(&error, Err(Error::Unavailable(why)) if why.contains("leases the blob")), "{error:?}");
    assert_eq!(stub.asked("PUT").len(), 1);
}

#[tokio::test]
async fn a_lease_that_went_back_or_away_ends_its_watch() {
    for end in [Some(5), None] {
        let version = Arc::new(AtomicU64::new(7));
        let shown = Arc::clone(&version);
        let stub = Stub::new(move |head| match shown.load(Ordering::Relaxed) {
            _ if head.contains("comp=list") => answer("200 OK", "", "<EnumerationResults></EnumerationResults>"),
            _ if !head.contains("/web/lease/web") => answer("200 OK", "", r#"{"value":[]}"#),
            0 => refused("404 Not Found", "BlobNotFound"),
            version => {
                let metadata = format!("etag: \"{version}\"\r\nx-ms-meta-steadfast_version: {version}\r\n");
                answer("200 OK", &metadata, "{}")
            }
        })
        .await;
        let store = stub.store("&poll=100ms", Some(KEY));
        let every = Duration::from_millis(100);
        let mut watch = store.watch(&web(), &[b"lease/"], Cursor::START, every).await.expect("a watch");
        let mut next = async || tokio::time::timeout(WITHIN, watch.next()).await.expect("in time");
        loop {
            let Notice::Committed(commit) = next().await.expect("it goes on") else { continue };
            assert_eq!(commit.changes[0].1.as_ref().expect("a lease").version, Revision(7));
            break;
        }
        version.store(end.unwrap_or(0), Ordering::Relaxed);
        let ended = loop {
            match next().await {
                Ok(Notice::Progress(_)) => {}
                Ok(told) => panic!("{told:?}"),
                Err(error) => break error,
            }
        };
        assert!(matches!(ended, Error::Compacted(..)), "{ended:?}");
    }
}

#[tokio::test]
async fn an_acquire_that_was_refused_leaves_no_doubt_and_one_nobody_waited_for_does() {
    let refusals = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&refusals);
    let act = move |head: &str| match count.fetch_add(1, Ordering::Relaxed) {
        0 => refused("503 Server Busy", "ServerBusy"),
        1 => String::new(),
        _ => held(head),
    };
    let stub = native(Arc::new(AtomicU64::new(7)), act, |_| answer("200 OK", "etag: \"8\"\r\n", "")).await;
    let store = stub.store(NATIVE, Some(KEY));
    let take = || lease(Expect::Version(Revision(7)), Hold::Take);
    let busy = store.commit(take(), WITHIN).await;
    assert!(matches!(&busy, Err(Error::Unavailable(why)) if why.contains("ServerBusy")), "{busy:?}");
    // The next is sent, and not waited for.
    let asked = async {
        while refusals.load(Ordering::Relaxed) < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        taken = store.commit(take(), WITHIN) => panic!("there is no answer: {taken:?}"),
        () = asked => {}
    }
    let doubtful = store.commit(take(), WITHIN).await;
    assert!(matches!(&doubtful, Err(Error::Unavailable(why)) if why.contains("must have run out")), "{doubtful:?}");
    assert_eq!(refusals.load(Ordering::Relaxed), 2, "it acquires while in doubt");
}

#[tokio::test]
async fn our_own_write_that_came_late_costs_no_lease() {
    let version = Arc::new(AtomicU64::new(1));
    let (shown, writes) = (Arc::clone(&version), AtomicU64::new(0));
    let write = move |head: &str| match writes.fetch_add(1, Ordering::Relaxed) {
        // Just before this one arrives, another does that was written off.
        1 => {
            version.store(3, Ordering::Relaxed);
            refused("412 Precondition Failed", "ConditionNotMet")
        }
        _ => {
            let written = header(head, "x-ms-meta-steadfast_version").parse().expect("a number");
            version.store(written, Ordering::Relaxed);
            answer("200 OK", &format!("etag: \"{written}\"\r\n"), "")
        }
    };
    let stub = native(shown, held, write).await;
    let store = stub.store(NATIVE, Some(KEY));
    let taken = store.commit(lease(Expect::Version(Revision(1)), Hold::Take), WITHIN).await.expect("nobody has it");
    assert_eq!(taken.revision, Revision(2));
    let Err(Error::Conflict(records)) = store.commit(lease(Expect::Version(taken.revision), Hold::Renew), WITHIN).await
    else {
        panic!("it is another version")
    };
    assert_eq!(records[0].1.as_ref().expect("the late one").version, Revision(3));
    let renewed = store.commit(lease(Expect::Version(Revision(3)), Hold::Renew), WITHIN).await.expect("ours");
    assert_eq!(renewed.revision, Revision(4));
}

#[tokio::test]
async fn a_write_without_an_etag_is_in_doubt() {
    let stub = native(Arc::new(AtomicU64::new(1)), held, |_| answer("200 OK", "", "")).await;
    let store = stub.store(NATIVE, Some(KEY));
    let taken = store.commit(lease(Expect::Version(Revision(1)), Hold::Take), WITHIN).await;
    assert!(matches!(taken, Err(Error::OutcomeUnknown(_))), "{taken:?}");
}

#[tokio::test]
async fn an_answer_about_another_lease_is_none_about_ours() {
    let (version, renewals) = (Arc::new(AtomicU64::new(1)), AtomicU64::new(0));
    let others = || answer("200 OK", "x-ms-lease-id: somebody-elses\r\n", "");
    let written = Arc::clone(&version);
    let write = move |_: &str| {
        written.store(2, Ordering::Relaxed);
        answer("200 OK", "etag: \"2\"\r\n", "")
    };
    let act = move |head: &str| match header(head, "x-ms-lease-action") {
        // As an emulator was seen to.
        "renew" if renewals.fetch_add(1, Ordering::Relaxed) == 0 => others(),
        _ => held(head),
    };
    let stub = native(Arc::clone(&version), act, write).await;
    let store = stub.store(NATIVE, Some(KEY));
    let taken = store.commit(lease(Expect::Version(Revision(1)), Hold::Take), WITHIN).await.expect("nobody has it");
    let renewed = store.commit(lease(Expect::Version(taken.revision), Hold::Renew), WITHIN).await;
    assert!(matches!(&renewed, Err(Error::Conflict(records)) if records[0].1.is_none()), "{renewed:?}");

    let stub = native(version, move |_| others(), |_| panic!("it is not ours")).await;
    let store = stub.store(NATIVE, Some(KEY));
    for why in ["under another id", "must have run out"] {
        let taken = store.commit(lease(Expect::Version(Revision(2)), Hold::Take), WITHIN).await;
        assert!(matches!(&taken, Err(Error::Unavailable(told)) if told.contains(why)), "{taken:?}");
    }
}

#[tokio::test]
async fn a_record_that_changed_before_the_lease_was_ours_is_a_conflict() {
    let version = Arc::new(AtomicU64::new(1));
    let released = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&released);
    let act = move |head: &str| {
        if header(head, "x-ms-lease-action") == "release" {
            count.fetch_add(1, Ordering::Relaxed);
        }
        held(head)
    };
    let stub = native(Arc::clone(&version), act, |_| panic!("it is another version")).await;
    let store = stub.store(NATIVE, Some(KEY));
    version.store(5, Ordering::Relaxed);
    let taken = store.commit(lease(Expect::Version(Revision(1)), Hold::Take), WITHIN).await;
    assert!(matches!(&taken, Err(Error::Conflict(records)) if records[0].1.is_some()), "{taken:?}");
    assert_eq!(released.load(Ordering::Relaxed), 1, "what is of no use is given back");
}

#[tokio::test]
async fn no_contact_is_told_while_the_leases_are_silent() {
    let silent = Arc::new(AtomicU64::new(0));
    let is_silent = Arc::clone(&silent);
    let stub = Stub::new(move |head| match head {
        _ if head.contains("comp=list") => answer("200 OK", "", "<EnumerationResults></EnumerationResults>"),
        _ if !head.contains("/web/lease/web") => answer("200 OK", "", r#"{"value":[]}"#),
        _ if is_silent.load(Ordering::Relaxed) == 1 => String::new(),
        _ => refused("404 Not Found", "BlobNotFound"),
    })
    .await;
    let store = stub.store("&poll=100ms", Some(KEY));
    let every = Duration::from_millis(100);
    let mut watch = store.watch(&web(), &[b"lease/"], Cursor::START, every).await.expect("a watch");
    let mut next = async || tokio::time::timeout(WITHIN, watch.next()).await.expect("in time");
    for _ in 0..3 {
        assert!(matches!(next().await, Ok(Notice::Progress(_))), "both are heard from");
    }
    silent.store(1, Ordering::Relaxed);
    let mut told = 0;
    let ended = loop {
        match next().await {
            Ok(_) => told += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(ended, Error::Unavailable(_)), "{ended:?}");
    // One look may have ended just before, and one was told of already.
    assert!(told <= 2, "told {told} times that the leases are as they were");
}
