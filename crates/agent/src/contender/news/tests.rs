use steadfast_core::lease::LeaseRecord;
use steadfast_core::settings::SingleSettings;
use steadfast_core::{Epoch, Incarnation, Span};
use steadfast_registry::{Error as RegistryError, LeaseSeen, OrderRecord};

use super::*;
use crate::testing::{at, me, snapshot};

fn news() -> LeaseNews {
    LeaseNews::new(Timing::default())
}

fn lease(version: u64, epoch: u64) -> LeaseSeen {
    let record = LeaseRecord {
        epoch: Epoch(epoch),
        holder: "web-2".parse().unwrap(),
        incarnation: Incarnation(3),
        ttl: Span::from_millis(3_000),
        nonce: Nonce(version),
        released: false,
    };
    LeaseSeen { received: at(1), observed: Observed { version: Version(version), record } }
}

#[test]
fn what_is_new_is_news_once() {
    let mut news = news();
    let mut seen = snapshot();
    assert_eq!(news.learn(&seen), [Event::Seen(None)]);
    assert_eq!(news.learn(&seen), []);
    seen.contact = Some(at(2));
    assert_eq!(news.learn(&seen), [Event::Contact]);
    seen.lease = Some(lease(5, 7));
    assert_eq!(news.learn(&seen), [Event::Seen(Some(lease(5, 7).observed))]);
    assert_eq!(news.learn(&seen), []);
}

#[test]
fn a_lease_that_cannot_be_read_is_not_an_absent_one() {
    let mut news = news();
    let mut seen = snapshot();
    seen.lease = Some(lease(5, 7));
    news.learn(&seen);
    seen.lease = None;
    seen.contact = Some(at(9));
    let newer = RegistryError::Newer { key: "web/lease/web".into(), found: 2, known: 1 };
    seen.unusable.insert("lease/web".into(), newer);
    assert_eq!(news.learn(&seen), []);
    seen.unusable.clear();
    seen.lease = Some(lease(6, 7));
    assert_eq!(news.learn(&seen), [Event::Seen(Some(lease(6, 7).observed))]);
}

#[test]
fn another_history_is_told_before_what_it_holds() {
    let mut news = news();
    let mut seen = snapshot();
    seen.lease = Some(lease(5, 7));
    news.learn(&seen);
    seen.history = 1;
    assert_eq!(news.learn(&seen), [Event::StoreReset, Event::Seen(Some(lease(5, 7).observed))]);
}

#[test]
fn an_order_counts_once_and_only_at_its_epoch() {
    let mut news = news();
    let mut seen = snapshot();
    seen.lease = Some(lease(5, 7));
    news.learn(&seen);
    seen.switchover = Some(OrderRecord::new(Epoch(6), None, "operator"));
    assert_eq!(news.learn(&seen), []);
    seen.switchover = Some(OrderRecord::new(Epoch(7), Some(me()), "operator"));
    assert_eq!(news.learn(&seen), [Event::HandOver { to: Some(me()) }]);
    assert_eq!(news.learn(&seen), []);
    seen.lease = Some(lease(6, 8));
    assert_eq!(news.learn(&seen).len(), 1, "no order of a former epoch follows the lease");
}

#[test]
fn other_settings_are_told_and_missing_ones_change_nothing() {
    let mut news = news();
    let mut seen = snapshot();
    news.learn(&seen);
    let other = SingleSettings::new(Span::from_millis(5_000), 100, Span::ZERO, Span::ZERO).unwrap();
    seen.settings = Some(SetSettings::Single(other));
    assert_eq!(news.learn(&seen), [Event::Retune(other.timing())]);
    seen.settings = None;
    assert_eq!(news.learn(&seen), []);
}
