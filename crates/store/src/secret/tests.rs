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
    assert_eq!((&*secret.text(), secret.generation()), ("one two", 0));
    fs::write(&path, "three\n").unwrap();
    assert_eq!(&*secret.text_now(), "three");
    for useless in [&b""[..], b"\xff", b"four\nfive"] {
        fs::write(&path, useless).unwrap();
        assert_eq!(&*secret.text_now(), "three");
    }
    fs::remove_file(&path).unwrap();
    assert_eq!((&*secret.text_now(), secret.generation()), ("three", 1));
}

#[test]
fn what_is_wrong_with_a_file_is_said_without_a_word_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let said = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        let Err(Error::Config(why)) = Secret::in_file(&path) else { panic!("{content:?} is taken") };
        why.replace(&path.display().to_string(), "FILE")
    };
    assert_eq!(said(b" \n"), "the secret's file FILE is empty");
    assert_eq!(said(b"hunter2\xff"), "the secret's file FILE is not UTF-8: is it the right file?");
    assert_eq!(
        said(b"hunter2\nhunter3"),
        "the secret's file FILE has several lines, or what is no text, and a secret is one line: is it the right file?"
    );
    let long = said(&[b'h'; SECRET_BYTES as usize + 1]);
    assert_eq!(long, "the secret's file: FILE has more than 16384 bytes: is it the right file?");
    fs::remove_file(&path).unwrap();
    assert!(matches!(Secret::in_file(&path), Err(Error::Config(why)) if why.contains("No such file")));
}
