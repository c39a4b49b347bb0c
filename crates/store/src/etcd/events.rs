//! What etcd's watch tells, as commits of the contract. Pure: nothing is waited for here.
//!
//! An answer that is too large for a message comes in pieces; the events of one transaction have one revision, stand
//! together, and are never in two answers. That of the head among them carries the commit's mark.

use super::keys::{Keys, revision};
use super::proto::{Event, KeyValue, PUT, WatchResponse};
use super::transaction;
use crate::{Committed, Cursor, Error, Named, Revision, Space};

/// Events of one answer, at most. More is [`Error::Unavailable`]: whoever watches from further on is told them in parts.
const EVENTS: usize = 4 << 20;

/// Makes commits of a watch's answers.
#[derive(Debug)]
pub(super) struct Teller<'a> {
    keys: &'a Keys,
    space: &'a Space,
    /// Where the watch began, until its first commit was told.
    from: Option<Cursor>,
    /// The last commit told.
    at: Cursor,
    /// Of the answer that is not whole yet.
    pieces: Vec<Event>,
    warned: bool,
}

impl<'a> Teller<'a> {
    /// Of a watch that begins with the commit at `from`.
    pub(super) fn new(keys: &'a Keys, space: &'a Space, from: Cursor) -> Teller<'a> {
        Teller { keys, space, at: from.clone(), from: Some(from), pieces: Vec::new(), warned: false }
    }

    /// The last commit told.
    pub(super) fn at(&self) -> &Cursor {
        &self.at
    }

    /// The commits of an answer; none while more pieces of it are to come.
    pub(super) fn tell(&mut self, answer: WatchResponse) -> Result<Vec<Committed>, Error> {
        if self.pieces.len() + answer.events.len() > EVENTS {
            return Err(Error::Unavailable(format!("etcd's watch told more than {EVENTS} events at once")));
        }
        self.pieces.extend(answer.events);
        if answer.fragment {
            return Ok(Vec::new());
        }
        let mut commits = Vec::new();
        let mut events =
            std::mem::take(&mut self.pieces).into_iter().filter_map(|Event { kind, kv }| Some((kind, kv?)));
        let mut next = events.next();
        while let Some(first) = next.take() {
            let at = revision(first.1.mod_revision);
            let mut group = vec![first];
            for event in events.by_ref() {
                if revision(event.1.mod_revision) != at {
                    next = Some(event);
                    break;
                }
                group.push(event);
            }
            commits.push(self.commit(at, group)?);
        }
        Ok(commits)
    }

    /// The commit at revision `at`, of its events.
    fn commit(&mut self, at: Revision, events: Vec<(i32, KeyValue)>) -> Result<Committed, Error> {
        let head = self.keys.head(self.space);
        let (mut mark, mut changes) = (None, Vec::<Named>::with_capacity(events.len()));
        for (kind, kv) in events {
            if kv.key == head {
                if kind != PUT {
                    return Err(self.ended("somebody deleted the space's head: the store was emptied by hand"));
                }
                mark = Some(kv.value.to_vec());
            } else if kind == PUT {
                let (name, record) = transaction::named(self.keys, self.space, kv)?;
                changes.push((name, Some(record)));
            } else if let Some(name) = self.keys.name(self.space, &kv.key) {
                changes.push((name.to_vec(), None));
            }
        }
        let cursor = Cursor { revision: at, mark: mark.unwrap_or_else(|| self.by_hand(at)) };
        match self.from.take() {
            Some(from) if from.revision == at && from.mark != cursor.mark => {
                return Err(self.ended("its commits carry other marks: the store was rolled back or replaced"));
            }
            Some(from) if from.revision == at => {}
            _ if at > self.at.revision => {}
            _ => return Err(Error::Unavailable(format!("etcd's watch went back to revision {at}"))),
        }
        self.at = cursor.clone();
        Ok(Committed { cursor, changes })
    }

    /// The mark of what was written without a head. It is shown like a commit, so that every mirror has what a read
    /// shows; who resumes from it is told to scan anew.
    fn by_hand(&mut self, at: Revision) -> Vec<u8> {
        if !self.warned {
            self.warned = true;
            tracing::warn!(space = %self.space, revision = %at, "somebody other than Steadfast writes to its keys in etcd");
        }
        self.at.mark.clone()
    }

    fn ended(&self, why: &str) -> Error {
        Error::Compacted(self.at.revision, why.to_owned())
    }
}
