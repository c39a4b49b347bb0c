//! The one-tier topology: every machine runs application, agent and gateway in one `steadfast run`, and they share one
//! store. Any of them takes a first request; the home may be that very machine.

use std::collections::BTreeSet;

use super::homes::{Home, Homes};
use super::sandbox::Sandbox;
use super::{SOON, wait_until};

const MACHINES: usize = 3;
const CAMERAS: usize = 30;

/// On whatever store the sandbox was given: any machine takes the first request, and one dies and comes back.
pub fn any_machine_takes_the_first_request(sandbox: Sandbox) {
    let mut homes = Homes::start_one_tier(sandbox, MACHINES, 100);
    let queries: Vec<String> = (0..CAMERAS).map(|number| format!("camera=cam-{number}&mbps=2")).collect();
    // The first third asks the first machine, and so on: homes are given in turn, whoever is asked.
    let asked = |number: usize| number * MACHINES / CAMERAS;
    let first: Vec<Home> = queries.iter().enumerate().map(|(number, query)| homes.home(asked(number), query)).collect();
    let used: BTreeSet<&str> = first.iter().map(|home| home.instance.as_str()).collect();
    assert_eq!(used.len(), MACHINES, "all machines are homes");
    let there = |number: usize| format!("rec-{}", asked(number) + 1);
    let at_home = first.iter().enumerate().filter(|(number, home)| home.instance == there(*number)).count();
    assert!((1..CAMERAS).contains(&at_home), "{at_home} of {CAMERAS} were at home where they asked first");
    for machine in 0..MACHINES {
        assert_eq!(homes.homes(machine, &queries), first, "every machine says the same");
    }
    homes.assert_books_agree(2, CAMERAS as u64);

    // The first machine most likely keeps the set, and serves the store if that is a file: its death is the worst.
    homes.kill_gateway(0);
    let lost = |home: &Home| home.instance == "rec-1";
    let moved = |machine: usize| {
        let now = homes.homes(machine, &queries);
        now.iter().zip(&first).all(|(now, before)| if lost(before) { !lost(now) } else { now == before })
    };
    wait_until("the lost machine's cameras, and only they, to have another home", SOON, || moved(1));
    let now = homes.homes(1, &queries);
    assert_eq!(homes.homes(2, &queries), now);
    homes.assert_books_agree(1, CAMERAS as u64);

    homes.restart_gateway(0);
    homes.wait_until_open(MACHINES);
    assert_eq!(homes.homes(0, &queries), now, "back again it sends them where they are at home");
}
