//! Proves the books, or says what is wrong with them: ledgers against placements, to one revision of a live set.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast_core::client::ClientKey;
use steadfast_core::settings::{HomeFull, SetSettings};
use steadfast_core::{InstanceId, SetName};
use steadfast_store::{Cursor, Error as StoreError, Key, Notice, PAGE_RECORDS, Record, Revision, Space, Watch};

use crate::clients::{self, parse_key};
use crate::follow::{longest_silence, progress_every};
use crate::instances::parse_id;
use crate::registry::{CALL_WITHIN, stored};
use crate::{Error, LedgerRecord, Registry, keys};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// As of which revision.
    pub revision: Revision,
    /// How many clients were counted.
    pub clients: u64,
    /// How many instances.
    pub instances: u64,
    /// What does not agree; empty: all does.
    pub faults: Vec<Fault>,
}

/// A disagreement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A ledger's sum is not that of its clients.
    #[error("{instance} is charged {ledger_milli}/1000, its clients weigh {clients_milli}/1000 together")]
    Charge {
        /// Whose ledger.
        instance: InstanceId,
        /// What it says.
        ledger_milli: u64,
        /// What its charged clients weigh.
        clients_milli: u64,
    },
    /// A ledger's count is not that of its clients.
    #[error("{instance} counts {ledger} clients, {clients} are at home there")]
    Count {
        /// Whose ledger.
        instance: InstanceId,
        /// What it says.
        ledger: u64,
        /// How many there are.
        clients: u64,
    },
    /// An instance is charged above its capacity, though the set does not overflow and nothing excuses it.
    #[error("{instance} is charged {charged_milli}/1000 of a capacity of {capacity_milli}/1000")]
    Overfull {
        /// Which.
        instance: InstanceId,
        /// Its charge.
        charged_milli: u64,
        /// Its capacity.
        capacity_milli: u64,
    },
    /// A client's home has no ledger.
    #[error("{client} is at home at {home}, of which there is no ledger")]
    Homeless {
        /// Which client.
        client: ClientKey,
        /// Its home.
        home: InstanceId,
    },
    /// A record cannot be read.
    #[error("{key}: {problem}")]
    Unreadable {
        /// Which.
        key: String,
        /// Why.
        problem: String,
    },
}

/// So many faults are listed; books that are worse are no better understood by more.
const FAULTS_LISTED: usize = 1_000;
/// How often it begins anew when the store's history does not reach back to its beginning any more.
const TRIES: u32 = 4;
/// How long the store may be silent when all was read, if it can say something as often.
const PROGRESS_EVERY: Duration = Duration::from_millis(50);
/// What is compared.
const PREFIXES: [&[u8]; 2] = [keys::LEDGERS.as_bytes(), keys::CLIENTS];

