//! The store contract.
//!
//! ```text
//! read(key)                    → the record and its version, if any
//! commit(batch)                → the revision | Conflict(current records of every key that differs)
//! scan(space, prefix, page)    → a cursor at revision R first, then pages read at R or later
//! watch(space, prefixes, from) → ordered changes, the last one seen included again; Compacted if it is gone
//! ```

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// A number that grows with every commit of a space and is never reused, also not after a delete. 0: before the first.
/// The commits a watch shows are in order but not numbered one by one.
///
/// Names under `beat/` and `lease/` may count for themselves: their versions grow name by name and are never used again,
/// but are comparable with no other name's, nor with a cursor's revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct Revision(pub u64);

/// Where a record lies: in a space (a set, or the catalog of sets), under a name of any bytes.
/// Names read `kind/rest`: `lease/web`, `instance/web-1`, `client/<any bytes>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The space: commits are within one, revisions are counted in one.
    pub space: Space,
    /// The name inside it.
    pub name: Vec<u8>,
}

/// A space: 1 to 64 printable ASCII bytes without `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Space(String);

/// A record as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The revision of the commit that wrote it; of a beat or a lease perhaps a number of its own, see [`Revision`].
    pub version: Revision,
    /// What was written.
    pub value: Bytes,
}

/// A name and what is there (`None`: no record).
pub type Named = (Vec<u8>, Option<Record>);

/// What a change of one key believes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is no record.
    Absent,
    /// The record is this version.
    Version(Revision),
}

/// What a put under `lease/` is for. A back end with native leases makes it one; others store it like any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// A new holder or epoch.
    Take,
    /// The same holder and epoch for longer.
    Renew,
    /// Given back.
    Release,
}

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// These bytes; a lease also says what for.
    Put(Bytes, Option<Hold>),
    /// No record.
    Delete,
    /// Nothing: only the precondition counts (a batch may depend on what it does not change).
    Nothing,
}

/// One key's part of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name in the batch's space.
    pub name: Vec<u8>,
    /// What it believes.
    pub expect: Expect,
    /// What it writes.
    pub write: Write,
}

/// Changes within one space: all or nothing. No name twice; `lease/…` and `beat/…` alone.
/// A batch that writes [`Write::Nothing`] alone makes no commit: it is answered with where the space stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The space.
    pub space: Space,
    /// The changes.
    pub changes: Vec<Change>,
}

/// A place in a space's history: a revision and the mark of the commit that made it, which differs when
/// another history has the same number (a rolled-back store). Its text, `42.9f3c…`, goes over the wire.
///
/// A write under `beat/` is in no history: its cursor carries the mark of the last commit that is. Where leases are kept
/// apart, neither is a write under `lease/`. The revision of such a cursor is the version that was written; nothing is
/// resumed from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The revision.
    pub revision: Revision,
    /// The commit's own random mark; empty before the first commit.
    pub mark: Vec<u8>,
}

/// A page of a scan, in the order of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Taken before the first page was read: watch from here to learn what the pages missed.
    pub cursor: Cursor,
    /// Names and records.
    pub records: Vec<(Vec<u8>, Record)>,
    /// Give this to the next call; `None`: that was all. A page may hold fewer records than asked for.
    pub next: Option<PageToken>,
}

/// Where a scan goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageToken {
    /// The cursor of the first page.
    pub cursor: Cursor,
    /// The last name returned.
    pub after: Vec<u8>,
}

/// One commit as a watch shows it (only the names under the watched prefixes, each once; never empty).
///
/// A watch tells a lease's latest version. Where the engine keeps leases apart ([`Description::leases_apart`]), versions
/// between may be missing, the cursor is that of the last commit of the space, and a watch begins by telling each lease
/// under its prefixes that there is or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Where it stands in history; resume a watch from it.
    pub cursor: Cursor,
    /// The names it changed and what they are now (`None`: deleted).
    pub changes: Vec<Named>,
}

/// What a watch says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A commit, in order, without gaps.
    Committed(Committed),
    /// Nothing under the prefixes happened up to here: the store is alive and this is where it stands. It is proof of
    /// contact: a watch whose store lies elsewhere says it only of what it has heard from there since its last notice.
    Progress(Cursor),
}

/// A running watch. Dropping it ends it.
#[async_trait]
pub trait Watch: Send {
    /// The next notice; at least one every `progress_every`, or every [`Description::pace`] if that is longer, unless
    /// the store cannot be reached. Cancel-safe: a dropped call loses nothing.
    /// An error ends the watch; resume with [`Store::watch`] from the last cursor.
    async fn next(&mut self) -> Result<Notice, Error>;
}

/// How much a batch may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// Changes in a batch.
    pub operations: usize,
    /// Bytes of names and values in a batch.
    pub bytes: usize,
    /// Bytes of a name.
    pub name_bytes: usize,
}

