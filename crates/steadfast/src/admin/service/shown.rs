//! What is shown of a lease and of an instance: the books and the probe's answer as one view.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast_core::lease::LeaseRecord;
use steadfast_core::{Endpoint, InstanceId};
use steadfast_host::clock;
use steadfast_registry::{InstanceSeen, LedgerRecord, LedgerState, Role, Snapshot, Text};

use crate::admin::probes::Live;
use crate::admin::view::{Amount, InstanceView, LeaderView, LeaseState, TotalsView};

pub(super) fn leader_view(snapshot: &Snapshot, live: &BTreeMap<InstanceId, Live>, since: Option<String>) -> LeaderView {
    let none = LeaderView {
        set: Text(snapshot.set.clone()),
        instance: None,
        state: LeaseState::None,
        epoch: 0,
        incarnation: None,
        since: None,
        ttl_ms: None,
        valid_for_ms: None,
    };
    let Some(seen) = &snapshot.lease else { return none };
    let record = &seen.observed.record;
    let silent_for = clock::now().since(seen.received);
    let state = lease_state(record, live.get(&record.holder), silent_for);
    let led = matches!(state, LeaseState::Leading | LeaseState::Unconfirmed);
    let vouched = live.get(&record.holder).and_then(Live::answer).filter(|_| state == LeaseState::Leading);
    LeaderView {
        instance: led.then(|| Text(record.holder.clone())),
        state,
        epoch: record.epoch.0,
        incarnation: Some(Text(record.incarnation)),
        since: since.filter(|_| led),
        ttl_ms: Some(record.ttl.as_millis()),
        valid_for_ms: vouched.map(|answer| answer.valid_for_ms),
        ..none
    }
}

/// What is known of a lease whose record was seen `silent_for` ago and not renewed since.
fn lease_state(record: &LeaseRecord, live: Option<&Live>, silent_for: Duration) -> LeaseState {
    match live {
        _ if record.released => LeaseState::Released,
        Some(Live::Answers(answer)) if answer.incarnation == record.incarnation => {
            match answer.role {
                // The probe may be ahead of the mirror; never behind what it vouches for.
                Role::Leader => LeaseState::Leading,
                Role::Standby | Role::Member => LeaseState::SteppingDown,
            }
        }
        _ if silent_for > record.ttl.duration() => LeaseState::Expired,
        _ => LeaseState::Unconfirmed,
    }
}

pub(super) fn instance_view(id: &InstanceId, one: &InstanceSeen, live: Option<&Live>) -> InstanceView {
    let description = one.description.as_ref();
    let ledger = one.ledger.as_ref();
    let state = ledger.map_or(LedgerState::Gone, |ledger| ledger.state);
    let answer = live.and_then(Live::answer);
    let reason = match (live, description) {
        (Some(Live::Answers(answer)), _) => answer.reason.as_str(),
        (Some(Live::Replaced), _) => "replaced",
        (_, Some(_)) if state == LedgerState::Gone => "gone",
        (_, Some(_)) => "silent",
        (_, None) => "not-registered",
    };
    InstanceView {
        id: Text(id.clone()),
        incarnation: description.map(|d| Text(d.incarnation)),
        state,
        role: answer.map(|answer| answer.role),
        reason: reason.to_owned(),
        epoch: answer.map(|answer| answer.epoch),
        valid_for_ms: answer.map(|answer| answer.valid_for_ms),
        endpoints: description.map(|d| d.endpoints.clone()).unwrap_or_default(),
        gate: description.is_some_and(|d| d.gate),
        probe: description.map(|d| Text(Endpoint::clone(&d.probe.0))),
        host: description.map(|d| d.host.clone()),
        since: description.map(|d| d.since.clone()),
        capacity: ledger.map(|ledger| Amount::from(ledger.capacity.0)).unwrap_or_default(),
        charged: ledger.map(|ledger| Amount::from_milli(ledger.charged_milli)).unwrap_or_default(),
        clients: ledger.map_or(0, |ledger| ledger.clients),
        labels: description.map(|d| d.labels.clone()).unwrap_or_default(),
    }
}

/// What the clients of a sticky set come to, as its ledgers say.
pub(super) fn totals(snapshot: &Snapshot) -> TotalsView {
    let ledgers = || snapshot.instances.values().filter_map(|one| one.ledger.as_ref());
    let takes_clients = |ledger: &&LedgerRecord| ledger.state == LedgerState::Open;
    let capacity: Amount = ledgers().filter(takes_clients).map(|ledger| Amount::from(ledger.capacity.0)).sum();
    let charged: Amount = ledgers().map(|ledger| Amount::from_milli(ledger.charged_milli)).sum();
    TotalsView {
        capacity,
        charged,
        clients: ledgers().map(|ledger| ledger.clients).sum(),
        fill: charged.part_of(capacity),
    }
}
