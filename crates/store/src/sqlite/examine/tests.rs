use super::*;

#[test]
fn a_file_in_memory_is_worth_a_word() {
    assert_eq!((disk(Some("ext4")).grade, disk(Some("ext4")).advice), (Grade::Good, None));
    let found = disk(Some("tmpfs"));
    assert_eq!(found.grade, Grade::Note);
    assert!(found.advice.is_some_and(|advice| advice.contains("gone when the machine starts again")));
    assert_eq!(disk(None).value, "not known");
}

#[test]
fn the_file_and_its_journal_are_measured() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::of(&directory.path().join("state.db")).unwrap();
    fs::write(directory.path().join("state.db"), vec![0; 1_500_000]).unwrap();
    fs::write(directory.path().join("state.db-wal"), vec![0; 200_000]).unwrap();
    let findings = findings(&place);
    let size = findings.iter().find(|finding| finding.about == "size").unwrap();
    assert_eq!(size.value, "1.5 MB, and 0.2 MB in its journal");
}
