use std::fs;

use super::*;

#[test]
fn a_secret_is_shown_nowhere() {
    let secret = Secret::given("hunter2");
    let access = Access { secret: Some(secret.clone()), ..Access::default() };
    assert_eq!(format!("{secret:?}"), "Secret(…)");
    assert!(!format!("{access:?}").contains("hunter2"));
    assert_eq!(&*secret.text(), "hunter2");
}

#[test]
fn a_file_counts_as_it_is_now_and_what_is_no_secret_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    fs::write(&path, "one two\n").unwrap();
    let secret = Secret::in_file(&path).unwrap();
    assert_eq!(&*secret.text(), "one two");
    fs::write(&path, "three\n").unwrap();
    assert_eq!(&*secret.text(), "three");
    for useless in [&b""[..], b"\xff", b"four\nfive"] {
        fs::write(&path, useless).unwrap();
        assert_eq!(&*secret.text(), "three");
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(&*secret.text(), "three");
}

#[test]
fn what_is_wrong_with_a_file_is_said_without_a_word_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let said = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        let Err(Error::Config(why)) = Secret::in_file(&path) else { panic!("{content:?} is taken") };
        why.strip_prefix(&format!("the secret's file {}: ", path.display())).expect("its name").to_owned()
    };
    assert_eq!(said(b" \n"), "it is empty");
    assert_eq!(said(b"hunter2\xff"), "it is not UTF-8: is it the right file?");
    assert_eq!(said(b"hunter2\nhunter3"), "a secret is one line of text: is it the right file?");
    let long = said(&[b'h'; SECRET_BYTES as usize + 1]);
    assert_eq!(long, "more than 16384 bytes are no secret of a store: is it the right file?");
    fs::remove_file(&path).unwrap();
    assert!(matches!(Secret::in_file(&path), Err(Error::Config(why)) if why.contains("No such file")));
}
