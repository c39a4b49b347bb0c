use super::*;

#[test]
fn the_highest_of_each_space_is_kept() {
    let (web, recorder) = (Space::new("web").unwrap(), Space::new("recorder").unwrap());
    let floor = Floor::default();
    assert_eq!(floor.of(&web), Revision(0));
    for revision in [7, 9, 3] {
        floor.saw(&web, Revision(revision));
    }
    floor.saw(&recorder, Revision(1));
    assert_eq!((floor.of(&web), floor.of(&recorder)), (Revision(9), Revision(1)));
}
