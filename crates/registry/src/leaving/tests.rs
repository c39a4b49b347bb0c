use super::*;

#[test]
fn a_url_is_a_server_and_a_path() {
    let path = |url: &str| parse(url).map(|(_, path)| path);
    assert_eq!(path("http://10.0.0.4/leave/cam%2F7?now=1").as_deref(), Some("/leave/cam%2F7?now=1"));
    assert_eq!(path("http://app:8080?client=7").as_deref(), Some("/?client=7"));
    assert_eq!(path("http://[::1]/").as_deref(), Some("/"));
    assert_eq!((path("https://app/"), path("app:8080/leave"), path("http:///leave")), (None, None, None));
}
