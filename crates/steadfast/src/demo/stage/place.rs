//! A directory for the demo's files, removed with it.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};

/// A directory that only we may read, removed when it is dropped.
#[derive(Debug)]
pub(in crate::demo) struct Place(PathBuf);

impl Place {
    pub(super) fn make() -> Result<Place, Failure> {
        let parent = std::env::temp_dir();
        let path = parent.join(format!("steadfast-demo-{:08x}", steadfast_host::random::u64() >> 32));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map(|()| Place(path)).map_err(|error| {
            let place = parent.display();
            let what = format!("cannot make a directory for the demo in {place}: {error}; choose another by TMPDIR");
            Failure::new(Exit::Usage, anyhow::anyhow!(what))
        })
    }

    pub(in crate::demo) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into it.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let path = self.0.join(name);
        fs::write(&path, text)
            .map_err(|error| Failure::new(Exit::No, anyhow::anyhow!("write {}: {error}", path.display())))?;
        Ok(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Of no use to anybody any more; what cannot be removed lies in a directory for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}
