use steadfast_host::http::HeaderValue;

use super::*;

/// The key of the emulator's account, which its documentation prints.
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
}

#[test]
fn a_date_is_written_as_http_writes_it() {
    let date = |text: &str| http_date(text.parse().unwrap());
    assert_eq!(date("2026-11-22T06:22:38.999Z"), "Sun, 22 Nov 2026 06:22:38 GMT");
    assert_eq!(date("1994-11-06T08:49:37.000Z"), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(date("2000-02-29T23:59:59.000Z"), "Tue, 29 Feb 2000 23:59:59 GMT");
    assert_eq!(date("1970-01-01T00:00:00.000Z"), "Thu, 01 Jan 1970 00:00:00 GMT");
}

#[test]
fn the_text_that_is_signed_is_the_one_in_microsofts_example() {
    let get = Signed {
        account: "myaccount",
        method: &Method::GET,
        path: "/mycontainer",
        query: &[("restype", "container".into()), ("comp", "metadata".into()), ("timeout", "20".into())],
        headers: &headers(&[("x-ms-version", "2015-02-21"), ("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT")]),
        body_bytes: 0,
    };
    let expected = "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
                    /myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20";
    assert_eq!(get.shared_key_text(), expected);
    let put = Signed {
        account: "myaccount",
        method: &Method::PUT,
        path: "/leases/leader",
        query: &[],
        headers: &headers(&[("if-match", "\"0x8D\""), ("content-type", "text/plain"), ("x-ms-date", "now")]),
        body_bytes: 11,
    };
    let expected = "PUT\n\n\n11\n\ntext/plain\n\n\n\"0x8D\"\n\n\n\nx-ms-date:now\n/myaccount/leases/leader";
    assert_eq!(put.shared_key_text(), expected);
}

#[test]
fn a_tables_request_signs_its_date_and_path() {
    let headers = headers(&[("x-ms-date", "Sun, 11 Oct 2009 19:52:39 GMT")]);
    let lite = |query: &[(&'static str, String)]| {
        let request = Signed {
            account: "testaccount1",
            method: &Method::GET,
            path: "/Tables",
            query,
            headers: &headers,
            body_bytes: 0,
        };
        request.shared_key_lite_text()
    };
    assert_eq!(lite(&[]), "Sun, 11 Oct 2009 19:52:39 GMT\n/testaccount1/Tables");
    let properties = [("comp", "properties".to_owned()), ("restype", "service".to_owned())];
    assert_eq!(lite(&properties), "Sun, 11 Oct 2009 19:52:39 GMT\n/testaccount1/Tables?comp=properties");
}

#[test]
fn a_signature_is_the_one_other_tools_make() {
    // Checked with Python's hmac and hashlib.
    let key = Key::new(KEY).unwrap();
    let headers = headers(&[("x-ms-date", "Sun, 22 Nov 2026 06:22:38 GMT")]);
    let request = Signed {
        account: "devstoreaccount1",
        method: &Method::POST,
        path: "/devstoreaccount1/$batch",
        query: &[],
        headers: &headers,
        body_bytes: 4,
    };
    assert_eq!(
        key.shared_key_lite(&request),
        "SharedKeyLite devstoreaccount1:WLxGtATJoXXV1H1OB+jyipkAoN1i0DsNwkRwuhUZnRM="
    );
    assert_eq!(key.shared_key(&request), "SharedKey devstoreaccount1:y7ZOYrbCo2ab6w53jICHpCPCRW8VtXih3cR4kABbM38=");
}

#[test]
fn what_is_no_key_is_refused_without_being_quoted() {
    for wrong in ["", "hunter2", "c2hvcnQ=", "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=hunter2hunter2"] {
        let Err(Error::Config(why)) = Key::new(wrong) else { panic!("taken as a key: {wrong}") };
        assert!(!why.contains("hunter2"), "{why}");
    }
    assert_eq!(format!("{:?}", Key::new(KEY).unwrap()), "Key(…)");
}

#[test]
fn a_shared_access_signature_is_told_from_a_key() {
    let text = "?sv=2022-11-02&ss=bt&sp=rwdl&sig=abc%2Fdef%3D\n";
    assert!(Sas::is_one(text) && !Sas::is_one(KEY));
    let sas = Sas::new(text).unwrap();
    assert_eq!(sas.query(), "sv=2022-11-02&ss=bt&sp=rwdl&sig=abc%2Fdef%3D");
    assert!(!format!("{sas:?}").contains("abc"));
    assert!(matches!(Sas::new("sv=1 &sig=hunter2"), Err(Error::Config(why)) if !why.contains("hunter2")));
}
