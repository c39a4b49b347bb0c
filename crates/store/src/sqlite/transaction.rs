//! One transaction: batches judged one after the other, each upon what those before it have written.

use std::collections::HashMap;
use std::sync::Arc;

use super::failure::Failure;
use super::file::File;
use super::queue::Reply;
use crate::history::{History, fresh_mark};
use crate::{Batch, Committed, Cursor, Error, Space, Write};

/// Rows the log has outgrown are deleted once in so many revisions, twice as many at once: not at each, and never far
/// from the bound.
const TRIM_EVERY: u64 = 32;

/// A batch that was judged, and what came of it.
type Judged = (Reply<Cursor>, Result<Cursor, Error>);

/// What a transaction is about to make true.
#[derive(Default)]
pub(super) struct Transaction {
    judged: Vec<Judged>,
    /// What watches will be told; a beat (`true`) is not.
    commits: Vec<(Arc<History>, Committed, bool)>,
    /// Where the spaces will stand.
    pub(super) heads: HashMap<Space, (Arc<History>, Cursor)>,
    /// Records it changes.
    changes: usize,
}

impl Transaction {
    /// Judges and writes the batches, up to a failure of the file.
    pub(super) fn write(
        &mut self,
        file: &mut File,
        history_of: impl Fn(&Space) -> Arc<History>,
        batches: &mut impl Iterator<Item = (Batch, Reply<Cursor>)>,
    ) -> Result<(), Failure> {
        for (batch, reply) in batches {
            if !reply.begin() {
                continue;
            }
            match self.judge(file, &history_of, batch) {
                Ok(verdict) => self.judged.push((reply, verdict)),
                Err(failure) => {
                    reply.send(Err(failure.error.clone()));
                    return Err(failure);
                }
            }
        }
        Ok(())
    }

    /// What the caller of this batch is to be told; what it writes is written.
    fn judge(
        &mut self,
        file: &mut File,
        history_of: impl Fn(&Space) -> Arc<History>,
        batch: Batch,
    ) -> Result<Result<Cursor, Error>, Failure> {
        let conflicts = file.conflicts(&batch)?;
        if !conflicts.is_empty() {
            return Ok(Err(Error::Conflict(conflicts)));
        }
        let space = batch.space.clone();
        let (history, head) = match self.heads.get(&space) {
            Some((history, head)) => (Arc::clone(history), head.clone()),
            None => {
                let history = history_of(&space);
                let head = history.head();
                (history, head)
            }
        };
        if batch.changes.iter().all(|change| change.write == Write::Nothing) {
            return Ok(Ok(head));
        }
        let beat = batch.is_beat();
        let mark = if beat { head.mark } else { fresh_mark() };
        let cursor = Cursor { revision: head.revision.next(), mark };
        let commit = file.apply(batch, cursor.clone())?;
        self.changes += commit.changes.len();
        self.heads.insert(space, (Arc::clone(&history), cursor.clone()));
        self.commits.push((history, commit, beat));
        Ok(Ok(cursor))
    }

    /// Writes where the spaces stand, and folds its share of what the log holds.
    pub(super) fn stand(&self, file: &mut File) -> Result<(), Failure> {
        file.fold(self.changes)?;
        for (space, (history, head)) in &self.heads {
            let base = history.base();
            file.stand(space, head, base)?;
            if history.head().revision.0 / TRIM_EVERY != head.revision.0 / TRIM_EVERY {
                file.trim(space, base)?;
            }
        }
        Ok(())
    }

    /// It is on the disk: watches and callers learn of it.
    pub(super) fn publish(self) {
        for (history, commit, beat) in self.commits {
            if beat { history.beat(commit.cursor.revision) } else { history.push(commit) }
        }
        for (reply, verdict) in self.judged {
            reply.send(verdict);
        }
    }

    /// It did not become true: everybody in it is told `error`.
    pub(super) fn refuse(self, error: &Error) {
        for (reply, verdict) in self.judged {
            // What wrote nothing cannot have happened, whatever became of the others.
            let error = match (verdict, error) {
                (Err(_), Error::OutcomeUnknown(why)) => Error::Unavailable(why.clone()),
                _ => error.clone(),
            };
            reply.send(Err(error));
        }
    }
}
