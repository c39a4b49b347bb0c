//! The SQLite file: its schema, and the statements on it. One owner at a time; nothing here waits for anybody
//! but the disk, and nothing is shared.
//!
//! ```text
//! space (id, name, revision, mark, base, folded)   where each space stands; its log begins after `base`
//! record(space, name, version, value)              what there is, but for what the log says after `folded`
//! log   (space, revision, mark, changes)           the recent commits, for watches and for [`fold`](super::fold)
//! ```
//! The view `readable` shows the records as text, for `sqlite3`; in a burst of writes it is behind until that is over.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{File as Plain, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::failure::{Doubt, Failure, Kind, cannot_open, cannot_sync, explain};
use super::fold::{FoldBound, Now, Unfolded};
use super::log;
use crate::history::History;
use crate::page::PageBuilder;
use crate::{
    Batch, Change, Committed, Cursor, Error, LogBound, Named, Page, PageToken, Record, Revision, Space, Write,
};

/// Marks the file as ours, in SQLite's header: "Stdf".
const APPLICATION: i32 = 0x5374_6466;

/// The format this build writes, in SQLite's `user_version`.
const FORMAT: i32 = 2;

/// How long another program that reads or writes the file is waited for.
const BUSY_WITHIN: Duration = Duration::from_secs(1);

/// Revisions of the log that are trimmed at once, at most: each may be a megabyte.
const TRIM_REVISIONS: u64 = 64;

/// What each connection is set to. `FULL`: a commit returns when it is on the disk.
const SETTINGS: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 4000;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA cache_size = -65536;
    PRAGMA temp_store = MEMORY;
    PRAGMA trusted_schema = OFF;
";

const SCHEMA: &str = "
    CREATE TABLE space (
        id       INTEGER PRIMARY KEY,
        name     TEXT    NOT NULL UNIQUE,
        revision INTEGER NOT NULL,
        mark     BLOB    NOT NULL,
        base     INTEGER NOT NULL,
        folded   INTEGER NOT NULL
    );
    CREATE TABLE record (
        space   INTEGER NOT NULL,
        name    BLOB    NOT NULL,
        version INTEGER NOT NULL,
        value   BLOB    NOT NULL,
        PRIMARY KEY (space, name)
    ) WITHOUT ROWID;
    CREATE TABLE log (
        space    INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        mark     BLOB    NOT NULL,
        changes  BLOB    NOT NULL,
        PRIMARY KEY (space, revision)
    ) WITHOUT ROWID;
    CREATE VIEW readable AS
        SELECT space.name AS space, CAST(record.name AS TEXT) AS name, version, CAST(value AS TEXT) AS value
        FROM record JOIN space ON space.id = record.space;
";

/// Makes a file of format 1, which folded each commit at once, one of format 2.
const FROM_FORMAT_1: &str = "
    ALTER TABLE space ADD COLUMN folded INTEGER NOT NULL DEFAULT 0;
    UPDATE space SET folded = revision;
";

/// An open store file.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    db: Connection,
    /// The rows of `space`.
    ids: HashMap<Space, i64>,
    /// What the log holds and the table does not.
    unfolded: Unfolded,
    /// The journal as it was found is on the disk for certain.
    settled: bool,
}

/// A row of `space`.
struct Standing {
    id: i64,
    name: String,
    base: Revision,
    folded: Revision,
    head: Cursor,
}

