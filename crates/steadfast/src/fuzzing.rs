//! What the fuzzers run here, and what must hold: see the module of this name in `steadfast-core` for how and why.

pub use crate::admin::http::fuzzing::admin_request;
pub use crate::config::fuzzing::config;

/// A name, and what is run on any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// The targets of this crate, by name.
pub const TARGETS: &[Target] = &[("config", config), ("admin_request", admin_request)];

#[cfg(test)]
mod tests;
