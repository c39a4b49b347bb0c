//! Who makes the schema, and what whoever uses it needs.

use steadfast_store::{Prepared, preparation, prepare};

use super::*;

/// The URL of `place`, as another user.
fn as_user(place: &Place, user: &str) -> String {
    let user: String = user.bytes().map(|byte| format!("%{byte:02X}")).collect();
    place.url().replace("steadfast@", &format!("{user}@"))
}

/// A role that may log in, and nothing else.
fn role(server: &Server, name: &str) {
    server.sql(&format!("CREATE ROLE \"{}\" LOGIN PASSWORD '{PASSWORD}'", name.replace('"', "\"\"")));
}

const PASSWORD: &str = "of the role";

fn opened_as(place: &Place, user: &str) -> Arc<dyn Store> {
    let url = as_user(place, user);
    steadfast_store::open(&url, &Access::with_secret(PASSWORD)).unwrap_or_else(|e| panic!("open {url}: {e}"))
}

async fn made(place: &Place, role: Option<&str>) -> Result<Vec<String>, Error> {
    let Prepared { engine, made } = prepare(&place.url(), &place.access, role, WITHIN).await?;
    assert_eq!(engine, "postgres");
    Ok(made.expect("it is prepared"))
}

/// All that lies in a schema, and who may do what with it.
fn shape(server: &Server, schema: &str) -> String {
    let shape = server.sql(&format!(
        "SELECT string_agg(line, E'\\n' ORDER BY line) FROM (
           SELECT concat_ws(' ', relname, relkind, relacl, reloptions) AS line FROM pg_class
             WHERE relnamespace = '{schema}'::regnamespace
           UNION ALL SELECT concat_ws(' ', c.relname, attname, atttypid::regtype, attstorage, attnotnull, attcollation)
             FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE c.relnamespace = '{schema}'::regnamespace
           UNION ALL SELECT concat_ws(' ', pg_get_functiondef(oid), proacl) FROM pg_proc
             WHERE pronamespace = '{schema}'::regnamespace
           UNION ALL SELECT concat_ws(' ', nspacl) FROM pg_namespace WHERE nspname = '{schema}'
           UNION ALL SELECT 'format ' || format FROM {schema}.meta) AS lines"
    ));
    shape.replace(schema, "SCHEMA")
}