impl Registry {
    /// Compares ledgers and placements as of one revision: a scan, with what happens meanwhile heard beside it, so that
    /// it need not be kept by the store until all is read. At most the first thousand faults are listed.
    pub async fn verify(&self, set: &SetName) -> Result<Verified, Error> {
        let stored = self.set(set).await?.ok_or_else(|| Error::NoSet(set.clone()))?;
        let SetSettings::Sticky(settings) = stored.record.settings(set)? else {
            let detail = format!("set {set} is single: it has no clients to count");
            return Err(Error::Refused { reason: "not-sticky", detail });
        };
        let mut last = None;
        for _ in 0..TRIES {
            match self.read_to_one_revision(set).await {
                Ok((books, revision)) => {
                    return Ok(books.compare(revision, settings.home_full == HomeFull::Overflow));
                }
                Err(error @ StoreError::Compacted(..)) => last = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.unwrap_or_else(|| unreachable!("at least one try")).into())
    }

    /// Ledgers and clients, all as of the revision that comes with them.
    async fn read_to_one_revision(&self, set: &SetName) -> Result<(Books, Revision), StoreError> {
        let space = keys::space(set);
        let mut books = Books::of(space.clone());
        let begin = self.store.scan(&space, keys::CLOCK.as_bytes(), None, 1, CALL_WITHIN).await?.cursor;
        let mut heard = self.changes_after(&space, begin).await?;
        // No page was read later than this, so here they can all be brought to agree.
        let mut end = heard.reached;
        for prefix in PREFIXES {
            let mut token = None;
            loop {
                let reading = self.store.scan(&space, prefix, token, PAGE_RECORDS, CALL_WITHIN);
                let page = heard.beside(&mut books, reading).await??;
                end = end.max(page.cursor.revision);
                for (name, record) in page.records {
                    books.show(name, record.version, Some(record));
                }
                token = page.next;
                if token.is_none() {
                    break;
                }
            }
        }
        let last = self.store.scan(&space, keys::CLOCK.as_bytes(), None, 1, CALL_WITHIN);
        end = end.max(heard.beside(&mut books, last).await??.cursor.revision).max(books.newest);
        while heard.reached < end {
            heard.next(&mut books).await?;
        }
        Ok((books, heard.reached))
    }

    async fn changes_after(&self, space: &Space, begin: Cursor) -> Result<Heard, StoreError> {
        let (progress_every, reached) = (progress_every(&*self.store, PROGRESS_EVERY), begin.revision);
        let opening = self.store.watch(space, &PREFIXES, begin, progress_every);
        let watch = tokio::time::timeout(CALL_WITHIN, opening).await.map_err(silent)??;
        Ok(Heard { watch, reached, silence: longest_silence(progress_every).max(CALL_WITHIN) })
    }
}

fn silent(_: tokio::time::error::Elapsed) -> StoreError {
    StoreError::Unavailable("the watch is silent".to_owned())
}

/// What happens while the books are read.
struct Heard {
    watch: Box<dyn Watch>,
    /// Everything until here was heard.
    reached: Revision,
    /// How long the watch may be silent.
    silence: Duration,
}

impl Heard {
    /// Waits for `reading`, and shows `books` what is heard meanwhile.
    async fn beside<T>(&mut self, books: &mut Books, reading: impl Future<Output = T>) -> Result<T, StoreError> {
        let mut reading = std::pin::pin!(reading);
        loop {
            tokio::select! {
                read = &mut reading => return Ok(read),
                heard = self.next(books) => heard?,
            }
        }
    }

    /// Shows `books` the next commit. Dropped while it waits, it has done nothing.
    async fn next(&mut self, books: &mut Books) -> Result<(), StoreError> {
        let notice = tokio::time::timeout(self.silence, self.watch.next()).await.map_err(silent)??;
        self.reached = match notice {
            Notice::Progress(cursor) => cursor.revision,
            Notice::Committed(commit) => {
                for (name, record) in commit.changes {
                    books.show(name, commit.cursor.revision, record);
                }
                commit.cursor.revision
            }
        };
        Ok(())
    }
}

/// Ledgers and clients as they were shown last, by name.
struct Books {
    space: Space,
    shown: BTreeMap<Vec<u8>, (Revision, Item)>,
    /// The homes there are: a client's names one of them.
    homes: BTreeMap<InstanceId, usize>,
    /// The newest revision that any record bears.
    newest: Revision,
}

/// What counts of a record.
enum Item {
    Ledger(InstanceId, Box<LedgerRecord>),
    /// A client: the number of its home, and what it is charged there, if it is.
    Client {
        home: usize,
        charged_milli: Option<u64>,
    },
    Unreadable(Error),
    Gone,
}

/// What the clients of one home add up to.
#[derive(Clone, Copy, Default)]
struct Sum {
    charged_milli: u64,
    clients: u64,
}

impl Books {
    fn of(space: Space) -> Books {
        Books { space, shown: BTreeMap::new(), homes: BTreeMap::new(), newest: Revision::default() }
    }

    /// At this revision a record was this one, or gone. A page may be ahead of the replay: nothing goes back.
    fn show(&mut self, name: Vec<u8>, revision: Revision, record: Option<Record>) {
        self.newest = self.newest.max(revision);
        if self.shown.get(&name).is_some_and(|(seen, _)| *seen >= revision) {
            return;
        }
        match record {
            // Remembered: a page that was read before may come later.
            None => drop(self.shown.insert(name, (revision, Item::Gone))),
            Some(record) => {
                let item = self.item(&name, &record).unwrap_or_else(Item::Unreadable);
                self.shown.insert(name, (revision, item));
            }
        }
    }

