//! What the fuzzers run here: each reader of outside bytes, and what must hold of whatever it reads.
//!
//! A body is a plain function over bytes that panics when something does not hold. `fuzz/fuzz_targets` hands it to
//! libfuzzer; the tests beside it replay its corpus, and seeded mutations of that, on stable. All of it is compiled for
//! tests and under `cfg(fuzzing)`, which `cargo fuzz` sets, and not otherwise: so it sees what is private, no feature can
//! turn it on by accident, and nothing of it is in the program. Every crate with a reader has such a module.

mod client;
mod placement;
mod routes;
mod scalars;

/// A name, and what is run on any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// The targets of this crate, by name.
pub const TARGETS: &[Target] =
    &[("scalars", scalars), ("client", client), ("routes", routes), ("placement", placement)];

pub use client::client;
pub use placement::placement;
pub use routes::routes;
pub use scalars::scalars;

#[cfg(test)]
mod tests;
