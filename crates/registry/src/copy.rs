//! Moves the books from one store to another: record by record, in the order of names, until both say the same.
//!
//! Versions are the stores' own and are not copied: none of what counts (the epoch of a lease, a client's owner epoch,
//! a ledger's sum) is one. Nobody may use either store meanwhile, and that is looked at rather than believed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use steadfast_core::SetName;
use steadfast_core::settings::SetSettings;
use steadfast_store::{
    self as store, BEAT, Batch, Change, Cursor, Expect, LEASE, Limits, PAGE_RECORDS, PageToken, Record, Revision,
    Space, Store, Write,
};

use crate::{Registry, keys};

/// How long one call to either store may take: a full batch over a slow line is one.
const CALL_WITHIN: Duration = Duration::from_secs(15);
/// How often a space is gone through again after an answer got lost: what was written is found to be there.
const TRIES: u32 = 4;
/// Longer than a running instance waits between two signs of life.
const BEATS_WITHIN: Duration = Duration::from_secs(4);
/// A leader is seen to renew its lease within this, beyond the set's own `renew_every`.
const RENEWED_WITHIN: Duration = Duration::from_secs(1);
/// Bytes of a name that a message shows.
const SHOWN_BYTES: usize = 64;
/// Records between two tellings of how far it is.
const TOLD_EVERY: u64 = 1_000;

/// How to copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyRules {
    /// The target may have records already: they are made equal to the source's, and those that it has not are deleted.
    pub update: bool,
    /// Write nothing; say what would be written.
    pub dry_run: bool,
}

/// What copying tells while it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyNews {
    /// Both stores are watched for so long: nobody may use them.
    Watching(Duration),
    /// So many records of this space were gone through.
    Copying(Space, u64),
    /// What was written is compared.
    Comparing(Space, u64),
}

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The sets, with where the source stood when its last record had been compared.
    pub sets: Vec<(SetName, Cursor)>,
    /// The catalog's.
    pub catalog: Cursor,
    /// Records that both have now.
    pub records: u64,
    /// Bytes of their names and contents.
    pub bytes: u64,
    /// Records that had to be written (in a dry run: would have to be).
    pub written: u64,
    /// Records that had to be deleted.
    pub deleted: u64,
}

/// Why the target does not hold what the source does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// The source failed.
    #[error("reading FROM: {0}")]
    From(crate::Error),
    /// The target failed.
    #[error("writing TO: {0}")]
    To(crate::Error),
    /// There is nothing to copy.
    #[error("FROM holds no set: is it the right store?")]
    NothingThere,
    /// The target has records, and nobody said that they may be overwritten.
    #[error("TO is not empty: there are records in {} (--update makes TO equal to FROM)", spaces(.0))]
    NotEmpty(Vec<Space>),
    /// The target has sets that the source does not know. They may be somebody's, and are not deleted.
    #[error("TO holds {}, which FROM does not: it is not the store for a copy of FROM", sets(.0))]
    OtherSets(Vec<SetName>),
    /// The source holds a record that the target cannot.
    #[error("TO cannot hold `{name}` of `{space}`: its {is} bytes are more than the {at_most} of {what} there")]
    TooLarge {
        /// Where it is.
        space: Space,
        /// Its name, as far as it is shown.
        name: String,
        /// What of it is too long.
        what: &'static str,
        /// How long that is, in bytes.
        is: usize,
        /// How long it may be.
        at_most: usize,
    },
    /// The source changed while it was looked at.
    #[error("FROM is in use ({0}): stop every Steadfast that uses it, then run copy with --update")]
    FromInUse(String),
    /// Somebody else writes to the target.
    #[error("TO is in use ({0}): stop every Steadfast that uses it, then run copy with --update")]
    ToInUse(String),
    /// After all was written, records differ.
    #[error("{0} records of {1} differ though all were written: run copy with --update")]
    Differ(u64, Space),
}

impl CopyError {
    /// The error of the store behind it, if one failed.
    pub fn of_a_store(&self) -> Option<&crate::Error> {
        match self {
            CopyError::From(error) | CopyError::To(error) => Some(error),
            _ => None,
        }
    }
}

fn spaces(spaces: &[Space]) -> String {
    spaces.iter().map(|space| format!("`{space}`")).collect::<Vec<_>>().join(", ")
}

fn sets(sets: &[SetName]) -> String {
    let names: Vec<String> = sets.iter().map(|set| format!("`{set}`")).collect();
    format!("the set{} {}", if names.len() == 1 { "" } else { "s" }, names.join(", "))
}

