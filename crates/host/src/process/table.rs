//! The kernel's table of processes, as `/proc` shows it.

use std::fs;
use std::io;

/// A line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    /// When it started, in the kernel's ticks since boot.
    pub(super) started: u64,
    /// It has ended and waits to be reaped: nothing of it runs.
    pub(super) ended: bool,
}

/// One process; `None` if there is none of that id.
pub(super) fn entry(pid: i32) -> io::Result<Option<Entry>> {
    match fs::read(format!("/proc/{pid}/stat")) {
        Ok(stat) => parse(&stat).map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into()),
        // It may end between the opening and the reading.
        Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Every process we may see. One that starts meanwhile may be missing.
pub(super) fn entries() -> io::Result<Vec<Entry>> {
    let mut all = Vec::new();
    for file in fs::read_dir("/proc")? {
        if let Some(pid) = file?.file_name().to_str().and_then(|name| name.parse().ok())
            && let Some(entry) = entry(pid)?
        {
            all.push(entry);
        }
    }
    Ok(all)
}

/// proc_pid_stat(5). The name is in parentheses and may hold any byte, parentheses and spaces too.
fn parse(stat: &[u8]) -> Option<Entry> {
    let text = String::from_utf8_lossy(stat);
    let (pid, _) = text.split_once(" (")?;
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Entry {
        pid: pid.parse().ok()?,
        ended: matches!(*fields.first()?, "Z" | "X" | "x"),
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests;
