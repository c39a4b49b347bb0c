//! One target: its program, its inputs, and what libfuzzer says of a run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};

use crate::process;

/// How much longer than it was told to a run may take, before it hangs: it loads and minimises as well.
const GRACE: Duration = Duration::from_secs(180);
/// One input may take so long; a reader that needs longer can be kept busy from outside.
const INPUT_SECONDS: u32 = 10;
/// One input may use so much memory.
const INPUT_MIB: u32 = 1_024;
/// Inputs are no longer than this: all limits that are readers' own are shorter.
const INPUT_BYTES: u32 = 8_192;

/// A target of `fuzz/`.
pub(super) struct Target<'a> {
    pub(super) root: &'a Path,
    pub(super) name: &'a str,
}

/// How a run ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) name: String,
    pub(super) runs: u64,
    pub(super) rate: u64,
    pub(super) coverage: u64,
    pub(super) features: u64,
    /// Inputs that do something of their own.
    pub(super) corpus: u64,
    pub(super) found: Option<Found>,
}

/// An input on which a target failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) input: String,
    /// What a person types to see it again, on any toolchain.
    pub(super) again: String,
}

/// The names of all targets, in the order of `fuzz/Cargo.toml`.
pub(super) fn all(root: &Path) -> Result<Vec<String>> {
    let manifest: toml::Table = super::read(&root.join("fuzz/Cargo.toml"))?.parse().context("read fuzz/Cargo.toml")?;
    let bins = manifest.get("bin").and_then(toml::Value::as_array).into_iter().flatten();
    Ok(bins.filter_map(|bin| bin.get("name")?.as_str().map(str::to_owned)).collect())
}

impl Target<'_> {
    /// Fuzzes for `time` with `jobs` processes, telling what libfuzzer says if `tell`.
    ///
    /// New inputs go to `fuzz/target/corpus`, where the next run goes on from; what is kept with the source is only read.
    pub(super) fn run(&self, time: Duration, jobs: usize, tell: bool) -> Result<Ended> {
        let (fuzz, name) = (self.root.join("fuzz"), self.name);
        let working = fuzz.join("target/corpus").join(name);
        let artifacts = fuzz.join("artifacts").join(name);
        for directory in [&working, &artifacts] {
            fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
        }
        let mut command = Command::new(self.program()?);
        command.current_dir(&fuzz).arg(&working);
        let kept = ["corpus", "regressions"].map(|place| fuzz.join(place).join(name));
        command.args(kept.iter().filter(|place| place.is_dir()));
        let dictionary = fuzz.join("dictionaries").join(name);
        if dictionary.is_file() {
            command.arg(format!("-dict={}", dictionary.display()));
        }
        command.arg(format!("-artifact_prefix={}/", artifacts.display()));
        command.args([format!("-max_total_time={}", time.as_secs()), format!("-timeout={INPUT_SECONDS}")]);
        command.args([format!("-rss_limit_mb={INPUT_MIB}"), format!("-max_len={INPUT_BYTES}")]);
        if jobs > 1 {
            command.arg(format!("-fork={jobs}"));
            command.args(["-ignore_crashes=0", "-ignore_timeouts=0", "-ignore_ooms=0"]);
        }
        let began = SystemTime::now();
        let mut ended = Ended { name: name.to_owned(), ..Ended::default() };
        let (status, output) = combined(&mut command, time + GRACE, tell, |line| ended.read(line))?;
        ended.rate = ended.runs / time.as_secs().max(1);
        if !status {
            let input = newest(&artifacts, began).context(format!("{name} failed and left no input:\n{output}"))?;
            let input = input.strip_prefix(self.root).unwrap_or(&input).display().to_string();
            let again = format!("STEADFAST_FUZZ_INPUT=$PWD/{input} cargo test -p {} --lib fuzzing", self.package()?);
            ended.found = Some(Found { input, again });
        }
        Ok(ended)
    }

    /// The program that cargo-fuzz has built.
    fn program(&self) -> Result<PathBuf> {
        let builds = self.root.join("fuzz/target");
        let found = fs::read_dir(&builds).with_context(|| format!("list {}", builds.display()))?;
        let mut programs = found.filter_map(|entry| Some(entry.ok()?.path().join("release").join(self.name)));
        programs.find(|program| program.is_file()).context(format!("there is no program of {}", self.name))
    }

    /// The package whose function it calls.
    fn package(&self) -> Result<String> {
        let source = super::read(&self.root.join(format!("fuzz/fuzz_targets/{}.rs", self.name)))?;
        package(&source).with_context(|| format!("fuzz/fuzz_targets/{}.rs calls no function of a crate", self.name))
    }
}

/// The package whose `fuzzing` module a target calls.
fn package(source: &str) -> Option<String> {
    let (before, _) = source.split_once("::fuzzing::")?;
    let start = before.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |at| at + 1);
    Some(before[start..].replace('_', "-"))
}

/// Runs `command` with both its outputs as one, since libfuzzer says everything on its standard error; whether it
/// succeeded, and what it said last.
fn combined(
    command: &mut Command,
    limit: Duration,
    tell: bool,
    mut on_line: impl FnMut(&str),
) -> Result<(bool, String)> {
    /// So many of the last lines are kept for an error.
    const LINES: usize = 40;
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" 2>&1", "sh"]).arg(command.get_program()).args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        shell.current_dir(directory);
    }
    let mut last: Vec<String> = Vec::new();
    let status = process::stream(&mut shell, limit, |line| {
        on_line(line);
        if tell {
            println!("{line}");
        }
        if last.len() == LINES {
            last.remove(0);
        }
        last.push(line.to_owned());
    })?;
    if status.code().is_none() {
        bail!("`{}` was killed", process::shown(command));
    }
    Ok((status.success(), last.join("\n")))
}

/// The input that was written last, after `began`.
fn newest(artifacts: &Path, began: SystemTime) -> Option<PathBuf> {
    let entries = fs::read_dir(artifacts).ok()?.filter_map(Result::ok);
    let times = entries.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())));
    times.filter(|(written, _)| *written >= began).max().map(|(_, path)| path)
}

impl Ended {
    /// Takes what a line of libfuzzer's says: `#1234: cov: 56 ft: 78 corp: 9 …`, or `#1234 NEW cov: …`.
    fn read(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix('#') else { return };
        let mut words = rest.split_whitespace();
        let Some(runs) = words.next().and_then(|runs| runs.trim_end_matches(':').parse().ok()) else { return };
        self.runs = self.runs.max(runs);
        let words: Vec<&str> = words.collect();
        for pair in words.windows(2) {
            // The corpus is told as `9` or as `9/1234b`.
            let number = pair[1].split('/').next().and_then(|number| number.parse().ok());
            match (pair[0], number) {
                ("cov:", Some(number)) => self.coverage = number,
                ("ft:", Some(number)) => self.features = number,
                ("corp:", Some(number)) => self.corpus = number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