impl Registry {
    /// Copies everything but signs of life to `to`, and compares both. The catalog comes last: until then the target
    /// knows no set, and a copy that was broken off is not mistaken for a whole one.
    ///
    /// # Errors
    /// Why the target does not hold what the source does; what was written stays, for a run with `update`.
    pub async fn copy_to(
        &self,
        to: &Registry,
        rules: CopyRules,
        mut tell: impl FnMut(CopyNews),
    ) -> Result<Copied, CopyError> {
        let known = self.sets().await.map_err(CopyError::From)?;
        if known.is_empty() {
            return Err(CopyError::NothingThere);
        }
        let names: Vec<SetName> = known.iter().map(|(name, _)| name.clone()).collect();
        let spaces: Vec<Space> = names.iter().map(keys::space).chain([keys::catalog()]).collect();
        may_be_written(to, &names, &spaces, rules).await?;
        fits(&*self.store, to.store.limits(), &spaces).await?;

        let settings = known.iter().filter_map(|(set, stored)| stored.record.settings(set).ok());
        let quiet = quiet_for(settings);
        tell(CopyNews::Watching(quiet));
        let at = Stands::still(&*self.store, &*to.store, &spaces, quiet).await?;

        let mut copied =
            Copied { sets: Vec::new(), catalog: Cursor::START, records: 0, bytes: 0, written: 0, deleted: 0 };
        for space in &spaces {
            let passed = written(&*self.store, &*to.store, space, rules, &mut tell).await?;
            copied.records += passed.records;
            copied.bytes += passed.bytes;
            copied.written += passed.puts;
            copied.deleted += passed.deletes;
        }
        if !rules.dry_run {
            for space in &spaces {
                let mut pass = Pass::new(&*self.store, &*to.store, space, Mode::Compare);
                let found = pass.run(|records| tell(CopyNews::Comparing(space.clone(), records))).await?;
                if found.puts + found.deletes > 0 {
                    // Whoever wrote meanwhile is the likelier reason than we.
                    at.unchanged(&*self.store).await?;
                    return Err(CopyError::Differ(found.puts + found.deletes, space.clone()));
                }
            }
        }
        at.unchanged(&*self.store).await?;
        copied.sets = names.into_iter().map(|set| (set.clone(), at.cursor(&keys::space(&set)))).collect();
        copied.catalog = at.cursor(&keys::catalog());
        Ok(copied)
    }
}

/// How long nobody must be seen, to believe that nobody is there.
fn quiet_for(settings: impl Iterator<Item = SetSettings>) -> Duration {
    let slowest = settings.filter_map(|settings| match settings {
        SetSettings::Single(single) => Some(single.timing().renew_every()),
        SetSettings::Sticky(_) => None,
    });
    let slowest = slowest.max().unwrap_or_default();
    (slowest + RENEWED_WITHIN).max(BEATS_WITHIN)
}

/// Whether the target is ours to write: empty, or meant to be overwritten.
async fn may_be_written(to: &Registry, sets: &[SetName], spaces: &[Space], rules: CopyRules) -> Result<(), CopyError> {
    let there: BTreeSet<SetName> = to.sets().await.map_err(CopyError::To)?.into_iter().map(|(set, _)| set).collect();
    let others: Vec<SetName> = there.into_iter().filter(|set| !sets.contains(set)).collect();
    if !others.is_empty() {
        return Err(CopyError::OtherSets(others));
    }
    let mut full = Vec::new();
    for space in spaces {
        let mut walk = Walk::new(&*to.store, space);
        if walk.peek().await.map_err(to_failed)?.is_some() {
            full.push(space.clone());
        }
    }
    if full.is_empty() || rules.update { Ok(()) } else { Err(CopyError::NotEmpty(full)) }
}

/// Whether the target can hold each record: looked at before the first is written, where its limits are narrower.
async fn fits(from: &dyn Store, to: Limits, spaces: &[Space]) -> Result<(), CopyError> {
    let limits = from.limits();
    if limits.name_bytes <= to.name_bytes && limits.bytes <= to.bytes {
        return Ok(());
    }
    for space in spaces {
        let mut walk = Walk::new(from, space);
        while let Some((name, record)) = walk.next().await.map_err(from_failed)? {
            let sizes =
                [("a name", name.len(), to.name_bytes), ("a commit", name.len() + record.value.len(), to.bytes)];
            if let Some((what, is, at_most)) = sizes.into_iter().find(|(_, is, at_most)| is > at_most) {
                let name = name[..SHOWN_BYTES.min(name.len())].escape_ascii().to_string();
                return Err(CopyError::TooLarge { space: space.clone(), name, what, is, at_most });
            }
        }
    }
    Ok(())
}

