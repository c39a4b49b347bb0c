//! The embedded default: one SQLite file, served by one process at a time.
//!
//! The process that holds the exclusive lock on `<path>.lock` serves the file: its calls go to the one thread that
//! owns the connection ([`engine`]), and those of other processes reach it over the Unix socket `<path>.sock`, by the
//! protocol of [`http`](crate::http). When it dies, the kernel gives the lock back, and another handle takes over
//! ([`handle`]). A commit is acknowledged when it is in the log on the disk, and comes into the table of records later,
//! with many others, in the order of names ([`fold`]). A process that merely stands still keeps the lock: the others' calls time out, and there are never two.

mod engine;
mod examine;
mod failure;
mod file;
mod fold;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod handle;
mod keeper;
mod log;
mod place;
mod queue;
mod socket;
mod transaction;

use std::path::PathBuf;
use std::sync::Arc;

use crate::url::{Url, decoded_path, wrong};
use crate::{Access, Error, Store};

pub use fold::FoldBound;
pub use handle::Sqlite;

/// Opens the file that `url` names.
pub(crate) fn open(url: Url<'_>, _access: &Access) -> Result<Arc<dyn Store>, Error> {
    Ok(Arc::new(Sqlite::open(path_of(&url)?)?))
}

/// The path of `sqlite:///path`.
pub(crate) fn path_of(url: &Url<'_>) -> Result<PathBuf, Error> {
    url.finish()?;
    let path = Some(url.raw_path()).filter(|path| path.starts_with('/'));
    let path = path.filter(|_| url.has_authority() && url.authority().is_empty() && url.user.is_none());
    let form = url.form;
    let path =
        path.ok_or_else(|| wrong(format!("names no absolute path: three slashes follow `sqlite:`; expected {form}")))?;
    decoded_path(path).ok_or_else(|| {
        wrong(format!("has a `%` in its path that begins no character's code: write `%25`; expected {form}"))
    })
}
