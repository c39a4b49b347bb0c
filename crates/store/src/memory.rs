//! The reference back end: a map in this process. It is gone with the process.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use crate::history::{History, fresh_mark, locked};
use crate::page::{PageBuilder, records_at_most};
use crate::{
    Batch, Committed, Cursor, Description, Error, Key, Limits, LogBound, Named, Page, PageToken, Record, Revision,
    Space, Store, Watch, Write, rules,
};

/// A store in this process' memory.
#[derive(Debug, Default)]
pub struct Memory {
    spaces: Mutex<HashMap<Space, Shelf>>,
    bound: LogBound,
}

/// One space.
#[derive(Debug)]
struct Shelf {
    records: BTreeMap<Vec<u8>, Record>,
    history: Arc<History>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Memory {
        Memory::default()
    }

    /// An empty store whose watches can go back only this far.
    pub fn with_log(bound: LogBound) -> Memory {
        Memory { spaces: Mutex::default(), bound }
    }

    /// Does `act` with the space's shelf, which begins empty.
    fn on<T>(&self, space: &Space, act: impl FnOnce(&mut Shelf) -> T) -> T {
        let mut spaces = locked(&self.spaces);
        if let Some(shelf) = spaces.get_mut(space) {
            return act(shelf);
        }
        act(spaces.entry(space.clone()).or_insert_with(|| Shelf::new(self.bound)))
    }
}

impl Shelf {
    fn new(bound: LogBound) -> Shelf {
        Shelf { records: BTreeMap::new(), history: Arc::new(History::new(bound, Revision::default())) }
    }

    /// Decides and applies, in one step.
    fn commit(&mut self, batch: Batch) -> Result<Cursor, Error> {
        let version = |name: &[u8]| self.records.get(name).map(|record| record.version);
        let differing = batch.changes.iter().filter(|change| !change.expect.holds(version(&change.name)));
        let conflicts: Vec<Named> =
            differing.map(|change| (change.name.clone(), self.records.get(&change.name).cloned())).collect();
        if !conflicts.is_empty() {
            return Err(Error::Conflict(conflicts));
        }
        let head = self.history.head();
        if batch.changes.iter().all(|change| change.write == Write::Nothing) {
            return Ok(head);
        }
        let revision = head.revision.next();
        if batch.is_beat() {
            self.apply(batch, revision);
            self.history.beat(revision);
            return Ok(Cursor { revision, ..head });
        }
        let cursor = Cursor { revision, mark: fresh_mark() };
        let changes = self.apply(batch, revision);
        self.history.push(Committed { cursor: cursor.clone(), changes });
        Ok(cursor)
    }

    /// Writes what the batch writes; returns the names it changed and what they are now.
    fn apply(&mut self, batch: Batch, version: Revision) -> Vec<Named> {
        let mut changes = Vec::with_capacity(batch.changes.len());
        for change in batch.changes {
            let record = match change.write {
                Write::Put(value, _) => Some(Record { version, value }),
                Write::Delete => None,
                Write::Nothing => continue,
            };
            match &record {
                Some(record) => self.records.insert(change.name.clone(), record.clone()),
                None => self.records.remove(&change.name),
            };
            changes.push((change.name, record));
        }
        changes
    }

    fn page(&self, prefix: &[u8], token: Option<PageToken>, records_at_most: usize) -> Page {
        let start = match &token {
            Some(token) if token.after.as_slice() >= prefix => Bound::Excluded(token.after.as_slice()),
            _ => Bound::Included(prefix),
        };
        let cursor = token.as_ref().map_or_else(|| self.history.head(), |token| token.cursor.clone());
        let mut page = PageBuilder::new(cursor, records_at_most);
        let under = self.records.range::<[u8], _>((start, Bound::Unbounded));
        for (name, record) in under.take_while(|(name, _)| name.starts_with(prefix)) {
            if page.is_full() {
                break;
            }
            page.add(name, record.clone());
        }
        page.finish()
    }
}

#[async_trait]
impl Store for Memory {
    async fn read(&self, key: &Key, _within: Duration) -> Result<Option<Record>, Error> {
        rules::check_name(&key.name, rules::LIMITS)?;
        Ok(locked(&self.spaces).get(&key.space).and_then(|shelf| shelf.records.get(&key.name).cloned()))
    }

    async fn commit(&self, batch: Batch, _within: Duration) -> Result<Cursor, Error> {
        batch.check(rules::LIMITS)?;
        let space = batch.space.clone();
        self.on(&space, |shelf| shelf.commit(batch))
    }

    async fn scan(
        &self,
        space: &Space,
        prefix: &[u8],
        page: Option<PageToken>,
        limit: usize,
        _within: Duration,
    ) -> Result<Page, Error> {
        rules::check_prefix(prefix, rules::LIMITS)?;
        let records_at_most = records_at_most(space, limit)?;
        let spaces = locked(&self.spaces);
        Ok(match spaces.get(space) {
            Some(shelf) => shelf.page(prefix, page, records_at_most),
            None => PageBuilder::new(Cursor::START, records_at_most).finish(),
        })
    }

    async fn watch(
        &self,
        space: &Space,
        prefixes: &[&[u8]],
        from: Cursor,
        progress_every: Duration,
    ) -> Result<Box<dyn Watch>, Error> {
        rules::check_prefixes(prefixes, rules::LIMITS)?;
        let history = self.on(space, |shelf| Arc::clone(&shelf.history));
        Ok(Box::new(history.watch(prefixes, from, progress_every)?))
    }

    fn limits(&self) -> Limits {
        rules::LIMITS
    }

    fn describe(&self) -> Description {
        Description {
            engine: "memory".to_owned(),
            place: "this process".to_owned(),
            durable: false,
            push: true,
            one_machine: true,
            may_lose: Some("everything, when this process ends".to_owned()),
            pace_ms: 0,
            leases_apart: false,
            lease_lasts_ms: None,
            notes: Vec::new(),
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        for shelf in locked(&self.spaces).values() {
            shelf.history.end(Error::Unavailable("the store was closed".to_owned()));
        }
    }
}
