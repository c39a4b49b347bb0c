//! What `read`, `commit` and `scan` promise, one caller at a time.

use std::collections::BTreeSet;

use super::{Fixture, delete, nothing, put, value};
use crate::{BEAT, Change, Error, Hold, Limits, PAGE_BYTES, Revision, Write};

/// Absent before, then what was written, under the version the commit had.
pub async fn a_record_reads_as_it_was_written(fixture: Fixture) {
    let caller = fixture.caller(0);
    assert_eq!(caller.read(b"client/cam-1").await, None);
    for bytes in [&b"{\"v\":1}"[..], b"", &[0, 1, 254, 255]] {
        let version = caller.put(b"client/cam-1", bytes).await;
        let record = caller.read(b"client/cam-1").await.expect("what was written");
        assert_eq!((record.version, &record.value[..]), (version, bytes));
    }
    let other = fixture.caller(1).read(b"client/cam-1").await.expect("what was written, by another way");
    assert_eq!(&other.value[..], [0, 1, 254, 255]);
}

/// A record deleted and written again has a version of its own, whatever was written in between.
pub async fn a_version_is_never_used_again(fixture: Fixture) {
    let caller = fixture.caller(0);
    for name in [&b"client/cam-1"[..], b"beat/web-1", b"lease/web"] {
        let mut seen = BTreeSet::new();
        for round in 0..5u8 {
            let version = caller.put(name, &[round]).await;
            assert!(seen.last().is_none_or(|last| *last < version), "{version} after {seen:?}");
            seen.insert(version);
            caller.delete(name).await;
            assert_eq!(caller.read(name).await, None);
        }
        let again = caller.put(name, b"last").await;
        for old in seen {
            let stale = caller.commit(vec![put(name, Some(old), b"stale")]).await;
            assert!(matches!(stale, Err(Error::Conflict(_))), "version {old} was taken for {again}");
        }
    }
}

/// One wrong expectation and nothing is written; else all, under one version.
pub async fn a_batch_is_all_or_nothing(fixture: Fixture) {
    let caller = fixture.caller(0);
    let ledger = caller.put(b"ledger/web-1", b"0").await;
    let gone = caller.put(b"client/gone", b"x").await;
    let batch =
        |ledger| vec![put(b"client/a", None, b"a"), put(b"ledger/web-1", ledger, b"2"), delete(b"client/gone", gone)];
    assert!(matches!(caller.commit(batch(None)).await, Err(Error::Conflict(_))));
    assert_eq!(caller.read(b"client/a").await, None);
    assert_eq!(caller.read(b"ledger/web-1").await.expect("it is there").version, ledger);
    assert!(caller.read(b"client/gone").await.is_some());

    let version = caller.commit(batch(Some(ledger))).await.expect("expectations that hold");
    for name in [&b"client/a"[..], b"ledger/web-1"] {
        assert_eq!(caller.read(name).await.expect("it was written").version, version);
    }
    assert_eq!(caller.read(b"client/gone").await, None);
}

/// Not the first that differs: all of them, as they are, and no other.
pub async fn a_conflict_shows_every_record_that_differs(fixture: Fixture) {
    let caller = fixture.caller(0);
    let right = caller.put(b"right", b"r").await;
    let old = caller.put(b"changed", b"1").await;
    let new = caller.put(b"changed", b"2").await;
    let present = caller.put(b"present", b"p").await;
    let refused = caller
        .commit(vec![
            put(b"right", Some(right), b"x"),
            put(b"absent", None, b"x"),
            put(b"changed", Some(old), b"x"),
            nothing(b"present", None),
            delete(b"missing", old),
        ])
        .await;
    let Err(Error::Conflict(mut records)) = refused else { panic!("no conflict: {refused:?}") };
    records.sort_by(|a, b| a.0.cmp(&b.0));
    let shown: Vec<_> = records
        .iter()
        .map(|(name, record)| (&name[..], record.as_ref().map(|record| (record.version, &record.value[..]))))
        .collect();
    let expected: Vec<(&[u8], _)> =
        vec![(b"changed", Some((new, &b"2"[..]))), (b"missing", None), (b"present", Some((present, &b"p"[..])))];
    assert_eq!(shown, expected);
}

/// A batch may depend on what it does not change.
pub async fn a_precondition_alone_writes_nothing(fixture: Fixture) {
    let caller = fixture.caller(0);
    let version = caller.put(b"set/web", b"s").await;
    let before = caller.head().await;
    assert_eq!(
        caller.commit(vec![nothing(b"set/web", Some(version)), nothing(b"none", None)]).await,
        Ok(before.revision)
    );
    assert_eq!(caller.head().await, before);
    let wrong = caller.commit(vec![nothing(b"set/web", None)]).await;
    assert!(matches!(wrong, Err(Error::Conflict(records)) if records.len() == 1));

    let wrong = caller.commit(vec![nothing(b"set/web", None), put(b"order/1", None, b"o")]).await;
    assert!(matches!(wrong, Err(Error::Conflict(_))));
    assert_eq!(caller.read(b"order/1").await, None);
    let right = caller.commit(vec![nothing(b"set/web", Some(version)), put(b"order/1", None, b"o")]).await;
    assert!(right.is_ok());
    assert_eq!(caller.read(b"set/web").await.expect("it was not changed").version, version);
}