#[tokio::test]
async fn a_role_works_with_what_the_printed_sql_makes_which_is_what_init_makes() {
    let server = Server::postgres(&Options::default());
    let name = r#"we"ird"#;
    role(&server, name);
    let (printed, by_init) = (server.fresh_place(), server.fresh_place());
    let store = opened_as(&printed, name);
    let said = commit(&store, "order/1", Expect::Absent).await;
    let Err(Error::Denied(why)) = &said else { panic!("it may make a schema: {said:?}") };
    assert!(why.contains("permission denied") && why.contains("steadfast store init"), "{why}");

    let sql = preparation(&as_user(&printed, name), &Access::default(), Some(name)).expect("the SQL");
    server.sql(&sql);
    // As it may be done again.
    server.sql(&sql);
    let first = commit(&store, "order/1", Expect::Absent).await.expect("it may commit");
    let key = Key::new(space(), *b"order/1");
    assert_eq!(store.read(&key, WITHIN).await.expect("it may read").expect("a record").version, first.revision);
    let mut watch = store.watch(&space(), &[b""], first.clone(), Duration::from_secs(1)).await.expect("it may watch");
    assert!(matches!(watch.next().await, Ok(Notice::Committed(told)) if told.cursor == first));
    // It may trim.
    server.sql(&format!(r#"SET ROLE "we""ird"; SELECT {}.trim_v1('web', 0)"#, schema(&printed)));
    let delete = Batch::one(key, Expect::Version(first.revision), Write::Delete);
    assert!(store.commit(delete, WITHIN).await.is_ok());
    let nothing: Result<Vec<String>, Error> = Ok(Vec::new());
    assert_eq!(made(&printed, Some(name)).await, nothing, "the printed SQL makes it all");

    let all = [format!("schema {}, format 1", schema(&by_init)), format!("rights for role {name}")];
    assert_eq!(made(&by_init, Some(name)).await, Ok(all.to_vec()));
    assert_eq!(made(&by_init, Some(name)).await, nothing);
    assert_eq!(made(&by_init, None).await, nothing);
    assert_eq!(shape(&server, &schema(&printed)), shape(&server, &schema(&by_init)));
    server.sql(&format!(r#"REVOKE INSERT ON {}.log FROM "we""ird""#, schema(&by_init)));
    assert_eq!(made(&by_init, Some(name)).await, Ok(all[1..].to_vec()), "what is missing is given");

    let said = made(&by_init, Some("nobody")).await;
    assert!(matches!(&said, Err(Error::Config(why)) if why.contains("\"nobody\" does not exist")), "{said:?}");
    server.sql(&format!("UPDATE {}.meta SET format = 7", schema(&by_init)));
    let said = made(&by_init, None).await;
    assert!(matches!(&said, Err(Error::Corrupt(why)) if why.contains("format 7")), "{said:?}");
}

#[tokio::test]
async fn of_many_who_make_it_at_once_one_does() {
    let place = shared(Kind::Postgres).fresh_place();
    let mut makers = JoinSet::new();
    for _ in 0..8 {
        let place = place.clone();
        makers.spawn(async move { made(&place, None).await.map(drop) });
    }
    let made: Vec<_> = makers.join_all().await;
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    assert!(commit(&place.open(), "order/1", Expect::Absent).await.is_ok());
}

#[tokio::test]
async fn an_empty_schema_that_was_made_for_us_is_enough() {
    let server = Server::postgres(&Options::default());
    let place = server.fresh_place();
    role(&server, "app");
    server.sql(&format!("CREATE SCHEMA {} AUTHORIZATION app", schema(&place)));
    assert!(commit(&opened_as(&place, "app"), "order/1", Expect::Absent).await.is_ok());
}

#[tokio::test]
async fn a_password_that_is_changed_is_taken_up() {
    let server = Server::postgres(&Options::default());
    let place = server.fresh_place();
    role(&server, "app");
    server.sql(&format!("CREATE SCHEMA {} AUTHORIZATION app", schema(&place)));
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("secret");
    std::fs::write(&file, PASSWORD).expect("write the secret");
    let access = Access { secret: Some(Secret::in_file(&file).expect("a secret")), ..Access::default() };
    let store = steadfast_store::open(&as_user(&place, "app"), &access).expect("a store");
    commit(&store, "order/1", Expect::Absent).await.expect("a commit");
    server.sql("ALTER ROLE app PASSWORD 'another'");
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'");
    let refused =
        until("the former password to be refused", async || match commit(&store, "order/2", Expect::Absent).await {
            Err(error @ Error::Denied(_)) => Ok(error),
            other => Err(other),
        });
    assert!(refused.await.to_string().contains("password"));
    std::fs::write(&file, "another").expect("write the secret");
    // At once: who was told that it is not right looks.
    commit(&store, "order/2", Expect::Absent).await.expect("a commit");
}

#[tokio::test]
async fn too_many_connections_are_unavailable() {
    let server = Server::postgres(&Options::default());
    let place = server.fresh_place();
    role(&server, "app");
    server.sql(&format!("CREATE SCHEMA {} AUTHORIZATION app; ALTER ROLE app CONNECTION LIMIT 0", schema(&place)));
    let store = opened_as(&place, "app");
    let said = commit(&store, "order/1", Expect::Absent).await;
    assert!(matches!(&said, Err(Error::Unavailable(why)) if why.contains("53300")), "{said:?}");
    server.sql("ALTER ROLE app CONNECTION LIMIT -1");
    commit(&store, "order/1", Expect::Absent).await.expect("a commit");
}

/// What is cancelled did nothing. What the server ends with its connection may have happened.
#[tokio::test]
async fn a_commit_that_waits_is_cancelled_or_ended() {
    let server = Server::postgres(&Options::default());
    let place = server.fresh_place();
    let store = place.open();
    commit(&store, "order/1", Expect::Absent).await.expect("a commit");
    let _locked = Locked::new(&server, &schema(&place));
    let stopped = async |by: &str| {
        let committing = tokio::spawn({
            let store = Arc::clone(&store);
            async move { commit(&store, "order/2", Expect::Absent).await }
        });
        until("the commit to wait, and to be stopped", async || {
            let said = server.sql(&format!(
                "SELECT count({by}(pid)) FROM pg_stat_activity \
                 WHERE application_name = 'steadfast' AND wait_event_type = 'Lock'"
            ));
            if said == "1" { Ok(()) } else { Err(said) }
        })
        .await;
        committing.await.expect("it ends")
    };
    let key = Key::new(space(), *b"order/2");
    let said = stopped("pg_cancel_backend").await;
    assert!(matches!(&said, Err(Error::Unavailable(why)) if why.contains("57014")), "{said:?}");
    assert_eq!(store.read(&key, WITHIN).await, Ok(None));
    let said = stopped("pg_terminate_backend").await;
    assert!(matches!(&said, Err(Error::OutcomeUnknown(why)) if why.contains("57P01")), "{said:?}");
}

/// Somebody holds the lock of the space, until this is dropped.
struct Locked<'a>(&'a Server, Option<std::thread::JoinHandle<()>>);

impl Locked<'_> {
    fn new<'a>(server: &'a Server, schema: &str) -> Locked<'a> {
        let sql = format!("SELECT 'held' FROM {schema}.space FOR UPDATE; SELECT pg_sleep(600)");
        let holder = server.background_sql(&sql);
        wait_until("the lock", || {
            server.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1"
        });
        Locked(server, Some(holder))
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.0.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
        self.1.take().map(std::thread::JoinHandle::join);
    }
}
