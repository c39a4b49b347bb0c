//! Token files: the secret that changes, and the store, need.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use steadfast_host::reread::Reread;
use steadfast_host::state::{StateDir, StateError};

use crate::exit::{Exit, Failure};

/// A longer file has no token in it: one must fit into a request's head.
const FILE_BYTES: u64 = 4 * 1024;
/// The bits of a mode by which others than the owner may read or write.
const OF_OTHERS: u32 = 0o066;

/// The token in `path`, without white space around it. What is wrong with the file is said without a word of it.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    read_line(path, "token")
}

/// Whether `text`, which was read from `path`, can be a token.
pub(crate) fn check(path: &Path, text: &str) -> Result<(), Failure> {
    line(text.as_bytes(), "token").map(drop).map_err(|why| Failure::usage(wrong(path, "token", &why)))
}

/// The `what` in `path`, in the same way: a token, or a store's URL, which may hold a password.
pub(crate) fn read_line(path: &Path, what: &str) -> Result<String, Failure> {
    let wrong = |why: &dyn Display| Failure::usage(wrong(path, what, why));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| wrong(&error))?;
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| wrong(&error))?;
    line(&bytes, what).map_err(|why| wrong(&why))
}

fn wrong(path: &Path, what: &str, why: &dyn Display) -> String {
    format!("the {what} file {}: {why}", path.display())
}

/// The one line in a file's content.
fn line(bytes: &[u8], what: &str) -> Result<String, String> {
    if bytes.len() as u64 > FILE_BYTES {
        return Err(format!("more than {FILE_BYTES} bytes are no {what}: is it the right file?"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8: is it the right file?".to_owned())?;
    let line = text.trim();
    if line.is_empty() {
        return Err("it is empty".to_owned());
    }
    if !line.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "a {what} is one line of letters, digits and marks, without spaces: is it the right file?"
        ));
    }
    Ok(line.to_owned())
}

/// The token of this process' own API, in `file`, which is made if there is none; it is read again when it changes. A
/// relative path is one in the state directory.
pub(crate) fn own(file: &Path, state: &StateDir) -> Result<Reread<String>, Failure> {
    let path = state.file("").join(file);
    if path.exists() {
        read(&path)?;
        warn_if_open(&path);
    } else {
        make(&path)?;
    }
    let again = path.clone();
    let opened = Reread::open(vec![path], FILE_BYTES, move |contents| {
        line(contents.first().map(Vec::as_slice).unwrap_or_default(), "token")
            .map_err(|why| wrong(&again, "token", &why))
    });
    opened.map_err(Failure::usage)
}

fn make(path: &Path) -> Result<(), Failure> {
    let named = path.parent().zip(path.file_name().and_then(|name| name.to_str()));
    let Some((parent, name)) = named else {
        return Err(Failure::usage(format!("token_file {} is no file's name", path.display())));
    };
    let made: Result<String, StateError> = StateDir::open(parent).and_then(|dir| dir.secret(name));
    made.map(drop).map_err(|error| Failure::new(Exit::Usage, error))
}

/// Others may have to read it, in a container's mounts for one: so it is said, and not refused.
fn warn_if_open(path: &Path) {
    let Ok(found) = fs::metadata(path) else { return };
    let mode = found.permissions().mode();
    if mode & OF_OTHERS != 0 {
        let (mode, path) = (mode & 0o777, path.display());
        tracing::warn!(
            "the token file {path} has mode {mode:o}, by which others may read or change it: chmod 600 {path}"
        );
    }
}
