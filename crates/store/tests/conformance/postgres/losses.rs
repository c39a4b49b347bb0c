//! What is lost, and by whom it is noticed; what stands, and who may say so.

use super::*;

/// Two histories can have the same number for a record. Who knows the one does not write upon the other.
#[tokio::test]
async fn a_version_of_another_history_is_not_believed() {
    let server = shared(Kind::Postgres);
    let place = server.fresh_place();
    let (one, beats) = (place.open(), place.open());
    let held = commit(&one, "lease/web", Expect::Absent).await.expect("a commit");
    commit(&one, "order/1", Expect::Absent).await.expect("a commit");
    let schema = schema(&place);
    server.sql(&format!("TRUNCATE {schema}.space, {schema}.record, {schema}.log"));
    let another = place.open();
    let again = commit(&another, "lease/web", Expect::Absent).await.expect("a commit");
    assert_eq!(again.revision, held.revision, "the number is given again to who saw nothing");
    commit(&another, "order/1", Expect::Absent).await.expect("a commit");
    commit(&another, "order/2", Expect::Absent).await.expect("a commit");
    // Also not by who has seen the new one, and may not have told who relied on the old one.
    one.scan(&space(), b"order/", None, 10, WITHIN).await.expect("a page");
    let refused = commit(&one, "lease/web", Expect::Version(held.revision)).await;
    let Err(Error::Conflict(records)) = &refused else { panic!("it writes upon a stranger's record: {refused:?}") };
    assert_eq!(records[0].1.as_ref().map(|record| record.version), Some(held.revision));
    // Told so, it may decide anew upon what it was shown.
    let settled =
        commit(&one, "lease/web", Expect::Version(held.revision)).await.expect("it knows what it writes upon");
    assert!(settled.revision > held.revision);
    // Somebody with nothing to lose may do as ever.
    assert!(commit(&beats, "beat/a", Expect::Absent).await.is_ok());
}

#[tokio::test]
async fn a_schema_that_is_dropped_is_made_again_and_its_loss_noticed() {
    let server = shared(Kind::Postgres);
    let place = server.fresh_place();
    // With one connection, which must not be stuck with what it found.
    let store = place.clone().with("notify=off").open();
    let mut last = commit(&store, "order/0", Expect::Absent).await.expect("a commit");
    for n in 1..5 {
        last = commit(&store, &format!("order/{n}"), Expect::Absent).await.expect("a commit");
    }
    server.sql(&format!("DROP SCHEMA {} CASCADE", schema(&place)));
    let next = until("a commit", async || commit(&store, "order/next", Expect::Absent).await).await;
    assert!(next.revision > last.revision, "{} was given again", next.revision);
    let resumed = store.watch(&space(), &[b""], last, Duration::from_secs(1)).await.map(drop);
    assert!(matches!(resumed, Err(Error::Compacted(..))), "{resumed:?}");
    assert!(store.watch(&space(), &[b""], next, Duration::from_secs(1)).await.is_ok(), "a new history begins");
}

/// A caller may give any token; what it says is no number that was seen.
#[tokio::test]
async fn a_page_that_nobody_gave_moves_no_number() {
    let store = shared(Kind::Postgres).fresh_place().open();
    let before = commit(&store, "order/1", Expect::Absent).await.expect("a commit");
    let cursor = Cursor { revision: Revision(u64::MAX), mark: vec![7] };
    let token = PageToken { cursor, after: b"order/".to_vec() };
    store.scan(&space(), b"order/", Some(token), 10, WITHIN).await.expect("a page");
    let after = commit(&store, "order/2", Expect::Absent).await.expect("a commit");
    assert_eq!(after.revision, before.revision.next());
}

/// Numbers are shared with beats: whichever of them commits get, the log is trimmed.
#[tokio::test]
async fn a_log_is_bounded_whatever_beats_are_between() {
    const COMMITS: usize = 800;
    let server = shared(Kind::Postgres);
    let place = server.fresh_place();
    let start = Cursor::START;
    let store = place.open();
    store.scan(&space(), b"", None, 1, WITHIN).await.expect("a page");
    let schema = schema(&place);
    server.sql(&format!(
        "DO $$ BEGIN FOR n IN 1..{COMMITS} LOOP
           PERFORM {schema}.commit_v1('web', '\\x01', 0, 0, NULL, n % 2 = 0, {KEEP},
             ARRAY[convert_to(CASE n % 2 WHEN 0 THEN 'beat/' ELSE 'order/' END || n, 'UTF8')], '{{-1}}', '{{1}}', '{{x}}');
         END LOOP; END $$"
    ));
    let left: usize = server.sql(&format!("SELECT count(*) FROM {schema}.log")).parse().expect("a number");
    assert!((KEEP..=KEEP + TRIMMED_EVERY).contains(&left), "{left} commits are left");
    let said = store.watch(&space(), &[b""], start, Duration::from_secs(1)).await.map(drop);
    assert!(matches!(&said, Err(Error::Compacted(_, why)) if why.contains("was trimmed")), "{said:?}");
}

