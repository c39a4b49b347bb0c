//! `cargo xtask test`: the whole test command, one step after the other, and a table at the end.
//!
//! The workspace is built once; the test executables of that build are then run by this task, sorted into
//! steps, so that nothing is compiled again with another selection of features.

mod libtest;
mod suites;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::{Usage, install, process, tidy};
use libtest::Counts;
use suites::{Executable, Suite};

/// How long one program of the test (a cargo call, one test executable) may take before it is killed.
const PROGRAM_LIMIT: Duration = Duration::from_secs(20 * 60);
/// Less room than this after a failure, and the disk is named as the likely reason.
const DISK_FULL_KIB: u64 = 256 * 1024;

/// A step of the test, in the order they are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Prepare,
    Fmt,
    Clippy,
    Tidy,
    Build,
    Tests(Suite),
    Docs,
}

const STEPS: [(Step, &str, &str); 11] = [
    (Step::Prepare, "prepare", "install what the steps need and the machine lacks; always run; alone, for all steps"),
    (Step::Fmt, "fmt", "cargo fmt --check"),
    (Step::Clippy, "clippy", "cargo clippy on all targets, warnings denied"),
    (Step::Tidy, "tidy", "the house rules (cargo xtask tidy)"),
    (Step::Build, "build", "all crates and their tests; run when a later step needs it"),
    (Step::Tests(Suite::Unit), "unit", "tests inside the crates"),
    (Step::Docs, "docs", "the examples in the documentation"),
    (Step::Tests(Suite::Simulation), "simulation", "crates/core/tests: seeded runs of the machines"),
    (Step::Tests(Suite::Conformance), "conformance", "crates/store/tests: every back end against the contract"),
    (Step::Tests(Suite::Integration), "integration", "the other libraries' tests"),
    (Step::Tests(Suite::Blackbox), "blackbox", "crates/steadfast/tests: the built program, as a user runs it"),
];

/// Runs the steps named in `args` (all of them without a name); true if nothing failed.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<bool> {
    let Some(wanted) = parse(args)? else {
        for (_, name, about) in STEPS {
            println!("{name:12} {about}");
        }
        return Ok(true);
    };
    let mut runner = Runner { root, in_ci: in_ci(), names: wanted.names(), executables: Vec::new() };
    let mut table: Vec<(&str, Option<Outcome>)> = Vec::new();
    let mut failed = false;
    for (step, name, _) in STEPS.into_iter().filter(|(step, ..)| wanted.includes(*step)) {
        let outcome = (!failed || wanted.keep_going).then(|| runner.step(step, name));
        failed |= outcome.as_ref().is_none_or(|o| !o.passed());
        table.push((name, outcome));
    }
    print_table(&table);
    Ok(!failed)
}

/// What the command line asks for.
struct Wanted {
    steps: Vec<Step>,
    keep_going: bool,
}

/// Reads the command line; `None` is a request for the list of steps.
fn parse(args: &[String]) -> Result<Option<Wanted>> {
    let mut wanted = Wanted { steps: Vec::new(), keep_going: false };
    for arg in args {
        match arg.as_str() {
            "--list" => return Ok(None),
            "--keep-going" => wanted.keep_going = true,
            name => match STEPS.iter().find(|(_, n, _)| *n == name) {
                Some((step, ..)) => wanted.steps.push(*step),
                None => bail!(Usage(format!("`{name}` is neither a step nor an option of test (see --list)"))),
            },
        }
    }
    if wanted.steps.is_empty() {
        wanted.steps = STEPS.map(|(step, ..)| step).to_vec();
    }
    Ok(Some(wanted))
}

impl Wanted {
    fn includes(&self, step: Step) -> bool {
        match step {
            Step::Prepare => true,
            Step::Build => self.steps.iter().any(|s| matches!(s, Step::Build | Step::Tests(_))),
            step => self.steps.contains(&step),
        }
    }

    /// The steps there are things to install for: `prepare` by itself prepares for all.
    fn names(&self) -> Vec<&'static str> {
        if self.steps == [Step::Prepare] {
            return STEPS.map(|(_, name, _)| name).to_vec();
        }
        STEPS.iter().filter(|(step, ..)| self.includes(*step)).map(|(_, name, _)| *name).collect()
    }
}

/// How a step ended.
struct Outcome {
    error: Option<String>,
    counts: Counts,
    took: Duration,
}

impl Outcome {
    fn passed(&self) -> bool {
        self.error.is_none() && self.counts.failed == 0
    }
}

struct Runner<'a> {
    root: &'a Path,
    in_ci: bool,
    names: Vec<&'static str>,
    executables: Vec<Executable>,
}

