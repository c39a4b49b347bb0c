//! `cargo xtask fuzz`: each target of `fuzz/` under libfuzzer for a while, and a table of what came of it. The same
//! targets are replayed on stable by the tests of each crate; `CONTRIBUTING.md` says how the two work together.

mod target;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{Usage, process};
use target::{Ended, Target};

/// How long building all targets may take: a machine with two busy cores needs its time.
const BUILD_LIMIT: Duration = Duration::from_secs(60 * 60);

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    /// Empty: all of them.
    targets: Vec<String>,
    /// How long each is run.
    time: Duration,
    /// Processes that work at one target at once.
    jobs: usize,
    json: bool,
}

/// Runs the targets named in `args` (all without a name); true if nothing was found.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<bool> {
    let options = parse(args)?;
    let all = target::all(root)?;
    if let Some(unknown) = options.targets.iter().find(|name| !all.contains(name)) {
        bail!(Usage(format!("there is no fuzz target `{unknown}`; there are {}", all.join(", "))));
    }
    install_what_is_missing()?;
    let names: Vec<&String> =
        all.iter().filter(|name| options.targets.is_empty() || options.targets.contains(name)).collect();
    build(root, &options)?;
    let mut results = Vec::new();
    for name in names {
        if !options.json {
            println!("\n=== {name}");
        }
        results.push(Target { root, name }.run(options.time, options.jobs, !options.json)?);
    }
    if options.json {
        println!("{}", results.iter().map(Ended::json).collect::<Value>());
    } else {
        print_table(&results);
    }
    Ok(results.iter().all(|ended| ended.found.is_none()))
}

fn parse(args: &[String]) -> Result<Options> {
    let mut options = Options { targets: Vec::new(), time: Duration::from_secs(60), jobs: 1, json: false };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--json" => options.json = true,
            "--for" => options.time = span(args.next())?,
            "--jobs" => {
                let jobs = args.next().and_then(|jobs| jobs.parse().ok()).filter(|jobs| (1..=64).contains(jobs));
                options.jobs = jobs.ok_or_else(|| Usage("--jobs needs a number from 1 to 64".to_owned()))?;
            }
            option if option.starts_with('-') => bail!(Usage(format!("fuzz has no option `{option}`"))),
            name => options.targets.push(name.to_owned()),
        }
    }
    Ok(options)
}

/// `90s`, `5m` or `2h`.
fn span(text: Option<&String>) -> Result<Duration> {
    let bad = || Usage("--for needs a time such as 90s, 5m or 2h".to_owned());
    let text = text.ok_or_else(bad)?;
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => bail!(bad()),
    };
    let number: u64 = number.parse().map_err(|_| bad())?;
    let whole = number.checked_mul(seconds).filter(|seconds| (1..=7 * 86_400).contains(seconds)).ok_or_else(bad)?;
    Ok(Duration::from_secs(whole))
}

/// cargo-fuzz, a nightly compiler and one for C++, which libfuzzer is written in.
fn install_what_is_missing() -> Result<()> {
    if process::find("c++").is_none() && process::find("g++").is_none() && process::find("clang++").is_none() {
        bail!("libfuzzer needs a C++ compiler: install g++ (on Debian: apt-get install g++)");
    }
    let have = |program: &str, args: &[&str]| process::succeeds(Command::new(program).args(args));
    if !have("cargo", &["+nightly", "--version"]) {
        println!("installing a nightly toolchain (libfuzzer's hooks are not in stable compilers)");
        if !have("rustup", &["toolchain", "install", "nightly", "--profile", "minimal"]) {
            bail!("no nightly toolchain: run `rustup toolchain install nightly --profile minimal`");
        }
    }
    if !have("cargo", &["fuzz", "--version"]) {
        println!("installing cargo-fuzz");
        if !have("cargo", &["install", "cargo-fuzz", "--locked"]) {
            bail!("no cargo-fuzz: run `cargo install cargo-fuzz --locked`");
        }
    }
    Ok(())
}

/// Without a sanitizer: what is fuzzed is Rust without `unsafe`, of which they would find nothing at half the speed.
/// Overflows and debug assertions are checked.
fn build(root: &Path, options: &Options) -> Result<()> {
    let mut command = Command::new("cargo");
    command.current_dir(root.join("fuzz")).args(["+nightly", "fuzz", "build", "--sanitizer", "none"]);
    // One target needs one program; several share a build.
    if let [only] = options.targets.as_slice() {
        command.arg(only);
    }
    let status = process::stream(&mut command, BUILD_LIMIT, |line| println!("{line}"))?;
    if status.success() { Ok(()) } else { bail!("the fuzz targets do not build: `{}`", process::shown(&command)) }
}

fn print_table(results: &[Ended]) {
    println!(
        "\n{:16} {:>12} {:>8} {:>9} {:>9} {:>7}  result",
        "target", "runs", "runs/s", "coverage", "features", "corpus"
    );
    for ended in results {
        let Ended { name, runs, rate, coverage, features, corpus, .. } = ended;
        let result = ended.found.as_ref().map_or("ok", |_| "FAILED");
        println!("{name:16} {runs:>12} {rate:>8} {coverage:>9} {features:>9} {corpus:>7}  {result}");
    }
    for ended in results {
        let Some(found) = &ended.found else { continue };
        println!("\n{}: {}\n    again: {}", ended.name, found.input, found.again);
        println!("    mend it, and keep the input: cp {} fuzz/regressions/{}/NAME", found.input, ended.name);
    }
}

impl Ended {
    fn json(&self) -> Value {
        let found = self.found.as_ref().map(|found| json!({"input": found.input, "again": found.again}));
        json!({
            "target": self.name, "runs": self.runs, "runs_per_second": self.rate, "coverage": self.coverage,
            "features": self.features, "corpus": self.corpus, "found": found,
        })
    }
}

/// Reads a file of the work tree.
fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests;
