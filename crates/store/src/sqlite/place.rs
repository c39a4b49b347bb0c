//! Where the store's files lie, and the lock that says who serves them.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::failure::cannot_open;
use crate::{Description, Error};

/// File systems of several machines: a lock or a shared memory of one machine says nothing to the others.
const NETWORK: [&str; 18] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "ncpfs",
    "afs",
    "ceph",
    "glusterfs",
    "lustre",
    "beegfs",
    "gpfs",
    "ocfs2",
    "gfs2",
    "9p",
    "davfs",
    "coda",
    "orangefs",
];

/// The same in user space, as mountinfo names them: `fuse.sshfs`. Others of `fuse.` are local.
const NETWORK_FUSE: [&str; 14] = [
    "sshfs",
    "s3fs",
    "rclone",
    "glusterfs",
    "ceph",
    "ceph-fuse",
    "gcsfuse",
    "goofys",
    "davfs",
    "curlftpfs",
    "nfs",
    "smbnetfs",
    "mount-s3",
    "juicefs",
];

/// The store's files.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The database, by its one true path: another name of it must meet the same lock.
    pub(super) file: PathBuf,
    /// Who holds its lock serves.
    lock: PathBuf,
    /// Where it is served.
    pub(super) socket: PathBuf,
}

/// The right to serve a place, until dropped or until this process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Place {
    /// The place of the database at `path`, if it can be one.
    pub(super) fn of(path: &Path) -> Result<Place, Error> {
        let name = path.file_name().filter(|_| path.is_absolute());
        let Some((name, directory)) = name.zip(path.parent()) else {
            return Err(Error::Config(format!("`{}` is not an absolute path of a file", path.display())));
        };
        let file = match fs::canonicalize(path) {
            Ok(file) => file,
            Err(_) => fs::canonicalize(directory).map_err(|e| cannot_open(path, &e))?.join(name),
        };
        if file.is_dir() {
            return Err(Error::Config(format!("open {}: it is a directory: name a file", path.display())));
        }
        refuse_network(&file)?;
        let beside = |suffix: &str| {
            let mut path = OsString::from(&file);
            path.push(suffix);
            PathBuf::from(path)
        };
        Ok(Place { lock: beside(".lock"), socket: beside(".sock"), file })
    }

    /// The lock, unless another has it.
    pub(super) fn lock(&self) -> Result<Option<Lock>, Error> {
        let failed = |e| cannot_open(&self.lock, &e);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&self.lock);
        let mut file = open.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        if !same(&self.lock, &file) {
            // It was removed while we opened it, and may be another's by now.
            return Ok(None);
        }
        // Who serves, for people; nothing reads it.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Some(Lock(file)))
    }

    pub(super) fn describe(&self) -> Description {
        Description {
            engine: "sqlite".to_owned(),
            place: self.file.display().to_string(),
            durable: true,
            push: true,
            one_machine: true,
            may_lose: None,
            pace_ms: 0,
            leases_apart: false,
            lease_lasts_ms: None,
            notes: Vec::new(),
        }
    }
}

impl Lock {
    /// Whether the lock is still that of `place`: if somebody removed its file, another process may hold one too.
    pub(super) fn guards(&self, place: &Place) -> Result<(), Error> {
        if same(&place.lock, &self.0) && place.file.exists() {
            return Ok(());
        }
        let place = place.file.display();
        Err(Error::Unavailable(format!("the files of {place} were removed or replaced while it was served")))
    }
}

/// Whether `path` names this open file.
fn same(path: &Path, file: &File) -> bool {
    let id = |meta: fs::Metadata| (meta.dev(), meta.ino());
    match (fs::metadata(path), file.metadata()) {
        (Ok(named), Ok(open)) => id(named) == id(open),
        _ => false,
    }
}

/// An error if the file would lie on a network file system. Where the mounts cannot be read it is let pass.
fn refuse_network(file: &Path) -> Result<(), Error> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    match file_system(&mounts, file).filter(|kind| is_network(kind)) {
        None => Ok(()),
        Some(kind) => Err(Error::Config(format!(
            "{} lies on a network file system ({kind}), where locks and shared memory do not hold between machines: \
             name a file on a local disk, or reach one machine's store by `http://`",
            file.display()
        ))),
    }
}

/// The kind of the file system that `file` lies on, by the text of mountinfo (proc_pid_mountinfo(5)).
pub(super) fn file_system<'a>(mounts: &'a str, file: &Path) -> Option<&'a str> {
    let under = mounts.lines().filter_map(|line| {
        let point = unescape(line.split(' ').nth(4)?);
        let kind = line.split_once(" - ")?.1.split(' ').next()?;
        file.starts_with(&point).then_some((point.components().count(), kind))
    });
    // The longest mount point, and of several mounts on it the last, which hides the others.
    let (_, kind) = under.max_by_key(|(depth, _)| *depth)?;
    Some(kind)
}

fn is_network(kind: &str) -> bool {
    let fuse = kind.strip_prefix("fuse.").is_some_and(|kind| NETWORK_FUSE.contains(&kind));
    fuse || NETWORK.contains(&kind)
}

/// A mount point as mountinfo writes it: blanks and backslashes as three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut path = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        path.push_str(before);
        let code = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        rest = match code {
            Some(byte) => {
                path.push(char::from(byte));
                &after[3..]
            }
            None => {
                path.push('\\');
                after
            }
        };
    }
    path.push_str(rest);
    PathBuf::from(path)
}

#[cfg(test)]
mod tests;
