//! What the fuzzers run here, and what must hold: see the module of this name in `steadfast-core` for how and why.

mod server;

#[cfg(feature = "azure")]
pub use crate::azure::fuzzing::azure_answers;
#[cfg(feature = "etcd")]
pub use crate::etcd::fuzzing::etcd_answers;
pub use crate::http::fuzzing::store_replies;
pub use crate::open::fuzzing::store_url;
#[cfg(feature = "redis")]
pub use crate::redis::resp::fuzzing::redis_replies;
pub use crate::sqlite::fuzzing::{sqlite_fold, sqlite_log};
pub use server::store_server;

/// A name, and what is run on any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// The targets of this crate, by name.
pub const TARGETS: &[Target] = &[
    ("store_url", store_url),
    ("store_server", store_server),
    ("store_replies", store_replies),
    #[cfg(feature = "redis")]
    ("redis_replies", redis_replies),
    ("sqlite_log", sqlite_log),
    ("sqlite_fold", sqlite_fold),
    #[cfg(feature = "azure")]
    ("azure_answers", azure_answers),
    #[cfg(feature = "etcd")]
    ("etcd_answers", etcd_answers),
];

#[cfg(test)]
mod tests;
