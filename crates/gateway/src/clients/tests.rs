use steadfast_core::Epoch;
use steadfast_core::placement::{Phase, Reason, Why};

use super::*;

fn key(text: &str) -> ClientKey {
    text.parse().unwrap()
}

fn at(home: &str) -> Placement {
    Placement {
        home: home.parse().unwrap(),
        owner_epoch: Epoch(1),
        weight: Weight::ONE,
        declared: Weight::ONE,
        phase: Phase::Active,
        until: Tick(10),
        labels: Default::default(),
        return_to: None,
        why: Why { reason: Reason::Placed, since: String::new(), from: None, by: String::new() },
    }
}

/// A table that has heard of one client, by revision 1: it is at home at web-1.
fn at_home() -> (Arc<Clients>, ClientKey, Hash) {
    let clients = Arc::new(Clients::new(100));
    let client = key("cam-1");
    let hash = clients.hash(client.as_bytes());
    clients.news(&client, 1, Some(&at("web-1")));
    (clients, client, hash)
}

/// A table, one client, and the question a worker has asked for it.
struct Story {
    clients: Arc<Clients>,
    client: ClientKey,
    ticket: Ticket,
}

/// What can come to a table.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A worker asks.
    Ask,
    /// The answer: this version, at this home.
    Answer(u64, &'static str),
    /// The feed: this version, at this home.
    News(u64, &'static str),
    /// The feed: forgotten by this revision.
    Forgotten(u64),
    /// The feed: another client of the same part was forgotten by this revision.
    OtherForgotten(u64),
    /// It had to make room.
    MadeRoom,
    /// The feed begins anew.
    Begin,
}

impl Story {
    fn new() -> Story {
        // One client a part at most.
        let clients = Arc::new(Clients::new(1));
        let client = key("cam-1");
        let ticket = clients.ticket(clients.hash(client.as_bytes()));
        Story { clients, client, ticket }
    }

    /// Another client in the same part.
    fn neighbour(&self) -> ClientKey {
        let ours = self.clients.hash(self.client.as_bytes()).1 as usize % SHARDS;
        (0..)
            .map(|n| key(&format!("n-{n}")))
            .find(|k| self.clients.hash(k.as_bytes()).1 as usize % SHARDS == ours)
            .unwrap()
    }

    fn take(&mut self, step: Step) {
        let hash = self.clients.hash(self.client.as_bytes());
        match step {
            Step::Ask => self.ticket = self.clients.ticket(hash),
            Step::Answer(version, home) => drop(self.clients.answer(hash, self.ticket, version, &at(home))),
            Step::News(revision, home) => drop(self.clients.news(&self.client, revision, Some(&at(home)))),
            Step::Forgotten(revision) => drop(self.clients.news(&self.client, revision, None)),
            Step::OtherForgotten(revision) => drop(self.clients.news(&self.neighbour(), revision, None)),
            Step::MadeRoom => {
                let neighbour = self.neighbour();
                self.clients.news(&neighbour, 1, Some(&at("web-9")));
                self.clients.news(&neighbour, 2, None);
            }
            Step::Begin => self.clients.begin(),
        }
    }

    fn home(&self) -> Option<(u64, u32)> {
        let found = self.clients.look(self.clients.hash(self.client.as_bytes()))?;
        Some((found.entry.version, found.entry.home))
    }
}

#[test]
fn answers_and_news_in_every_order_end_with_the_newest() {
    use Step::{Answer, Ask, Begin, Forgotten, MadeRoom, News, OtherForgotten};
    let a = "web-1";
    let b = "web-2";
    for (what, steps, end) in [
        ("an answer alone", &[Ask, Answer(5, a)][..], Some((5, a))),
        ("its own echo", &[Ask, Answer(5, a), News(5, a)], Some((5, a))),
        ("the echo first", &[Ask, News(5, a), Answer(5, a)], Some((5, a))),
        ("a move after the answer", &[Ask, Answer(5, a), News(7, b)], Some((7, b))),
        ("a move before the answer", &[Ask, News(7, b), Answer(5, a)], Some((7, b))),
        ("an old echo after a newer answer", &[Ask, Answer(7, b), News(5, a), News(7, b)], Some((7, b))),
        ("forgotten after the answer", &[Ask, Answer(5, a), Forgotten(7)], None),
        ("forgotten before the answer", &[Ask, Forgotten(7), Answer(5, a)], None),
        ("forgotten, and placed again", &[Ask, Forgotten(7), Answer(9, b)], Some((9, b))),
        ("placed again, and the old end told late", &[Ask, Answer(9, b), Forgotten(7), News(9, b)], Some((9, b))),
        ("forgotten before the question", &[Forgotten(7), Ask, Answer(5, a)], Some((5, a))),
        ("a neighbour forgotten before the question", &[OtherForgotten(7), Ask, Answer(5, a)], Some((5, a))),
        // What is lost is a call, not a home.
        ("a neighbour forgotten meanwhile", &[Ask, OtherForgotten(7), Answer(5, a)], None),
        ("a neighbour forgotten meanwhile, long ago", &[Ask, OtherForgotten(3), Answer(5, a)], Some((5, a))),
        ("moved, made room, and an old answer", &[Ask, News(7, b), MadeRoom, Answer(5, a)], None),
        ("moved, made room, and a new answer", &[Ask, News(7, b), MadeRoom, Ask, Answer(7, b)], Some((7, b))),
        ("a new beginning after the answer", &[Ask, Answer(5, a), Begin], None),
        ("a new beginning before the answer", &[Ask, Begin, Answer(5, a)], None),
        ("a new beginning before the question", &[Begin, Ask, Answer(5, a)], Some((5, a))),
        ("another history with lower numbers", &[Ask, Answer(50, a), Begin, News(3, b)], Some((3, b))),
    ] {
        let mut story = Story::new();
        let number = |home: &str| story.clients.home(&home.parse().unwrap()).unwrap();
        let end = end.map(|(version, home)| (version, number(home)));
        steps.iter().for_each(|step| story.take(*step));
        assert_eq!(story.home(), end, "{what}: {steps:?}");
    }
}

#[test]
fn a_remembered_client_takes_at_most_64_bytes() {
    let clients = Clients::new(10_000_000);
    for number in 1..=200_000_u64 {
        clients.news(&key(&format!("cam-{number}")), number, Some(&at("web-1")));
    }
    let fill = clients.fill();
    assert_eq!((fill.clients, fill.evicted), (200_000, 0));
    let each = fill.bytes as f64 / fill.clients as f64;
    assert!(each <= 64.0, "{each} bytes a client");
}

#[test]
fn it_remembers_no_more_than_it_may() {
    let most = 4 * SHARDS;
    let clients = Clients::new(most);
    let all = 20_000;
    for number in 1..=all {
        clients.news(&key(&format!("cam-{number}")), number, Some(&at("web-1")));
    }
    let fill = clients.fill();
    assert!(fill.clients <= most as u64, "{fill:?}");
    assert_eq!(fill.clients + fill.evicted, all);
    let there = (1..=all).filter(|n| clients.look(clients.hash(format!("cam-{n}").as_bytes())).is_some()).count();
    assert_eq!(there as u64, fill.clients);
}

#[test]
fn two_processes_do_not_agree_on_a_hash() {
    let (one, other) = (Clients::new(1), Clients::new(1));
    assert_ne!(one.hash(key("cam-1").as_bytes()), other.hash(key("cam-1").as_bytes()));
    assert_eq!(one.hash(key("cam-1").as_bytes()), one.hash(key("cam-1").as_bytes()));
    assert_ne!(one.hash(key("cam-1").as_bytes()), one.hash(key("cam-2").as_bytes()));
}

#[test]
fn one_thing_at_a_time_is_asked_for_a_client() {
    let clients = Clients::new(100);
    let client = key("cam-1");
    let hash = clients.hash(client.as_bytes());
    assert!(!clients.ask(hash), "nobody knows it");
    clients.news(&client, 1, Some(&at("web-1")));
    assert!(clients.ask(hash) && !clients.ask(hash));
    assert!(clients.look(hash).unwrap().asked);
    clients.failed(hash);
    assert!(clients.ask(hash));
    clients.news(&client, 2, Some(&at("web-1")));
    assert!(clients.ask(hash), "what came settled it");
    let ten = Weight::from_milli(10_000).unwrap();
    clients.declared(hash, ten);
    let found = clients.look(hash).unwrap();
    assert_eq!((found.asked, found.entry.declared), (false, ten));
}

#[test]
fn who_is_carried_leaves_when_its_home_moves() {
    let (clients, client, hash) = at_home();
    let carry = || clients.carry(hash, &client, &clients.look(hash).unwrap().entry).unwrap();
    let (one, two) = (carry(), carry());
    assert_eq!(clients.carried(), vec![(hash, client.clone())]);
    assert!(!clients.news(&client, 2, Some(&at("web-1"))) && !one.is_over());
    assert!(clients.news(&client, 3, Some(&at("web-2"))), "somebody has to be told");
    assert!(one.is_over() && two.is_over());
    // At the new home it begins anew, and the ends of the former stay do not count there.
    let three = carry();
    drop((one, two));
    assert!(!three.is_over());
    assert_eq!(clients.carried().len(), 1);
    assert!(clients.news(&client, 4, None) && three.is_over(), "forgotten");
    drop(three);
    assert!(clients.carried().is_empty());
}

#[test]
fn the_last_end_is_to_be_written_where_the_charge_does_not_reach() {
    let (clients, client, hash) = at_home();
    let carry = || clients.carry(hash, &client, &clients.look(hash).unwrap().entry).unwrap();
    let (one, two) = (carry(), carry());
    clients.set_due(Tick(11));
    drop(one);
    assert!(clients.take_gone().is_empty(), "another one is open");
    drop(two);
    assert_eq!(clients.take_gone().into_values().collect::<Vec<_>>(), vec![client.clone()]);
    clients.set_due(Tick(10));
    drop(carry());
    assert!(clients.take_gone().is_empty(), "it reaches far enough");
}

/// As [`at`], by a later placement.
fn moved(home: &str, epoch: u64) -> Placement {
    Placement { owner_epoch: Epoch(epoch), ..at(home) }
}

#[test]
fn nobody_is_carried_to_a_home_it_has_left_since_it_was_found() {
    let (clients, client, hash) = at_home();
    let stale = clients.look(hash).unwrap().entry;
    clients.news(&client, 2, Some(&moved("web-2", 2)));
    assert!(clients.carry(hash, &client, &stale).is_none(), "it was moved in between");
    assert!(clients.carried().is_empty());
    let there = clients.carry(hash, &client, &clients.look(hash).unwrap().entry).unwrap();
    assert!(clients.carry(hash, &client, &stale).is_none() && !there.is_over(), "the right ones go on");
    // Also where the table was emptied, and cannot tell.
    clients.begin();
    assert!(clients.carry(hash, &client, &stale).is_none() && !there.is_over(), "the right ones go on");
    // Moved there and back: only the request that was found a home before is too old.
    clients.news(&client, 4, Some(&moved("web-1", 3)));
    assert!(there.is_over() && clients.carry(hash, &client, &stale).is_none());
    assert!(clients.carry(hash, &client, &clients.look(hash).unwrap().entry).is_some());
}

#[test]
fn a_move_that_was_heard_without_notice_is_noticed_when_time_passes() {
    let (clients, client, hash) = at_home();
    let held = clients.carry(hash, &client, &clients.look(hash).unwrap().entry).unwrap();
    assert!(!clients.keep_home(hash) && !clients.absent(hash) && !held.is_over());
    clients.begin();
    assert!(!clients.keep_home(hash) && !held.is_over(), "nobody knows");
    // What is read then counts as what was heard.
    let ticket = clients.ticket(hash);
    let entry = clients.answer(hash, ticket, 7, &moved("web-2", 2)).unwrap();
    assert!(held.is_over() && clients.has_left(hash, entry.home), "it has to be told");
    clients.begin();
    let held = clients.carry(hash, &client, &entry).unwrap();
    assert!(clients.absent(hash) && held.is_over(), "the books have no such client");
}

#[test]
fn what_may_be_tried_only_so_often_is_not_tried_more_often() {
    let clients = Clients::new(100);
    let (one, two) = (clients.hash(b"cam-1"), clients.hash(b"cam-2"));
    assert!(clients.try_in(one, 1, 1) && !clients.try_in(one, 1, 1), "once a round");
    assert!(clients.try_in(two, 1, 2) && clients.try_in(two, 1, 2) && !clients.try_in(two, 1, 2));
    assert!(clients.try_in(one, 2, 1) && clients.try_in(two, 2, 2), "the next round is another one");
}
