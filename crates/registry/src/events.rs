//! The event log of a set: bounded, durable, for people.

use std::time::Duration;

use steadfast_core::SetName;
use steadfast_host::clock;
use steadfast_store::{Change, Error as StoreError, Expect, Key, Write};

use crate::records::Extras;
use crate::registry::put;
use crate::{Error, EventKind, EventRecord, Registry, keys};

/// So many events of a set are kept; the oldest goes when a new one comes.
const EVENTS_KEPT: u64 = 1000;
/// So many events are read one by one; of more, the whole log.
const FEW_EVENTS: u64 = 8;
/// How often a note is tried again when others write at the same moment.
const TRIES: u32 = 16;
/// For how long [`Registry::note`] tries again while the store is away: others wait for it. A store that is handed over
/// to another process is away for less.
const TRY_FOR: Duration = Duration::from_secs(1);
/// How long after a try the next one comes.
const TRY_EVERY: Duration = Duration::from_millis(200);

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Head {
    next: u64,
    oldest: u64,
    #[serde(flatten)]
    extras: Extras,
}

/// An event on its way into the log of its set. It can be tried until it is there, and is there once: a try whose
/// outcome is unknown is looked for where it would be.
#[derive(Clone, Debug)]
pub struct Note {
    event: EventRecord,
    /// The number that a try was for of which nobody knows how it ended.
    unsettled: Option<u64>,
}

impl Note {
    /// What happened now.
    pub fn new(kind: EventKind, by: &str) -> Note {
        let event = EventRecord { at: clock::wall().to_string(), kind, by: by.to_owned() };
        Note { event, unsettled: None }
    }
}

impl Registry {
    /// Writes an event down. What happened has happened: a failure to note it is logged, not returned.
    pub async fn note(&self, set: &SetName, kind: EventKind, by: &str) {
        let mut note = Note::new(kind, by);
        let until = clock::now() + TRY_FOR;
        loop {
            match self.try_note(set, &mut note).await {
                Ok(()) => return,
                Err(error) if error.may_pass() && clock::now() < until => tokio::time::sleep(TRY_EVERY).await,
                Err(error) => return tracing::warn!(%set, %error, "an event could not be written to the log"),
            }
        }
    }

    /// The same, for those who can wait until the store answers again: after an error that [`Error::may_pass`] the
    /// same note may be tried once more.
    pub async fn try_note(&self, set: &SetName, note: &mut Note) -> Result<(), Error> {
        let mut last = Error::Store(StoreError::Unavailable("never tried".into()));
        for _ in 0..TRIES {
            match self.append(set, note).await {
                Err(error @ Error::Store(StoreError::Conflict(_))) => last = error,
                done => return done,
            }
        }
        Err(last)
    }

    async fn append(&self, set: &SetName, note: &mut Note) -> Result<(), Error> {
        let space = keys::space(set);
        let head_key = Key::new(space.clone(), keys::EVENT_HEAD);
        let head = self.get::<Head>(&head_key).await?;
        let version = head.as_ref().map(|stored| stored.version);
        let mut head = head.map_or_else(|| Head { next: 0, oldest: 0, extras: Extras::new() }, |stored| stored.record);
        let number = head.next;
        // A try of unknown outcome believed the same of its number and of the head as this one does, or lost against
        // somebody else: the two cannot both happen. But one that happened moved the head on, and is found at its number.
        if note.unsettled.is_some_and(|tried| tried < number) && self.is_there(set, note).await? {
            return Ok(());
        }
        let mut changes = vec![put(&Key::new(space.clone(), keys::event(number)), None, &note.event)];
        // Whoever else wrote these numbers may have written any.
        head.next = head.next.saturating_add(1);
        if head.next.saturating_sub(head.oldest) > EVENTS_KEPT {
            changes.extend(self.drop_event(set, head.oldest).await?);
            head.oldest += 1;
        }
        changes.push(put(&head_key, version, &head));
        match self.commit(space, changes).await {
            Ok(_) => Ok(()),
            Err(error) => {
                if matches!(error, Error::Store(StoreError::OutcomeUnknown(_))) {
                    note.unsettled = Some(number);
                }
                Err(error)
            }
        }
    }

    /// Whether the try of unknown outcome has happened. Asked with the head already past its number, the answer
    /// stands: a commit that has not happened then expects a head that is gone.
    async fn is_there(&self, set: &SetName, note: &mut Note) -> Result<bool, Error> {
        let Some(number) = note.unsettled else { return Ok(false) };
        let found = self.get::<EventRecord>(&Key::new(keys::space(set), keys::event(number))).await?;
        if found.is_some_and(|stored| stored.record == note.event) {
            return Ok(true);
        }
        note.unsettled = None;
        Ok(false)
    }

    async fn drop_event(&self, set: &SetName, number: u64) -> Result<Option<Change>, Error> {
        let key = Key::new(keys::space(set), keys::event(number));
        let found = self.store.read(&key, crate::registry::CALL_WITHIN).await?;
        Ok(found.map(|record| Change { name: key.name, expect: Expect::Version(record.version), write: Write::Delete }))
    }

    /// The events from number `since` on, oldest first, each with its number. Who has heard most of them costs the store
    /// little: the head of the log, and what is new.
    pub async fn events(&self, set: &SetName, since: u64) -> Result<Vec<(u64, EventRecord)>, Error> {
        let space = keys::space(set);
        if since > 0
            && let Some(head) = self.get::<Head>(&Key::new(space.clone(), keys::EVENT_HEAD)).await?
            && head.record.next.saturating_sub(since) <= FEW_EVENTS
        {
            let mut found = Vec::new();
            for number in since..head.record.next {
                let event = self.get::<EventRecord>(&Key::new(space.clone(), keys::event(number))).await?;
                found.extend(event.map(|stored| (number, stored.record)));
            }
            return Ok(found);
        }
        let found = self.all::<EventRecord>(&space, keys::EVENTS.as_bytes()).await?;
        let numbered = found.into_iter().filter_map(|(number, stored)| Some((number.parse().ok()?, stored.record)));
        Ok(numbered.filter(|(number, _)| *number >= since).collect())
    }
}
