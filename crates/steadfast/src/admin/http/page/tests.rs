use std::collections::BTreeSet;

use steadfast_host::http::{HeaderMap, Peer};

use super::*;

fn ask(method: Method, path: &str) -> Option<Response> {
    answer(&Request {
        method,
        path: path.to_owned(),
        query: None,
        headers: HeaderMap::new(),
        body: bytes::Bytes::new(),
        peer: Peer::Tcp("127.0.0.1:1".parse().unwrap()),
    })
}

#[test]
fn the_page_is_served_and_may_load_nothing_from_elsewhere() {
    let page = ask(Method::GET, "/").unwrap();
    assert_eq!(page.headers[header::CONTENT_TYPE], HTML);
    let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(ask(Method::POST, "/").is_none() && ask(Method::GET, "/page/").is_none());
}

#[test]
fn every_file_of_the_page_is_served() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
    let found = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let there: BTreeSet<String> = found.collect();
    let name = |path: &str| path.strip_prefix("/page/").map_or_else(|| "index.html".to_owned(), str::to_owned);
    let served: BTreeSet<String> = FILES.iter().map(|(path, ..)| name(path)).collect();
    assert_eq!(served, there);
}

#[test]
fn nothing_is_inline_and_nothing_becomes_markup() {
    for (path, media_type, text) in FILES {
        for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
            assert!(!text.contains(sink), "{path} uses {sink}: texts from outside stay text");
        }
        if *media_type == HTML {
            assert!(!text.contains("<style") && !text.contains("style=") && !text.contains(" onclick"), "{path}");
            assert_eq!(text.matches("<script").count(), text.matches("<script type=\"module\" src=").count(), "{path}");
        }
        if *path != "/page/icon.svg" {
            assert!(!text.contains("http://") && !text.contains("https://"), "{path} names another place");
        }
    }
}
