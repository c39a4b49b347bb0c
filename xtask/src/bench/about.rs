//! What the page of figures says of the run itself: the machine, the versions, the day.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::report::About;
use crate::process::capture;

/// Looks around. `versions` are those of what was measured beside Steadfast, `options` is what followed `bench` on the
/// command line.
pub(super) fn look(root: &Path, versions: Vec<(&'static str, String)>, options: &[String]) -> Result<About> {
    let read = |path: &str| fs::read_to_string(path).with_context(|| format!("read {path}"));
    let said = |command: &mut Command| capture(command).map(|(_, text)| text.trim().to_owned());
    let options = options.iter().filter(|option| *option != "--write" && *option != "--json");
    let commit = said(Command::new("git").current_dir(root).args(["describe", "--always", "--dirty"]))?;
    Ok(About {
        date: said(Command::new("date").args(["-u", "+%Y-%m-%d"]))?,
        commit: format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
        processor: field(&read("/proc/cpuinfo")?, "model name").unwrap_or("unknown processor").to_owned(),
        cores: std::thread::available_parallelism().context("count the cores")?.get(),
        memory_gib: memory_gib(&read("/proc/meminfo")?).context("find MemTotal in /proc/meminfo")?,
        kernel: said(Command::new("uname").arg("-r"))?,
        versions,
        options: options.map(|option| format!(" {option}")).collect(),
    })
}

/// The first value of that name in a file of `name : value` lines.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

fn memory_gib(meminfo: &str) -> Option<f64> {
    Some(field(meminfo, "MemTotal")?.strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0 / 1024.0)
}
