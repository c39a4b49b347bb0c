use super::*;

fn refusal(url: &str, access: &Access) -> String {
    match crate::open(url, access) {
        Err(Error::Config(said)) => said,
        other => panic!("{url}: {other:?}"),
    }
}

#[tokio::test]
async fn a_url_says_where_and_how() {
    for (url, place, operations, pace_ms, one_machine) in [
        ("etcd://a", "etcd://a", 127, 250, true),
        ("etcd://a:1,b,[::1]:3/x/y/", "etcd://a:1,b,[::1]:3/x/y", 127, 250, false),
        ("etcd://a?max_txn_ops=8&pace=1s&compact=never", "etcd://a", 7, 1000, true),
        ("etcd://a?max_txn_ops=10000&compact=1m&tls=off", "etcd://a", 1024, 250, true),
    ] {
        let store = crate::open(url, &Access::default()).unwrap_or_else(|e| panic!("{url}: {e}"));
        let described = store.describe();
        assert_eq!((described.engine.as_str(), described.place.as_str()), ("etcd", place));
        assert_eq!(
            (store.limits().operations, described.pace_ms, described.one_machine),
            (operations, pace_ms, one_machine)
        );
    }
    let user = crate::open("etcd://steadfast@a", &Access::with_secret("s3cret")).unwrap();
    assert!(!format!("{user:?} {:?}", user.describe()).contains("s3cret"));
    assert_eq!(user.describe().place, "etcd://a");
}

#[test]
fn a_wrong_url_is_told_what_would_be_right() {
    let takes = "tls, ca, cert, key, name, max_txn_ops, compact, pace";
    let long = format!("etcd://a/{}", "x".repeat(129));
    for (url, said) in [
        ("etcd://", "names no host after `etcd://`; expected `etcd(s)://host:port,…/prefix`".to_owned()),
        ("etcd://a,a:2379", "names a:2379 twice".to_owned()),
        (
            "etcd://a?max_txn_ops=7",
            "gives `max_txn_ops` the value `7`; expected operations of a transaction, 8 to 10000".to_owned(),
        ),
        (
            "etcd://a?compact=1s",
            "gives `compact` the value `1s`; expected a time such as 250ms or 10m, 1m to 1d, or `never`".to_owned(),
        ),
        (
            "etcd://a?pace=1ms",
            "gives `pace` the value `1ms`; expected a time such as 250ms or 10m, 10ms to 10s".to_owned(),
        ),
        (
            "etcd://a?tsl=on",
            format!("has the option `tsl`, which etcd:// does not take; did you mean `tls`? It takes: {takes}"),
        ),
        ("etcds://a?tls=off", "has the scheme `etcds`, which is TLS, and says tls=off: write `etcd`".to_owned()),
        (&long, "has a prefix of 129 bytes; 128 are the most".to_owned()),
        (
            "etcd://steadfast@a",
            "names a user and no password: give it with --token-file (store_token_file in the configuration)"
                .to_owned(),
        ),
    ] {
        assert_eq!(refusal(url, &Access::default()), format!("the store's URL {said}"), "{url}");
    }
    let nobody = refusal("etcd://a", &Access::with_secret("s3cret"));
    assert_eq!(nobody, "the store's URL names no user, and a password is given: write etcd://user@host");
    let missing = refusal("etcds://a?ca=/nowhere/ca.pem", &Access::default());
    assert!(missing.starts_with("cannot read /nowhere/ca.pem"), "{missing}");
}
