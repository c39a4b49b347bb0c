//! A directory for what must survive: files written whole or not at all, and locks that die with their process.
//!
//! Names are plain file names. What stands in the files is the caller's.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The mode of a file with a secret in it: this user's alone.
pub const SECRET: u32 = 0o600;
/// The mode of a file anybody may read.
pub const PUBLIC: u32 = 0o644;

/// A larger file is not one we wrote.
const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Where the state directory is looked for, in this order; said in errors.
const HOW_TO_CHOOSE: &str = "choose another by the configuration or $STATE_DIRECTORY";

/// A state directory that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be made.
    #[error("cannot make the state directory {path}: {source}; {HOW_TO_CHOOSE}")]
    Make {
        /// The directory.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// It is there, but this user may not write to it.
    #[error("cannot write to the state directory {path}: {source}; {HOW_TO_CHOOSE}")]
    Unwritable {
        /// The directory.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// No directory is configured and the environment names no place for one.
    #[error(
        "no state directory: neither $STATE_DIRECTORY, $XDG_STATE_HOME nor $HOME is set, and /var/lib/steadfast cannot be written; {HOW_TO_CHOOSE}"
    )]
    Nowhere,
    /// A file of it cannot be read or written.
    #[error("cannot {verb} {path}: {source}")]
    File {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Another process has the lock.
    #[error("{path} is locked by {}", holder(*pid))]
    Held {
        /// The lock's file.
        path: PathBuf,
        /// The process that has it, where it has said so.
        pid: Option<i32>,
    },
}

fn holder(pid: Option<i32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}

/// A directory that is there and can be written.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

/// What the environment says of the default directory.
struct Places {
    named: Option<PathBuf>,
    system: PathBuf,
    user: Option<PathBuf>,
}

impl Places {
    fn of_environment() -> Places {
        let environment = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Places {
            // systemd separates several by colons; the first is the unit's own.
            named: environment("STATE_DIRECTORY")
                .and_then(|all| all.to_str().map(|all| PathBuf::from(all.split(':').next().unwrap_or(all)))),
            system: PathBuf::from("/var/lib/steadfast"),
            user: environment("XDG_STATE_HOME").or_else(|| environment("HOME").map(|home| home.join(".local/state"))),
        }
    }
}

/// An exclusive lock, held until dropped or until the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would leave it to a child that has been forked and has not yet become its program.
        let _ = self.file.unlock();
    }
}

impl StateDir {
    /// Opens the directory at `path`, making it (mode 0700) and its parents if need be, and tries that it can be
    /// written.
    ///
    /// # Errors
    ///
    /// [`StateError::Make`], [`StateError::Unwritable`].
    pub fn open(path: impl Into<PathBuf>) -> Result<StateDir, StateError> {
        let path = path.into();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|source| StateError::Make { path: path.clone(), source })?;
        let dir = StateDir { path };
        match dir.temporary(SECRET) {
            Ok((_, temporary)) => {
                let _ = fs::remove_file(temporary);
                Ok(dir)
            }
            Err(source) => Err(StateError::Unwritable { path: dir.path, source }),
        }
    }

    /// Opens the default directory: `$STATE_DIRECTORY` (systemd's), `/var/lib/steadfast` if it can be written (or
    /// made), `$XDG_STATE_HOME/steadfast`, `~/.local/state/steadfast`.
    ///
    /// # Errors
    ///
    /// As [`StateDir::open`]; [`StateError::Nowhere`].
    pub fn open_default() -> Result<StateDir, StateError> {
        let Places { named, system, user } = Places::of_environment();
        StateDir::open_first(named, &system, user)
    }

    /// Where [`StateDir::open_default`] looks, in its order, for who only reads: nothing is made.
    pub fn default_places() -> Vec<PathBuf> {
        match Places::of_environment() {
            Places { named: Some(named), .. } => vec![named],
            Places { system, user, .. } => {
                [Some(system), user.map(|user| user.join("steadfast"))].into_iter().flatten().collect()
            }
        }
    }

    fn open_first(named: Option<PathBuf>, system: &Path, user: Option<PathBuf>) -> Result<StateDir, StateError> {
        if let Some(named) = named {
            return StateDir::open(named);
        }
        StateDir::open(system).or_else(|_| StateDir::open(user.ok_or(StateError::Nowhere)?.join("steadfast")))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Takes the exclusive lock called `name` (flock(2) on a file that stays), without waiting.
    ///
    /// # Errors
    ///
    /// [`StateError::Held`] with the holder's process id; [`StateError::File`].
    pub fn lock(&self, name: &str) -> Result<Lock, StateError> {
        let path = self.file(name);
        let failed = |source| StateError::File { verb: "lock", path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(SECRET)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {
                // Only a kindness to whoever finds it locked.
                let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
                Ok(Lock { file })
            }
            Err(TryLockError::WouldBlock) => {
                let mut said = String::new();
                let _ = file.take(20).read_to_string(&mut said);
                Err(StateError::Held { path, pid: said.trim().parse().ok() })
            }
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Replaces the file called `name` by `bytes`: after a crash it has its old content or its new one, whole. The
    /// new content is on the disk when this returns. `mode` is [`SECRET`] or [`PUBLIC`], from which the umask may take more away.
    ///
    /// # Errors
    ///
    /// [`StateError::File`]; the old content stands.
    pub fn write_atomically(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), StateError> {
        let write = || {
            let (mut file, temporary) = self.temporary(mode)?;
            let replaced = file
                .write_all(bytes)
                .and_then(|()| file.sync_all())
                .and_then(|()| fs::rename(&temporary, self.file(name)));
            if replaced.is_err() {
                let _ = fs::remove_file(&temporary);
            }
            replaced?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|source| StateError::File { verb: "write", path: self.file(name), source })
    }

    /// The content of the file called `name`; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`StateError::File`], also for a file of more than 64 MiB.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        let path = self.file(name);
        let read = || {
            let file = File::open(&path)?;
            let mut bytes = Vec::new();
            if file.take(FILE_BYTES + 1).read_to_end(&mut bytes)? as u64 > FILE_BYTES {
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 64 MiB"));
            }
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StateError::File { verb: "read", path, source }),
        }
    }

    /// The secret in the file called `name`, without white space around it; made by [`crate::random::token`] and
    /// written with mode 0600 if there is none.
    ///
    /// # Errors
    ///
    /// [`StateError::File`], also for a file that is empty or not text.
    pub fn secret(&self, name: &str) -> Result<String, StateError> {
        let path = self.file(name);
        let unusable = |why: &str| StateError::File {
            verb: "use the secret in",
            path: path.clone(),
            source: io::Error::new(io::ErrorKind::InvalidData, why),
        };
        let Some(bytes) = self.read(name)? else {
            let secret = crate::random::token();
            self.write_atomically(name, format!("{secret}\n").as_bytes(), SECRET)?;
            return Ok(secret);
        };
        let text = String::from_utf8(bytes).map_err(|_| unusable("it is not text"))?;
        if text.trim().is_empty() {
            return Err(unusable("it is empty"));
        }
        Ok(text.trim().to_string())
    }

    /// A new file beside the others, and its path. The name cannot meet one of ours.
    fn temporary(&self, mode: u32) -> io::Result<(File, PathBuf)> {
        let path = self.path.join(format!(".tmp-{:016x}", crate::random::u64()));
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        Ok((file, path))
    }
}

#[cfg(test)]
mod tests;
