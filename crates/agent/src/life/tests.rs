use super::*;

fn begin(root: &std::path::Path) -> Result<Life, Error> {
    Life::begin(root, &"web".parse().unwrap(), &"web-1".parse().unwrap())
}

#[test]
fn a_second_life_waits_for_the_first_and_inherits_from_it() {
    let root = tempfile::tempdir().unwrap();
    let first = begin(root.path()).unwrap();
    let error = begin(root.path()).unwrap_err();
    assert_eq!(error.class(), crate::Class::Refused);
    assert!(error.to_string().contains(&format!("(pid {})", std::process::id())), "{error}");

    let group: GroupId = "boot/4711/1/12".parse().unwrap();
    let promised_until = Moment::from_nanos(12);
    first.remember(Memory { epoch: Epoch(7), promised_until }).unwrap();
    first.remember(Memory { epoch: Epoch(5), promised_until: Moment::ZERO }).unwrap();
    first.remember_group(Some(&group)).unwrap();
    let (dead, stranger) = (first.incarnation(), Incarnation(1));
    drop(first);

    drop(begin(root.path()).unwrap());
    let third = begin(root.path()).unwrap();
    assert_eq!(third.memory(), Memory { epoch: Epoch(7), promised_until });
    assert_eq!(third.stale(), Some(&group));
    assert!(third.outlived(dead), "also with a life between them that never registered");
    assert!(!third.outlived(third.incarnation()) && !third.outlived(stranger));
}

const LOCK_FILE: LockFile = LockFile { device: 1, inode: 2 };

#[test]
fn another_boot_inherits_the_epoch_alone() {
    let before = Document {
        v: 1,
        boot: "one".into(),
        lock: Some(LOCK_FILE),
        incarnation: Text(Incarnation(1)),
        former: vec![],
        epoch: 9,
        promised_until_ns: 12,
        group: None,
    };
    assert_eq!(succeed(Some(&before), "one".into(), LOCK_FILE, Incarnation(2)).former, [Text(Incarnation(1))]);
    let after = succeed(Some(&before), "two".into(), LOCK_FILE, Incarnation(2));
    assert_eq!((after.epoch, after.promised_until_ns, after.former), (9, 0, vec![]));
}

#[test]
fn a_copied_directory_proves_nobody_dead() {
    let (original, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let alive = begin(original.path()).unwrap();
    let memory = Memory { epoch: Epoch(7), promised_until: Moment::from_nanos(12) };
    alive.remember(memory).unwrap();
    alive.remember_group(Some(&"boot/4711/1/12".parse().unwrap())).unwrap();
    let place = |root: &Path| root.join("agents/web/web-1");
    std::fs::create_dir_all(place(copy.path())).unwrap();
    for name in [LOCK, STATE] {
        std::fs::copy(place(original.path()).join(name), place(copy.path()).join(name)).unwrap();
    }
    let copied = begin(copy.path()).unwrap();
    assert!(!copied.outlived(alive.incarnation()) && copied.stale().is_none());
    assert_eq!(copied.memory(), memory);
}

#[test]
fn a_file_that_names_no_lock_proves_nobody_dead() {
    let root = tempfile::tempdir().unwrap();
    let first = begin(root.path()).unwrap();
    let old = Document { lock: None, ..first.document().clone() };
    let mut old = serde_json::to_value(old).unwrap();
    old.as_object_mut().unwrap().remove("lock").unwrap();
    let dead = first.incarnation();
    drop(first);
    std::fs::write(root.path().join("agents/web/web-1").join(STATE), old.to_string()).unwrap();
    assert!(!begin(root.path()).unwrap().outlived(dead));
}

#[test]
fn the_lives_remembered_are_bounded() {
    let mut document = succeed(None, "one".into(), LOCK_FILE, Incarnation(0));
    for life in 1..100 {
        document = succeed(Some(&document), "one".into(), LOCK_FILE, Incarnation(life));
    }
    assert_eq!(document.former.len(), LIVES_KEPT);
    assert_eq!(document.former.last(), Some(&Text(Incarnation(98))));
}

#[test]
fn a_file_that_cannot_be_read_is_told_and_kept() {
    let root = tempfile::tempdir().unwrap();
    drop(begin(root.path()).unwrap());
    let file = root.path().join("agents/web/web-1").join(STATE);
    for (text, expected) in [("{", "damaged"), (r#"{"v":2}"#, "format 2"), (r#"{"v":1}"#, "damaged")] {
        std::fs::write(&file, text).unwrap();
        let error = begin(root.path()).unwrap_err();
        assert!(error.to_string().contains(expected) && error.class() == crate::Class::Configuration, "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
}

#[test]
fn the_application_reads_the_epoch_it_leads_at() {
    let root = tempfile::tempdir().unwrap();
    let life = begin(root.path()).unwrap();
    life.tell_epoch(Some(Epoch(7))).unwrap();
    assert_eq!(std::fs::read_to_string(life.epoch_file()).unwrap(), "7\n");
    life.tell_epoch(None).unwrap();
    assert_eq!(std::fs::read_to_string(life.epoch_file()).unwrap(), "");
}
