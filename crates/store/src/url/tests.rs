use super::*;

#[test]
fn each_form_opens_its_back_end() {
    let directory = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite://{}/a%20b.db", directory.path().display());
    for (url, engine) in
        [("memory:", "memory"), (&sqlite, "sqlite"), ("http://127.0.0.1:7400", "http"), ("http://[::1]:7400/", "http")]
    {
        let store = open(url, None).unwrap_or_else(|e| panic!("{url}: {e}"));
        assert_eq!(store.describe().engine, engine);
    }
    assert!(directory.path().join("a b.db").exists());
}

#[test]
fn a_wrong_url_is_told_its_wrong_part_and_the_right_forms() {
    for (url, words) in [
        ("", "no scheme"),
        ("/var/lib/state.db", "no scheme"),
        ("oracle://db", "unknown scheme `oracle`"),
        ("https://store:7400", "`https`"),
        ("memory:x", "after `memory:`"),
        ("sqlite://state.db", "no absolute path"),
        ("sqlite:state.db", "no absolute path"),
        ("sqlite:///a%zz", "`%25`"),
        ("sqlite:///a%00", "`%25`"),
        ("sqlite:///a?mode=ro", "option `mode`"),
        ("http:host:1", "no `//`"),
        ("http://host", "names no port after `host`"),
        ("http://[::1]", "names no port"),
        ("http://:7400", "no host and port in `:7400`"),
        ("http://host:99999", "no host and port"),
        ("http://host:7400/store", "has the path `/store`"),
    ] {
        let said = open(url, None).unwrap_err().to_string();
        assert!(said.contains(words) && said.contains(URLS), "{url}: {said}");
    }
}

#[test]
fn no_secret_is_quoted() {
    let secret = "s3cret";
    for url in [format!("http://user:{secret}@host:7400"), format!("http://host:7400?token={secret}")] {
        let said = open(&url, None).unwrap_err().to_string();
        assert!(!said.contains(secret), "{said}");
    }
    let said = open("http://host:7400", Some("s3cret\n\u{1}")).unwrap_err().to_string();
    assert!(!said.contains(secret), "{said}");
    let store = open("http://host:7400", Some(secret)).unwrap();
    assert!(!format!("{store:?} {:?}", store.describe()).contains(secret));
}
