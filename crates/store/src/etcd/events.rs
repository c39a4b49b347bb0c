//! What etcd's watch tells, as commits of the contract. Pure: nothing is waited for here.
//!
//! An answer that is too large for a message comes in pieces; the events of one transaction have one revision, stand
//! together, and are never in two answers, though they may be in two pieces. That of the head among them carries the
//! commit's mark.

use super::keys::{Keys, revision};
use super::proto::{Event, KeyValue, PUT, WatchResponse};
use super::transaction;
use crate::{Committed, Cursor, Error, Named, Revision, Space};

/// Events of one commit, at most, beside those of one message: more than any of ours has, and room for what somebody
/// deletes by hand.
const EVENTS: usize = 4 << 20;

/// Makes commits of a watch's answers.
#[derive(Debug)]
pub(super) struct Teller<'a> {
    keys: &'a Keys,
    space: &'a Space,
    /// The commit that the watch begins with, until it was told.
    from: Option<Cursor>,
    /// The last commit told.
    at: Cursor,
    /// Of the last commit of an answer that is not whole yet.
    begun: Vec<Event>,
    warned: bool,
}

impl<'a> Teller<'a> {
    /// Of a watch that begins with the commit at `from`.
    pub(super) fn with(keys: &'a Keys, space: &'a Space, from: Cursor) -> Teller<'a> {
        Teller { from: Some(from.clone()), ..Teller::after(keys, space, from) }
    }

    /// Of a watch that begins after `at`.
    pub(super) fn after(keys: &'a Keys, space: &'a Space, at: Cursor) -> Teller<'a> {
        Teller { keys, space, from: None, at, begun: Vec::new(), warned: false }
    }

    /// The space watched.
    pub(super) fn space(&self) -> &'a Space {
        self.space
    }

    /// The last commit told.
    pub(super) fn at(&self) -> &Cursor {
        &self.at
    }

    /// The commits that an answer, or a piece of one, makes whole.
    pub(super) fn tell(&mut self, answer: WatchResponse) -> Result<Vec<Committed>, Error> {
        let mut events = std::mem::take(&mut self.begun);
        events.extend(answer.events);
        let at = |event: &Event| event.kv.as_ref().map(|kv| kv.mod_revision);
        if answer.fragment {
            // The next piece may go on with the last commit of this one.
            let last = events.last().and_then(at);
            let whole = events.iter().rposition(|event| at(event) != last).map_or(0, |last| last + 1);
            self.begun = events.split_off(whole);
            if self.begun.len() > EVENTS {
                return Err(Error::Unavailable(format!("etcd's watch tells of more than {EVENTS} changes at once")));
            }
        }
        let mut commits = Vec::new();
        let mut events = events.into_iter().filter_map(|Event { kind, kv }| Some((kind, kv?)));
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
            // It begins *with* the commit that is known: with another, or without it, this is another history.
            Some(from) if from == cursor => {}
            Some(_) => return Err(self.ended("its commits carry other marks: the store was rolled back or replaced")),
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
