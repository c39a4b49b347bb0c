//! The address of the socket beside the file.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::failure::cannot_open;
use crate::Error;

/// The longest path a socket's address holds (108 bytes in Linux' `sun_path`, one of them the end).
const PATH_BYTES: usize = 107;

/// What the listener adds to the path while it puts the socket in its place.
const ADDED_BYTES: usize = 5;

/// Where the socket is, by a path short enough for a socket's address.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) path: PathBuf,
    /// Keeps a path through this process' open directory good.
    _directory: Option<Arc<File>>,
}

impl Address {
    /// The address of the socket at `socket`. Where the path is too long, its directory is reached as an open file
    /// of this process: the kernel follows `/proc/self/fd/7/state.db.sock` to the same socket.
    pub(super) fn of(socket: &Path) -> Result<Address, Error> {
        let fits = |path: &Path| path.as_os_str().as_bytes().len() + ADDED_BYTES <= PATH_BYTES;
        if fits(socket) {
            return Ok(Address { path: socket.to_owned(), _directory: None });
        }
        let too_long = || {
            let place = socket.display();
            Error::Config(format!("{place} is too long for a Unix socket ({PATH_BYTES} bytes): name a shorter file"))
        };
        let (directory, name) = socket.parent().zip(socket.file_name()).ok_or_else(too_long)?;
        let directory = File::open(directory).map_err(|e| cannot_open(socket, &e))?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
        if !fits(&path) || !path.parent().is_some_and(Path::is_dir) {
            return Err(too_long());
        }
        Ok(Address { path, _directory: Some(Arc::new(directory)) })
    }
}
