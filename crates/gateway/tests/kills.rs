//! A gateway killed, or failed by its store, at every commit of what it writes: what it had told clients stays true, and
//! the next gateway goes on from there.
//!
//! Killed is here its store, which hears nothing more of it. What a placer does at each call is in the registry's
//! `tests/placing/kills`; here is what clients are told meanwhile.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast_gateway::{Answer, GatewayConfig};
use steadfast_store::faulty::{Call, Fault};
use support::sticky::{Member, Running, Town};
use support::until;

const FAULTS: [Fault; 5] =
    [Fault::Refuse, Fault::LoseReply, Fault::HangLate(Duration::from_millis(100)), Fault::Die, Fault::DieDone];
const CLIENTS: usize = 12;

fn redirecting(config: &mut GatewayConfig) {
    config.listeners[0].routes[0].answer = Answer::Redirect;
    config.bounds.place_within = Duration::from_secs(2);
}

/// Where each client is sent that comes now; all come at once.
fn burst(gateway: &Running) -> BTreeMap<String, String> {
    std::thread::scope(|scope| {
        let ask = |client: usize| {
            let client = format!("cam-{client}");
            let got = gateway.get(&format!("/?client={client}"));
            match got.status {
                307 => Some((client, got.field("steadfast-instance").unwrap())),
                503 => {
                    assert!(got.field("retry-after").is_some(), "{got:?}");
                    None
                }
                _ => panic!("{got:?}"),
            }
        };
        let asked: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || ask(client))).collect();
        asked.into_iter().filter_map(|asked| asked.join().unwrap()).collect()
    })
}

#[test]
fn what_clients_were_told_stays_true_whenever_their_gateway_was_killed() {
    for fault in FAULTS {
        for commit in 0..3 {
            let (one, two) = (Member::named("web-1"), Member::named("web-2"));
            let town = Town::new(|_| (), &[(&one, 100), (&two, 100)]);
            let (first, control) = town.gateway_apart(redirecting);
            control.at(Some(Call::Commit), commit, fault);
            let told = burst(&first);
            let again = burst(&first);
            // How many commits a burst takes depends on who comes together; there is a first one.
            assert!(commit > 0 || !control.waits(), "{fault:?} was not met");
            control.kill();
            let next = town.gateway_with(redirecting);
            let mut homes = BTreeMap::new();
            until("everybody is at home", || {
                homes = burst(&next);
                homes.len() == CLIENTS
            });
            for (client, home) in told.iter().chain(&again) {
                assert_eq!(homes[client], *home, "{client}, {fault:?} at commit {commit}");
            }
            let verified = town.verify();
            assert_eq!((verified.faults, verified.clients), (Vec::new(), CLIENTS as u64), "{fault:?} at {commit}");
        }
    }
}
