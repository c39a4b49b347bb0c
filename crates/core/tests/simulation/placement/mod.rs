//! Sticky sets under the same kind of scheduler: gateways that place, each from its own lagging mirror; agents that
//! report; keepers; operators; one store. After every commit and every answer invariants 3 and 4 of the design are checked;
//! at the end, that every gateway answers alike.

pub(crate) mod broken;
mod faults;
mod judge;
mod keeper;
mod placer;
mod store;
mod tests;
pub(crate) mod world;

pub(crate) use broken::Broken;
pub(crate) use world::World;
