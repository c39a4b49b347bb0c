use super::*;

#[test]
fn a_url_is_a_host_and_a_path() {
    for (url, target, path) in [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "/"),
        ("http://web.example/a?b=c", "http://web.example:80", "/a?b=c"),
        ("http://[::1]:81?x", "http://[::1]:81", "/?x"),
    ] {
        let asker = Asker::new(url, false, Duration::from_secs(1)).unwrap();
        assert_eq!((asker.target.to_string().as_str(), asker.path.as_str()), (target, path));
    }
    for url in ["", "127.0.0.1:8080", "https://h", "http://", "http://h:0/", "ftp://h:1"] {
        let error = Asker::new(url, false, Duration::from_secs(1)).unwrap_err();
        assert!(error.contains("expected http://host:port/path"), "{error}");
    }
}
