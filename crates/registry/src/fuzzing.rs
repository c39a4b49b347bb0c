//! What the fuzzers run here, and what must hold: see the module of this name in `steadfast-core` for how and why.

mod books;
mod records;

pub use books::books;
pub use records::{probe, records};

/// A name, and what is run on any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// The targets of this crate, by name.
pub const TARGETS: &[Target] = &[("records", records), ("books", books), ("probe", probe)];

#[cfg(test)]
mod tests;