/// What a store guarantees, for people and for `doctor`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Description {
    /// `memory`, `sqlite`, `http` …
    pub engine: String,
    /// Where it is, without secrets.
    pub place: String,
    /// Acknowledged writes survive kill -9 and power loss.
    pub durable: bool,
    /// Changes are pushed to watches, not polled for.
    pub push: bool,
    /// Lives and dies with one machine.
    pub one_machine: bool,
    /// How acknowledged writes can be lost, if they can.
    pub may_lose: Option<String>,
    /// The shortest interval at which a watch can prove contact with the store ([`Description::pace`]); 0: any.
    #[serde(default)]
    pub pace_ms: u64,
    /// Leases are no part of the space's history: see [`Revision`] and [`Committed`].
    #[serde(default)]
    pub leases_apart: bool,
    /// The engine holds leases itself, and each for exactly so long.
    #[serde(default)]
    pub lease_lasts_ms: Option<u64>,
    /// What else is worth knowing of it now, a sentence each, like `polls, because it is behind a pooler`.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// One thing that a store's server says of itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Finding {
    /// What it is about: `version`, `fsync`, `replicas` …
    pub about: Cow<'static, str>,
    /// How it stands.
    pub value: String,
    /// What that means for a store of Steadfast's.
    pub grade: Grade,
    /// What to do about it, if there is something.
    pub advice: Option<String>,
}

/// What a [`Finding`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// A promise of the contract may be broken.
    Bad,
}

/// No store is waited for longer at its own word, which may come from far away.
const PACE_AT_MOST: Duration = Duration::from_secs(60);

/// What went wrong, sorted by what the caller does next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A precondition did not hold; nothing was written. The current record of every key that differs.
    #[error("another write came first ({} records differ)", .0.len())]
    Conflict(Vec<Named>),
    /// It did not happen. Try again later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It may have happened, or may yet happen. Read before trying again.
    #[error("no answer from the store, the outcome is unknown: {0}")]
    OutcomeUnknown(String),
    /// The history asked for is gone or was another one (rolled back, replaced): scan anew.
    #[error("the store's history does not go back to revision {0} or is another one: {1}")]
    Compacted(Revision, String),
    /// The store knows us and says no.
    #[error("the store refuses: {0}")]
    Denied(String),
    /// What the store holds is damaged or of a newer format.
    #[error("the store's content cannot be used: {0}")]
    Corrupt(String),
    /// Asked wrongly: a malformed batch, a bad URL, a limit exceeded. Our mistake or the operator's.
    #[error("{0}")]
    Config(String),
}

/// The shared coordination state. Only `commit` must be linearizable; `read` and `scan` show some recent state.
///
/// The caller gives every time-out; there are no hidden retries. A call dropped half-way may have happened.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// One record.
    async fn read(&self, key: &Key, within: Duration) -> Result<Option<Record>, Error>;
    /// All of the batch or nothing.
    async fn commit(&self, batch: Batch, within: Duration) -> Result<Cursor, Error>;
    /// Records whose names start with `prefix`, at most `limit` a page (and never more than
    /// [`PAGE_RECORDS`](crate::PAGE_RECORDS) or, past the first, [`PAGE_BYTES`](crate::PAGE_BYTES)).
    async fn scan(
        &self,
        space: &Space,
        prefix: &[u8],
        page: Option<PageToken>,
        limit: usize,
        within: Duration,
    ) -> Result<Page, Error>;
    /// Changes of names that start with any of `prefixes`, beginning with the commit at `from` itself, if it touched
    /// one of them, and otherwise with a [`Notice::Progress`] at or after it: proof that history goes on from there.
    /// `&[b""]` is everything; no prefix at all, or more than [`WATCH_PREFIXES`](crate::WATCH_PREFIXES), is
    /// [`Error::Config`].
    async fn watch(
        &self,
        space: &Space,
        prefixes: &[&[u8]],
        from: Cursor,
        progress_every: Duration,
    ) -> Result<Box<dyn Watch>, Error>;
    /// How much a batch may hold.
    fn limits(&self) -> Limits;
    /// What it guarantees.
    fn describe(&self) -> Description;
    /// What its server says of itself, for people: nothing depends on it.
    async fn examine(&self, _within: Duration) -> Result<Vec<Finding>, Error> {
        Ok(Vec::new())
    }
}

impl Revision {
    /// The one after it.
    pub fn next(self) -> Revision {
        Revision(self.0 + 1)
    }
}

impl Description {
    /// The shortest interval at which a watch can prove contact with the store, a minute at most.
    pub fn pace(&self) -> Duration {
        Duration::from_millis(self.pace_ms).min(PACE_AT_MOST)
    }
}

impl Cursor {
    /// Before the first commit.
    pub const START: Cursor = Cursor { revision: Revision(0), mark: Vec::new() };
}

impl Space {
    /// A space of this name; `None` if it is not 1 to 64 printable ASCII bytes without `/`.
    pub fn new(name: &str) -> Option<Space> {
        let fine = (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
        fine.then(|| Space(name.to_owned()))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Key {
    /// A key in `space` under `name`.
    pub fn new(space: Space, name: impl Into<Vec<u8>>) -> Key {
        Key { space, name: name.into() }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.space.0, self.name.escape_ascii())
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.revision)?;
        self.mark.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The text is not that of a cursor: a number, a dot, and up to 64 bytes in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor (a revision, a dot and a mark in hexadecimal, as in `42.9f3c`)")]
pub struct NotACursor;

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Cursor, NotACursor> {
        const MARK_BYTES: usize = 64;
        let (revision, mark) = text.split_once('.').ok_or(NotACursor)?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !digits(revision) || !hex(mark) || mark.len() % 2 == 1 || mark.len() > 2 * MARK_BYTES {
            return Err(NotACursor);
        }
        let byte = |pair: usize| u8::from_str_radix(&mark[2 * pair..2 * pair + 2], 16).map_err(|_| NotACursor);
        Ok(Cursor {
            revision: Revision(revision.parse().map_err(|_| NotACursor)?),
            mark: (0..mark.len() / 2).map(byte).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests;