/// A session that began when there was nothing looks for what it changes, and not through all there is.
#[tokio::test]
async fn a_commit_reads_no_more_than_it_changes() {
    const COMMITS: usize = 200;
    const CHANGES: usize = 20;
    let server = shared(Kind::Postgres);
    let place = server.fresh_place();
    place.open().scan(&space(), b"", None, 1, WITHIN).await.expect("a page");
    let schema = schema(&place);
    let batch = |belief: &str, kind: u8| {
        format!(
            "PERFORM {schema}.commit_v1('web', '\\x01', 0, 0, NULL, false, {KEEP},
               ARRAY(SELECT convert_to('client/' || n || '-' || i, 'UTF8') FROM generate_series(1, {CHANGES}) i),
               array_fill({belief}::bigint, '{{{CHANGES}}}'), array_fill({kind}::smallint, '{{{CHANGES}}}'),
               array_fill('x'::bytea, '{{{CHANGES}}}'));"
        )
    };
    let (add, remove) = (batch("-1", 1), batch("n", 2));
    server.sql(&format!(
        "DO $$ BEGIN FOR n IN 1..{COMMITS} LOOP {add} END LOOP; FOR n IN 1..{COMMITS} LOOP {remove} END LOOP; END $$"
    ));
    let read = format!(
        "SELECT sum(idx_tup_read), sum(idx_scan) FROM pg_stat_user_indexes \
         WHERE schemaname = '{schema}' AND relname = 'record'"
    );
    let (read, looked) = until("what was read to be counted", async || {
        let counted = server.sql(&read);
        let numbers =
            counted.split_once('|').and_then(|(read, looked)| Some((read.parse().ok()?, looked.parse().ok()?)));
        numbers.filter(|(_, looked): &(usize, usize)| *looked >= COMMITS).ok_or(counted)
    })
    .await;
    assert!(read <= 10 * COMMITS * CHANGES, "{read} records were read in {looked} looks");
}

/// A commit whose wait for a standby is cut short is acknowledged with a warning: it stands here, and maybe nowhere else.
#[tokio::test]
async fn what_no_standby_confirmed_is_in_doubt() {
    let server = Server::postgres(&Options::default());
    let store = server.fresh_place().open();
    commit(&store, "order/1", Expect::Absent).await.expect("a commit");
    server.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    server.sql("SELECT pg_reload_conf()");
    let committing = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for n in 2.. {
                let name = format!("order/{n}");
                if let Err(error) = commit(&store, &name, Expect::Absent).await {
                    return (name, error);
                }
            }
            unreachable!("there is no last number")
        }
    });
    until("a commit that waits", async || {
        let said =
            server.sql("SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
        if said == "1" { Ok(()) } else { Err(said) }
    })
    .await;
    let (name, error) = committing.await.expect("it ends");
    assert!(matches!(&error, Error::OutcomeUnknown(why) if why.contains("synchronous replication")), "{error:?}");
    let found = store.read(&Key::new(space(), name.as_str()), WITHIN).await.expect("a look");
    assert!(found.is_some(), "it stands here");
    // A sign of life waits for nobody.
    commit(&store, "beat/a", Expect::Absent).await.expect("a beat");
}

/// Where nobody is to wait for the disk, commits do.
#[tokio::test]
async fn kill_nine_loses_nothing_acknowledged_though_nothing_is_to_be_synced() {
    let (server, place) = alone();
    server.sql("ALTER DATABASE postgres SET synchronous_commit = off");
    failures::kill_nine_loses_nothing_acknowledged(server, place).await;
}

/// Files that may not grow are what a full disk is: what does not fit is not there at all.
#[tokio::test]
async fn out_of_space_takes_nothing_and_goes_on_when_there_is_room() {
    const LIMIT_BYTES: usize = 24 << 20;
    let server = Server::postgres(&Options::default());
    let place = server.fresh_place();
    let store = place.open();
    commit(&store, "order/1", Expect::Absent).await.expect("a commit");
    // A segment of its own log has 16 MiB, and grows no further.
    server.limit_files(Some(LIMIT_BYTES));
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'steadfast'");
    let bytes: Bytes = (0..900 << 10).map(|_| random::u64().to_le_bytes()[0]).collect();
    let mut made = 0;
    let refused = loop {
        let key = Key::new(space(), format!("client/{made}"));
        match store.commit(Batch::one(key, Expect::Absent, Write::Put(bytes.clone(), None)), WITHIN).await {
            Ok(_) => made += 1,
            // Connections were ended.
            Err(Error::OutcomeUnknown(_)) if made == 0 => made += usize::from(there(&store, 0).await),
            Err(Error::Unavailable(why)) if why.contains("File too large") => break why,
            Err(Error::Unavailable(_)) if made == 0 => {}
            other => panic!("{other:?}"),
        }
        assert!(made < 2 * LIMIT_BYTES / bytes.len(), "files grow beyond the limit");
    };
    assert!(made > 5, "{refused}");
    assert!(!there(&store, made).await, "half of it is there");
    let logged = server.sql(&format!("SELECT count(*) FROM {}.log", schema(&place)));
    assert_eq!(logged, (made + 1).to_string(), "the log has what records have not");
    server.limit_files(None);
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'steadfast'");
    let next = until("room", async || commit(&store, "order/2", Expect::Absent).await).await;
    assert_eq!(store.scan(&space(), b"", None, 1, WITHIN).await.expect("a page").cursor, next);
}

async fn there(store: &Arc<dyn Store>, number: usize) -> bool {
    let key = Key::new(space(), format!("client/{number}"));
    store.read(&key, WITHIN).await.expect("a look").is_some()
}
