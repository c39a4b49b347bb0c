//! What the fuzzers run here, and what must hold: see the module of this name in `steadfast-core` for how and why.

pub use crate::api::fuzzing::agent_api;
pub use crate::config::fuzzing::agent_flags;

/// A name, and what is run on any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// The targets of this crate, by name.
pub const TARGETS: &[Target] = &[("agent_api", agent_api), ("agent_flags", agent_flags)];

#[cfg(test)]
mod tests;
