use super::*;

#[test]
fn a_name_cannot_forge_a_line() {
    let line = b"42 (evil) Z 1 1 1) S 7 40 39 34816 42 4194304 95 0 0 0 0 0 0 0 20 0 1 0 123456 9 9 9";
    let entry = Entry { pid: 42, parent: 7, group: 40, session: 39, started: 123_456, ended: false };
    assert_eq!(parse(line), Some(entry));
    for broken in [&b""[..], b"42 (x", b"42 (x) Z", b"x (x) S 1 1 1"] {
        assert_eq!(parse(broken), None);
    }
}

#[test]
fn we_are_in_the_table() {
    let ours = std::process::id().cast_signed();
    let entry = entry(ours).unwrap().unwrap();
    assert_eq!((entry.pid, entry.ended), (ours, false));
    assert!(entries().unwrap().contains(&entry));
    assert_eq!(super::entry(i32::MAX).unwrap(), None);
}
