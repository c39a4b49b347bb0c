//! What is installed below `target`: a directory for each bundle of packages, made once and whole.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where the bundles are, below the work tree.
const PLACE: &str = "target/outside";
/// What a bundle was made of, in its directory.
const CONTENTS: &str = "installed.txt";

/// Where a bundle is, or will be.
pub(super) fn place(root: &Path, name: &str) -> PathBuf {
    root.join(PLACE).join(name)
}

/// Has `make` fill the directory of the bundle `name`, unless it was made of the same `contents` before.
pub(super) fn once(root: &Path, name: &str, contents: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let place = place(root, name);
    if fs::read_to_string(place.join(CONTENTS)).is_ok_and(|found| found == contents) {
        return Ok(());
    }
    // Made beside its place, so that a half-made one is never taken for a whole one.
    let making = place.with_extension("new");
    for leftover in [&making, &place].into_iter().filter(|path| path.exists()) {
        fs::remove_dir_all(leftover).with_context(|| format!("remove {}", leftover.display()))?;
    }
    fs::create_dir_all(&making).with_context(|| format!("make {}", making.display()))?;
    make(&making)?;
    fs::write(making.join(CONTENTS), contents).context("note what was installed")?;
    fs::rename(&making, &place).with_context(|| format!("put {} in its place", making.display()))
}