/// At a limit it works, one past it is [`Error::Config`], and nothing is written.
pub async fn limits_are_met_exactly(fixture: Fixture) {
    let caller = fixture.patient_caller();
    caller.head().await; // A store that asks another for its limits knows them now.
    let Limits { operations, bytes, name_bytes } = fixture.stores[0].limits();
    let changes = |count: usize| (0..count).map(|n| put(format!("n/{n}").as_bytes(), None, b"")).collect::<Vec<_>>();
    let refused = |ended: Result<Revision, Error>| assert!(matches!(ended, Err(Error::Config(_))), "{ended:?}");

    refused(caller.commit(changes(operations + 1)).await);
    assert_eq!(caller.read(b"n/0").await, None);
    caller.commit(changes(operations)).await.expect("as many changes as allowed");

    refused(caller.commit(vec![put(&vec![b'k'; name_bytes + 1], None, b"")]).await);
    let longest = vec![0xff; name_bytes];
    caller.commit(vec![put(&longest, None, b"long")]).await.expect("a name as long as allowed");
    assert!(caller.read(&longest).await.is_some());

    let half = bytes / 2;
    let filled =
        |over: usize| vec![put(b"1", None, &vec![0; half - 1]), put(b"2", None, &vec![255; bytes - half - 1 + over])];
    refused(caller.commit(filled(1)).await);
    caller.commit(filled(0)).await.expect("as many bytes as allowed");
    assert_eq!(caller.read(b"2").await.expect("it was written").value.len(), bytes - half - 1);

    refused(caller.commit(vec![]).await);
    refused(caller.commit(vec![put(b"twice", None, b"1"), put(b"twice", None, b"2")]).await);
    refused(caller.commit(vec![put(b"", None, b"no name")]).await);
}

