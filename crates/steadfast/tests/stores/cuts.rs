//! Gateways that have nothing in common but the store, on lines to it that do not last.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use steadfast_store::conformance::servers::{Kind, Mode, Proxy};

use crate::support::{Home, Homes, SOON, wait_until};
use crate::{sandbox_at, server};

const CAMERAS: usize = 60;
/// How many ask each gateway at once.
const CALLERS: usize = 8;
/// A line is cut so long after it was cut before, at first …
const OFTEN: Duration = Duration::from_millis(200);
/// … and at most, where nobody got an answer in between: a slow machine connects slowly.
const SELDOM: Duration = Duration::from_secs(5);

/// Each gateway has its own line to the store, and both are cut every now and then while callers race for the same
/// cameras at both. Then one line is gone: what one gateway does the other does not know, until its line is back.
pub(super) fn gateways_agree_by_nothing_but_the_store(kind: Kind) {
    let server = server(kind);
    let place = server.fresh_place();
    let [(one, first), (other, second)] = [place.through_a_proxy(), place.through_a_proxy()];
    let sandbox = sandbox_at("cuts", &place, &server);
    let homes = Homes::start_apart(sandbox, &[one.url(), other.url()], &[("rec-1", 100), ("rec-2", 100)]);
    let queries: Vec<String> = (0..CAMERAS).map(|number| format!("camera=cam-{number}&mbps=1")).collect();
    let told = raced_for(&homes, &queries, &[&first, &second]);
    for gateway in [0, 1] {
        homes.assert_books_agree(gateway, CAMERAS as u64);
    }

    second.set(Mode::Refuse);
    let alone = "camera=alone&mbps=1";
    let home = homes.home(0, alone);
    wait_until("the other to know that the store is away", SOON, || {
        let answer = homes.gateways[1].answer(alone).expect("an answer");
        assert_eq!(answer.status, 503, "it knows nothing of who came to the first: {}", answer.text());
        answer.json()["reason"] == "store-unavailable"
    });
    assert_eq!(homes.homes(1, &queries), told, "whom it knows it sends home");
    second.set(Mode::Pass);
    assert_eq!(homes.home(1, alone), home);
    homes.assert_books_agree(1, CAMERAS as u64 + 1);
}

/// Where both gateways send each camera, asked for all of them at once while `lines` are cut.
fn raced_for(homes: &Homes, queries: &[String], lines: &[&Proxy]) -> Vec<Home> {
    let (answered, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (answered, over) = (&answered, &over);
    let (told, cuts) = thread::scope(|scope| {
        let cutting = scope.spawn(|| cut(lines, answered, over));
        // Also when somebody waits in vain.
        let end = Over(over);
        let ask = move |gateway: usize, caller: usize| {
            let mine = (caller..queries.len()).step_by(CALLERS);
            let asked = mine.map(|number| {
                let home = homes.home(gateway, &queries[number]);
                answered.fetch_add(1, Ordering::Relaxed);
                (number, home)
            });
            asked.collect::<Vec<(usize, Home)>>()
        };
        let callers = (0..CALLERS).flat_map(|caller| [(0, caller), (1, caller)]);
        let callers: Vec<_> = callers.map(|(gateway, caller)| scope.spawn(move || ask(gateway, caller))).collect();
        let told: Vec<_> = callers.into_iter().flat_map(|asked| asked.join().expect("all are sent home")).collect();
        drop(end);
        (told, cutting.join().expect("lines are cut"))
    });
    assert!(cuts > 0, "no line was cut meanwhile");
    let homes_of = |number: usize| told.iter().filter(move |(asked, _)| *asked == number).map(|(_, home)| home);
    let only = |number: usize| {
        let all: Vec<&Home> = homes_of(number).collect();
        assert!(all.len() == 2 && all[0] == all[1], "two homes of {}: {all:?}", queries[number]);
        all[0].clone()
    };
    (0..queries.len()).map(only).collect()
}

/// Cuts all lines again and again, until it is over; how often it did.
fn cut(lines: &[&Proxy], answered: &AtomicUsize, over: &AtomicBool) -> usize {
    let (mut cuts, mut pause) = (0, OFTEN);
    while !over.load(Ordering::Relaxed) {
        let before = answered.load(Ordering::Relaxed);
        // tidy-allow(sleep): the cuts have a pace
        thread::sleep(pause);
        lines.iter().for_each(|line| line.cut());
        cuts += 1;
        let in_vain = answered.load(Ordering::Relaxed) == before;
        pause = if in_vain { (pause * 2).min(SELDOM) } else { OFTEN };
    }
    cuts
}

/// Says that it is over when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
