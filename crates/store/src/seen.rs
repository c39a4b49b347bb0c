//! What this handle saw of each space's log, by any answer. It goes with every commit, so that a server that has
//! forgotten what was seen, or has another history there, cannot give out a version again that somebody here has seen,
//! nor have a version believed in that is another record's by now.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::history::locked;
use crate::{Cursor, Revision, Space};

/// What was seen by space. Only *logged* commits count: a beat's number may be lost in a crash, which is no rollback.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    spaces: Mutex<HashMap<Space, Sight>>,
}

/// What was seen of one space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sight {
    /// The highest number there was, in whatever history: the next commit stands above it.
    pub(crate) floor: Revision,
    /// A commit of the history that is believed in: it must be in the log still, unless it was trimmed. `None` where
    /// nothing was seen, or what was is known to be of another history, and whoever relied on it was told.
    pub(crate) known: Option<Cursor>,
}

impl Seen {
    /// What was seen of `space`.
    pub(crate) fn of(&self, space: &Space) -> Sight {
        locked(&self.spaces).get(space).cloned().unwrap_or_default()
    }

    /// `cursor` was seen, in whatever history.
    pub(crate) fn saw(&self, space: &Space, cursor: &Cursor) {
        self.on(space, |sight| {
            if sight.known.is_none() && cursor.revision >= sight.floor && *cursor != Cursor::START {
                sight.known = Some(cursor.clone());
            }
            sight.floor = sight.floor.max(cursor.revision);
        });
    }

    /// A commit was made at `cursor`, on the strength of what was seen.
    pub(crate) fn committed(&self, space: &Space, cursor: &Cursor) {
        self.on(space, |sight| {
            if sight.known.as_ref().is_none_or(|known| known.revision < cursor.revision) {
                sight.known = Some(cursor.clone());
            }
            sight.floor = sight.floor.max(cursor.revision);
        });
    }

    /// These follow each other in the log. If what is known is among them, so is the last.
    pub(crate) fn read<'a>(&self, space: &Space, mut cursors: impl DoubleEndedIterator<Item = &'a Cursor>) {
        let Some(last) = cursors.next_back() else { return };
        self.on(space, |sight| {
            if sight.known.as_ref().is_some_and(|known| cursors.any(|cursor| cursor == known)) {
                sight.known = Some(last.clone());
            }
        });
        self.saw(space, last);
    }

    /// The log is another one than where `former` was seen, and whoever relied on that was told.
    pub(crate) fn was_another(&self, space: &Space, former: &Sight) {
        self.on(space, |sight| {
            if sight.known == former.known {
                sight.known = None;
            }
        });
    }

    fn on(&self, space: &Space, change: impl FnOnce(&mut Sight)) {
        let mut spaces = locked(&self.spaces);
        match spaces.get_mut(space) {
            Some(sight) => change(sight),
            None => change(spaces.entry(space.clone()).or_default()),
        }
    }
}

#[cfg(test)]
mod tests;
