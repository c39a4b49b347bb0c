//! What Rust's test programs print: read for its figures, passed on as it is.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::process;

/// The sum of the `test result:` lines.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) ignored: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

/// Runs a command that prints libtest's output. A failed test is in the counts; an error is a program that died,
/// hung, or failed without naming a test.
pub(super) fn run(command: &mut Command, limit: Duration) -> Result<Counts> {
    let mut counts = Counts::default();
    let mut results = 0;
    let status = process::stream(command, limit, |line| {
        println!("{line}");
        if let Some(found) = parse(line) {
            counts.add(found);
            results += 1;
        }
    })?;
    if !status.success() && counts.failed == 0 {
        bail!("`{}` ended with {status} and no failed test", process::shown(command));
    }
    if status.success() && results == 0 {
        bail!("`{}` printed no test result", process::shown(command));
    }
    Ok(counts)
}

/// The figures of a line such as `test result: ok. 3 passed; 0 failed; 0 ignored; …`.
fn parse(line: &str) -> Option<Counts> {
    let (_, figures) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = Counts::default();
    for figure in figures.split("; ") {
        match figure.split_once(' ')? {
            (n, "passed") => counts.passed = n.parse().ok()?,
            (n, "failed") => counts.failed = n.parse().ok()?,
            (n, "ignored") => counts.ignored = n.parse().ok()?,
            _ => {}
        }
    }
    Some(counts)
}

#[cfg(test)]
mod tests;
