//! `cargo xtask soak`: the installation of `crates/steadfast/tests/machine_soak.rs` under random faults, for as long as
//! is asked. The same seed brings the same faults in the same order; when exactly they meet what, the machine decides.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{Usage, install, process};

/// How long it runs unless `--for` says otherwise.
const USUALLY: Duration = Duration::from_secs(30 * 60);
/// Beside its own time: for the build, and for the last fault to heal.
const BESIDE: Duration = Duration::from_secs(20 * 60);

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    length: Duration,
    seed: Option<u64>,
    json: bool,
}

/// Runs it; true if every promise was kept.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<bool> {
    let wanted = parse(args)?;
    install::programs(&["blackbox"])?;
    let report = std::env::temp_dir().join(format!("steadfast-soak-{}.json", std::process::id()));
    let mut command = Command::new("cargo");
    command.current_dir(root).args(["test", "--locked", "-p", "steadfast", "--test", "machine_soak"]);
    command.args(["--", "--nocapture"]);
    command.env("STEADFAST_SOAK_SECONDS", wanted.length.as_secs().to_string());
    command.env("STEADFAST_SOAK_REPORT", &report);
    if let Some(seed) = wanted.seed {
        command.env("STEADFAST_SOAK_SEED", seed.to_string());
    }
    let status = process::stream(&mut command, wanted.length + BESIDE, |line| {
        if wanted.json { eprintln!("{line}") } else { println!("{line}") }
    })?;
    if status.success() && wanted.json {
        print!("{}", std::fs::read_to_string(&report).context("read the report of the run")?);
    }
    // It is not there after a run that failed.
    std::fs::remove_file(&report).ok();
    Ok(status.success())
}

fn parse(args: &[String]) -> Result<Wanted> {
    let mut wanted = Wanted { length: USUALLY, seed: None, json: false };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| Usage(format!("{arg} needs a value")));
        match arg.as_str() {
            "--json" => wanted.json = true,
            "--for" => {
                let text = value()?;
                let span =
                    span(text).ok_or_else(|| Usage(format!("--for {text}: expected one like 45s, 30m or 2h")))?;
                wanted.length = span;
            }
            "--seed" => {
                let text = value()?;
                let seed = text.parse().map_err(|_| Usage(format!("--seed {text}: expected a number")))?;
                wanted.seed = Some(seed);
            }
            other => return Err(Usage(format!("`{other}` is no option of soak")).into()),
        }
    }
    Ok(wanted)
}

/// `45s`, `30m`, `2h`.
fn span(text: &str) -> Option<Duration> {
    let seconds = match text.split_at_checked(text.len().checked_sub(1)?)? {
        (number, "s") => number.parse::<u64>().ok()?,
        (number, "m") => number.parse::<u64>().ok()?.checked_mul(60)?,
        (number, "h") => number.parse::<u64>().ok()?.checked_mul(3600)?,
        _ => return None,
    };
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests;
