use super::*;

const MOUNTS: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:40 / /net rw,relatime shared:1 - nfs4 server:/export rw
31 30 0:41 / /net/local rw,relatime - xfs /dev/vdb rw
32 27 0:42 / /home/a\\040b rw,relatime - fuse.sshfs host: rw
33 27 0:43 / /home/fuse rw,relatime - fuse.mergerfs pool rw
34 27 0:44 / /twice rw,relatime - cifs //server/share rw
35 27 0:45 / /twice rw,relatime - tmpfs tmpfs rw
";

#[test]
fn a_network_file_system_is_known_by_the_mount_the_file_lies_on() {
    for (file, kind) in [
        ("/var/state.db", None),
        ("/net/state.db", Some("nfs4")),
        ("/network/state.db", None),
        ("/net/local/state.db", None),
        ("/home/a b/state.db", Some("fuse.sshfs")),
        ("/home/fuse/state.db", None),
        ("/twice/state.db", None),
    ] {
        let network = file_system(MOUNTS, Path::new(file)).filter(|kind| is_network(kind));
        assert_eq!(network, kind, "{file}");
    }
}

#[test]
fn one_has_the_lock_until_it_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::of(&directory.path().join("state.db")).unwrap();
    let lock = place.lock().unwrap().unwrap();
    assert!(place.lock().unwrap().is_none());
    drop(lock);
    assert!(place.lock().unwrap().is_some());
}

#[test]
fn a_lock_whose_file_was_removed_guards_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::of(&directory.path().join("state.db")).unwrap();
    fs::write(&place.file, "").unwrap();
    let lock = place.lock().unwrap().unwrap();
    assert_eq!(lock.guards(&place), Ok(()));
    fs::remove_file(&place.lock).unwrap();
    assert!(matches!(lock.guards(&place), Err(Error::Unavailable(_))));
    let other = place.lock().unwrap().unwrap();
    assert!(lock.guards(&place).is_err());
    assert_eq!(other.guards(&place), Ok(()));
    fs::remove_file(&place.file).unwrap();
    assert!(other.guards(&place).is_err());
}

#[test]
fn another_name_of_the_file_is_the_same_place() {
    let directory = tempfile::tempdir().unwrap();
    let real = directory.path().join("state.db");
    let link = directory.path().join("link.db");
    fs::write(&real, "").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let _lock = Place::of(&link).unwrap().lock().unwrap().unwrap();
    assert!(Place::of(&real).unwrap().lock().unwrap().is_none());
}

#[test]
fn what_cannot_be_a_place_is_refused_with_words() {
    for (path, words) in [
        ("state.db", "not an absolute path"),
        ("/", "not an absolute path"),
        ("/none/of/these/state.db", "its directory does not exist"),
        ("/proc", "is a directory"),
    ] {
        let said = Place::of(Path::new(path)).unwrap_err().to_string();
        assert!(said.contains(words), "{path}: {said}");
    }
}
