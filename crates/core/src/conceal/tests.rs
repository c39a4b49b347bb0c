use super::*;

#[test]
fn secrets_in_urls_become_stars() {
    for (text, shown) in [
        ("", ""),
        ("no url at all?key=value", "no url at all?key=value"),
        ("http://h:80/path", "http://h:80/path"),
        ("http://user:pass@h:80/path", "http://*********@h:80/path"),
        ("store = \"redis://:pä/ss@h\" # why", "store = \"redis://******@h\" # why"),
        ("store = \"redis://me:hun'ter`2@h\"", "store = \"redis://************@h\""),
        ("store = 'redis://me:hun\"ter2@h' # or 'a@b'", "store = 'redis://***********@h' # or 'a@b'"),
        (r#"store = "redis://me:hun\"ter2@h""#, r#"store = "redis://************@h""#),
        (r#"{"what":"\"http://h/\" or \"a@b\""}"#, r#"{"what":"\"http://h/\" or \"a@b\""}"#),
        ("http://h/leave?client={client}&key=s3cret", "http://h/leave?client={client}&key=******"),
        ("http://h/?s3cret", "http://h/?******"),
        ("a http://h/?a=b and 'http://u@h'", "a http://h/?a=* and 'http://*@h'"),
        ("http://h/?a=b@c", "http://h/?a=***"),
        ("http://a?b=c://d?e=f", "http://a?b=*********"),
    ] {
        let concealed = urls(text);
        assert_eq!(concealed, shown);
        assert_eq!(concealed.chars().count(), text.chars().count(), "the place of each character is kept");
    }
}

#[test]
fn what_was_concealed_is_known_again() {
    assert!(is_concealed(&urls("http://h/?client={client}&key=s3cret")));
    for url in ["http://h/?client={client}", "http://h/?a=b*", "http://h/?a=", "http://h/***"] {
        assert!(!is_concealed(url), "{url}");
    }
}
