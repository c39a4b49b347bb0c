use super::*;

fn at(ms: u64) -> Moment {
    Moment::from_nanos(ms * 1_000_000)
}

fn home(camera: usize, recorder: &str, ms: u64) -> Seen {
    let named = Some(recorder.into());
    Seen::Home(Home { camera, named, recorder: recorder.into(), at: at(ms), complete: true })
}

fn away(camera: usize) -> Seen {
    Seen::Away { camera, why: "it broke".into() }
}

#[test]
fn a_camera_that_comes_home_again_has_not_moved() {
    let mut tally = Tally::default();
    assert_eq!(tally.take(home(3, "a", 0)), None);
    assert_eq!(tally.take(away(3)), None);
    assert_eq!((tally.at_home(), tally.aways), (0, 1));
    assert_eq!(tally.take(home(3, "a", 5)), None);
    assert_eq!((tally.at_home(), tally.moves, tally.double_homes, tally.sessions), (1, 0, 0, 2));
}

#[test]
fn a_move_is_told_once_and_is_no_double_home() {
    let mut tally = Tally::default();
    tally.take(home(3, "a", 0));
    tally.take(home(4, "a", 0));
    let moved = tally.take(home(3, "b", 10)).unwrap();
    assert_eq!((moved.from.as_str(), moved.to.as_str()), ("a", "b"));
    assert_eq!(tally.take(home(3, "b", 20)), None);
    assert_eq!((tally.moves, tally.double_homes), (1, 0));
    assert_eq!(tally.of("a"), BTreeSet::from([4]));
    assert!(tally.all_elsewhere(&BTreeSet::from([3]), "a"));
    assert!(!tally.all_elsewhere(&BTreeSet::from([3, 4]), "a"));
    assert!(tally.all_at(&BTreeSet::from([3]), "b") && !tally.all_at(&BTreeSet::from([3, 4]), "b"));
    tally.take(away(3));
    assert!(!tally.all_elsewhere(&BTreeSet::from([3]), "a"), "it is on its way");
    assert!(!tally.all_at(&BTreeSet::from([3]), "b"));
}

#[test]
fn two_homes_are_found() {
    let mut tally = Tally::default();
    tally.take(home(3, "a", 0));
    tally.take(home(3, "b", 10));
    tally.compare(&BTreeMap::from([(3, 2), (9, 1)]));
    assert_eq!(tally.double_homes, 0, "it has moved once");
    tally.take(home(3, "a", 20));
    tally.compare(&BTreeMap::from([(3, 2)]));
    assert_eq!(tally.double_homes, 1, "sent back to its former home, which the books do not know of");
    let Seen::Home(mut other) = home(6, "a", 30) else { unreachable!() };
    other.named = Some("b".into());
    tally.take(Seen::Home(other));
    assert_eq!(tally.double_homes, 2, "another recorder answered than the gateway named");
}

#[test]
fn all_are_home_when_the_last_one_is() {
    let mut tally = Tally::default();
    for camera in 0..CAMERAS.len() {
        assert_eq!(tally.all_home, None);
        tally.take(home(camera, "a", camera as u64));
    }
    let since = tally.all_home.unwrap();
    tally.take(home(0, "a", 1_000));
    assert_eq!(tally.all_home, Some(since), "a session more is no new homecoming");
    tally.take(away(0));
    assert_eq!(tally.all_home, None);
}

#[test]
fn moves_that_belong_together_are_told_together() {
    let mut burst = Burst::default();
    let moved = |camera, to: &str, ms| Moved { camera, from: "a".into(), to: to.into(), at: at(ms) };
    assert_eq!(burst.over(at(0), Duration::ZERO), None);
    for (camera, to, ms) in [(1, "b", 0), (2, "c", 500), (3, "b", 900)] {
        burst.add(&moved(camera, to, ms));
    }
    assert_eq!(burst.over(at(1_000), Duration::from_secs(1)), None);
    let told = burst.over(at(1_900), Duration::from_secs(1)).unwrap();
    assert_eq!(told.into_iter().collect::<Vec<_>>(), [(("a".into(), "b".into()), 2), (("a".into(), "c".into()), 1)]);
    assert_eq!(burst.over(at(9_000), Duration::from_secs(1)), None);
}