impl File {
    /// Opens the file at `path`, making it if there is none. What is found in its journal may not be on the disk yet:
    /// [`File::settle`] sees to that.
    pub(super) fn open(path: &Path, fold: FoldBound) -> Result<File, Error> {
        create(path).map_err(|e| cannot_open(path, &e))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).map_err(|e| explain(path, &e).error)?;
        let unfolded = Unfolded::new(fold);
        let mut file = File { path: path.to_owned(), db, ids: HashMap::new(), unfolded, settled: false };
        file.prepare()?;
        Ok(file)
    }

    fn prepare(&mut self) -> Result<(), Error> {
        if self.db.is_readonly("main").map_err(|e| self.explain(&e))? {
            let refused = io::Error::from(io::ErrorKind::PermissionDenied);
            return Err(cannot_open(&self.path, &refused));
        }
        self.db.busy_timeout(BUSY_WITHIN).map_err(|e| self.explain(&e))?;
        let found = self.check_format()?;
        let journal: String =
            self.db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(|e| self.explain(&e))?;
        if journal != "wal" {
            let place = self.path.display();
            return Err(Error::Config(format!(
                "{place} lies on a file system without shared memory: move it to a local disk"
            )));
        }
        self.db.execute_batch(SETTINGS).map_err(|e| self.explain(&e))?;
        let make = match found {
            0 => SCHEMA,
            1 => FROM_FORMAT_1,
            _ => "",
        };
        if !make.is_empty() {
            let make = format!(
                "BEGIN IMMEDIATE; {make} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}; COMMIT"
            );
            self.db.execute_batch(&make).map_err(|e| self.explain(&e))?;
        }
        Ok(())
    }

    /// Brings what was found in the journal to the disk: a former owner may have been killed, or have failed, between
    /// writing a commit and syncing it. It is copied into the file, since syncing the same pages once more says nothing
    /// after a sync that failed.
    ///
    /// Another program that is reading an older state keeps what is newer from being copied. Then the journal is synced,
    /// and after a sync that failed, here or before, nothing is answered before that program has ended.
    pub(super) fn settle(&mut self, doubt: &mut Doubt) -> Result<(), Failure> {
        if self.settled {
            return Ok(());
        }
        match (self.copy_journal(doubt)?, *doubt) {
            (true, _) => {}
            (false, Doubt::None) => self.sync_journal(doubt)?,
            (false, Doubt::SyncFailed) => return Err(self.kept_from_settling()),
        }
        self.settled = true;
        Ok(())
    }

    /// Copies what is in the journal into the file, and syncs both. Says whether that was all of it.
    fn copy_journal(&self, doubt: &mut Doubt) -> Result<bool, Failure> {
        #[cfg(test)]
        sabotage::copy(self)?;
        let copied = self.db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok(row.get::<_, i64>(0)? == 0 && row.get::<_, i64>(1)? <= row.get::<_, i64>(2)?)
        });
        copied.map_err(|e| {
            let failure = explain(&self.path, &e);
            if failure.kind == Kind::Lasting {
                *doubt = Doubt::SyncFailed;
            }
            failure
        })
    }

    fn sync_journal(&self, doubt: &mut Doubt) -> Result<(), Failure> {
        let mut journal = OsString::from(&self.path);
        journal.push("-wal");
        let path = Path::new(&journal);
        let lasting = |error| Failure { error, kind: Kind::Lasting };
        let file = Plain::open(path).map_err(|e| lasting(cannot_open(path, &e)))?;
        #[cfg(test)]
        let file = sabotage::sync(self, file);
        file.sync_all().map_err(|e| {
            *doubt = Doubt::SyncFailed;
            lasting(cannot_sync(path, &e))
        })
    }

    fn kept_from_settling(&self) -> Failure {
        let place = self.path.display();
        let error = Error::Unavailable(format!(
            "the disk of {place} failed, and another program that is reading it keeps what was written last from being \
             written anew: end that program"
        ));
        Failure { error, kind: Kind::Lasting }
    }

    /// The file's format, 0 of an empty one; an error if it is neither empty nor of ours.
    fn check_format(&self) -> Result<i32, Error> {
        let number = |sql: &str| self.db.query_row(sql, [], |row| row.get::<_, i32>(0)).map_err(|e| self.explain(&e));
        let application = number("PRAGMA application_id")?;
        let format = number("PRAGMA user_version")?;
        let tables = number("SELECT count(*) FROM sqlite_schema")?;
        let place = self.path.display();
        match (application, format) {
            (0, 0) if tables == 0 => Ok(0),
            (APPLICATION, 1..=FORMAT) => Ok(format),
            (APPLICATION, newer) if newer > FORMAT => Err(Error::Corrupt(format!(
                "{place} was written by a newer Steadfast: format {newer}, this one knows {FORMAT}; \
                 run that version, or start with another file"
            ))),
            (APPLICATION, other) => Err(Error::Corrupt(format!("{place} has the format {other}, which never was one"))),
            _ => Err(Error::Config(format!(
                "{place} is another program's SQLite database: name a file of Steadfast's own, or one that is not there yet"
            ))),
        }
    }

    /// Where every space stands and what its log holds; what of it is not folded yet is taken up again.
    pub(super) fn histories(&mut self, bound: LogBound) -> Result<HashMap<Space, History>, Error> {
        let spaces = self.spaces().map_err(|e| self.explain(&e))?;
        let mut histories = HashMap::with_capacity(spaces.len());
        for Standing { id, name, base, folded, head } in spaces {
            let broken = |what: &str| Error::Corrupt(format!("{}: space `{name}` {what}", self.path.display()));
            let space = Space::new(&name).ok_or_else(|| broken("has a name no space can have"))?;
            let rows = self.log(id).map_err(|e| self.explain(&e))?;
            let mut log = Vec::with_capacity(rows.len());
            for (cursor, changes) in rows {
                let revision = cursor.revision;
                let changes = log::decode(&changes, revision)
                    .ok_or_else(|| broken(&format!("has a damaged log at revision {revision}")))?;
                let commit = Committed { cursor, changes };
                if revision > folded {
                    self.unfolded.add(id, &commit);
                }
                log.push(commit);
            }
            if log.last().is_some_and(|last| last.cursor.mark != head.mark || last.cursor.revision > head.revision) {
                return Err(broken("has a log that does not lead to where it stands"));
            }
            // What was kept for folding alone is no part of what watches may ask for.
            log.retain(|commit| commit.cursor.revision > base);
            self.ids.insert(space.clone(), id);
            histories.insert(space, History::restore(bound, base, head, log));
        }
        Ok(histories)
    }

    fn spaces(&self) -> rusqlite::Result<Vec<Standing>> {
        let mut select = self.db.prepare("SELECT id, name, base, folded, revision, mark FROM space")?;
        let rows = select.query_map([], |row| {
            let head = Cursor { revision: Revision(row.get(4)?), mark: row.get(5)? };
            let (base, folded) = (Revision(row.get(2)?), Revision(row.get(3)?));
            Ok(Standing { id: row.get(0)?, name: row.get(1)?, base, folded, head })
        })?;
        rows.collect()
    }

    fn log(&self, id: i64) -> rusqlite::Result<Vec<(Cursor, Vec<u8>)>> {
        let sql = "SELECT log.revision, log.mark, changes FROM log JOIN space ON space.id = log.space
                   WHERE space = ?1 AND log.revision > min(base, folded) ORDER BY log.revision";
        let mut select = self.db.prepare(sql)?;
        let rows = select
            .query_map([id], |row| Ok((Cursor { revision: Revision(row.get(0)?), mark: row.get(1)? }, row.get(2)?)))?;
        rows.collect()
    }

    /// The record under `name`, if there is one.
    pub(super) fn read(&self, space: &Space, name: &[u8]) -> Result<Option<Record>, Failure> {
        match self.ids.get(space) {
            Some(id) => self.record(*id, name).map_err(|e| explain(&self.path, &e)),
            None => Ok(None),
        }
    }

    fn record(&self, id: i64, name: &[u8]) -> rusqlite::Result<Option<Record>> {
        if let Some(now) = self.unfolded.get(id, name) {
            return Ok(now.clone());
        }
        let mut select = self.db.prepare_cached("SELECT version, value FROM record WHERE space = ?1 AND name = ?2")?;
        select.query_row(params![id, name], |row| Ok(record(row.get(0)?, row.get(1)?))).optional()
    }

    /// A page of the names under `prefix`; `head` is where the space stands.
    pub(super) fn scan(
        &self,
        space: &Space,
        prefix: &[u8],
        token: Option<&PageToken>,
        records_at_most: usize,
        head: Cursor,
    ) -> Result<Page, Failure> {
        let cursor = token.map_or(head, |token| token.cursor.clone());
        let mut page = PageBuilder::new(cursor, records_at_most);
        if let Some(id) = self.ids.get(space) {
            // The first name after another is that one and a zero byte.
            let start = match token {
                Some(token) if token.after.as_slice() >= prefix => [&token.after[..], &[0]].concat(),
                _ => prefix.to_vec(),
            };
            self.fill(&mut page, *id, prefix, &start).map_err(|e| explain(&self.path, &e))?;
        }
        Ok(page.finish())
    }

    fn fill(&self, page: &mut PageBuilder, id: i64, prefix: &[u8], start: &[u8]) -> rusqlite::Result<()> {
        let sql = "SELECT name, version, value FROM record WHERE space = ?1 AND name >= ?2 ORDER BY name";
        let mut select = self.db.prepare_cached(sql)?;
        let mut rows = select.query(params![id, start])?;
        let mut unfolded = self.unfolded.from(id, start).peekable();
        let mut row = rows.next()?;
        loop {
            let in_table = row.map(|row| row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)).transpose()?;
            // What is not folded yet comes before what the table has under the same name, and instead of it.
            let newer = unfolded.next_if(|(name, _)| in_table.is_none_or(|in_table| *name <= in_table));
            let Some(name) = newer.map(|(name, _)| name).or(in_table) else { break };
            if !name.starts_with(prefix) || page.is_full() {
                break;
            }
            match (newer, row) {
                (Some((name, now)), _) => now.iter().for_each(|now| page.add(name, now.clone())),
                (None, Some(row)) => page.add(name, record(row.get(1)?, row.get(2)?)),
                (None, None) => {}
            }
            if in_table == Some(name) {
                row = rows.next()?;
            }
        }
        Ok(())
    }

    /// Begins a transaction that may write: nothing is built upon what is not on the disk. If it fails later, the file
    /// must be opened anew: what it knows of the transaction in memory is not taken back.
    pub(super) fn begin(&mut self, doubt: &mut Doubt) -> Result<(), Failure> {
        self.settle(doubt)?;
        self.run("BEGIN IMMEDIATE")
    }

    /// Ends the transaction; it is on the disk when this returns. After an error nobody knows.
    pub(super) fn commit(&mut self) -> Result<(), Failure> {
        #[cfg(test)]
        sabotage::commit(self)?;
        self.run("COMMIT")
    }

    fn run(&self, sql: &str) -> Result<(), Failure> {
        let mut statement = self.db.prepare_cached(sql).map_err(|e| explain(&self.path, &e))?;
        statement.execute([]).map(drop).map_err(|e| explain(&self.path, &e))
    }

    /// The current records of the changes whose expectation does not hold.
    pub(super) fn conflicts(&self, batch: &Batch) -> Result<Vec<Named>, Failure> {
        // In a space that is not there no row has this id.
        let id = self.ids.get(&batch.space).copied().unwrap_or_default();
        self.differing(id, &batch.changes).map_err(|e| explain(&self.path, &e))
    }

    fn differing(&self, id: i64, changes: &[Change]) -> rusqlite::Result<Vec<Named>> {
        let mut select = self.db.prepare_cached("SELECT version FROM record WHERE space = ?1 AND name = ?2")?;
        let mut differing = Vec::new();
        for Change { name, expect, .. } in changes {
            let version = match self.unfolded.get(id, name) {
                Some(now) => now.as_ref().map(|record| record.version),
                None => select.query_row(params![id, name], |row| Ok(Revision(row.get(0)?))).optional()?,
            };
            if !expect.holds(version) {
                differing.push((name.clone(), self.record(id, name)?));
            }
        }
        Ok(differing)
    }

    /// Writes what the batch writes, as of `cursor`; returns what it changed. A beat is not logged.
    pub(super) fn apply(&mut self, batch: Batch, cursor: Cursor) -> Result<Committed, Failure> {
        self.write(batch, cursor).map_err(|e| explain(&self.path, &e))
    }

    fn write(&mut self, batch: Batch, cursor: Cursor) -> rusqlite::Result<Committed> {
        let id = self.id(&batch.space)?;
        let beat = batch.is_beat();
        let version = cursor.revision;
        let mut changes = Vec::with_capacity(batch.changes.len());
        for Change { name, write, .. } in batch.changes {
            match write {
                Write::Put(value, _) => changes.push((name, Some(Record { version, value }))),
                Write::Delete => changes.push((name, None)),
                Write::Nothing => {}
            }
        }
        let commit = Committed { cursor, changes };
        if beat {
            self.put(commit.changes.iter().map(|(name, now)| (id, name.as_slice(), now, version)))?;
        } else {
            let sql = "INSERT INTO log (space, revision, mark, changes) VALUES (?1, ?2, ?3, ?4)";
            let row = params![id, version.0, commit.cursor.mark, log::encode(&commit.changes)];
            self.db.prepare_cached(sql)?.execute(row)?;
            self.unfolded.add(id, &commit);
        }
        Ok(commit)
    }

    /// Brings records into the table as they were after the commit `upto`.
    /// Nothing newer is ever overwritten, whoever has written to the file meanwhile.
    fn put<'a>(&self, records: impl Iterator<Item = (i64, &'a [u8], &'a Now, Revision)>) -> rusqlite::Result<()> {
        let sql = "INSERT INTO record (space, name, version, value) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT DO UPDATE SET version = excluded.version, value = excluded.value
                   WHERE excluded.version > record.version";
        let mut put = self.db.prepare_cached(sql)?;
        let sql = "DELETE FROM record WHERE space = ?1 AND name = ?2 AND version <= ?3";
        let mut delete = self.db.prepare_cached(sql)?;
        for (id, name, now, upto) in records {
            match now {
                Some(record) => put.execute(params![id, name, record.version.0, &record.value[..]])?,
                None => delete.execute(params![id, name, upto.0])?,
            };
        }
        Ok(())
    }

    /// Within a transaction that adds `changes`: brings its share of what was not folded yet into the table.
    pub(super) fn fold(&mut self, changes: usize) -> Result<(), Failure> {
        let slice = self.unfolded.next(self.unfolded.share(changes));
        let write = || {
            self.put(slice.records.iter().map(|(id, name, now, upto)| (*id, name.as_slice(), now, *upto)))?;
            let mut folded = self.db.prepare_cached("UPDATE space SET folded = max(folded, ?2) WHERE id = ?1")?;
            slice.folded.iter().try_for_each(|(id, upto)| folded.execute(params![id, upto.0]).map(drop))
        };
        write().map_err(|e| explain(&self.path, &e))
    }

    /// What of the log is not in the table yet.
    pub(super) fn unfolded(&self) -> &Unfolded {
        &self.unfolded
    }

    /// Has that folded next, without waiting for more.
    pub(super) fn freeze(&mut self) {
        self.unfolded.freeze();
    }

    /// Writes where a space stands, and after which revision its log counts from now on.
    pub(super) fn stand(&self, space: &Space, head: &Cursor, base: Revision) -> Result<(), Failure> {
        let stand = || {
            let sql = "UPDATE space SET revision = ?2, mark = ?3, base = ?4 WHERE id = ?1";
            let row = params![self.ids.get(space), head.revision.0, head.mark, base.0];
            self.db.prepare_cached(sql)?.execute(row).map(drop)
        };
        stand().map_err(|e| explain(&self.path, &e))
    }

    /// Deletes the oldest rows of a space's log up to `base`, but none that is still to be folded.
    pub(super) fn trim(&self, space: &Space, base: Revision) -> Result<(), Failure> {
        let trim = || {
            let sql = "DELETE FROM log WHERE space = ?1
                       AND revision <= min(?2, (SELECT folded FROM space WHERE id = ?1),
                                           (SELECT min(revision) FROM log WHERE space = ?1) + ?3)";
            self.db.prepare_cached(sql)?.execute(params![self.ids.get(space), base.0, TRIM_REVISIONS]).map(drop)
        };
        trim().map_err(|e| explain(&self.path, &e))
    }

    /// The row of a space, made if there is none. Within a transaction.
    fn id(&mut self, space: &Space) -> rusqlite::Result<i64> {
        if let Some(id) = self.ids.get(space) {
            return Ok(*id);
        }
        let sql = "INSERT INTO space (name, revision, mark, base, folded) VALUES (?1, 0, x'', 0, 0)
                   RETURNING id";
        let id = self.db.prepare_cached(sql)?.query_row([space.as_str()], |row| row.get(0))?;
        self.ids.insert(space.clone(), id);
        Ok(id)
    }

    fn explain(&self, error: &rusqlite::Error) -> Error {
        explain(&self.path, error).error
    }
}

