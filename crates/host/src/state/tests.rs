use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use super::*;

fn fresh() -> (tempfile::TempDir, StateDir) {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path().join("a/b")).unwrap();
    (dir, state)
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn it_is_made_for_this_user_alone() {
    let (_dir, state) = fresh();
    assert_eq!(mode(state.path()), 0o700);
    assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0, "the try leaves nothing behind");
}

#[test]
fn what_is_in_the_way_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = StateDir::open(file.join("state")).unwrap_err().to_string();
    assert!(error.contains("file/state") && error.contains("$STATE_DIRECTORY"), "{error}");
    // /proc takes no files from anybody, root included.
    let error = StateDir::open("/proc/self").unwrap_err();
    assert!(matches!(error, StateError::Unwritable { .. }), "{error}");
    assert!(error.to_string().starts_with("cannot write to the state directory /proc/self"), "{error}");
}

#[test]
fn the_default_is_the_first_that_can_be_written_and_a_named_one_is_the_only_one() {
    let dir = tempfile::tempdir().unwrap();
    let (named, system, user) = (dir.path().join("named"), dir.path().join("system"), dir.path().join("user"));
    let unwritable = Path::new("/proc/self");
    let opened = |named: Option<&Path>, system: &Path, user: Option<&Path>| {
        StateDir::open_first(named.map(Path::to_path_buf), system, user.map(Path::to_path_buf)).map(|dir| dir.path)
    };
    assert_eq!(opened(Some(&named), &system, Some(&user)).unwrap(), named);
    assert_eq!(opened(None, &system, Some(&user)).unwrap(), system);
    assert_eq!(opened(None, unwritable, Some(&user)).unwrap(), user.join("steadfast"));
    assert!(matches!(opened(None, unwritable, None), Err(StateError::Nowhere)));
    assert!(matches!(opened(Some(unwritable), &system, Some(&user)), Err(StateError::Unwritable { .. })));
}

#[test]
fn a_file_is_replaced_whole_with_its_mode() {
    let (_dir, state) = fresh();
    assert_eq!(state.read("record").unwrap(), None);
    for (content, wanted) in [("one", SECRET), ("another", PUBLIC), ("", SECRET)] {
        state.write_atomically("record", content.as_bytes(), wanted).unwrap();
        assert_eq!(state.read("record").unwrap().as_deref(), Some(content.as_bytes()));
        assert_eq!(mode(state.file("record")), wanted);
    }
    fs::create_dir_all(state.file("directory/full")).unwrap();
    state.write_atomically("directory", b"x", SECRET).unwrap_err();
    assert_eq!(fs::read_dir(state.path()).unwrap().count(), 2, "no temporary file is left");
}

#[test]
fn a_secret_is_made_once() {
    let (_dir, state) = fresh();
    let secret = state.secret("admin.token").unwrap();
    assert_eq!(secret.len(), 64);
    assert_eq!(mode(state.file("admin.token")), 0o600);
    assert_eq!(state.secret("admin.token").unwrap(), secret);
    for unusable in [&b" \n"[..], b"\xff"] {
        fs::write(state.file("admin.token"), unusable).unwrap();
        state.secret("admin.token").unwrap_err();
    }
}

#[test]
fn a_lock_is_held_once_and_names_its_holder() {
    let (_dir, state) = fresh();
    let lock = state.lock("agent.lock").unwrap();
    let error = state.lock("agent.lock").unwrap_err();
    assert!(
        matches!(error, StateError::Held { pid: Some(pid), .. } if pid == std::process::id().cast_signed()),
        "{error}"
    );
    drop(lock);
    state.lock("agent.lock").unwrap();
}

#[test]
fn a_killed_process_holds_no_lock() {
    let (_dir, state) = fresh();
    state.lock("agent.lock").unwrap();
    let mut child = Command::new("flock")
        .arg("--no-fork")
        .arg(state.file("agent.lock"))
        .args(["sh", "-c", "echo locked; exec sleep 60"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 7];
    child.stdout.take().unwrap().read_exact(&mut said).unwrap();
    state.lock("agent.lock").unwrap_err();
    child.kill().unwrap();
    child.wait().unwrap();
    state.lock("agent.lock").unwrap();
}
