//! Pipes to splice through, shared by the relays of a thread.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys;

/// The room asked for in a pipe, and the most moved by one system call.
pub(super) const PIPE_BYTES: usize = 256 * 1024;
/// Empty pipes kept by a thread; further ones are closed.
const KEPT: usize = 32;

thread_local! {
    static EMPTY: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

/// A pipe. Dropped with something in it, it is closed and that is gone.
#[derive(Debug)]
pub(super) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipe {
    /// An empty pipe.
    pub(super) fn take() -> io::Result<Pipe> {
        if let Some(kept) = EMPTY.with_borrow_mut(Vec::pop) {
            return Ok(kept);
        }
        let (read, write) = sys::pipe(i32::try_from(PIPE_BYTES).unwrap_or(i32::MAX))?;
        Ok(Pipe { read, write })
    }

    /// Keeps the pipe, which must be empty, for the next taker.
    pub(super) fn give_back(self) {
        EMPTY.with_borrow_mut(|kept| {
            if kept.len() < KEPT {
                kept.push(self);
            }
        });
    }

    pub(super) fn reading_end(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }

    pub(super) fn writing_end(&self) -> BorrowedFd<'_> {
        self.write.as_fd()
    }
}
