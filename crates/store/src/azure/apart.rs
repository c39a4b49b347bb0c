//! What counts for itself: beats and leases. Each is one thing that is compared and set on its own ETag, with a number
//! of its own that lives on after a deletion, so that no version is ever used again.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use steadfast_host::clock::Moment;

use super::failure::Failure;
use crate::history::locked;
use crate::{Change, Error, Key, Record, Revision, Write};

/// Things whose state a handle remembers: more are forgotten all at once, which costs each a look.
const REMEMBERED: usize = 20_000;

/// One thing, as it was seen or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its number.
    pub(super) version: Revision,
    /// `None`: it was deleted, and only its number is left.
    pub(super) value: Option<Bytes>,
    /// What a conditional write of it names.
    pub(super) etag: String,
}

impl Seen {
    /// What is there for a reader.
    pub(super) fn record(&self) -> Option<Record> {
        let version = self.version;
        self.value.clone().map(|value| Record { version, value })
    }
}

/// Where such things are kept.
#[async_trait]
pub(super) trait Place: Sync {
    /// What is there, deleted things too.
    async fn look(&self, key: &Key, deadline: Moment) -> Result<Option<Seen>, Failure>;
    /// Writes over what has this ETag (`None`: over nothing); returns the new one.
    async fn write(
        &self,
        key: &Key,
        before: Option<&str>,
        version: Revision,
        value: Option<&Bytes>,
        deadline: Moment,
    ) -> Result<String, Failure>;
}

/// What a handle remembers of them.
#[derive(Debug, Default)]
pub(super) struct Memory {
    seen: Mutex<HashMap<Key, Seen>>,
    /// The highest number seen of each: one that is lower was rolled back, and goes on above it.
    floors: Mutex<HashMap<Key, Revision>>,
}

impl Memory {
    /// Makes the change, and returns the version it has.
    pub(super) async fn commit(
        &self,
        place: &impl Place,
        key: &Key,
        change: &Change,
        deadline: Moment,
    ) -> Result<Option<Revision>, Error> {
        // Taken, not copied: until the answer nothing is known.
        let mut remembered = locked(&self.seen).remove(key);
        loop {
            let is_fresh = remembered.is_none();
            let seen = match remembered.take() {
                Some(seen) => Some(seen),
                None => self.look(place, key, deadline).await?,
            };
            let there = seen.as_ref().and_then(Seen::record);
            if !change.expect.holds(there.as_ref().map(|record| record.version)) {
                if !is_fresh {
                    continue;
                }
                return Err(Error::Conflict(vec![(key.name.clone(), there)]));
            }
            let value = match &change.write {
                Write::Nothing if !is_fresh => continue,
                Write::Nothing => return Ok(None),
                Write::Delete => None,
                Write::Put(value, _) => Some(value),
            };
            let before = seen.as_ref().map(|seen| seen.etag.as_str());
            let version = seen.as_ref().map_or(Revision::default(), |seen| seen.version).max(self.floor(key)).next();
            match place.write(key, before, version, value, deadline).await {
                Ok(etag) => {
                    self.remember(key, Seen { version, value: value.cloned(), etag });
                    return Ok(Some(version));
                }
                // Somebody else wrote it: looked at again, and judged by that. Nothing was done.
                Err(failure) if failure.condition().is_some() => {}
                Err(failure) => return Err(failure.of_commit()),
            }
        }
    }

    /// What is there.
    pub(super) async fn look(&self, place: &impl Place, key: &Key, deadline: Moment) -> Result<Option<Seen>, Error> {
        let seen = place.look(key, deadline).await.map_err(Failure::of_look)?;
        if let Some(seen) = &seen {
            self.saw(key, seen.version);
        }
        Ok(seen)
    }

    /// This number was seen of it.
    pub(super) fn saw(&self, key: &Key, version: Revision) {
        let mut floors = locked(&self.floors);
        if floors.len() >= REMEMBERED && !floors.contains_key(key) {
            floors.clear();
        }
        let floor = floors.entry(key.clone()).or_default();
        *floor = version.max(*floor);
    }

    /// The highest number seen of it.
    pub(super) fn floor(&self, key: &Key) -> Revision {
        locked(&self.floors).get(key).copied().unwrap_or_default()
    }

    fn remember(&self, key: &Key, seen: Seen) {
        self.saw(key, seen.version);
        let mut all = locked(&self.seen);
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(key.clone(), seen);
    }
}

#[cfg(test)]
mod tests;
