use steadfast_registry::{Error as RegistryError, InstanceRecord, InstanceSeen, LedgerRecord, StoreError};

use super::*;
use crate::testing::{me, snapshot};

const OURS: Incarnation = Incarnation(1);
const REPLACED: Incarnation = Incarnation(2);
const STRANGER: Incarnation = Incarnation(3);

fn books() -> Books {
    Books::new(me(), OURS, Some(REPLACED))
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
fn nothing_is_concluded_before_the_books_were_read_whole() {
    let mut books = books();
    let mut seen = Snapshot { complete: false, ..snapshot() };
    seen.instances.insert(me(), described(OURS, LedgerState::Open));
    books.learn(&seen);
    assert_eq!((books.presence(), books.state()), (&Presence::Expected, None));
    seen.complete = true;
    books.learn(&seen);
    assert_eq!(books.state(), Some(LedgerState::Open));
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
    assert!(matches!(books.learn(&seen), Some(Trouble::Began(_))));
    assert!(books.learn(&seen).is_none() && books.trouble().is_some());
    seen.trouble = None;
    assert_eq!(books.learn(&seen), Some(Trouble::Ended));
}

#[test]
fn a_lease_that_cannot_be_read_is_trouble() {
    let mut books = books();
    let mut seen = snapshot();
    let newer = RegistryError::Newer { key: "web/lease/web".into(), found: 2, known: 1 };
    seen.unusable.insert("lease/web".into(), newer);
    assert!(matches!(books.learn(&seen), Some(Trouble::Began(why)) if why.contains("newer")));
    seen.unusable.clear();
    assert_eq!(books.learn(&seen), Some(Trouble::Ended));
}

#[test]
fn one_that_stood_still_since_it_registered_learns_that_it_was_replaced() {
    let mut books = books();
    let mut seen = snapshot();
    seen.instances.insert(me(), described(STRANGER, LedgerState::Open));
    books.learn(&seen);
    assert!(matches!(books.presence(), Presence::Replaced { place } if place.contains("vm-4")));
}
