use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::*;

/// A request, as far as clients go.
struct Asked<'a> {
    query: Option<&'a str>,
    headers: &'a [(&'a str, &'a [u8])],
    captures: &'a [(&'a str, &'a str)],
    source: IpAddr,
}

impl RequestView for Asked<'_> {
    fn query(&self) -> Option<&str> {
        self.query
    }

    fn header(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers.iter().filter(move |(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn capture(&self, name: &str) -> Option<&str> {
        self.captures.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn source(&self) -> IpAddr {
        self.source
    }
}

const NOTHING: Asked<'_> =
    Asked { query: None, headers: &[], captures: &[], source: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)) };

fn query(query: &str) -> Asked<'_> {
    Asked { query: Some(query), ..NOTHING }
}

fn headers<'a>(headers: &'a [(&'a str, &'a [u8])]) -> Asked<'a> {
    Asked { headers, ..NOTHING }
}

fn sources(texts: &[&str]) -> Sources {
    Sources(texts.iter().map(|text| text.parse().expect(text)).collect())
}

/// The key's text, or why there is none.
fn key(places: &[&str], request: &Asked<'_>) -> Result<String, String> {
    sources(places).key(request).map(|key| key.to_string()).map_err(|refused| refused.to_string())
}

#[track_caller]
fn is(places: &[&str], request: &Asked<'_>, expected: &str) {
    assert_eq!(key(places, request).as_deref(), Ok(expected));
}

#[track_caller]
fn refused(places: &[&str], request: &Asked<'_>, why: &str) {
    let refused = key(places, request).expect_err("refused");
    assert!(refused.contains(why), "{refused}");
}

#[test]
fn a_parameter_of_the_query_is_read_as_a_form_is() {
    for (text, expected) in [
        ("camera=cam-7", "cam-7"),
        ("a=1&camera=cam-7&b=2", "cam-7"),
        ("camera=cam%2D7", "cam-7"),
        ("camera=a+b", "a%20b"),
        ("camera=a%2Bb", "a%2Bb"),
        ("camera=%ff%00", "%FF%00"),
        ("camera=a=b", "a%3Db"),
        ("c%61mer%61=cam-7", "cam-7"),
        ("&&camera=x&", "x"),
        ("Camera=y&camera=x", "x"),
        ("camera%=y&camera=x", "x"),
    ] {
        is(&["query:camera"], &query(text), expected);
    }
    is(&["query:camera id"], &query("camera+id=x"), "x");
    is(&["query:a+b"], &query("a+b=space&a%2Bb=plus"), "plus");
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    for text in ["camera=a&camera=b", "camera=a&camera=a", "camera=a&c%61mera=b", "camera&camera=a"] {
        refused(&["query:camera"], &query(text), "query:camera is there more than once");
    }
    refused(&["header:x-camera"], &headers(&[("x-camera", b"a"), ("x-camera", b"b")]), "more than once");
    refused(&["cookie:sid"], &headers(&[("cookie", b"sid=a; sid=b")]), "more than once");
    refused(&["cookie:sid"], &headers(&[("cookie", b"sid=a"), ("cookie", b"x=1; sid=a")]), "more than once");
    refused(&["query:camera"], &query("camera=a%zz"), "not followed by two hexadecimal digits");
    refused(&["query:camera"], &query("camera=a%2"), "not followed by two hexadecimal digits");
    refused(&["query:camera"], &query("camera=a%+2"), "not followed by two hexadecimal digits");
    refused(&["query:a", "query:b"], &query("b=1&a=2&a=3"), "query:a is there more than once");
}

#[test]
fn a_key_has_1_to_256_bytes() {
    refused(&["query:camera"], &query("camera="), "query:camera: a client's key is empty");
    refused(&["query:camera"], &query("camera"), "is empty");
    refused(&["header:x-camera"], &headers(&[("x-camera", b" ")]), "is empty");
    for length in 1..=256 {
        let text = "x".repeat(length);
        is(&["query:camera"], &query(&format!("camera={text}")), &text);
        is(&["query:camera"], &query(&format!("camera=%78{}", &text[1..])), &text);
    }
    let longest = "x".repeat(256);
    is(&["query:camera"], &query(&format!("camera={longest}")), &longest);
    refused(&["query:camera"], &query(&format!("camera={longest}x")), "of 257 bytes is too long");
    let (header, huge) = ("x".repeat(5_000), "%41".repeat(70_000));
    refused(&["header:x-camera"], &headers(&[("x-camera", header.as_bytes())]), "of 5000 bytes");
    refused(&["query:camera"], &query(&format!("camera={huge}")), "of 70000 bytes");
}

#[test]
fn the_first_place_that_is_there_counts() {
    let places = ["query:camera", "header:x-camera", "cookie:camera"];
    let all: &[(&str, &[u8])] = &[("x-camera", b"h"), ("cookie", b"camera=c")];
    is(&places, &Asked { query: Some("camera=q"), ..headers(all) }, "q");
    is(&places, &headers(all), "h");
    is(&places, &headers(&all[1..]), "c");
    refused(&places, &NOTHING, "expected one of query:camera, header:x-camera, cookie:camera");
    refused(&places, &Asked { query: Some("camera="), ..headers(all) }, "is empty");
}

