use super::*;

/// What is said of a URL, after the words that all have in common.
fn refused(url: &str) -> String {
    let hidden = Access { url_may_hold_a_password: true, ..Access::default() };
    match crate::open(url, &hidden) {
        Err(Error::Config(said)) => said.strip_prefix("the store's URL ").expect("whose it is").to_owned(),
        other => panic!("{url}: {other:?}"),
    }
}

fn settings(url: &str) -> Settings {
    let (scheme, rest) = url.split_once(':').unwrap();
    Settings::of(Url::parse(scheme, "", rest).unwrap(), &Access::default()).unwrap_or_else(|e| panic!("{url}: {e}"))
}

#[test]
fn a_url_is_told_what_is_wrong_with_it() {
    for (url, said) in [
        ("postgres://u@db1", "names no database after `postgres://db1`: as in `postgres://db1/steadfast`"),
        ("postgres://db1/steadfast", "names no user: it stands before the host, as in `steadfast@db1`"),
        (
            "postgres://u@db1/a/b",
            "names more than a database; expected `postgres://host:port/database` (`user@` before the host)",
        ),
        (
            "postgres://u@db1/a?sslmode=require",
            "has the option `sslmode`: write tls=on, and ca=/path for an authority of your own",
        ),
        (
            "postgres://u@db1/a?schema=My",
            "gives `schema` the value `My`; expected 1 to 40 of a-z, 0-9 and _, not beginning with a digit or pg_",
        ),
        ("postgres://u@db1/a?keep=12", "gives `keep` the value `12`; expected a number of commits, 256 to 1000000"),
        (
            "postgres://u@db1/a?tls=off&shema=x",
            "has the option `shema`, which postgres:// does not take; did you mean `schema`? It takes: host, tls, ca, \
             cert, key, name, schema, notify, keep, pace",
        ),
        (
            "postgres://u@db1/a?host=/run/postgresql",
            "names a host, and the directory of a socket as `host`: give one of them",
        ),
    ] {
        assert_eq!(refused(url), said, "{url}");
    }
}

#[test]
fn a_url_says_where_and_how() {
    let plain = settings("postgres://u@127.0.0.1,localhost:6000/db?tls=off&keep=300&schema=a_1&pace=1s&notify=off");
    let places: Vec<String> = plain.places.iter().map(Address::to_string).collect();
    assert_eq!(places, ["127.0.0.1:5432", "localhost:6000"]);
    assert_eq!((plain.keep, plain.schema.name(), plain.notify), (300, "a_1", false));
    assert_eq!(plain.place, "postgres://127.0.0.1,localhost:6000/db, schema a_1");
    // In the open on this machine only.
    assert!(settings("postgresql://u@[::1]/db").tls.is_none());
    let socket = settings("postgres://u@/db?host=/run/postgresql");
    assert_eq!(socket.places, [Address::Unix("/run/postgresql/.s.PGSQL.5432".into())]);
    assert!(socket.tls.is_none() && is_on_this_machine(&socket.places[0]));
}

#[test]
fn the_schema_is_made_under_its_name() {
    let text = Schema::of(Some("mine".to_owned())).unwrap().text(None);
    assert!(text.contains("CREATE SCHEMA \"mine\";") && !text.contains("steadfast"), "{text}");
    assert!(Schema::of(Some("pg_mine".to_owned())).is_err());
}

#[tokio::test]
async fn nobody_there_is_told_before_anything_was_sent() {
    let store = crate::open("postgres://u@127.0.0.1:1/db?notify=off", &Access::default()).unwrap();
    let key = Key::new(Space::new("web").unwrap(), *b"client/a");
    let batch = Batch::one(key.clone(), crate::Expect::Absent, Write::Put((&b"x"[..]).into(), None));
    let within = Duration::from_secs(20);
    let said = [store.read(&key, within).await.map(drop), store.commit(batch, within).await.map(drop)];
    for said in said {
        assert!(matches!(&said, Err(Error::Unavailable(why)) if why.contains("cannot reach 127.0.0.1:1")), "{said:?}");
    }
    assert!(!format!("{store:?}").contains("u@"), "{store:?}");
}
