//! Where a space lies, readable with `redis-cli`. All keys of a space have it as their hash tag.
//!
//! ```text
//! P:{space}:head      hash     revision, logged, mark of the last logged commit; count of records; counters of what is cut off
//! P:{space}:records   hash     name → version:value
//! P:{space}:names     zset     every name with score 0: their order
//! P:{space}:log       stream   revision-0 → m mark, p mark before, b whether there is bulk, then name → p<value> or d
//! P:{space}:bulk      stream   revision-0 → the same of names under client/, which most who follow do not want
//! ```
//!
//! `revision` counts every write, also beats; `logged` only what is in the log. The log's key is its channel as well: a
//! commit publishes its revision there, which wakes who follows and is no more than that.

use crate::Space;

/// The keys of one space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) head: String,
    pub(super) records: String,
    pub(super) names: String,
    pub(super) log: String,
    pub(super) bulk: String,
}

impl Keys {
    pub(super) fn of(prefix: &str, space: &Space) -> Keys {
        Keys::named(prefix, space.as_str())
    }

    /// Likewise where there is no such space: none has an empty name.
    pub(super) fn named(prefix: &str, space: &str) -> Keys {
        let key = |kind: &str| format!("{prefix}:{{{space}}}:{kind}");
        Keys { head: key("head"), records: key("records"), names: key("names"), log: key("log"), bulk: key("bulk") }
    }
}
