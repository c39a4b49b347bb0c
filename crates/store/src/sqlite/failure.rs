//! What went wrong with the store's files, and what that means for the caller.

use std::io;
use std::path::Path;

use rusqlite::{ErrorCode, ffi};

use crate::Error;

/// Why a statement did not do what it should.
#[derive(Debug)]
pub(super) struct Failure {
    /// For the caller.
    pub(super) error: Error,
    /// What it says of the connection and the disk.
    pub(super) kind: Kind,
}

/// What a failure says of the connection and the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The connection is as good as before: the file was only busy.
    Passing,
    /// The disk takes nothing more, since it is full or the file may not grow, and will not for a while: the connection
    /// is given up, and writing rests. What was synced before is on the disk all the same.
    Full,
    /// The connection is given up.
    Lasting,
}

/// Whether the journal may hold what is not on the disk though it was to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    None,
    /// The disk failed to sync it. A later sync that succeeds says nothing of it.
    SyncFailed,
}

/// Why a file of the store could not be opened or made.
pub(super) fn cannot_open(path: &Path, error: &io::Error) -> Error {
    let place = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => {
            Error::Config(format!("open {place}: its directory does not exist: make it, or name another file"))
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Error::Denied(format!(
            "open {place}: {error}: run as the user who owns it, or name a file in a directory this user may write to"
        )),
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => {
            Error::Config(format!("open {place}: {error}: name a file"))
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Error::Unavailable(format!("open {place}: {error}: free some space"))
        }
        _ => Error::Unavailable(format!("open {place}: {error}")),
    }
}

/// Why what was written could not be brought to the disk.
pub(super) fn cannot_sync(path: &Path, error: &io::Error) -> Error {
    let place = path.display();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Error::Unavailable(format!("sync {place}: {error}: free some space"))
        }
        _ => Error::Unavailable(format!("sync {place}: {error}: see the kernel's log")),
    }
}

/// What SQLite's error means for the caller.
pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> Failure {
    let place = path.display();
    let code = error.sqlite_error_code();
    let sentence = match code {
        Some(ErrorCode::DatabaseCorrupt) => {
            Error::Corrupt(format!("{place} is damaged ({error}): restore it from a copy"))
        }
        Some(ErrorCode::NotADatabase) => Error::Corrupt(format!(
            "{place} is not a SQLite database: name a file of Steadfast's own, or one that is not there yet"
        )),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::Unavailable(format!("another program holds {place} ({error})"))
        }
        Some(ErrorCode::DiskFull) => Error::Unavailable(format!("no space left for {place}: free some")),
        Some(ErrorCode::SystemIoFailure) if is_full(error) => {
            Error::Unavailable(format!("no space left for {place}: free some"))
        }
        Some(ErrorCode::SystemIoFailure) => {
            Error::Unavailable(format!("the disk of {place} failed{} ({error}): see the kernel's log", verb(error)))
        }
        Some(ErrorCode::ReadOnly) => Error::Unavailable(format!("{place} cannot be written to ({error})")),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            Error::Denied(format!("open {place}: {error}: run as the user who owns it and its directory"))
        }
        Some(
            ErrorCode::Unknown | ErrorCode::SchemaChanged | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch,
        )
        | None => Error::Corrupt(format!("{place} is not laid out as it must be ({error}): restore it from a copy")),
        Some(_) => Error::Unavailable(format!("use {place}: {error}")),
    };
    let kind = match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Kind::Passing,
        Some(ErrorCode::DiskFull) => Kind::Full,
        _ if is_full(error) || cannot_write(error) => Kind::Full,
        _ => Kind::Lasting,
    };
    Failure { error: sentence, kind }
}

/// A file beside the database could not be made larger, which SQLite does not tell from other failures of a disk.
fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_extended_error_code() == Some(ffi::SQLITE_IOERR_SHMSIZE)
}

/// A write that failed: SQLite says the same of a disk's failure and of a file that has reached the size it may have
/// (EFBIG). Unlike a sync that failed it takes nothing back that was on the disk.
fn cannot_write(error: &rusqlite::Error) -> bool {
    error.sqlite_extended_error_code() == Some(ffi::SQLITE_IOERR_WRITE)
}

/// What the disk was to do, where SQLite says so.
fn verb(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_extended_error_code() {
        Some(ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ) => " to read",
        Some(ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_TRUNCATE) => " to write",
        Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) => " to sync",
        _ => "",
    }
}
