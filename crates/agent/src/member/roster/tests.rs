use super::*;

fn key(text: &str) -> ClientKey {
    text.parse().unwrap()
}

#[test]
fn those_whose_charge_ends_are_found_and_those_who_left_stay_away() {
    let roster = Roster::default();
    for (client, until) in [("cam-1", 5), ("cam-2", 9)] {
        roster.enter(roster.begin(&key(client)).unwrap(), Tick(until));
    }
    assert_eq!(roster.ending_before(Tick(5)), []);
    assert_eq!(roster.ending_before(Tick(6)), [key("cam-1")]);
    roster.refreshed(&key("cam-1"), Tick(20));
    assert_eq!(roster.ending_before(Tick(10)), [key("cam-2")]);
    assert!(roster.remove(&key("cam-2")) && !roster.remove(&key("cam-2")));
    roster.refreshed(&key("cam-2"), Tick(30));
    assert_eq!(roster.len(), 1);
}

#[test]
fn a_report_of_an_application_that_died_meanwhile_is_void() {
    let roster = Roster::default();
    let entry = roster.begin(&key("cam-1")).unwrap();
    roster.clear();
    roster.enter(entry, Tick(9));
    assert_eq!(roster.len(), 0);
}

#[test]
fn a_full_roster_takes_nobody_new() {
    let roster = Roster::default();
    let numbered = |n: usize| key(&format!("cam-{n}"));
    roster.sheet().clients = (0..CLIENTS).map(|n| (numbered(n), Tick(1))).collect();
    assert_eq!(roster.begin(&numbered(CLIENTS)).unwrap_err(), Full);
    assert!(roster.begin(&numbered(7)).is_ok(), "who is here may be reported again");
}
