//! Remembers: one contract, the back ends that keep it, and the suite that proves they do.
//!
//! A store holds records (bytes under a [`Key`]) in *spaces* (a set each). It knows versions, batches and
//! order; it never knows what a record means, save that keys under `lease/`, `beat/` and `client/` have rules of their own.

#[cfg(feature = "conformance")]
pub mod conformance;
mod contract;
pub mod faulty;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod history;
pub mod http;
mod memory;
mod page;
mod rules;
mod sqlite;
mod url;

pub use contract::*;
pub use history::{KEPT_AT_LEAST, LogBound};
pub use http::Http;
pub use memory::Memory;
pub use page::{PAGE_BYTES, PAGE_RECORDS};
pub use rules::{BEAT, BULK, LEASE, WATCH_PREFIXES};
pub use sqlite::{FoldBound, Sqlite};
pub use url::{URLS, open};
