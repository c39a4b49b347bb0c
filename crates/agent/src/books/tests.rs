use std::collections::BTreeMap;

use steadfast_core::lease::LeaseRecord;
use steadfast_core::settings::SingleSettings;
use steadfast_core::{Epoch, Span};
use steadfast_registry::{
    Error as RegistryError, InstanceRecord, InstanceSeen, LeaseSeen, LedgerRecord, OrderRecord, StoreError,
};

use super::*;

const OURS: Incarnation = Incarnation(1);
const REPLACED: Incarnation = Incarnation(2);
const STRANGER: Incarnation = Incarnation(3);

fn me() -> InstanceId {
    "web-1".parse().unwrap()
}

fn at(ms: u64) -> Moment {
    Moment::from_nanos(ms * 1_000_000)
}

fn books() -> Books {
    Books::new(me(), OURS, Some(REPLACED), Timing::default())
}

fn snapshot() -> Snapshot {
    Snapshot {
        set: "web".parse().unwrap(),
        complete: true,
        history: 0,
        contact: Some(at(1)),
        trouble: None,
        settings: Some(SetSettings::Single(SingleSettings::default())),
        lease: None,
        instances: BTreeMap::new(),
        tick: Default::default(),
        switchover: None,
        unusable: BTreeMap::new(),
    }
}

fn lease(version: u64, epoch: u64) -> LeaseSeen {
    let record = LeaseRecord {
        epoch: Epoch(epoch),
        holder: "web-2".parse().unwrap(),
        incarnation: STRANGER,
        ttl: Span::from_millis(3_000),
        nonce: Nonce(version),
        released: false,
    };
    LeaseSeen { received: at(1), observed: Observed { version: Version(version), record } }
}

fn described(incarnation: Incarnation, state: LedgerState) -> InstanceSeen {
    let probe = "http://10.0.0.4:7401".parse().unwrap();
    InstanceSeen {
        description: Some(InstanceRecord::new(incarnation, [].into(), probe, false, "vm-4".into())),
        ledger: Some(LedgerRecord::new(incarnation, state, "web-1")),
        ..InstanceSeen::default()
    }
}

#[test]
fn what_is_new_is_news_once() {
    let mut books = books();
    let mut seen = snapshot();
    assert_eq!(books.learn(&seen).lease, [Event::Seen(None)]);
    assert_eq!(books.learn(&seen).lease, []);
    seen.contact = Some(at(2));
    assert_eq!(books.learn(&seen).lease, [Event::Contact]);
    seen.lease = Some(lease(5, 7));
    assert_eq!(books.learn(&seen).lease, [Event::Seen(Some(lease(5, 7).observed))]);
    assert_eq!(books.learn(&seen).lease, []);
}

#[test]
fn nothing_is_concluded_before_the_books_were_read_whole() {
    let mut books = books();
    let mut seen = Snapshot { complete: false, ..snapshot() };
    seen.instances.insert(me(), described(OURS, LedgerState::Open));
    assert_eq!((books.learn(&seen).lease, books.state()), (vec![], None));
    seen.complete = true;
    books.learn(&seen);
    assert_eq!(books.state(), Some(LedgerState::Open));
}

#[test]
fn a_lease_that_cannot_be_read_is_not_an_absent_one() {
    let mut books = books();
    let mut seen = snapshot();
    seen.lease = Some(lease(5, 7));
    books.learn(&seen);
    seen.lease = None;
    seen.contact = Some(at(9));
    let newer = RegistryError::Newer { key: "web/lease/web".into(), found: 2, known: 1 };
    seen.unusable.insert("lease/web".into(), newer);
    let news = books.learn(&seen);
    assert_eq!(news.lease, []);
    assert!(matches!(news.trouble, Some(Trouble::Began(why)) if why.contains("newer")));
    seen.unusable.clear();
    seen.lease = Some(lease(6, 7));
    let news = books.learn(&seen);
    assert_eq!((news.lease, news.trouble), (vec![Event::Seen(Some(lease(6, 7).observed))], Some(Trouble::Ended)));
}

#[test]
fn another_history_is_told_before_what_it_holds() {
    let mut books = books();
    let mut seen = snapshot();
    seen.lease = Some(lease(5, 7));
    books.learn(&seen);
    seen.history = 1;
    assert_eq!(books.learn(&seen).lease, [Event::StoreReset, Event::Seen(Some(lease(5, 7).observed))]);
}

#[test]
fn an_order_counts_once_and_only_at_its_epoch() {
    let mut books = books();
    let mut seen = snapshot();
    seen.lease = Some(lease(5, 7));
    books.learn(&seen);
    seen.switchover = Some(OrderRecord::new(Epoch(6), None, "operator"));
    assert_eq!(books.learn(&seen).lease, []);
    seen.switchover = Some(OrderRecord::new(Epoch(7), Some(me()), "operator"));
    assert_eq!(books.learn(&seen).lease, [Event::HandOver { to: Some(me()) }]);
    assert_eq!(books.learn(&seen).lease, []);
    seen.lease = Some(lease(6, 8));
    assert_eq!(books.learn(&seen).lease.len(), 1, "no order of a former epoch follows the lease");
}

#[test]
fn other_settings_are_told_and_missing_ones_change_nothing() {
    let mut books = books();
    let mut seen = snapshot();
    books.learn(&seen);
    let other = SingleSettings::new(Span::from_millis(5_000), 100, Span::ZERO, Span::ZERO).unwrap();
    seen.settings = Some(SetSettings::Single(other));
    assert_eq!(books.learn(&seen).lease, [Event::Retune(other.timing())]);
    seen.settings = None;
    assert_eq!(books.learn(&seen).lease, []);
}

#[test]
fn our_own_record_tells_whether_we_take_part() {
    let mut books = books();
    let mut seen = snapshot();
    seen.instances.insert(me(), described(REPLACED, LedgerState::Open));
    books.learn(&seen);
    assert_eq!((books.presence(), books.state()), (&Presence::Expected, None), "the mirror may lag behind our write");
    for state in [LedgerState::Open, LedgerState::Draining] {
        seen.instances.insert(me(), described(OURS, state));
        books.learn(&seen);
        assert_eq!((books.presence(), books.state()), (&Presence::There, Some(state)));
    }
    seen.instances.clear();
    books.learn(&seen);
    assert_eq!((books.presence(), books.state()), (&Presence::Missing, None));
    seen.instances.insert(me(), described(REPLACED, LedgerState::Open));
    books.learn(&seen);
    assert_eq!(books.presence(), &Presence::Missing, "rolled back to the life before ours");
    seen.instances.insert(me(), described(STRANGER, LedgerState::Open));
    books.learn(&seen);
    assert!(matches!(books.presence(), Presence::Replaced { place } if place.contains("vm-4")));
    assert_eq!(books.state(), None);
}

#[test]
fn trouble_is_told_as_it_begins_and_ends() {
    let mut books = books();
    let mut seen = snapshot();
    books.learn(&seen);
    seen.trouble = Some(StoreError::Unavailable("gone".into()).to_string());
    assert!(matches!(books.learn(&seen).trouble, Some(Trouble::Began(_))));
    assert!(books.learn(&seen).trouble.is_none() && books.trouble().is_some());
    seen.trouble = None;
    assert_eq!(books.learn(&seen).trouble, Some(Trouble::Ended));
}
