use super::*;

fn refusal(url: &str) -> String {
    match open(url, &Access::default()) {
        Err(Error::Config(said)) => said,
        other => panic!("{url}: {other:?}"),
    }
}

#[test]
fn each_form_opens_its_back_end() {
    let directory = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite://{}/a%20b.db", directory.path().display());
    for (url, engine) in [
        ("memory:", "memory"),
        (&sqlite, "sqlite"),
        ("http://127.0.0.1:7400", "http"),
        ("http://[::1]:7400/", "http"),
        ("redis://db1", "redis"),
        ("valkey://db1:7000/ours", "redis"),
        ("redis+sentinel://s1,s2/main", "redis"),
    ] {
        let store = open(url, &Access::default()).unwrap_or_else(|e| panic!("{url}: {e}"));
        assert_eq!(store.describe().engine, engine);
        check_scheme(url).unwrap();
    }
    assert!(directory.path().join("a b.db").exists());
}

#[test]
fn what_is_meant_for_one_of_ours_and_is_none_has_a_sentence_of_its_own() {
    let cluster = refusal("redis+cluster://a:7000/steadfast");
    assert!(cluster.starts_with("the store's URL asks for a cluster of Redis"), "{cluster}");
    let azure = refusal("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c2VjcmV0;BlobEndpoint=http://a");
    assert!(azure.starts_with("the store's URL is a connection string of Azure"), "{azure}");
    assert!(!azure.contains("c2VjcmV0"), "{azure}");
}

#[test]
fn a_wrong_url_is_told_its_wrong_part_and_what_would_be_right() {
    let (file, server) = ("`sqlite:///absolute/path.db`", "`http(s)://host:port`");
    for (url, said) in [
        ("sqlite://state.db", format!("names no absolute path: three slashes follow `sqlite:`; expected {file}")),
        ("sqlite:state.db", format!("names no absolute path: three slashes follow `sqlite:`; expected {file}")),
        (
            "sqlite:///a%zz",
            format!("has a `%` in its path that begins no character's code: write `%25`; expected {file}"),
        ),
        (
            "sqlite:///a%00",
            format!("has a `%` in its path that begins no character's code: write `%25`; expected {file}"),
        ),
        ("sqlite:///a?mode=ro", "has the option `mode`, which sqlite:// does not take; it takes none".to_owned()),
        ("memory:x", "has something after `memory:`, where nothing belongs".to_owned()),
        ("memory:?x=y", "has the option `x`, which memory: does not take; it takes none".to_owned()),
        ("http:host:1", format!("has no `//` after `http:`; expected {server}")),
        ("http://host", format!("names no port after `host`: Steadfast's own is 7400; expected {server}")),
        ("http://[::1]", format!("names no port after `[::1]`: Steadfast's own is 7400; expected {server}")),
        ("http://:7400", format!("has no host and port in `:7400`; expected {server}")),
        ("http://host:99999", format!("has no host and port in `host:99999`; expected {server}")),
        ("http://host:0", format!("has no host and port in `host:0`; expected {server}")),
        ("http://a:1,b:1", format!("names several hosts, and a server's store has one; expected {server}")),
        ("https://host", format!("names no port after `host`: Steadfast's own is 7400; expected {server}")),
        ("https://host:1?tls=off", "says `https` and `tls=off`: leave one of them out".to_owned()),
        ("http://host:1?ca=/ca.pem", "has the option `ca`, which http:// does not take; it takes none".to_owned()),
        ("http://host:7400/store", format!("has the path `/store`, and this store has none; expected {server}")),
    ] {
        assert_eq!(refusal(url), format!("the store's URL {said}"), "{url}");
    }
}

#[test]
fn an_unknown_scheme_is_told_all_that_are_known() {
    let expected = forms();
    for (url, said) in [
        ("", "has no scheme"),
        ("/var/lib/state.db", "has no scheme"),
        ("mysql://db", "has the unknown scheme `mysql`"),
    ] {
        assert_eq!(refusal(url), format!("the store's URL {said}; expected {expected}"));
        assert_eq!(check_scheme(url), Err(Error::Config(refusal(url))), "{url}");
    }
    assert!(ENGINES.iter().all(|engine| expected.contains(engine.form)), "{expected}");
}

#[test]
fn an_engine_that_was_compiled_out_says_what_to_build() {
    let etcd = Engine { schemes: &["etcd"], form: "", feature: "etcd", open: None, prepare: None };
    assert_eq!(
        compiled_out(&etcd, "etcd").to_string(),
        "the store's URL has the scheme `etcd`, which this build has no code for: build with --features etcd"
    );
    assert!(ENGINES.iter().all(|engine| engine.feature.is_empty() == engine.open.is_some() || cfg!(test)));
}

#[test]
fn no_secret_is_quoted() {
    let secret = "s3cret";
    for url in [
        format!("http://user:{secret}@host:7400"),
        format!("http://user:{secret}?{secret}@host:7400"),
        format!("http://user:a/{secret}@host:7400"),
        format!("http:{secret}@host:7400"),
        format!("http://{secret}@{secret}@host:7400"),
        format!("http:///{secret}@host:7400"),
        format!("http://user:%zz{secret}@host:7400"),
        format!("http://host:7400?token={secret}"),
        format!("mysql://user:{secret}@host"),
    ] {
        let said = refusal(&url);
        assert!(!said.contains(secret), "{said}");
    }
    let said = open("http://host:7400", &Access::with_secret("s3cret\n\u{1}")).unwrap_err().to_string();
    assert!(!said.contains(secret), "{said}");
    let store = open("http://host:7400", &Access::with_secret(secret)).unwrap();
    assert!(!format!("{store:?} {:?}", store.describe()).contains(secret));
}

#[test]
fn a_password_is_taken_only_from_where_nobody_else_reads_it() {
    let said = refusal("http://user:s3cret@host:7400");
    assert_eq!(
        said,
        "the store's URL holds a password on the command line, where every user of this machine can read it: write \
         the URL to a file and give --store-file, or the password alone with --token-file (for copy: \
         --from-token-file and --to-token-file)"
    );
    let hidden = Access { url_may_hold_a_password: true, ..Access::default() };
    let said = open("http://user:s3cret@host:7400", &hidden).unwrap_err().to_string();
    assert_eq!(said, "the store's URL has an `@`: a token is given apart, by --token-file, never in the URL");
}
