//! What the fuzzers run here, and what must hold: see the module of this name in `steadfast-core` for how and why.

pub use crate::admin::http::fuzzing::admin_request;
pub use crate::config::fuzzing::config;

/// The targets of this crate, by name.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[("config", config), ("admin_request", admin_request)];

#[cfg(test)]
mod tests;