/// Every byte counts, order is that of bytes, and a prefix is one of bytes.
pub async fn names_are_any_bytes(fixture: Fixture) {
    let caller = fixture.caller(0);
    let mut names: Vec<Vec<u8>> = (0..=255u8).map(|byte| vec![b'x', byte]).collect();
    for awkward in
        ["'; DROP TABLE record; --", "a/b", "a//b", "../a", "%61", "ä", "a\u{308}", " a ", "A", "a", "\"", "\\"]
    {
        names.push(awkward.as_bytes().to_vec());
    }
    names.extend([vec![0xff], vec![0xff, 0xff], vec![0xff, 0xff, 0], vec![0], b"x".to_vec(), b"y".to_vec()]);
    let written = names.iter().map(|name| put(name, None, name)).collect::<Vec<_>>();
    for chunk in written.chunks(fixture.stores[0].limits().operations.min(100)) {
        caller.commit(chunk.to_vec()).await.expect("names of any bytes");
    }
    names.sort();
    let (_, records) = caller.all(b"", 7).await;
    assert_eq!(records.iter().map(|(name, _)| name).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    assert!(records.iter().all(|(name, record)| name == &record.value));
    for prefix in [&b"x"[..], b"\xff", b"\xff\xff", b"a", b"x\xff", b"none"] {
        let (_, records) = caller.all(prefix, 100).await;
        let expected: Vec<_> = names.iter().filter(|name| name.starts_with(prefix)).collect();
        assert_eq!(records.iter().map(|(name, _)| name).collect::<Vec<_>>(), expected, "{}", prefix.escape_ascii());
    }
    assert_eq!(caller.read(b"x\x00").await.expect("a name with a zero byte").value, &b"x\x00"[..]);
}

/// Leases are alone in a batch; their puts say what for, and no others do.
pub async fn leases_are_written_alone(fixture: Fixture) {
    let caller = fixture.caller(0);
    for lonely in [&b"lease/web"[..], b"beat/web-1"] {
        let beside = caller.commit(vec![put(lonely, None, b"x"), put(b"client/a", None, b"x")]).await;
        assert!(matches!(beside, Err(Error::Config(_))), "{beside:?}");
        let beside = caller.commit(vec![put(b"client/a", None, b"x"), nothing(lonely, None)]).await;
        assert!(matches!(beside, Err(Error::Config(_))), "{beside:?}");
        assert_eq!(caller.read(lonely).await, None);
    }
    let held = |name: &[u8], before: Option<Revision>, hold: Hold| {
        let Write::Put(bytes, _) = value(format!("{hold:?}").as_bytes()) else { unreachable!("a value is put") };
        vec![Change { name: name.to_vec(), expect: super::expect(before), write: Write::Put(bytes, Some(hold)) }]
    };
    let other = caller.commit(held(b"client/a", None, Hold::Take)).await;
    assert!(matches!(other, Err(Error::Config(_))), "{other:?}");

    let mut version = None;
    for hold in [Hold::Take, Hold::Renew, Hold::Renew, Hold::Release, Hold::Take] {
        let next = caller.commit(held(b"lease/web", version, hold)).await.expect("the version last written");
        assert!(version.is_none_or(|version| version < next));
        let record = caller.read(b"lease/web").await.expect("the lease");
        assert_eq!((record.version, record.value), (next, format!("{hold:?}").into()));
        version = Some(next);
    }
    let late = caller.commit(held(b"lease/web", None, Hold::Take)).await;
    assert!(matches!(late, Err(Error::Conflict(records)) if records.len() == 1));
}

/// A beat is compared and set, read and found like any record. It counts with all others or for itself, and never back.
pub async fn beats_have_versions(fixture: Fixture) {
    let caller = fixture.caller(0);
    let mut versions = vec![caller.put(b"beat/web-1", b"1").await];
    versions.push(caller.put(b"client/a", b"a").await);
    versions.push(caller.put(b"beat/web-1", b"2").await);
    versions.push(caller.put(b"beat/web-2", b"1").await);
    versions.push(caller.put(b"client/a", b"b").await);
    assert!(versions[0] < versions[2] && versions[1] < versions[4], "{versions:?}");
    assert!(fixture.counts_apart || versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    let stale = caller.commit(vec![put(b"beat/web-1", Some(versions[0]), b"3")]).await;
    assert!(matches!(stale, Err(Error::Conflict(_))), "{stale:?}");
    let (_, beats) = caller.all(BEAT, 100).await;
    let found: Vec<_> = beats.iter().map(|(name, record)| (&name[..], record.version)).collect();
    assert_eq!(found, [(&b"beat/web-1"[..], versions[2]), (b"beat/web-2", versions[3])]);
}

/// Nothing written in one space shows in another.
pub async fn a_space_counts_for_itself(fixture: Fixture) {
    let web = fixture.caller(0);
    let recorder = web.within_space("recorder");
    web.put(b"set/a", b"web").await;
    let before = web.head().await;
    for _ in 0..3 {
        recorder.put(b"set/a", b"recorder").await;
    }
    assert_eq!(web.head().await, before);
    assert_eq!(web.read(b"set/a").await.expect("it is there").value, &b"web"[..]);
    assert_eq!(recorder.read(b"set/a").await.expect("it is there").value, &b"recorder"[..]);
    assert_eq!(web.within_space("none").all(b"", 10).await.1, vec![]);
}

/// A page holds what was asked for at most; large records make it shorter, and zero is refused.
pub async fn pages_are_in_order_and_bounded(fixture: Fixture) {
    let caller = fixture.patient_caller();
    let large = vec![b'v'; fixture.stores[0].limits().bytes / 4];
    for n in 0..9 {
        caller.put(format!("p/{n}").as_bytes(), &large).await;
    }
    let page = caller.page(b"p/", None, 4).await;
    assert!(page.records.len() <= 4 && page.next.is_some());
    let page = caller.page(b"p/", None, usize::MAX).await;
    assert!(page.records.len() <= PAGE_BYTES / large.len() + 1, "a page has no bound");
    let (_, records) = caller.all(b"p/", usize::MAX).await;
    let names: Vec<_> = records.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, (0..9).map(|n| format!("p/{n}").into_bytes()).collect::<Vec<_>>());
    let none = fixture.stores[0].scan(&super::space("web"), b"", None, 0, fixture.within).await;
    assert!(matches!(none, Err(Error::Config(_) | Error::Unavailable(_))), "{none:?}");
}

/// What is written between two pages is in the later ones or in the watch from the first one's cursor.
pub async fn a_scan_goes_on_from_where_it_began(fixture: Fixture) {
    let caller = fixture.caller(0);
    for name in [&b"p/1"[..], b"p/2", b"p/4"] {
        caller.put(name, b"x").await;
    }
    let first = caller.page(b"p/", None, 2).await;
    let token = first.next.expect("a third record");
    let between = [caller.put(b"p/0", b"x").await, caller.put(b"p/3", b"x").await];
    let second = caller.page(b"p/", Some(token), 2).await;
    assert_eq!(second.cursor, first.cursor);
    let names: Vec<_> = second.records.iter().map(|(name, _)| &name[..]).collect();
    assert!(names == [&b"p/3"[..], b"p/4"] || names == [b"p/4"], "{names:?}");
    let mut follower = caller.follow(b"p/", first.cursor);
    for revision in between {
        assert_eq!(follower.commit().await.cursor.revision, revision);
    }
}
