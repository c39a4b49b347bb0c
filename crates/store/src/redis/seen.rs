//! The last place in each space's log that this handle saw, by any answer. It goes with every commit, so that a server
//! that has forgotten what was seen, or has another history there, cannot give out a version again that somebody here
//! believes in.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::history::locked;
use crate::{Cursor, Space};

/// The highest cursor of a *logged* commit by space: a beat's may be lost in a crash, which is no rollback.
#[derive(Debug, Default)]
pub(super) struct Seen {
    spaces: Mutex<HashMap<Space, Cursor>>,
}

impl Seen {
    /// What was seen of `space`. The mark is empty where the log is known to be another one by now: then its number
    /// alone counts, above which the next commit has to stand.
    pub(super) fn of(&self, space: &Space) -> Cursor {
        locked(&self.spaces).get(space).cloned().unwrap_or(Cursor::START)
    }

    /// `cursor` was seen.
    pub(super) fn saw(&self, space: &Space, cursor: &Cursor) {
        let mut spaces = locked(&self.spaces);
        match spaces.get_mut(space) {
            Some(highest) if highest.revision < cursor.revision => highest.clone_from(cursor),
            Some(_) => {}
            None => drop(spaces.insert(space.clone(), cursor.clone())),
        }
    }

    /// The log is another one than where `seen` was seen, and whoever relied on that was told.
    pub(super) fn was_another(&self, space: &Space, seen: &Cursor) {
        if let Some(highest) = locked(&self.spaces).get_mut(space).filter(|highest| *highest == seen) {
            highest.mark.clear();
        }
    }
}

#[cfg(test)]
mod tests;
