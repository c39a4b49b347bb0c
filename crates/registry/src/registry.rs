//! The handle on the books: a store, and the few generic moves every noun's file uses.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use steadfast_store::{
    self as store, Batch, Change, Cursor, Expect, Key, PageToken, Record, Revision, Space, Store, Write,
};

use crate::Error;
use crate::newer::NewerFields;
use crate::records::{decode, encode};

/// How long one call to the store may take, where the caller does not know better.
pub(crate) const CALL_WITHIN: Duration = Duration::from_secs(5);
/// How often a change is tried again when others write the same record at the same moment.
const UPDATE_TRIES: u32 = 32;
/// So many of these tries follow at once; each further one waits a random part of this pause first.
const UPDATE_AT_ONCE: u32 = 3;
const UPDATE_PAUSE: Duration = Duration::from_millis(40);
/// Records read at once in a scan.
pub(crate) const PAGE_RECORDS: usize = 512;

/// The books of one store. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) newer: Arc<NewerFields>,
}

/// A record and the version it had.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<T> {
    /// To be given back as the belief of the next write.
    pub version: Revision,
    /// What it says.
    pub record: T,
}

/// What to do with a record that was read.
pub(crate) enum Decision<T, R> {
    /// Nothing: this is the answer.
    Leave(R),
    /// Write this, and answer that.
    Write(T, R),
}

impl Registry {
    /// The books kept in `store`.
    pub fn new(store: Arc<dyn Store>) -> Registry {
        Registry { store, newer: Arc::default() }
    }

    /// The store itself, for those who serve or describe it.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<Stored<T>>, Error> {
        let found = self.store.read(key, CALL_WITHIN).await?;
        found.map(|record| stored(key, &record)).transpose()
    }

    /// Reads a record, lets `change` decide, and writes what it decided, again if somebody came between.
    /// A lost reply is settled by one read.
    pub(crate) async fn update<T, R>(
        &self,
        key: &Key,
        mut change: impl FnMut(Option<&T>) -> Result<Decision<T, R>, Error>,
    ) -> Result<R, Error>
    where
        T: Serialize + DeserializeOwned + PartialEq,
    {
        let mut last = None;
        let mut old = self.get::<T>(key).await?;
        for lost in 0..UPDATE_TRIES {
            let (record, answer) = match change(old.as_ref().map(|stored| &stored.record))? {
                Decision::Leave(answer) => return Ok(answer),
                Decision::Write(record, answer) => (record, answer),
            };
            let believed = old.map(|stored| stored.version);
            match self.commit(key.space.clone(), vec![put(key, believed, &record)]).await {
                Ok(_) => return Ok(answer),
                Err(Error::Store(store::Error::Conflict(current))) => {
                    if lost >= UPDATE_AT_ONCE {
                        give_way().await;
                    }
                    // The conflict shows what is there: to read that again would only lose time against the others.
                    old = match current.iter().find(|(name, _)| *name == key.name) {
                        Some((_, found)) => found.as_ref().map(|record| stored(key, record)).transpose()?,
                        None => self.get::<T>(key).await?,
                    };
                    last = Some(Error::Store(store::Error::Conflict(current)));
                }
                Err(error @ Error::Store(store::Error::OutcomeUnknown(_))) => {
                    let ours = self.get::<T>(key).await?.is_some_and(|now| now.record == record);
                    return if ours { Ok(answer) } else { Err(error) };
                }
                Err(other) => return Err(other),
            }
        }
        Err(last.unwrap_or_else(|| unreachable!("at least one try")))
    }

    pub(crate) async fn commit(&self, space: Space, changes: Vec<Change>) -> Result<Cursor, Error> {
        Ok(self.store.commit(Batch { space, changes }, CALL_WITHIN).await?)
    }

    /// Everything under a prefix, in the order of names.
    pub(crate) async fn all<T: DeserializeOwned>(
        &self,
        space: &Space,
        prefix: &[u8],
    ) -> Result<Vec<(String, Stored<T>)>, Error> {
        self.each(space, prefix).await?.into_iter().map(|(rest, record)| Ok((rest, record?))).collect()
    }

    /// The same without those that cannot be read: whoever polls does not say each time what is wrong with them.
    pub(crate) async fn all_readable<T: DeserializeOwned>(
        &self,
        space: &Space,
        prefix: &[u8],
    ) -> Result<Vec<(String, Stored<T>)>, Error> {
        let unusable = |error: &Error| tracing::debug!(%error, "a record cannot be used");
        let found = self.each(space, prefix).await?.into_iter();
        Ok(found.filter_map(|(rest, record)| Some((rest, record.inspect_err(unusable).ok()?))).collect())
    }

    async fn each<T: DeserializeOwned>(
        &self,
        space: &Space,
        prefix: &[u8],
    ) -> Result<Vec<(String, Result<Stored<T>, Error>)>, Error> {
        let mut found = Vec::new();
        let mut token: Option<PageToken> = None;
        loop {
            let page = self.store.scan(space, prefix, token, PAGE_RECORDS, CALL_WITHIN).await?;
            for (name, record) in page.records {
                let key = Key::new(space.clone(), name);
                let rest = String::from_utf8_lossy(key.name.get(prefix.len()..).unwrap_or_default()).into_owned();
                found.push((rest, stored(&key, &record)));
            }
            token = page.next;
            if token.is_none() {
                return Ok(found);
            }
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.store.describe().place).finish()
    }
}

/// Waits a random part of a pause, so that those who want the same record do not go on in step.
async fn give_way() {
    let share = (steadfast_host::random::u64() % 1_024) as u32;
    tokio::time::sleep(UPDATE_PAUSE * share / 1_024).await;
}

pub(crate) fn stored<T: DeserializeOwned>(key: &Key, record: &Record) -> Result<Stored<T>, Error> {
    Ok(Stored { version: record.version, record: decode(&format!("{key:?}"), &record.value)? })
}

/// A put of `record` that believes it replaces `old`.
pub(crate) fn put<T: Serialize>(key: &Key, old: Option<Revision>, record: &T) -> Change {
    Change {
        name: key.name.clone(),
        expect: old.map_or(Expect::Absent, Expect::Version),
        write: Write::Put(encode(record).into(), None),
    }
}
