//! Remembers: one contract, the back ends that keep it, and the suite that proves they do.
//!
//! A store holds records (bytes under a [`Key`]) in *spaces* (a set each). It knows versions, batches and
//! order; it never knows what a record means, save that keys under `lease/` and `beat/` have rules of their own.

mod contract;

pub use contract::*;
