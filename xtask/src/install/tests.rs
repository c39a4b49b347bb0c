use super::*;

#[test]
fn a_step_asks_only_for_its_own_programs() {
    let programs = |users: &[&str]| needed(users).iter().map(|tool| tool.program).collect::<Vec<_>>();
    assert_eq!(programs(&["fmt", "clippy"]), Vec::<&str>::new());
    let blackbox = programs(&["fmt", "blackbox"]);
    assert!(blackbox.contains(&"curl") && blackbox.contains(&"haproxy") && !blackbox.contains(&"wrk"), "{blackbox:?}");
    assert!(programs(&["bench"]).contains(&"wrk") && !programs(&["bench"]).contains(&"etcd"));
    assert!(programs(&["conformance"]).contains(&"etcd") && blackbox.contains(&"redis-server"));
}

#[test]
fn the_usual_troubles_are_named() {
    assert!(apt_trouble("W: Temporary failure resolving 'deb.example'").starts_with("no network"));
    assert!(apt_trouble("E: You don't have enough free space in /var/cache/apt").starts_with("the disk is full"));
    assert!(apt_trouble("E: Unable to locate package wrk").contains("package sources"));
    assert!(apt_trouble("something new").contains("above"));
    assert!(fetch_trouble("[6] Could not resolve hostname").starts_with("no network"));
    assert!(python::trouble("/usr/bin/python3: No module named pip").contains("python3-pip"));
    assert!(python::trouble("ERROR: No matching distribution found for kosoku==0.1.0").starts_with("there is no such"));
    assert!(npm::trouble("npm error code ENOTFOUND\nnpm error syscall getaddrinfo").starts_with("no network"));
    assert!(npm::trouble("npm error `npm ci` can only install packages when in sync").contains("does not match"));
    assert!(fetch_trouble("cannot update the lock file because --locked was passed").starts_with("Cargo.lock"));
}

#[test]
fn the_script_is_one_a_shell_understands() {
    assert!(succeeds(Command::new("sh").args(["-n", "-c", INSTALL_SCRIPT])));
}

#[test]
fn the_lock_file_names_no_host_and_every_sum() {
    let lock: serde_json::Value = serde_json::from_str(npm::LOCK).expect("JSON");
    let packages = lock["packages"].as_object().expect("packages");
    assert!(packages.len() > 300, "{}", packages.len());
    for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
        assert!(package["resolved"].is_null(), "{name} names where it came from");
        assert!(package["integrity"].is_string(), "{name} has no sum");
    }
}
