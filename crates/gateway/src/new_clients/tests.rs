use super::*;

fn at(millis: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(100) + Duration::from_millis(millis)
}

fn set() -> SetName {
    "app".parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_source_brings_so_many_a_second_and_no_more() {
    let new_clients = NewClients::new(10);
    let taken =
        |millis| (0..100).take_while(|_| new_clients.take(&set(), ip("10.0.0.1"), 20, at(millis)).is_ok()).count();
    assert_eq!(taken(0), 20);
    assert_eq!(new_clients.take(&set(), ip("10.0.0.1"), 20, at(0)), Err(Duration::from_millis(50)));
    assert_eq!(taken(40), 0);
    assert_eq!(taken(50), 1);
    assert_eq!(taken(550), 10);
    assert_eq!(taken(60_000), 20, "what is not used is not saved up");
    assert!(new_clients.take(&set(), ip("10.0.0.2"), 20, at(60_000)).is_ok(), "another one has its own");
}

#[test]
fn small_steps_of_time_are_not_lost() {
    let new_clients = NewClients::new(10);
    let taken = (0..10_000_u64).filter(|step| {
        let now = at(0) + Duration::from_micros(100 * step);
        new_clients.take(&set(), ip("10.0.0.1"), 3, now).is_ok()
    });
    assert_eq!(taken.count(), 3 + 2, "three at once, and in less than a second two more");
}

#[test]
fn what_was_given_back_can_be_taken() {
    let new_clients = NewClients::new(10);
    let source = ip("2001:db8::1");
    new_clients.take(&set(), source, 1, at(0)).unwrap();
    assert!(new_clients.take(&set(), ip("2001:db8::ffff"), 1, at(0)).is_err(), "a network is one source");
    new_clients.give_back(&set(), source);
    new_clients.take(&set(), source, 1, at(0)).unwrap();
}

#[test]
fn sources_are_forgotten_rather_than_gathered() {
    let new_clients = NewClients::new(8);
    let spend = |last: u8, millis| new_clients.take(&set(), ip(&format!("10.0.0.{last}")), 1, at(millis));
    for last in 1..=4 {
        spend(last, 0).unwrap();
    }
    assert!((1..=4).all(|last| spend(last, 1).is_err()), "as many as a half are known for certain");
    for last in 11..=13 {
        spend(last, 2).unwrap();
        assert!(spend(1, 3).is_err(), "who comes again and again is not forgotten");
    }
    for last in 21..=23 {
        spend(last, 4).unwrap();
    }
    assert!(spend(1, 5).is_err());
    spend(4, 6).expect("who was not heard for so long is");
}

#[test]
fn a_flood_of_sources_costs_no_more_a_source_than_a_few_do() {
    let new_clients = NewClients::new(1_000);
    for n in 0..200_000_u32 {
        let source = IpAddr::V4(n.into());
        new_clients.take(&set(), source, 1, at(u64::from(n / 1_000))).unwrap();
        assert!(new_clients.halves.lock().unwrap().len() <= 1_000);
    }
}

#[test]
fn each_set_counts_at_its_own_rate() {
    let new_clients = NewClients::new(10);
    let (slow, fast): (SetName, SetName) = ("slow".parse().unwrap(), "fast".parse().unwrap());
    let source = ip("10.0.0.1");
    let taken = |set, a_second| (0..100).take_while(|_| new_clients.take(set, source, a_second, at(0)).is_ok()).count();
    assert_eq!((taken(&slow, 2), taken(&fast, 20)), (2, 20), "what one has used the other has not");
    new_clients.give_back(&slow, source);
    assert_eq!((taken(&fast, 20), taken(&slow, 2)), (0, 1), "what the one gives back the other cannot take");
}
