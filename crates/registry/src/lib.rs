//! Keeps the books: what the records are, who writes them how, and what a process knows of them.
//!
//! Every write to the store goes through here, and every one says what it believes. Readers follow a
//! set through a [`Mirror`], whose [`Snapshot`] may lag: what matters is decided by a commit, never by it.

mod error;
mod events;
mod follow;
mod instances;
mod keys;
mod leases;
mod mirror;
mod orders;
mod probe;
mod records;
mod registry;
mod sets;
mod text;

pub use error::Error;
pub use instances::Registration;
pub use leases::Leases;
pub use mirror::{InstanceSeen, LeaseSeen, Mirror, Snapshot};
pub use probe::{EPOCH_HEADER, GATEWAY_HEADER, IN_FLIGHT_HEADER, ProbeAnswer, ProbeReason, Role};
pub use records::{
    BeatRecord, EventKind, EventRecord, InstanceRecord, LedgerRecord, LedgerState, OrderRecord, SetRecord,
};
pub use registry::{Registry, Stored};
pub use sets::SetStanding;
pub use steadfast_store::Error as StoreError;
pub use text::Text;
