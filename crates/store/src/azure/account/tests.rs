use super::*;

fn site(text: &str) -> Result<Site, Error> {
    Site::parse("mystore", text, &mut None)
}

#[test]
fn an_address_is_a_host_a_port_and_what_stands_before_every_path() {
    let parts = |text: &str| site(text).map(|site| (site.target.to_string(), site.base, site.url)).expect("an address");
    let expected = |target: &str, base: &str, url: &str| (target.to_owned(), base.to_owned(), url.to_owned());
    assert_eq!(
        parts("http://127.0.0.1:10000"),
        expected("http://127.0.0.1:10000", "/mystore", "http://127.0.0.1:10000/mystore")
    );
    assert_eq!(parts("http://localhost:1/"), expected("http://localhost:1", "/mystore", "http://localhost:1/mystore"));
    assert_eq!(parts("http://b.example:80"), expected("http://b.example:80", "", "http://b.example:80"));
    assert_eq!(parts("http://[::1]:10000/other"), expected("http://[::1]:10000", "/other", "http://[::1]:10000/other"));
}

#[test]
fn what_is_no_address_is_refused() {
    for wrong in
        ["", "b.example", "ftp://b.example", "http://", "http://b.example:x", "http://b.example/a?b", "http://a b"]
    {
        assert!(matches!(site(wrong), Err(Error::Config(_))), "{wrong}");
    }
}
