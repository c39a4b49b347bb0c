//! Where each record lies.

use steadfast_core::client::ClientKey;
use steadfast_core::{InstanceId, SetName};
use steadfast_store::{Key, Space};

/// The space of the catalog of sets. No set can have this name.
const CATALOG: &str = "@catalog";

pub(crate) const SETS: &[u8] = b"set/";
pub(crate) const INSTANCES: &str = "instance/";
pub(crate) const LEDGERS: &str = "ledger/";
pub(crate) const CLIENTS: &[u8] = b"client/";
pub(crate) const BEATS: &str = "beat/";
pub(crate) const LEASES: &str = "lease/";
pub(crate) const ORDERS: &str = "order/";
pub(crate) const LEAVING: &str = "leaving/";
pub(crate) const CLOCK: &str = "clock";
pub(crate) const TURN: &str = "turn";
pub(crate) const EVENTS: &str = "event/";
/// Counts the events: the number of the next and of the oldest kept.
pub(crate) const EVENT_HEAD: &str = "events";
pub(crate) const SWITCHOVER: &str = "order/switchover";

pub(crate) fn catalog() -> Space {
    Space::new(CATALOG).unwrap_or_else(|| unreachable!("a constant"))
}

pub(crate) fn space(set: &SetName) -> Space {
    Space::new(set.as_str())
        .unwrap_or_else(|| unreachable!("a set's name is shorter and plainer than a space's may be"))
}

pub(crate) fn set(set: &SetName) -> Key {
    Key::new(catalog(), format!("set/{set}"))
}

pub(crate) fn lease(set: &SetName) -> Key {
    Key::new(space(set), format!("{LEASES}{set}"))
}

/// The keeper's lease.
pub(crate) fn keeper() -> Key {
    Key::new(catalog(), format!("{LEASES}keeper"))
}

pub(crate) fn instance(set: &SetName, id: &InstanceId) -> Key {
    Key::new(space(set), format!("{INSTANCES}{id}"))
}

pub(crate) fn ledger(set: &SetName, id: &InstanceId) -> Key {
    Key::new(space(set), format!("{LEDGERS}{id}"))
}

pub(crate) fn beat(set: &SetName, id: &InstanceId) -> Key {
    Key::new(space(set), format!("{BEATS}{id}"))
}

/// A client's name holds the bytes of its key as they are.
pub(crate) fn client(set: &SetName, client: &ClientKey) -> Key {
    Key::new(space(set), client_name(client))
}

pub(crate) fn client_name(client: &ClientKey) -> Vec<u8> {
    [CLIENTS, client.as_bytes()].concat()
}

pub(crate) fn clock(set: &SetName) -> Key {
    Key::new(space(set), CLOCK)
}

pub(crate) fn leaving(set: &SetName, name: &str) -> Key {
    Key::new(space(set), format!("{LEAVING}{name}"))
}

pub(crate) fn turn(set: &SetName) -> Key {
    Key::new(space(set), TURN)
}

/// Numbers are padded, so that the order of names is the order of events.
pub(crate) fn event(number: u64) -> String {
    format!("{EVENTS}{number:020}")
}
