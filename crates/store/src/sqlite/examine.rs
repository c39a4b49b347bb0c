//! What is worth knowing of the file and of where it lies, for people: nothing depends on it.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::place::{Place, file_system};
use crate::{Finding, Grade};

/// File systems in memory.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

/// What there is to say of the files at `place`, from outside: whoever serves them.
pub(super) fn findings(place: &Place) -> Vec<Finding> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut journal = OsString::from(&place.file);
    journal.push("-wal");
    let size = format!("{}, and {} in its journal", megabytes(&place.file), megabytes(Path::new(&journal)));
    let good = |about: &'static str, value| Finding { about: about.into(), value, grade: Grade::Good, advice: None };
    vec![
        good("version", format!("SQLite {}", rusqlite::version())),
        good("size", size),
        disk(file_system(&mounts, &place.file)),
    ]
}

/// What a file system of this kind means; `None`: it is not known.
fn disk(kind: Option<&str>) -> Finding {
    let in_memory = kind.is_some_and(|kind| IN_MEMORY.contains(&kind));
    let advice = "what is in memory is gone when the machine starts again: name a file on a disk";
    Finding {
        about: "disk".into(),
        value: kind.unwrap_or("not known").to_owned(),
        grade: if in_memory { Grade::Note } else { Grade::Good },
        advice: in_memory.then(|| advice.to_owned()),
    }
}

fn megabytes(file: &Path) -> String {
    let bytes = fs::metadata(file).map_or(0, |found| found.len());
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests;