impl Runner<'_> {
    fn step(&mut self, step: Step, name: &str) -> Outcome {
        println!("\n=== {name}");
        let began = Instant::now();
        let mut counts = Counts::default();
        let error = match self.act(step, &mut counts) {
            Ok(()) => self.skipped(&counts),
            Err(error) => Some(format!("{error:#}")),
        };
        let mut outcome = Outcome { error, counts, took: began.elapsed() };
        if outcome.passed() {
            println!("--- {name}: ok ({})", seconds(outcome.took));
            return outcome;
        }
        // A step that failed without a failed test still counts: "0 failed" must never stand under a failure.
        outcome.counts.failed = outcome.counts.failed.max(1);
        let why = outcome.error.get_or_insert_with(|| "see above".to_owned());
        if disk_is_full(self.root) {
            why.push_str(" (the disk is full)");
        }
        println!("--- {name}: FAILED ({}): {why}", seconds(outcome.took));
        outcome
    }

    fn act(&mut self, step: Step, counts: &mut Counts) -> Result<()> {
        match step {
            Step::Prepare => self.prepare(),
            Step::Fmt => self.cargo(&["fmt", "--all", "--check"]),
            Step::Clippy => self.clippy(),
            Step::Tidy => match tidy::check(self.root)? {
                0 => Ok(()),
                n => bail!("{n} findings"),
            },
            Step::Build => {
                self.executables = suites::build(self.root, PROGRAM_LIMIT)?;
                Ok(())
            }
            Step::Docs => {
                let mut command = Command::new("cargo");
                command.current_dir(self.root).args(["test", "--workspace", "--doc", "--locked"]);
                counts.add(libtest::run(&mut command, PROGRAM_LIMIT)?);
                Ok(())
            }
            Step::Tests(suite) => suites::run(&self.executables, suite, PROGRAM_LIMIT, counts),
        }
    }

    fn prepare(&self) -> Result<()> {
        if self.names.contains(&"fmt") {
            install::component("fmt", "rustfmt")?;
        }
        if self.names.contains(&"clippy") {
            install::component("clippy", "clippy")?;
        }
        install::programs(&self.names)?;
        install::python::packages(self.root, &self.names)?;
        install::npm::packages(self.root, &self.names)?;
        install::crates(self.root)
    }

    /// The workspace, whose crates turn on each other's features, and then what others embed, as lean as it comes.
    fn clippy(&self) -> Result<()> {
        let of = |which: &[&str]| {
            let line = [&["clippy", "--locked"], which, &["--", "-D", "warnings"]].concat();
            self.cargo(&line)
        };
        of(&["--workspace", "--all-targets"])?;
        of(&["-p", "steadfast-store", "--no-default-features"])?;
        of(&["-p", "steadfast-agent"])
    }

    fn cargo(&self, args: &[&str]) -> Result<()> {
        let mut command = Command::new("cargo");
        command.current_dir(self.root).args(args);
        let status = process::stream(&mut command, PROGRAM_LIMIT, |line| println!("{line}"))?;
        if status.success() { Ok(()) } else { bail!("`{}` says no", process::shown(&command)) }
    }

    /// A test that is skipped proves nothing; in CI that is a failure.
    fn skipped(&self, counts: &Counts) -> Option<String> {
        match counts.ignored {
            0 => None,
            n if self.in_ci => Some(format!("{n} tests were skipped")),
            n => {
                println!("note: {n} tests were skipped; with CI=true that is a failure");
                None
            }
        }
    }
}

fn print_table(table: &[(&str, Option<Outcome>)]) {
    println!("\n{:12} {:8} {:>9} {:>7} {:>7}  why", "step", "result", "time", "passed", "failed");
    let mut total = Counts::default();
    for (name, outcome) in table {
        let Some(outcome) = outcome else {
            println!("{name:12} not run");
            continue;
        };
        total.add(outcome.counts);
        let result = if outcome.passed() { "ok" } else { "FAILED" };
        let Counts { passed, failed, .. } = outcome.counts;
        let why = outcome.error.as_deref().unwrap_or("");
        let row = format!("{name:12} {result:8} {:>9} {passed:>7} {failed:>7}  {why}", seconds(outcome.took));
        println!("{}", row.trim_end());
    }
    println!("\n{} passed, {} failed", total.passed, total.failed);
}

fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn disk_is_full(root: &Path) -> bool {
    let asked = process::capture(Command::new("df").arg("-Pk").arg(root));
    asked.is_ok_and(|(_, text)| free_kib(&text).is_some_and(|free| free < DISK_FULL_KIB))
}

/// The free room in the output of `df -Pk` for one file system.
fn free_kib(df: &str) -> Option<u64> {
    df.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests;
