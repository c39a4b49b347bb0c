use super::*;

/// What `url` says, or what is wrong with it.
fn settings(url: &str) -> Result<Settings, String> {
    settings_with(url, &Access { url_may_hold_a_password: true, ..Access::default() })
}

fn settings_with(url: &str, access: &Access) -> Result<Settings, String> {
    let (scheme, rest) = url.split_once(':').expect("a scheme");
    let read = Url::parse(scheme, "`redis://…`", rest).and_then(|url| Settings::of(url, access));
    read.map_err(|error| error.to_string())
}

fn refusal(url: &str) -> String {
    settings(url).err().unwrap_or_else(|| panic!("{url} is taken"))
}

#[test]
fn a_url_names_a_server_and_what_else_counts_has_a_value() {
    let plain = settings("redis://db1").expect("a URL");
    let Way::At(address) = &plain.way else { panic!("it names no Sentinel") };
    assert_eq!((address.to_string().as_str(), plain.prefix.as_str()), ("db1:6379", "steadfast"));
    assert_eq!((plain.db, plain.wait, plain.pace, plain.tls.is_some()), (0, 0, PACE, false));
    assert_eq!(plain.keep, Keep { commits: 16_384, bytes: KEEP_BYTES });
    let full = "valkey://me:p%40ss@[::1]:7000/ours?db=3&wait=2&wait_for=50ms&keep=1000&keep_bytes=16777216&pace=1s";
    let full = settings(full).expect("a URL");
    let Way::At(address) = &full.way else { panic!("it names no Sentinel") };
    assert_eq!((address.to_string().as_str(), full.prefix.as_str()), ("[::1]:7000", "ours"));
    assert_eq!((full.db, full.wait, full.wait_for), (3, 2, Duration::from_millis(50)));
    assert_eq!((full.keep, full.pace), (Keep { commits: 1000, bytes: 16 << 20 }, Duration::from_secs(1)));
    assert_eq!((full.user.as_deref(), &*full.secret.expect("a password").text()), (Some("me"), "p@ss"));
    assert_eq!(full.place, "valkey://[::1]:7000/ours", "who we are is nobody's business");
}

#[test]
fn sentinels_have_a_master_and_a_secret_of_their_own() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("password");
    std::fs::write(&file, "theirs\n").expect("a file");
    let url =
        format!("redis+sentinel://me@s1,s2:1/main/ours?sentinel_user=us&sentinel_password_file={}", file.display());
    let read = settings_with(&url, &Access::with_secret("masters")).expect("a URL");
    let Way::Asked(sentinels) = &read.way else { panic!("it names Sentinels") };
    let addresses: Vec<String> = sentinels.addresses.iter().map(ToString::to_string).collect();
    assert_eq!((addresses, sentinels.master.as_str()), (vec!["s1:26379".to_owned(), "s2:1".to_owned()], "main"));
    assert_eq!(sentinels.user.as_deref(), Some("us"));
    assert_eq!(sentinels.secret.as_ref().map(|secret| secret.text().to_string()).as_deref(), Some("theirs"));
    assert_eq!(
        (read.secret.map(|secret| secret.text().to_string()), read.prefix.as_str()),
        (Some("masters".into()), "ours")
    );
}

#[test]
fn a_wrong_url_is_told_its_wrong_part_and_what_would_be_right() {
    for (url, said) in [
        ("redis://", "names no host after `redis://`; expected `redis://…`"),
        (
            "redis://a,b",
            "names several hosts: name the one master, or its Sentinels as in redis+sentinel://s1,s2,s3/master",
        ),
        ("redis://a/b/c", "has a path of several parts; expected `redis://…`"),
        ("redis://a/b%20c", "has the prefix `b c`; expected at most 64 letters, digits, `.`, `_` and `-`"),
        ("redis+sentinel://a", "names no master after its Sentinels: as in redis+sentinel://s1,s2,s3/master"),
        ("redis://a?wait=two", "gives `wait` the value `two`; expected a number of replicas, 0 to 10"),
        ("redis://a?wait=11", "gives `wait` the value `11`; expected a number of replicas, 0 to 10"),
        ("redis://a?keep=1", "gives `keep` the value `1`; expected a number of commits, 256 to 16777216"),
        (
            "redis://a?tsl=on",
            "has the option `tsl`, which redis:// does not take; did you mean `tls`? It takes: tls, ca, cert, key, \
             name, db, wait, wait_for, keep, keep_bytes, pace",
        ),
        ("rediss://a?tls=off", "gives `tls=off`, and its scheme `rediss` says otherwise"),
        (
            "redis+sentinel://a/m?sentinel_user=us",
            "gives `sentinel_user` without `sentinel_password_file`: both, or neither",
        ),
        (
            "redis://me@a",
            "names a user and no password: give it with --token-file (store_token_file in the configuration)",
        ),
    ] {
        assert_eq!(refusal(url), format!("the store's URL {said}"), "{url}");
    }
}

#[test]
fn a_scheme_with_an_s_more_is_over_tls() {
    let directory = tempfile::tempdir().expect("a directory");
    let ca = steadfast_host::tls::certs::Authority::new(directory.path(), "ours").file();
    for (scheme, path) in [("rediss", ""), ("valkeys", ""), ("rediss+sentinel", "/main"), ("redis", "")] {
        let read = settings(&format!("{scheme}://db1{path}?ca={}", ca.display())).expect("a URL");
        assert!(read.tls.is_some(), "{scheme} with an authority");
    }
    let missing = settings("rediss://db1?ca=/nowhere/ca.pem").expect_err("there is no such file");
    assert!(missing.starts_with("the store's TLS: ") && missing.contains("/nowhere/ca.pem"), "{missing}");
}
