//! The embedded default: one SQLite file, served by one process at a time.
//!
//! The process that holds the exclusive lock on `<path>.lock` serves the file: its calls go to the one thread that
//! owns the connection ([`engine`]), and those of other processes reach it over the Unix socket `<path>.sock`, by the
//! protocol of [`http`](crate::http). When it dies, the kernel gives the lock back, and another handle takes over
//! ([`handle`]). A commit is acknowledged when it is in the log on the disk, and comes into the table of records later,
//! with many others, in the order of names ([`fold`]). A process that merely stands still keeps the lock: the others' calls time out, and there are never two.

mod engine;
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

pub use fold::FoldBound;
pub use handle::Sqlite;