/// Writes what differs in a space, from the beginning again where an answer got lost.
async fn written(
    from: &dyn Store,
    to: &dyn Store,
    space: &Space,
    rules: CopyRules,
    tell: &mut impl FnMut(CopyNews),
) -> Result<Passed, CopyError> {
    let mode = if rules.dry_run { Mode::Compare } else { Mode::Write };
    let mut before = Passed::default();
    let mut tries = 1;
    loop {
        let mut pass = Pass::new(from, to, space, mode);
        match pass.run(|records| tell(CopyNews::Copying(space.clone(), records))).await {
            Ok(passed) => {
                return Ok(Passed {
                    puts: before.puts + passed.puts,
                    deletes: before.deletes + passed.deletes,
                    ..passed
                });
            }
            Err(CopyError::To(crate::Error::Store(store::Error::OutcomeUnknown(_)))) if tries < TRIES => {
                tries += 1;
                before.puts += pass.passed.puts;
                before.deletes += pass.passed.deletes;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Where spaces stood, and what is written in them without their standing elsewhere for it: signs of life, and leases
/// where a store keeps them apart.
struct Stands {
    from: BTreeMap<Space, Stand>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stand {
    cursor: Cursor,
    alive: BTreeMap<Vec<u8>, Revision>,
}

impl Stands {
    /// Looks twice, `quiet` apart, at both stores.
    async fn still(from: &dyn Store, to: &dyn Store, spaces: &[Space], quiet: Duration) -> Result<Stands, CopyError> {
        let before = (stands(from, spaces).await.map_err(from_failed)?, stands(to, spaces).await.map_err(to_failed)?);
        tokio::time::sleep(quiet).await;
        let after = (stands(from, spaces).await.map_err(from_failed)?, stands(to, spaces).await.map_err(to_failed)?);
        moved(&before.0, &after.0).map_or(Ok(()), |what| Err(CopyError::FromInUse(what)))?;
        moved(&before.1, &after.1).map_or(Ok(()), |what| Err(CopyError::ToInUse(what)))?;
        Ok(Stands { from: after.0 })
    }

    /// Whether the source still stands there.
    async fn unchanged(&self, from: &dyn Store) -> Result<(), CopyError> {
        let spaces: Vec<Space> = self.from.keys().cloned().collect();
        let now = stands(from, &spaces).await.map_err(from_failed)?;
        moved(&self.from, &now).map_or(Ok(()), |what| Err(CopyError::FromInUse(what)))
    }

    fn cursor(&self, space: &Space) -> Cursor {
        self.from.get(space).map_or(Cursor::START, |stand| stand.cursor.clone())
    }
}

async fn stands(store: &dyn Store, spaces: &[Space]) -> Result<BTreeMap<Space, Stand>, store::Error> {
    let mut stands = BTreeMap::new();
    for space in spaces {
        let (mut cursor, mut alive) = (None, BTreeMap::new());
        for prefix in [BEAT, LEASE] {
            let mut walk = Walk { skip_beats: false, prefix, ..Walk::new(store, space) };
            while let Some((name, record)) = walk.next().await? {
                alive.insert(name, record.version);
            }
            cursor = cursor.or(walk.cursor);
        }
        stands.insert(space.clone(), Stand { cursor: cursor.unwrap_or(Cursor::START), alive });
    }
    Ok(stands)
}

/// What moved between two looks.
fn moved(before: &BTreeMap<Space, Stand>, after: &BTreeMap<Space, Stand>) -> Option<String> {
    before.iter().find_map(|(space, was)| {
        let is = after.get(space)?;
        let alive = is.alive.iter().find(|(name, version)| was.alive.get(*name) != Some(version));
        if let Some((name, _)) = alive.filter(|(name, _)| name.starts_with(BEAT)) {
            let instance = name.strip_prefix(BEAT).unwrap_or(name).escape_ascii();
            return Some(format!("instance {instance} of `{space}` gives signs of life"));
        }
        if let Some((name, _)) = alive {
            return Some(format!("`{}` of `{space}` was written", name.escape_ascii()));
        }
        // A beat may move the number on, but leaves the mark of the last commit.
        (was.cursor.mark != is.cursor.mark).then(|| format!("`{space}` was written to"))
    })
}

/// Records of a space, in the order of names, page by page.
struct Walk<'a> {
    store: &'a dyn Store,
    space: &'a Space,
    prefix: &'a [u8],
    skip_beats: bool,
    cursor: Option<Cursor>,
    token: Option<PageToken>,
    page: VecDeque<(Vec<u8>, Record)>,
}

impl<'a> Walk<'a> {
    fn new(store: &'a dyn Store, space: &'a Space) -> Walk<'a> {
        Walk { store, space, prefix: b"", skip_beats: true, cursor: None, token: None, page: VecDeque::new() }
    }

    async fn peek(&mut self) -> Result<Option<&(Vec<u8>, Record)>, store::Error> {
        while self.page.is_empty() && (self.cursor.is_none() || self.token.is_some()) {
            let token = self.token.take();
            let page = self.store.scan(self.space, self.prefix, token, PAGE_RECORDS, CALL_WITHIN).await?;
            self.cursor.get_or_insert(page.cursor);
            self.token = page.next;
            let skip = self.skip_beats;
            self.page.extend(page.records.into_iter().filter(|(name, _)| !(skip && name.starts_with(BEAT))));
        }
        Ok(self.page.front())
    }

    async fn next(&mut self) -> Result<Option<(Vec<u8>, Record)>, store::Error> {
        self.peek().await?;
        Ok(self.page.pop_front())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Compare,
    Write,
}

/// What one pass over a space found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Passed {
    records: u64,
    bytes: u64,
    puts: u64,
    deletes: u64,
}

/// One pass over a space of both stores, side by side.
struct Pass<'a> {
    from: Walk<'a>,
    to: Walk<'a>,
    mode: Mode,
    limits: Limits,
    /// Changes that are not written yet.
    batch: Vec<Change>,
    bytes: usize,
    passed: Passed,
}

impl<'a> Pass<'a> {
    fn new(from: &'a dyn Store, to: &'a dyn Store, space: &'a Space, mode: Mode) -> Pass<'a> {
        let limits = to.limits();
        let (from, to) = (Walk::new(from, space), Walk::new(to, space));
        Pass { from, to, mode, limits, batch: Vec::new(), bytes: 0, passed: Passed::default() }
    }

    async fn run(&mut self, mut tell: impl FnMut(u64)) -> Result<Passed, CopyError> {
        loop {
            let source = self.from.peek().await.map_err(from_failed)?.map(|(name, _)| name.clone());
            let target = self.to.peek().await.map_err(to_failed)?.map(|(name, _)| name.clone());
            let (here, there) = match (&source, &target) {
                (None, None) => break,
                (Some(_), None) => (true, false),
                (None, Some(_)) => (false, true),
                (Some(source), Some(target)) => (source <= target, target <= source),
            };
            let source = if here { self.from.next().await.map_err(from_failed)? } else { None };
            let target = if there { self.to.next().await.map_err(to_failed)? } else { None };
            if let Some((name, record)) = &source {
                self.passed.records += 1;
                self.passed.bytes += (name.len() + record.value.len()) as u64;
                if self.passed.records.is_multiple_of(TOLD_EVERY) {
                    tell(self.passed.records);
                }
            }
            if let Some(change) = difference(source, target) {
                self.take(change).await?;
            }
        }
        self.flush().await?;
        tell(self.passed.records);
        Ok(self.passed)
    }

    /// Counts a change, and writes it with others.
    async fn take(&mut self, change: Change) -> Result<(), CopyError> {
        match change.write {
            Write::Delete => self.passed.deletes += 1,
            _ => self.passed.puts += 1,
        }
        if self.mode == Mode::Compare {
            return Ok(());
        }
        let alone = change.name.starts_with(LEASE);
        let bytes = change.bytes();
        let full = self.batch.len() + 1 > self.limits.operations || self.bytes + bytes > self.limits.bytes;
        if alone || full {
            self.flush().await?;
        }
        self.bytes += bytes;
        self.batch.push(change);
        if alone {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), CopyError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.bytes = 0;
        let batch = Batch { space: self.to.space.clone(), changes: std::mem::take(&mut self.batch) };
        match self.to.store.commit(batch, CALL_WITHIN).await {
            Ok(_) => Ok(()),
            Err(store::Error::Conflict(differ)) => {
                let name = differ.first().map(|(name, _)| name.escape_ascii().to_string()).unwrap_or_default();
                Err(CopyError::ToInUse(format!("`{name}` of `{}` was written", self.to.space)))
            }
            Err(error) => Err(to_failed(error)),
        }
    }
}

/// What makes the target's record the source's.
fn difference(source: Option<(Vec<u8>, Record)>, target: Option<(Vec<u8>, Record)>) -> Option<Change> {
    match (source, target) {
        (Some((name, source)), None) => {
            Some(Change { name, expect: Expect::Absent, write: Write::Put(source.value, None) })
        }
        (Some((name, source)), Some((_, target))) if source.value != target.value => {
            Some(Change { name, expect: Expect::Version(target.version), write: Write::Put(source.value, None) })
        }
        (None, Some((name, target))) => {
            Some(Change { name, expect: Expect::Version(target.version), write: Write::Delete })
        }
        _ => None,
    }
}

fn from_failed(error: store::Error) -> CopyError {
    CopyError::From(error.into())
}

fn to_failed(error: store::Error) -> CopyError {
    CopyError::To(error.into())
}

#[cfg(test)]
mod tests;
