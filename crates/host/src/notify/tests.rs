use super::*;

fn heard(manager: &UnixDatagram) -> String {
    let mut words = [0; 256];
    let length = manager.recv(&mut words).unwrap();
    String::from_utf8(words[..length].to_vec()).unwrap()
}

fn tells(manager: &UnixDatagram, notify: &Notify) {
    manager.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    notify.ready();
    assert_eq!(heard(manager), "READY=1");
    notify.status("leader\nat epoch 7");
    assert_eq!(heard(manager), "STATUS=leader at epoch 7");
    notify.alive();
    assert_eq!(heard(manager), "WATCHDOG=1");
    notify.stopping();
    assert_eq!(heard(manager), "STOPPING=1");
}

#[test]
fn words_reach_a_socket_on_a_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    tells(&manager, &Notify::new(Some(path.into()), None));
}

#[test]
fn words_reach_an_abstract_socket() {
    let name = format!("steadfast-{:x}", crate::random::u64());
    let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    tells(&manager, &Notify::new(Some(format!("@{name}").into()), None));
}

#[test]
fn nobody_listening_is_no_trouble() {
    for socket in [None, Some(OsString::new()), Some("/nonexistent/notify".into())] {
        Notify::new(socket, None).ready();
    }
}

#[test]
fn the_watchdog_is_fed_twice_as_often_as_asked() {
    for (usec, every) in [(None, None), (Some("0"), None), (Some("soon"), None), (Some("3000000"), Some(1_500))] {
        assert_eq!(Notify::new(None, usec).watchdog(), every.map(Duration::from_millis), "{usec:?}");
    }
}
