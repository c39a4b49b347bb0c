//! What a task needs and the machine may lack: programs out of Debian packages, Rust components, crates, packages of
//! PyPI and npm.
//!
//! Installs as root or with passwordless sudo; otherwise says exactly what to install, and fails.

mod bundle;
pub(crate) mod npm;
pub(crate) mod python;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{capture, find, succeeds};

/// A program of the machine that some task starts.
pub(crate) struct Tool {
    program: &'static str,
    package: &'static str,
    needed_by: &'static [&'static str],
}

/// Who starts the servers of other stores than our own.
const STORES: &[&str] = &["conformance", "blackbox"];

/// Every program of the machine that is started by a task, beside what each Debian has (bash, coreutils, util-linux).
const TOOLS: &[Tool] = &[
    Tool { program: "curl", package: "curl", needed_by: &["blackbox"] },
    Tool { program: "python3", package: "python3", needed_by: STORES },
    Tool { program: "pip3", package: "python3-pip", needed_by: &["conformance", "blackbox", "bench"] },
    Tool { program: "chromium", package: "chromium", needed_by: &["blackbox"] },
    Tool { program: "chromedriver", package: "chromium-driver", needed_by: &["blackbox"] },
    Tool { program: "ip", package: "iproute2", needed_by: &["blackbox"] },
    Tool { program: "pkill", package: "procps", needed_by: &["blackbox"] },
    Tool { program: "systemd-analyze", package: "systemd", needed_by: &["blackbox"] },
    Tool { program: "groff", package: "groff-base", needed_by: &["blackbox"] },
    Tool { program: "haproxy", package: "haproxy", needed_by: &["blackbox", "bench"] },
    Tool { program: "nginx", package: "nginx", needed_by: &["blackbox", "bench"] },
    Tool { program: "varnishtest", package: "varnish", needed_by: &["blackbox"] },
    Tool { program: "faketime", package: "faketime", needed_by: &["blackbox"] },
    Tool { program: "setpriv", package: "util-linux", needed_by: STORES },
    Tool { program: "etcd", package: "etcd-server", needed_by: STORES },
    Tool { program: "etcdctl", package: "etcd-client", needed_by: STORES },
    Tool { program: "redis-server", package: "redis-server", needed_by: STORES },
    Tool { program: "postgres", package: "postgresql", needed_by: STORES },
    // Comes with PostgreSQL in any case; named here, so that its service is switched off as well.
    Tool { program: "pg_ctlcluster", package: "postgresql-common", needed_by: STORES },
    Tool { program: "pgbouncer", package: "pgbouncer", needed_by: STORES },
    Tool { program: "wrk", package: "wrk", needed_by: &["bench"] },
];

/// The part of the installation that needs a shell: `install.sh` with the packages as arguments.
const INSTALL_SCRIPT: &str = include_str!("install.sh");

/// Makes sure that every program one of `users` (steps of the test, `bench`) starts is there.
pub(crate) fn programs(users: &[&str]) -> Result<()> {
    let missing: Vec<&Tool> = needed(users).into_iter().filter(|tool| find(tool.program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    packages.sort_unstable();
    packages.dedup();
    let by_hand = format!("apt-get install {}", packages.join(" "));
    let programs = missing.iter().map(|tool| tool.program).collect::<Vec<_>>().join(", ");

    if find("apt-get").is_none() {
        bail!("{programs}: not on this machine, which has no apt-get; install them by hand (on Debian: {by_hand})");
    }
    let Some(mut shell) = root_shell() else {
        bail!("{programs}: not on this machine; run as root: {by_hand}");
    };
    println!("installing {} (for {programs})", packages.join(" "));
    let (status, output) = capture(shell.args(["-c", INSTALL_SCRIPT, "install"]).args(&packages))?;
    if !status.success() {
        println!("{}", output.trim_end());
        bail!("{}; by hand: {by_hand}", apt_trouble(&output));
    }
    match missing.iter().find(|tool| find(tool.program).is_none()) {
        Some(tool) => bail!("the package {} is installed, yet there is no program {}", tool.package, tool.program),
        None => Ok(()),
    }
}

/// Makes sure that the Rust component behind `cargo <subcommand>` is there (rustfmt for `fmt`, and so on).
pub(crate) fn component(subcommand: &str, component: &str) -> Result<()> {
    let present = || succeeds(Command::new("cargo").args([subcommand, "--version"]));
    if present() {
        return Ok(());
    }
    if find("rustup").is_none() {
        bail!(
            "`cargo {subcommand}` is missing and there is no rustup: install the component {component} of this toolchain"
        );
    }
    println!("installing the Rust component {component}");
    let (_, output) = capture(Command::new("rustup").args(["component", "add", component]))?;
    if present() {
        return Ok(());
    }
    println!("{}", output.trim_end());
    bail!("`rustup component add {component}` did not bring `cargo {subcommand}`");
}

/// Downloads the crates of the lock file; needs no network once they are there.
pub(crate) fn crates(root: &Path) -> Result<()> {
    let (status, output) = capture(Command::new("cargo").current_dir(root).args([
        "fetch",
        "--locked",
        "--quiet",
        "--target",
        &host_triple()?,
    ]))?;
    if status.success() {
        return Ok(());
    }
    println!("{}", output.trim_end());
    bail!("{}", fetch_trouble(&output))
}

fn needed(users: &[&str]) -> Vec<&'static Tool> {
    TOOLS.iter().filter(|tool| tool.needed_by.iter().any(|user| users.contains(user))).collect()
}

/// A command that runs a shell as root without asking anybody, if there is one.
fn root_shell() -> Option<Command> {
    let is_root = capture(Command::new("id").arg("-u")).is_ok_and(|(_, id)| id.trim() == "0");
    if is_root {
        return Some(Command::new("sh"));
    }
    succeeds(Command::new("sudo").args(["-n", "true"])).then(|| {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "sh"]);
        sudo
    })
}

fn host_triple() -> Result<String> {
    let (_, text) = capture(Command::new("rustc").arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("read the host triple from `rustc -vV`")?.to_owned())
}

/// What went wrong in apt's words, said in one line.
fn apt_trouble(output: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| output.contains(word));
    if says(&["No space left on device", "enough free space"]) {
        "the disk is full: the packages could not be installed"
    } else if says(&["Temporary failure resolving", "Could not resolve", "Unable to connect", "Could not connect"]) {
        "no network: the packages could not be fetched"
    } else if says(&["Unable to locate package", "has no installation candidate"]) {
        "this machine's package sources do not have the packages"
    } else {
        "the packages could not be installed (apt's output is above)"
    }
}

/// What went wrong in cargo's words, said in one line.
fn fetch_trouble(output: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| output.contains(word));
    if says(&["No space left on device"]) {
        "the disk is full: the crates could not be downloaded"
    } else if says(&["Could not resolve", "Couldn't resolve", "Could not connect", "Couldn't connect", "timed out"]) {
        "no network: the crates could not be downloaded"
    } else if says(&["because --locked was passed", "needs to be updated"]) {
        "Cargo.lock does not match the Cargo.toml files: run `cargo check` and commit Cargo.lock"
    } else {
        "the crates could not be downloaded (cargo's output is above)"
    }
}

#[cfg(test)]
mod tests;
