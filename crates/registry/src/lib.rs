//! Keeps the books: what the records are, who writes them how, and what a process knows of them.
//!
//! Every write to the store goes through here, and every one says what it believes. Readers follow a
//! set through a [`Mirror`], whose [`Snapshot`] may lag: what matters is decided by a commit, never by it.

mod clients;
mod copy;
mod drain;
mod error;
mod events;
mod follow;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod instances;
mod keeper;
mod keys;
mod leases;
mod leaving;
mod measure;
mod members;
mod mirror;
mod newer;
mod orders;
mod placer;
mod presence;
mod probe;
mod records;
mod registry;
mod sets;
mod standing;
mod text;
mod verify;

pub use clients::{ClientNews, ClientPage};
pub use copy::{Copied, CopyError, CopyNews, CopyRules};
pub use error::Error;
pub use events::Note;
pub use instances::Registration;
pub use keeper::keep;
pub use leases::Leases;
pub use measure::{Measured, Times};
pub use mirror::{InstanceSeen, LeaseSeen, Mirror, Snapshot};
pub use placer::{PlaceError, Placed, Placer, PlacerBounds};
pub use presence::{Beating, Beats};
pub use probe::{EPOCH_HEADER, GATEWAY_HEADER, IN_FLIGHT_HEADER, ProbeAnswer, ProbeReason, Role};
pub use records::{
    BeatRecord, EventKind, EventRecord, InstanceRecord, LedgerRecord, OrderRecord, SetRecord, TurnRecord,
    setting_from_json, setting_to_json,
};
pub use registry::{Registry, Stored};
pub use sets::SetStanding;
pub use steadfast_core::placement::LedgerState;
pub use steadfast_store::Error as StoreError;
pub use text::{Text, field as as_text};
pub use verify::{Fault, Verified};
