//! The event log of a set: bounded, durable, for people.

use steadfast_core::SetName;
use steadfast_store::{Change, Error as StoreError, Expect, Key, Write};

use crate::records::Extras;
use crate::registry::put;
use crate::{Error, EventKind, EventRecord, Registry, keys};

/// So many events of a set are kept; the oldest goes when a new one comes.
const EVENTS_KEPT: u64 = 1000;
/// How often a note is tried again when others write at the same moment.
const TRIES: u32 = 16;

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Head {
    next: u64,
    oldest: u64,
    #[serde(flatten)]
    extras: Extras,
}

impl Registry {
    /// Writes an event down. What happened has happened: a failure to note it is logged, not returned.
    pub async fn note(&self, set: &SetName, kind: EventKind, by: &str) {
        if let Err(error) = self.try_note(set, kind, by).await {
            tracing::warn!(%set, %error, "an event could not be written to the log");
        }
    }

    /// The same, for those who can wait until the store answers again.
    pub async fn try_note(&self, set: &SetName, kind: EventKind, by: &str) -> Result<(), Error> {
        let event = EventRecord { at: steadfast_host::clock::wall().to_string(), kind, by: by.to_owned() };
        let space = keys::space(set);
        let head_key = Key::new(space.clone(), keys::EVENT_HEAD);
        let mut last = Error::Store(StoreError::Unavailable("never tried".into()));
        for _ in 0..TRIES {
            let head = self.get::<Head>(&head_key).await?;
            let version = head.as_ref().map(|stored| stored.version);
            let mut head =
                head.map_or_else(|| Head { next: 0, oldest: 0, extras: Extras::new() }, |stored| stored.record);
            let mut changes = vec![put(&Key::new(space.clone(), keys::event(head.next)), None, &event)];
            head.next += 1;
            if head.next - head.oldest > EVENTS_KEPT {
                changes.extend(self.drop_event(set, head.oldest).await?);
                head.oldest += 1;
            }
            changes.push(put(&head_key, version, &head));
            match self.commit(space.clone(), changes).await {
                Ok(_) => return Ok(()),
                Err(error @ Error::Store(StoreError::Conflict(_))) => last = error,
                Err(other) => return Err(other),
            }
        }
        Err(last)
    }

    async fn drop_event(&self, set: &SetName, number: u64) -> Result<Option<Change>, Error> {
        let key = Key::new(keys::space(set), keys::event(number));
        let found = self.store.read(&key, crate::registry::CALL_WITHIN).await?;
        Ok(found.map(|record| Change { name: key.name, expect: Expect::Version(record.version), write: Write::Delete }))
    }

    /// The events from number `since` on, oldest first, each with its number.
    pub async fn events(&self, set: &SetName, since: u64) -> Result<Vec<(u64, EventRecord)>, Error> {
        let found = self.all::<EventRecord>(&keys::space(set), keys::EVENTS.as_bytes()).await?;
        let numbered = found.into_iter().filter_map(|(number, stored)| Some((number.parse().ok()?, stored.record)));
        Ok(numbered.filter(|(number, _)| *number >= since).collect())
    }
}