fn record(version: u64, value: Vec<u8>) -> Record {
    Record { version: Revision(version), value: Bytes::from(value) }
}

/// Makes an empty file that only its owner may read, unless there is one.
fn create(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(e) => return Err(e),
    }
    // The name must survive a power loss as well as the content.
    match path.parent() {
        Some(directory) => Plain::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// Lets a commit fail as a failing disk would, where a test has put a file beside the database that says how; and a copy
/// of the journal, or its sync, where there is a file of that name.
#[cfg(test)]
pub(super) mod sabotage {
    use super::{Error, Failure, File, Kind, Plain};

    /// Nothing reaches the file.
    pub(in super::super) const BEFORE: &str = "before";
    /// Everything reaches the file, and is reported as failed.
    pub(in super::super) const AFTER: &str = "after";
    /// Nothing reaches the file, since there is no room.
    pub(in super::super) const FULL: &str = "full";

    /// There is no room for the copy.
    pub(super) fn copy(file: &File) -> Result<(), Failure> {
        match std::fs::remove_file(file.path.with_extension("copy")) {
            Ok(()) => Err(Failure { error: Error::Unavailable("no room for the copy".to_owned()), kind: Kind::Full }),
            Err(_) => Ok(()),
        }
    }

    /// A sync of what is given back fails: nothing can be synced to a pipe.
    pub(super) fn sync(file: &File, journal: Plain) -> Plain {
        match std::fs::remove_file(file.path.with_extension("sync")) {
            Ok(()) => std::os::fd::OwnedFd::from(std::io::pipe().unwrap().1).into(),
            Err(_) => journal,
        }
    }

    pub(super) fn commit(file: &File) -> Result<(), Failure> {
        let order = file.path.with_extension("fail");
        let Ok(when) = std::fs::read_to_string(&order) else { return Ok(()) };
        std::fs::remove_file(&order).unwrap();
        if when == AFTER {
            file.run("COMMIT")?;
        }
        let kind = if when == FULL { Kind::Full } else { Kind::Lasting };
        Err(Failure { error: Error::Unavailable(format!("the disk failed {when} the commit")), kind })
    }
}