    fn item(&mut self, name: &[u8], record: &Record) -> Result<Item, Error> {
        let key = Key::new(self.space.clone(), name);
        if let Some(id) = name.strip_prefix(keys::LEDGERS.as_bytes()) {
            let id = parse_id(&String::from_utf8_lossy(id))?;
            return Ok(Item::Ledger(id, Box::new(stored::<LedgerRecord>(&key, record)?.record)));
        }
        parse_key(&key)?;
        let placement = clients::read(&key, record)?.record.placement;
        let next = self.homes.len();
        let home = *self.homes.entry(placement.home).or_insert(next);
        let charged_milli = placement.phase.is_charged().then_some(placement.weight.as_milli());
        Ok(Item::Client { home, charged_milli })
    }

    fn compare(self, revision: Revision, overflows: bool) -> Verified {
        let mut sums = vec![Sum::default(); self.homes.len()];
        let mut verified = Verified { revision, clients: 0, instances: 0, faults: Vec::new() };
        for (_, item) in self.shown.values() {
            if let Item::Client { home, charged_milli } = item {
                verified.clients += 1;
                sums[*home].clients += 1;
                sums[*home].charged_milli = sums[*home].charged_milli.saturating_add(charged_milli.unwrap_or(0));
            }
        }
        let mut with_ledger = vec![false; self.homes.len()];
        for (name, (_, item)) in &self.shown {
            match item {
                Item::Ledger(instance, ledger) => {
                    verified.instances += 1;
                    let home = self.homes.get(instance);
                    home.into_iter().for_each(|home| with_ledger[*home] = true);
                    let sum = home.map(|home| sums[*home]).unwrap_or_default();
                    check(instance, ledger, sum, overflows).into_iter().for_each(|fault| verified.add(fault));
                }
                Item::Unreadable(error) => {
                    // What is written there cannot be known, but that it is there can.
                    let id = name.strip_prefix(keys::LEDGERS.as_bytes()).and_then(|id| std::str::from_utf8(id).ok());
                    let home = id.and_then(|id| self.homes.get(&id.parse::<InstanceId>().ok()?));
                    home.into_iter().for_each(|home| with_ledger[*home] = true);
                    let key = format!("{:?}", Key::new(self.space.clone(), name.clone()));
                    verified.add(Fault::Unreadable { key, problem: error.to_string() });
                }
                Item::Client { .. } | Item::Gone => {}
            }
        }
        let homes: BTreeMap<usize, &InstanceId> = self.homes.iter().map(|(id, home)| (*home, id)).collect();
        for (name, (_, item)) in &self.shown {
            let (Item::Client { home, .. }, Some(client)) = (item, name.strip_prefix(keys::CLIENTS)) else { continue };
            if let (false, Ok(client), Some(id)) = (with_ledger[*home], ClientKey::new(client), homes.get(home)) {
                verified.add(Fault::Homeless { client, home: (*id).clone() });
            }
        }
        verified
    }
}

impl Verified {
    fn add(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS_LISTED {
            self.faults.push(fault);
        }
    }
}

/// One ledger against its clients.
fn check(instance: &InstanceId, ledger: &LedgerRecord, sum: Sum, overflows: bool) -> Vec<Fault> {
    let mut faults = Vec::new();
    let (charged, capacity) = (ledger.charged_milli, ledger.capacity.0.as_milli());
    if charged != sum.charged_milli {
        let instance = instance.clone();
        faults.push(Fault::Charge { instance, ledger_milli: charged, clients_milli: sum.charged_milli });
    }
    if ledger.clients != sum.clients {
        faults.push(Fault::Count { instance: instance.clone(), ledger: ledger.clients, clients: sum.clients });
    }
    if charged > capacity && !overflows && !ledger.excused {
        let instance = instance.clone();
        faults.push(Fault::Overfull { instance, charged_milli: charged, capacity_milli: capacity });
    }
    faults
}
