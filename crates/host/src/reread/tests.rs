use std::fs;

use super::*;

/// A number in a file: what is no number cannot be used.
fn number(file: &Path) -> Result<Reread<u32>, RereadError> {
    Reread::open(vec![file.to_path_buf()], 8, |contents| {
        let text = String::from_utf8_lossy(&contents[0]);
        text.trim().parse().map_err(|_| format!("{text:?} is no number"))
    })
}

#[test]
fn what_changes_is_seen_and_what_cannot_be_used_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("number");
    fs::write(&file, "1").unwrap();
    let reread = number(&file).unwrap();
    assert_eq!((*reread.look_now(), reread.generation()), (1, 0));

    fs::write(&file, "2").unwrap();
    assert_eq!((*reread.look_now(), reread.generation()), (2, 1));

    // Not a number, then too long to be one, then gone: each leaves what was there.
    fs::write(&file, "x").unwrap();
    assert_eq!(*reread.look_now(), 2);
    fs::write(&file, "333333333333").unwrap();
    assert_eq!(*reread.look_now(), 2);
    fs::remove_file(&file).unwrap();
    assert_eq!(*reread.look_now(), 2);

    // Replaced by renaming, as who rotates with care does it.
    fs::write(dir.path().join("new"), "3").unwrap();
    fs::rename(dir.path().join("new"), &file).unwrap();
    assert_eq!((*reread.look_now(), reread.generation()), (3, 2));

    // The same content again is no change.
    fs::write(&file, "3").unwrap();
    assert_eq!((*reread.look_now(), reread.generation()), (3, 2));
}

#[test]
fn a_second_change_within_one_tick_of_the_file_system_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("number");
    fs::write(&file, "1").unwrap();
    let reread = number(&file).unwrap();
    for content in 2..9 {
        fs::write(&file, content.to_string()).unwrap();
        // Of the same length, in the same place, and most likely in the same tick.
        reread.look_now();
        fs::write(&file, (content + 1).to_string()).unwrap();
        assert_eq!(*reread.look_now(), content + 1);
    }
}

#[test]
fn a_link_that_is_turned_to_another_file_is_a_change() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["1", "2"] {
        fs::write(dir.path().join(name), name).unwrap();
    }
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(dir.path().join("1"), &link).unwrap();
    let reread = number(&link).unwrap();
    reread.look_now();
    let other = dir.path().join("other");
    std::os::unix::fs::symlink(dir.path().join("2"), &other).unwrap();
    fs::rename(&other, &link).unwrap();
    assert_eq!(*reread.look_now(), 2);
}

#[test]
fn a_pipe_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (said, heard) = std::sync::mpsc::channel();
    let reading = pipe.clone();
    std::thread::spawn(move || {
        let reread = number(&reading).unwrap();
        reread.look_now();
        said.send(*reread.look_now()).unwrap();
    });
    fs::write(&pipe, "1").unwrap();
    assert_eq!(heard.recv_timeout(Duration::from_secs(60)), Ok(1), "nobody writes to it again");
}

#[test]
fn without_anything_usable_there_is_no_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("number");
    let said = |file: &Path| number(file).unwrap_err().to_string();
    assert_eq!(said(&file), format!("cannot read {}: No such file or directory (os error 2)", file.display()));
    fs::write(&file, "x").unwrap();
    assert_eq!(said(&file), "\"x\" is no number");
    fs::write(&file, "111111111").unwrap();
    assert_eq!(said(&file), format!("{} has more than 8 bytes: is it the right file?", file.display()));
}

#[test]
fn nothing_of_the_content_is_in_its_debug_form() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    fs::write(&file, "4711").unwrap();
    let shown = format!("{:?}", number(&file).unwrap());
    assert!(shown.contains("secret") && !shown.contains("4711"), "{shown}");
}
