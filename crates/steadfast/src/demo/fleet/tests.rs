use super::*;

#[test]
fn a_camera_goes_where_it_is_sent_and_nowhere_else() {
    let (target, path) = go_to("http://127.0.0.1:20001/ingest/stream?camera=cam-01&mbps=8").unwrap();
    assert_eq!(target.to_string(), "http://127.0.0.1:20001");
    assert_eq!(path, "/ingest/stream?camera=cam-01&mbps=8");
    assert_eq!(go_to("http://127.0.0.1:20001").unwrap().1, "/");
    for nowhere in ["", "/ingest/", "https://127.0.0.1:20001/", "http://:1/", "ftp://127.0.0.1:1/"] {
        assert!(go_to(nowhere).is_none(), "{nowhere}");
    }
}

#[test]
fn a_name_leads_back_to_its_camera() {
    assert!((0..CAMERAS.len()).all(|camera| index(&name(camera)) == Some(camera)));
    for other in ["cam-00", "cam-33", "cam-", "door-01"] {
        assert_eq!(index(other), None, "{other}");
    }
}
