//! The test executables of the workspace: built once, sorted into suites, run one after the other.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use super::libtest::{self, Counts};
use crate::process;

/// A group of test executables, told apart by where their source lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suite {
    Unit,
    Simulation,
    Conformance,
    Integration,
    Blackbox,
}

/// One test program of the build.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Executable {
    suite: Suite,
    program: PathBuf,
    /// The directory of its package, where cargo would run it.
    package: PathBuf,
    /// What a person types to run it alone.
    rerun: String,
}

/// Builds every crate and every test, and returns the test programs.
pub(super) fn build(root: &Path, limit: Duration) -> Result<Vec<Executable>> {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(["test", "--workspace", "--no-run", "--locked"]);
    command.arg("--message-format=json-render-diagnostics");
    let mut executables = Vec::new();
    let status = process::stream(&mut command, limit, |line| executables.extend(executable(line)))?;
    if !status.success() {
        bail!("the workspace does not build");
    }
    Ok(executables)
}

/// Runs all programs of `suite`, also after one of them failed: a run should tell everything it can.
pub(super) fn run(all: &[Executable], suite: Suite, limit: Duration, counts: &mut Counts) -> Result<()> {
    let mut broken = Vec::new();
    let mut programs = all.iter().filter(|e| e.suite == suite).peekable();
    if programs.peek().is_none() {
        bail!("there are no {suite:?} tests: a suite that is empty proves nothing");
    }
    for executable in programs {
        println!("\n    {}", executable.rerun);
        match libtest::run(&mut executable.command(), limit) {
            Ok(found) if found.failed > 0 => {
                counts.add(found);
                broken.push(format!("again: {}", executable.rerun));
            }
            Ok(found) => counts.add(found),
            Err(error) => broken.push(format!("{error:#}; again: {}", executable.rerun)),
        }
    }
    if broken.is_empty() { Ok(()) } else { bail!("{}", broken.join("; ")) }
}

impl Executable {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.package).env("CARGO_MANIFEST_DIR", &self.package).env("RUST_BACKTRACE", "1");
        command
    }
}

/// The test program that a line of cargo's JSON messages announces, if it announces one.
fn executable(line: &str) -> Option<Executable> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let program = PathBuf::from(message["executable"].as_str()?);
    let package = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
    let target = &message["target"];
    let (kind, name) = (target["kind"][0].as_str()?, target["name"].as_str()?);
    let package_name = package_name(message["package_id"].as_str()?)?;
    let suite = suite(kind, &package);
    let which = match kind {
        "test" => format!("--test {name}"),
        "bin" => format!("--bin {name}"),
        _ => "--lib".to_owned(),
    };
    Some(Executable { suite, program, package, rerun: format!("cargo test -p {package_name} {which}") })
}

fn suite(kind: &str, package: &Path) -> Suite {
    if kind != "test" {
        return Suite::Unit;
    }
    match package.file_name().and_then(|name| name.to_str()) {
        Some("core") => Suite::Simulation,
        Some("store") => Suite::Conformance,
        Some("steadfast") => Suite::Blackbox,
        _ => Suite::Integration,
    }
}

/// The package's name in an id such as `path+file:///x/core#steadfast-core@0.1.0` or `path+file:///x/xtask#0.1.0`.
fn package_name(id: &str) -> Option<&str> {
    let (place, tail) = id.rsplit_once('#')?;
    match tail.split_once('@') {
        Some((name, _)) => Some(name),
        None => place.rsplit_once('/').map(|(_, directory)| directory),
    }
}

#[cfg(test)]
mod tests;
