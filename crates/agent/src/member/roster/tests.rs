use super::*;

fn key(text: &str) -> ClientKey {
    text.parse().unwrap()
}

#[test]
fn those_whose_charge_ends_are_found_and_those_who_left_stay_away() {
    let roster = Roster::default();
    for (client, until) in [("cam-1", 5), ("cam-2", 9)] {
        roster.begin(&key(client)).unwrap().enter(Tick(until));
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
    entry.enter(Tick(9));
    assert_eq!(roster.len(), 0);
}

#[test]
fn a_report_that_a_leaving_overtook_is_void() {
    let roster = Roster::default();
    let overtaken = roster.begin(&key("cam-1")).unwrap();
    assert!(!roster.remove(&key("cam-1")), "it was not here yet");
    let again = roster.begin(&key("cam-1")).unwrap();
    overtaken.enter(Tick(9));
    assert_eq!(roster.len(), 0, "who left would be kept charged for ever");
    again.enter(Tick(9));
    assert_eq!(roster.len(), 1, "it came again after it had left");
}

#[test]
fn of_two_reports_of_one_client_either_may_be_taken() {
    let roster = Roster::default();
    let (failed, taken) = (roster.begin(&key("cam-1")).unwrap(), roster.begin(&key("cam-1")).unwrap());
    drop(failed);
    roster.dismiss(&key("cam-1"));
    taken.enter(Tick(9));
    assert_eq!(roster.ending_before(Tick(10)), [key("cam-1")]);
    assert!(roster.sheet().coming.is_empty(), "nothing is left of reports that have ended");
    roster.dismiss(&key("cam-1"));
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
