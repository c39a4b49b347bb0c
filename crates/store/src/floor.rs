//! The highest revision that was seen of each space. Sent with every commit, it keeps a store that was rolled back from
//! giving a version again that somebody here has seen.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::history::locked;
use crate::{Revision, Space};

/// The highest *logged* revision seen of each space: a beat's may be lost in a crash, which is no rollback.
#[derive(Debug, Default)]
pub(crate) struct Floor {
    seen: Mutex<HashMap<Space, Revision>>,
}

impl Floor {
    /// The highest seen of `space`; 0: none yet.
    pub(crate) fn of(&self, space: &Space) -> Revision {
        locked(&self.seen).get(space).copied().unwrap_or_default()
    }

    /// `revision` was seen.
    pub(crate) fn saw(&self, space: &Space, revision: Revision) {
        let mut seen = locked(&self.seen);
        match seen.get_mut(space) {
            Some(highest) => *highest = revision.max(*highest),
            None => {
                seen.insert(space.clone(), revision);
            }
        }
    }
}

#[cfg(test)]
mod tests;
