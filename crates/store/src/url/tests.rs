use std::time::Duration;

use super::*;
use crate::secret::TlsFiles;

/// A URL as the engine `db` would read it.
fn parse(text: &str) -> Result<Url<'_>, Error> {
    let (scheme, rest) = text.split_once(':').expect("a scheme");
    Url::parse(scheme, "`db://user@host:port/name`", rest)
}

fn url(text: &str) -> Url<'_> {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What is said of it, after the words that all have in common.
fn said<T: fmt::Debug>(wrong: Result<T, Error>) -> String {
    match wrong {
        Err(Error::Config(said)) => said.strip_prefix("the store's URL ").expect("whose it is").to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_url_comes_apart_and_what_was_encoded_is_decoded() {
    let whole = url("db://us%40er:p%3Aw%2F%C3%A4@h1:1,[::1],h2/a%20b/c?pace=1s");
    assert_eq!(whole.user.as_deref(), Some("us@er"));
    assert_eq!(&*whole.secret(&Access::default()).unwrap().unwrap().text(), "p:w/ä");
    let places: Vec<String> = whole.hosts(5).unwrap().iter().map(Place::to_string).collect();
    assert_eq!(places, ["h1:1", "[::1]:5", "h2:5"]);
    assert_eq!(whole.segments().unwrap(), ["a b", "c"]);
    assert_eq!(whole.place(), "db://h1:1,[::1],h2/a%20b/c");
    let bare = url("db:");
    assert!(!bare.has_authority() && bare.raw_path().is_empty() && bare.segments().unwrap().is_empty());
    // A user without a password, a password without a user, and neither.
    for (text, user, password) in [("db://u@h", true, false), ("db://:p@h", false, true), ("db://@h", false, false)] {
        let url = url(text);
        assert_eq!((url.user.is_some(), url.holds_a_password()), (user, password), "{text}");
    }
    assert_eq!(url("db:///with@sign/").raw_path(), "/with@sign/");
}

#[test]
fn who_is_on_this_machine_is_told_by_its_name() {
    let local = |text| url(text).hosts(1).unwrap()[0].is_loopback();
    assert!(local("db://127.8.0.1") && local("db://[::1]") && local("db://localhost"));
    assert!(!local("db://10.0.0.1") && !local("db://localhost.example"));
}

#[test]
fn what_is_wrong_with_its_parts_is_said_in_a_sentence() {
    let expected = "expected `db://user@host:port/name`";
    let many = format!("db://{}", (0..17).map(|n| format!("h{n}")).collect::<Vec<_>>().join(","));
    for (text, sentence) in [
        ("db://", format!("names no host after `db://`; {expected}")),
        ("db:///name", format!("names no host after `db://`; {expected}")),
        ("db://h1,,h2", format!("has no host and port in ``; {expected}")),
        ("db://h1:1,h1:1", "names h1:1 twice".to_owned()),
        ("db://h1,h1:9", "names h1:9 twice".to_owned()),
        ("db://h1:+9", format!("has no host and port in `h1:+9`; {expected}")),
        (&many, "names 17 hosts; 16 are the most that are taken".to_owned()),
    ] {
        assert_eq!(said(url(text).hosts(9)), sentence, "{text}");
    }
    assert_eq!(said(url("db://h/a//b").segments()), format!("has a path that is none, `/a//b`; {expected}"));
    assert_eq!(said(url("db://h/a%0ab").segments()), format!("has a path that is none, `/a%0ab`; {expected}"));
    assert_eq!(said(url("db://h#a").segments()), format!("has a path that is none, `#a`; {expected}"));
    assert_eq!(said(parse("db://u%zz@h")), "has a `%` before its `@` that begins no character's code: write `%25`");
    assert_eq!(
        said(parse("db://u:p/w@h")),
        "has an `@` that ends no user: in a user, a password and a value write `@` as %40, `:` as %3A, `/` as %2F, \
         `?` as %3F and `#` as %23"
    );
}

#[test]
fn a_secret_is_given_in_one_place() {
    let given = Access::with_secret("apart");
    assert_eq!(
        said(url("db://u:p@h").secret(&given)),
        "holds a password, and --token-file gives another: give one of them"
    );
    assert_eq!(&*url("db://u@h").secret_of_user(&given).unwrap().unwrap().text(), "apart");
    assert_eq!(
        said(url("db://steadfast@h").secret_of_user(&Access::default())),
        "names a user and no password: give it with --token-file (store_token_file in the configuration)"
    );
    assert!(url("db://h").secret_of_user(&Access::default()).unwrap().is_none());
}

#[test]
fn an_option_nobody_takes_is_told_with_those_that_are_taken() {
    let refused = |text: &str| {
        let mut url = url(text);
        url.options.take_tls(false, &Access::default()).unwrap();
        url.options.take_span("pace", Duration::from_millis(10)..=Duration::from_secs(60)).unwrap();
        said(url.finish())
    };
    assert_eq!(
        refused("db://h?tsl=on"),
        "has the option `tsl`, which db:// does not take; did you mean `tls`? It takes: tls, ca, cert, key, name, pace"
    );
    assert_eq!(
        refused("db://h?unheard_of=on"),
        "has the option `unheard_of`, which db:// does not take. It takes: tls, ca, cert, key, name, pace"
    );
    assert_eq!(said(url("db://h?x=1").finish()), "has the option `x`, which db:// does not take; it takes none");
    assert_eq!(said(parse("db://h?tls=on&tls=on")), "gives `tls` twice");
    assert_eq!(said(parse("db://h?tls")), "gives `tls` no value: write `tls=…`");
}

#[test]
fn a_value_that_does_not_fit_is_told_with_what_would() {
    let pace = || Duration::from_millis(10)..=Duration::from_secs(60);
    assert_eq!(
        said(url("db://h?wait=two").options.take_whole("wait", "a number of replicas", 0..=10)),
        "gives `wait` the value `two`; expected a number of replicas, 0 to 10"
    );
    for text in ["db://h?wait=11", "db://h?wait=+1", "db://h?wait="] {
        assert!(url(text).options.take_whole("wait", "a number of replicas", 0..=10).is_err(), "{text}");
    }
    assert_eq!(url("db://h?wait=10").options.take_whole("wait", "a number", 0..=10), Ok(Some(10)));
    assert_eq!(
        said(url("db://h?pace=1ms").options.take_span("pace", pace())),
        "gives `pace` the value `1ms`; expected a time such as 250ms or 10m, 10ms to 1m"
    );
    assert_eq!(
        said(url("db://h?compact=often").options.take_span_or_never("compact", pace())),
        "gives `compact` the value `often`; expected a time such as 250ms or 10m, 10ms to 1m, or `never`"
    );
    assert_eq!(url("db://h?compact=never").options.take_span_or_never("compact", pace()), Ok(Some(None)));
    let second = Some(Some(Duration::from_secs(1)));
    assert_eq!(url("db://h?compact=1s").options.take_span_or_never("compact", pace()), Ok(second));
    assert_eq!(
        said(url("db://h?notify=maybe").options.take_word("notify", &[("auto", 1), ("on", 2), ("off", 3)])),
        "gives `notify` the value `maybe`; expected `auto`, `on` or `off`"
    );
    assert_eq!(
        said(url("db://h?schema=%ff").options.take("schema")),
        "gives `schema` the value `%ff`; expected text, percent-encoded"
    );
    // Of what may be a secret, not even a wrong value.
    assert_eq!(
        said(url("db://h?key=hunter2").options.take_file("key")),
        "gives `key` the value `…`; expected the absolute path of a file"
    );
}

#[test]
fn tls_is_on_where_it_is_asked_for() {
    let tls = |text: &str, by_default, access: &Access| url(text).options.take_tls(by_default, access);
    let plain = Access::default();
    let on = |text: &str, by_default| tls(text, by_default, &plain).unwrap().on;
    assert!(!on("db://h", false) && on("db://h", true));
    assert!(on("db://h?tls=on", false) && !on("db://h?tls=off", true));
    assert!(on("db://h?ca=/ca.pem", false));
    let files = tls("db://h?ca=/ca.pem&cert=/c&key=/k&name=db1", false, &plain).unwrap().files;
    assert_eq!((files.ca, files.key), (Some("/ca.pem".into()), Some("/k".into())));
    assert_eq!(files.name, "db1".parse().ok());
    assert_eq!(said(tls("db://h?cert=/c", true, &plain)), "gives `cert` without `key`: both, or neither");
    assert_eq!(said(tls("db://h?key=/k", true, &plain)), "gives `key` without `cert`: both, or neither");
    assert_eq!(
        said(tls("db://h?tls=off&ca=/c", true, &plain)),
        "gives `tls=off` and files for TLS: leave one of them out"
    );
    let apart = Access { tls: TlsFiles { ca: Some("/apart".into()), ..TlsFiles::default() }, ..Access::default() };
    assert_eq!(tls("db://h", false, &apart).unwrap().files.ca, Some("/apart".into()));
    assert_eq!(
        said(tls("db://h?ca=/c", true, &apart)),
        "gives files for TLS, and so does what stands apart from it: give one of them"
    );
}
