//! Everything that can become of a client.

use std::collections::BTreeMap;

use steadfast_core::client::Labels;
use steadfast_core::placement::{Phase, Placement, Wish};
use steadfast_core::settings::{HomeFull, Presence, Sticky};
use steadfast_core::{Epoch, InstanceId, Weight};
use steadfast_registry::{LedgerState, PlaceError};

use super::{Deed, Process, at_every_step, sticky};
use crate::support::*;

/// What counts of a placement: the rest says why, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Home {
    home: InstanceId,
    owner_epoch: Epoch,
    phase: Phase,
    weight: Weight,
}

/// Where clients are at home; nowhere: they are not known.
type Homes = BTreeMap<String, Option<Home>>;

/// Asks of a placer, all at once, one a client.
struct Asks {
    name: &'static str,
    set: fn(&mut Sticky),
    /// What others asked before.
    before: Vec<(&'static str, Wish)>,
    /// What they did to the instances before.
    states: Vec<(&'static str, LedgerState)>,
    /// The set's time then.
    tick: u64,
    asks: Vec<(String, Wish)>,
    done: fn(&Home) -> bool,
    /// Whether they are forgotten in the end.
    gone: bool,
    /// The process has only just started.
    cold: bool,
}

impl Deed for Asks {
    type Told = Homes;

    fn name(&self) -> String {
        self.name.to_owned()
    }

    async fn ground(&self) -> Ground {
        let ground = sticky(self.set).await;
        for (client, wish) in &self.before {
            ground.truth.place_once(&ground.set, key(client), wish.clone(), "before").await.unwrap();
        }
        for (instance, state) in &self.states {
            ground.truth.set_state(&ground.set, &id(instance), None, *state, "before").await.unwrap();
        }
        if self.tick > 0 {
            ground.set_time(self.tick).await;
        }
        ground
    }

    async fn prepare(&self, process: &Process) {
        if !self.cold {
            process.read_books().await;
        }
    }

    async fn act(&self, process: &Process) -> Result<Homes, String> {
        let asks = self.asks.iter().map(|(client, wish)| (process.placer(), key(client), wish.clone()));
        let mut told = Homes::new();
        for (client, answer) in ask_all(asks.collect()).await {
            let client_told = match answer {
                Ok(placed) => placed.client.map(|stored| home(stored.record)),
                Err(PlaceError::Unavailable(why)) => return Err(why),
                // Who is forgotten cannot be forgotten once more.
                Err(PlaceError::Refused(refusal)) if self.gone && refusal.reason() == "no-client" => None,
                Err(error) => panic!("{}: {client}: {error:?}", self.name),
            };
            told.insert(client.to_string(), client_told);
        }
        Ok(told)
    }

    async fn found(&self, ground: &Ground) -> Homes {
        let mut found = Homes::new();
        for (client, _) in &self.asks {
            found.insert(client.clone(), ground.client(client).await.map(home));
        }
        found
    }

    fn is_done(&self, found: &Homes) -> bool {
        found.values().all(|one| one.as_ref().map_or(self.gone, |home| !self.gone && (self.done)(home)))
    }
}

fn home(placement: Placement) -> Home {
    let Placement { home, owner_epoch, phase, weight, .. } = placement;
    Home { home, owner_epoch, phase, weight }
}

fn reporting(sticky: &mut Sticky) {
    *sticky = Sticky { client: sticky.client.clone(), ..Sticky::with_presence(Presence::Report) };
}

fn at(instance: &str, said: &str) -> Wish {
    Wish::Place { to: Some(id(instance)), weight: Some(weight(said)), labels: Labels::new() }
}

fn report(instance: &str) -> Wish {
    Wish::Report { at: id(instance), weight: None }
}

/// Long after every phase that begins at the beginning of time.
const AFTER: u64 = 1_000_000;
/// After one that was active turned idle, and before anybody is forgotten.
const IDLE: u64 = 30_000;

fn of_one(name: &'static str, wish: Wish, done: fn(&Home) -> bool) -> Asks {
    let asks = vec![("cam-1".to_owned(), wish)];
    let (before, states) = (Vec::new(), Vec::new());
    Asks { name, set: |_| {}, before, states, tick: 0, asks, done, gone: false, cold: false }
}

fn deeds() -> Vec<Asks> {
    let active = |home: &Home| home.phase == Phase::Active;
    let here = vec![("cam-1", at("rec-1", "8"))];
    let present = vec![("cam-1", report("rec-1"))];
    vec![
        of_one("new, by its request", arrive("8"), active),
        Asks { cold: true, ..of_one("new, to one that has only just started", arrive("8"), active) },
        Asks { set: reporting, ..of_one("new, reserved", arrive("8"), |home| home.phase == Phase::Reserved) },
        Asks { set: reporting, before: here.clone(), ..of_one("claimed", report("rec-1"), active) },
        Asks { tick: 10_000, before: here.clone(), ..of_one("refreshed", arrive("8"), active) },
        Asks { before: here.clone(), ..of_one("reweighed", arrive("9"), |home| home.weight == weight("9")) },
        Asks {
            set: reporting,
            before: present.clone(),
            tick: 5,
            ..of_one("left", Wish::Leave { at: id("rec-1") }, active)
        },
        Asks {
            set: reporting,
            before: here.clone(),
            tick: AFTER,
            gone: true,
            ..of_one("a reservation expires", Wish::Expire, active)
        },
        Asks {
            before: here.clone(),
            tick: IDLE,
            ..of_one("turns idle", Wish::Expire, |home| home.phase == Phase::Idle)
        },
        Asks { before: here.clone(), gone: true, ..of_one("forgotten by an operator", Wish::Forget, active) },
        of_one("placed by an operator", at("rec-2", "8"), |home| home.home == id("rec-2")),
        Asks {
            before: here.clone(),
            ..of_one("moved by order", move_by_operator(Some("rec-2")), |home| {
                home.home == id("rec-2") && home.owner_epoch == Epoch(2)
            })
        },
        Asks {
            before: here.clone(),
            states: vec![("rec-1", LedgerState::Lost)],
            ..of_one("moved off a lost home", arrive("8"), |home| {
                home.home == id("rec-2") && home.owner_epoch == Epoch(2)
            })
        },
        Asks { asks: burst(), ..of_one("many at once", arrive("1"), active) },
    ]
}

/// Of those who are idle: the second half of [`deeds`].
fn idle_deeds() -> Vec<Asks> {
    let active = |home: &Home| home.phase == Phase::Active;
    let idle = vec![("cam-1", at("rec-1", "8"))];
    let returning = |name, wish, done| Asks { tick: IDLE, before: idle.clone(), ..of_one(name, wish, done) };
    vec![
        returning("returned", arrive("8"), |home| home.home == id("rec-1") && home.phase == Phase::Active),
        Asks {
            states: vec![("rec-1", LedgerState::Draining)],
            ..returning("come back to a drained home", arrive("8"), |home| home.home == id("rec-2"))
        },
        Asks {
            set: |sticky| sticky.home_full = HomeFull::Overflow,
            ..returning("served while the store was away", Wish::Served { at: id("rec-1"), weight: None }, active)
        },
        Asks { gone: true, ..returning("forgotten while it is idle", Wish::Forget, active) },
    ]
}

fn burst() -> Vec<(String, Wish)> {
    (0..40).map(|client| (format!("cam-{client}"), arrive("1"))).collect()
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_at_whatever_step_to_a_client_it_has_one_home_and_the_books_agree() {
    let mut cases = 0;
    for deed in deeds() {
        cases += at_every_step(&deed).await;
    }
    assert!(cases > 100, "{cases} cases");
}

#[tokio::test(start_paused = true)]
async fn the_same_of_clients_that_are_idle() {
    let mut cases = 0;
    for deed in idle_deeds() {
        cases += at_every_step(&Idle(deed)).await;
    }
    assert!(cases > 20, "{cases} cases");
}

/// The same, where the client has turned idle before.
struct Idle(Asks);

impl Deed for Idle {
    type Told = Homes;

    fn name(&self) -> String {
        self.0.name()
    }

    async fn ground(&self) -> Ground {
        let ground = self.0.ground().await;
        ground.truth.place_once(&ground.set, key("cam-1"), Wish::Expire, "before").await.unwrap();
        assert_eq!(ground.client("cam-1").await.unwrap().phase, Phase::Idle);
        ground
    }

    async fn prepare(&self, process: &Process) {
        self.0.prepare(process).await;
    }

    async fn act(&self, process: &Process) -> Result<Homes, String> {
        self.0.act(process).await
    }

    async fn found(&self, ground: &Ground) -> Homes {
        self.0.found(ground).await
    }

    fn is_done(&self, found: &Homes) -> bool {
        self.0.is_done(found)
    }
}
