use super::*;

#[test]
fn a_record_comes_out_of_the_metadata_as_it_went_in() {
    let plain = Bytes::from_static(b"{\"v\":1,\"holder\":\"web-1\"}");
    assert_eq!(written(&plain).unwrap(), "{\"v\":1,\"holder\":\"web-1\"}");
    for value in [
        &b"{\"v\":1,\"holder\":\"web-1\"}"[..],
        b"",
        b"{\"a\":\"two  spaces\"}",
        "{\"ä\":1}".as_bytes(),
        b"{\0}",
        b" {}",
    ] {
        let value = Bytes::from_static(Box::leak(value.to_vec().into_boxed_slice()));
        let text = written(&value).unwrap();
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') && !text.contains("  "), "{text}");
        assert_eq!(read(&text), Some(value));
    }
    assert_eq!(read("~no base64!"), None);
    let Err(Error::Config(why)) = written(&Bytes::from(vec![b'x'; 8 << 10])) else { panic!("it does not fit") };
    assert!(why.contains("7168"), "{why}");
}

#[test]
fn an_id_is_a_uuid_that_nobody_had() {
    let (one, other) = (fresh_id(), fresh_id());
    assert_ne!(one, other);
    let parts: Vec<usize> = one.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12]);
    assert!(one.split('-').nth(2).unwrap().starts_with('4'), "{one}");
    assert!(one.split('-').nth(3).unwrap().starts_with(['8', '9', 'a', 'b']), "{one}");
}

#[test]
fn only_the_sets_own_lease_is_azures() {
    let native = Native::new("{set}/leader", Duration::from_secs(60));
    let key = |space: &str, name: &str| Key::new(Space::new(space).unwrap(), name);
    assert!(native.is_mine(&key("web", "lease/web")));
    assert!(!native.is_mine(&key("@catalog", "lease/keeper")));
    assert!(!native.is_mine(&key("web", "lease/web-2")));
}
