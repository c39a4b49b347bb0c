//! Remembers: one contract, the back ends that keep it, and the suite that proves they do.
//!
//! A store holds records (bytes under a [`Key`]) in *spaces* (a set each). It knows versions, batches and
//! order; it never knows what a record means, save that keys under `lease/`, `beat/` and `client/` have rules of their own.

#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "conformance")]
pub mod conformance;
mod contract;
#[cfg(feature = "etcd")]
mod etcd;
pub mod faulty;
#[allow(dead_code, reason = "for the engines of servers, of which a build may have none")]
mod feed;
#[allow(dead_code, reason = "for the engines of servers, of which a build may have none")]
mod floor;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod history;
pub mod http;
mod memory;
mod open;
mod page;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
mod rules;
mod secret;
#[cfg(any(feature = "redis", feature = "postgres"))]
mod seen;
mod sqlite;
mod ticket;
#[allow(dead_code, reason = "for the engines of servers, of which a build may have none")]
mod turn;
#[allow(dead_code, reason = "for the engines of servers, of which a build may have none")]
mod url;

// The engines that are a feature each: `#[cfg(feature = "etcd")] mod etcd;`, and a line in `open.rs`.

pub use contract::*;
pub use history::{KEPT_AT_LEAST, LogBound};
pub use http::Http;
pub use memory::Memory;
pub use open::{Prepared, check, check_scheme, is_of_another_steadfast, open, preparation, prepare};
pub use page::{PAGE_BYTES, PAGE_RECORDS};
pub use rules::{BEAT, BULK, LEASE, WATCH_PREFIXES};
pub use secret::{Access, Secret, TlsFiles};
pub use sqlite::{FoldBound, Sqlite};
