use bytes::Bytes;

use super::*;

fn said(parts: &[&'static str]) -> Option<String> {
    let parts = parts.iter().map(|part| Reply::String(Bytes::from_static(part.as_bytes())));
    address(&Reply::Array(parts.collect())).map(|address| address.to_string())
}

#[test]
fn a_master_is_a_host_and_a_port() {
    assert_eq!(said(&["10.0.0.4", "6379"]).as_deref(), Some("10.0.0.4:6379"));
    assert_eq!(said(&["::1", "6379"]).as_deref(), Some("[::1]:6379"));
    for none in [&["10.0.0.4", "0"][..], &["", "6379"], &["10.0.0.4"], &["10.0.0.4", "65536"]] {
        assert_eq!(said(none), None, "{none:?}");
    }
    assert_eq!(address(&Reply::Nil), None);
}

#[test]
fn every_sentinel_is_asked_once() {
    let addresses: Vec<Address> =
        (1..=3).map(|port| Address::Tcp { host: "localhost".parse().expect("a host"), port }).collect();
    let sentinels = Sentinels { addresses: addresses.clone(), master: "m".to_owned(), user: None, secret: None };
    let mut asked: Vec<_> = sentinels.in_some_order().cloned().collect();
    asked.sort();
    assert_eq!(asked, addresses);
}
