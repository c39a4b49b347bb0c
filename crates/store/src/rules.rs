//! The rules every back end keeps: what a well-formed batch, key and page are. One place, so that a batch
//! accepted by one back end is not refused by another.

use std::collections::HashSet;
use std::time::Duration;

use crate::{Batch, Change, Error, Expect, Key, Limits, Revision, Write};

/// Names under this prefix are leases: alone in their batch, and their puts may carry a [`Hold`](crate::Hold).
pub const LEASE: &[u8] = b"lease/";

/// Names under this prefix are signs of life: alone in their batch, in no log and in no watch, but versioned.
pub const BEAT: &[u8] = b"beat/";

/// Names under this prefix are many and large. A back end may keep them apart in its log, so that a watch which does not
/// ask for them is not sent them; for the rest they are like any others.
pub const BULK: &[u8] = b"client/";

/// What the back ends made here accept.
pub(crate) const LIMITS: Limits = Limits { operations: 1024, bytes: 1 << 20, name_bytes: 512 };

/// Prefixes of one watch, at most: each is compared with each name that changes.
pub const WATCH_PREFIXES: usize = 16;

/// The shortest interval between a watch's notices of progress: nobody needs more, and zero would spin.
const PROGRESS_AT_LEAST: Duration = Duration::from_millis(10);

/// The longest: what a caller means by "never" must stay a time that can be added to now.
const PROGRESS_AT_MOST: Duration = Duration::from_secs(3600);

impl Batch {
    /// A batch of one change.
    pub fn one(key: Key, expect: Expect, write: Write) -> Batch {
        Batch { space: key.space, changes: vec![Change { name: key.name, expect, write }] }
    }

    /// Whether it is a sign of life: written without a log.
    pub fn is_beat(&self) -> bool {
        self.changes.first().is_some_and(|change| change.name.starts_with(BEAT))
    }

    /// Bytes of its names and values.
    pub fn bytes(&self) -> usize {
        self.changes.iter().map(Change::bytes).sum()
    }

    /// Whether it is well-formed and within `limits`; else [`Error::Config`] says what is wrong with which name.
    pub fn check(&self, limits: Limits) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::Config(format!("the batch for space `{}` {what}", self.space)));
        if self.changes.is_empty() {
            return refuse("changes nothing: it needs one change at least".to_owned());
        }
        if self.changes.len() > limits.operations {
            return refuse(format!("has {} changes; the store takes {}", self.changes.len(), limits.operations));
        }
        let bytes = self.bytes();
        if bytes > limits.bytes {
            return refuse(format!("has {bytes} bytes of names and values; the store takes {}", limits.bytes));
        }
        let mut names = HashSet::with_capacity(self.changes.len());
        for change in &self.changes {
            let name = change.name.escape_ascii();
            check_name(&change.name, limits)?;
            if !names.insert(change.name.as_slice()) {
                return refuse(format!("names `{name}` twice"));
            }
            if self.changes.len() > 1 && (change.name.starts_with(LEASE) || change.name.starts_with(BEAT)) {
                return refuse(format!("holds `{name}` beside others: leases and beats are written alone"));
            }
            if matches!(change.write, Write::Put(_, Some(_))) && !change.name.starts_with(LEASE) {
                return refuse(format!("puts `{name}` with a hold, which only names under `lease/` have"));
            }
            if change.expect == Expect::Absent && change.write == Write::Delete {
                return refuse(format!("deletes `{name}`, which it expects to be absent: write nothing instead"));
            }
        }
        Ok(())
    }
}

impl Change {
    /// Bytes of its name and value.
    pub fn bytes(&self) -> usize {
        self.name.len() + if let Write::Put(value, _) = &self.write { value.len() } else { 0 }
    }
}

impl Expect {
    /// Whether it holds of a record whose version is `current` (`None`: there is no record).
    pub fn holds(self, current: Option<Revision>) -> bool {
        match self {
            Expect::Absent => current.is_none(),
            Expect::Version(version) => current == Some(version),
        }
    }
}

/// Whether `name` can be a record's name.
pub(crate) fn check_name(name: &[u8], limits: Limits) -> Result<(), Error> {
    match name.len() {
        0 => Err(Error::Config("a record's name is empty: it needs 1 byte at least".to_owned())),
        length if length > limits.name_bytes => {
            let start = name[..32.min(length)].escape_ascii();
            Err(Error::Config(format!("the name `{start}…` has {length} bytes; the store takes {}", limits.name_bytes)))
        }
        _ => Ok(()),
    }
}

/// Whether `prefix` can be one of names.
pub(crate) fn check_prefix(prefix: &[u8], limits: Limits) -> Result<(), Error> {
    if prefix.is_empty() { Ok(()) } else { check_name(prefix, limits) }
}

/// Whether a watch can be one of names under `prefixes`.
pub(crate) fn check_prefixes(prefixes: &[&[u8]], limits: Limits) -> Result<(), Error> {
    match prefixes.len() {
        1..=WATCH_PREFIXES => prefixes.iter().try_for_each(|prefix| check_prefix(prefix, limits)),
        0 => Err(Error::Config("the watch has no prefix, and would show nothing: an empty one shows all".to_owned())),
        many => Err(Error::Config(format!("the watch has {many} prefixes; the store takes {WATCH_PREFIXES}"))),
    }
}

/// The interval of a watch's notices, within what makes sense.
pub(crate) fn progress_interval(asked: Duration) -> Duration {
    asked.clamp(PROGRESS_AT_LEAST, PROGRESS_AT_MOST)
}

#[cfg(test)]
mod tests;
