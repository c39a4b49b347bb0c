use super::*;

fn opened(rest: &str, secret: Option<&str>) -> Result<Azure, Error> {
    let access = secret.map(Access::with_secret).unwrap_or_default();
    read(Url::parse("azure", "`azure://account/container`", rest)?, &access)
}

fn refused(rest: &str, secret: Option<&str>) -> String {
    match opened(rest, secret) {
        Err(Error::Config(why)) => why,
        other => panic!("{rest}: {other:?}"),
    }
}

const KEY: &str = "c3RlYWRmYXN0IHRlc3RzIG9ubHk6IGEga2V5IG9mIDY0IGJ5dGVzIHRoYXQgaXMgbm8gc2VjcmV0IGF0IGFsbA==";

#[test]
fn an_account_is_reached_where_azure_has_it() {
    let azure = opened("//mystore/steadfast", None).expect("a URL");
    let account = &azure.rest.account;
    assert_eq!(account.blobs.url, "https://mystore.blob.core.windows.net");
    assert_eq!(account.tables.url, "https://mystore.table.core.windows.net");
    assert_eq!((account.tables.base.as_str(), account.table.as_str()), ("", "steadfast"));
    let described = azure.describe();
    assert_eq!((described.place.as_str(), described.pace_ms), ("azure://mystore/steadfast", 1_000));
    assert!(described.durable && !described.push && described.leases_apart && described.may_lose.is_none());
    let china = opened("//mystore/steadfast?suffix=core.chinacloudapi.cn&table=other&poll=5s", None).expect("a URL");
    assert_eq!(china.rest.account.tables.url, "https://mystore.table.core.chinacloudapi.cn");
    let native = opened("//mystore/leases?lease=native&lease_blob=leader&lease_lasts=30s", None).expect("a URL");
    assert_eq!(native.describe().lease_lasts_ms, Some(30_000));
    assert_eq!(native.describe().place, "azure://mystore/leases?lease=native");
    assert_eq!(native.rest.account.table, "leases", "no other container's, unless that is said");
    let named = opened("//mystore/my-app?table=steadfast", None).expect("a URL");
    assert_eq!(named.rest.account.table, "steadfast");
}

#[test]
fn at_an_emulators_address_the_account_stands_before_every_path() {
    let azure =
        opened("//dev/steadfast?endpoint=http://127.0.0.1:10000,http://127.0.0.1:10002", Some(KEY)).expect("a URL");
    assert_eq!(azure.rest.account.tables.url, "http://127.0.0.1:10002/dev");
    assert_eq!(azure.rest.account.blobs.base, "/dev");
    assert!(azure.describe().may_lose.is_some_and(|why| why.contains("emulator")));
    let private = opened("//dev/steadfast?endpoint=https://b.example,https://t.example", None).expect("a URL");
    assert_eq!(private.rest.account.tables.base, "");
}

#[test]
fn what_is_wrong_in_a_url_is_named_with_what_would_be_right() {
    let sas = "sv=2020-12-06&sig=hunter2";
    for (rest, secret, says) in [
        ("//MyStore/steadfast", None, "names no account in `MyStore`"),
        ("//mystore", None, "names no container after `azure://mystore`"),
        ("//mystore/a/b", None, "names no container"),
        ("//mystore/UPPER", None, "names no container in `UPPER`"),
        ("//mystore/steadfast?table=1a", None, "gives `table` the value `1a`"),
        ("//mystore/my-app", None, "with `table=`"),
        ("//mystore/steadfast?lease=blob", None, "expected `etag` or `native`"),
        ("//mystore/steadfast?lease_lasts=60s", None, "for `lease=native` alone"),
        ("//mystore/steadfast?lease=native&lease_lasts=70s", None, "`lease_lasts`"),
        ("//mystore/steadfast?lease=native&lease_lasts=15500ms", None, "whole ones"),
        ("//mystore/steadfast?lease=native&lease_blob=a%3Fb", None, "gives `lease_blob`"),
        ("//mystore/steadfast?poll=10ms", None, "100ms to"),
        ("//mystore/steadfast?credential=client-certificate", None, "`client-secret`"),
        ("//mystore/steadfast?credential=key", None, "asks for credential=key, and there is no key"),
        ("//mystore/steadfast?credential=key", Some(sas), "is a shared access signature"),
        ("//mystore/steadfast?credential=sas", Some(KEY), "has no `sig=`"),
        ("//mystore/steadfast?credential=managed", Some(KEY), "needs no secret"),
        ("//mystore/steadfast", Some("hunter2"), "is no account key"),
        ("//mystore/steadfast?endpoint=http://127.0.0.1:1", None, "two addresses"),
        ("//mystore/steadfast?endpoint=ftp://a,ftp://b", None, "as an address of the account"),
        ("//mystore/steadfast?endpoint=http://a.example,http://b.example", Some(sas), "could be read on the way"),
        ("//mystore/steadfast?endpoint=http://a.example,http://b.example", None, "could be read on the way"),
        (
            "//mystore/steadfast?suffix=a&endpoint=http://127.0.0.1:1,http://127.0.0.1:2",
            None,
            "both `endpoint` and `suffix`",
        ),
        ("//mystore/steadfast?pol=1s", None, "did you mean `poll`?"),
        ("//me@mystore/steadfast", None, "a token is given apart"),
    ] {
        let why = refused(rest, secret);
        assert!(why.contains(says), "{rest}: {why}");
        assert!(!why.contains("hunter2") && !why.contains(&KEY[..16]), "{why}");
    }
}