#[test]
fn headers_and_cookies_are_taken_as_they_are() {
    is(&["header:X-Camera"], &headers(&[("x-camera", b" a%41+\xff\t")]), "a%2541%2B%FF");
    is(&["cookie:sid"], &headers(&[("cookie", b"a=1;sid=x=y%41 ; b"), ("cookie", b"SID=2")]), "x%3Dy%2541");
    is(&["cookie:sid"], &headers(&[("cookie", b"sid; =z; sid=\"q\"")]), "%22q%22");
    refused(&["cookie:sid"], &headers(&[("cookie", b"sid; xsid=1; ;")]), "nothing says who the client is");
}

#[test]
fn a_capture_of_the_path_is_unescaped() {
    let caught = Asked { captures: &[("room", "a%2Fb+c")], ..NOTHING };
    is(&["path:{room}"], &caught, "a%2Fb%2Bc");
    refused(&["path:{room}"], &Asked { captures: &[("room", "50%")], ..NOTHING }, "hexadecimal digits");
    refused(&["path:{other}"], &caught, "expected one of path:{other}");
}

#[test]
fn an_address_is_cut_to_its_network() {
    for (place, address, expected) in [
        ("source-ip", "192.0.2.7", "192.0.2.7"),
        ("source-ip", "::ffff:192.0.2.7", "192.0.2.7"),
        ("source-ip", "2001:db8::7", "2001%3Adb8%3A%3A7"),
        ("source-ip/24", "192.0.2.7", "192.0.2.0"),
        ("source-ip/32", "192.0.2.7", "192.0.2.7"),
        ("source-ip/1", "192.0.2.7", "128.0.0.0"),
        ("source-ip/24", "2001:db8:1:2:3:4:5:6", "2001%3Adb8%3A1%3A2%3A%3A"),
    ] {
        is(&[place], &Asked { source: address.parse().unwrap(), ..NOTHING }, expected);
    }
}

#[test]
fn the_bytes_are_the_keys() {
    let (places, request) = (sources(&["query:camera"]), query("camera=%ff+1"));
    let bytes = places.key_bytes(&request).unwrap();
    assert_eq!(&*bytes, b"\xff 1");
    assert_eq!(bytes.to_key(), places.key(&request).unwrap());
    assert_eq!(format!("{bytes:?}"), "ClientKey(%FF%201)");
}

#[test]
fn a_weight_is_a_decimal_or_nothing_at_all() {
    let weight = |text: &str| sources(&["query:mbps", "query:load"]).weight(&query(text));
    assert_eq!(weight("camera=a"), Ok(None));
    assert_eq!(weight("mbps=8"), Ok(Weight::from_milli(8_000)));
    assert_eq!(weight("mbps=0%2E5"), Ok(Weight::from_milli(500)));
    assert_eq!(weight("load=2&x=1"), Ok(Weight::from_milli(2_000)));
    for text in ["", "0", "0.000", "-1", "x", "1e3", "1.2345", "1000000001", "+8", "8 ", "%ff", "8%", "NaN"] {
        let refused = weight(&format!("mbps={text}")).expect_err(text);
        assert!(matches!(&refused, BadRequest::Weight(Source::Query(name), _) if name == "mbps"), "{refused}");
        assert_eq!(refused.reason(), "bad-weight");
    }
    assert!(weight(&format!("mbps={}", "1".repeat(300))).is_err());
    assert_eq!(weight("mbps=1&mbps=1"), Err(BadRequest::Twice(Source::Query("mbps".into()))));
}

#[test]
fn a_label_is_a_text_and_an_empty_one_says_nothing() {
    let text = |text: &str| sources(&["query:region"]).text(&query(text));
    assert_eq!(text("region=e%C3%A4+1"), Ok(Some("eä 1".to_string())));
    assert_eq!(text("region="), Ok(None));
    assert_eq!(text(""), Ok(None));
    for bad in ["region=%ff", "region=%", &format!("region={}", "x".repeat(257))] {
        assert_eq!(text(bad).expect_err(bad).reason(), "bad-label");
    }
}

/// Any bytes give a key or a refusal. A key's text leads back to it, and what was encoded by the book is read back.
#[test]
fn any_bytes_are_read_or_refused() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let places = sources(&["query:k", "header:k", "cookie:k", "path:{k}"]);
    let letters: &[u8] = b"k=&;%+ 4f\xc3\xa4\x00\"";
    for _ in 0..20_000 {
        let length = random(24);
        let bytes: Vec<u8> = (0..length).map(|_| letters[random(letters.len())]).collect();
        let text = String::from_utf8_lossy(&bytes);
        let fields: [(&str, &[u8]); 2] = [("cookie", &bytes), ("k", &bytes)];
        let captures = [("k", &*text)];
        let request = Asked { query: Some(&text), headers: &fields[..random(3)], captures: &captures, ..NOTHING };
        if let Ok(key) = places.key(&request) {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        let _ = (places.weight(&request).is_ok(), places.text(&request).is_ok());
        if let Ok(known) = ClientKey::new(&bytes) {
            assert_eq!(places.key(&query(&format!("x=1&k={known}&"))), Ok(known));
        }
    }
}
