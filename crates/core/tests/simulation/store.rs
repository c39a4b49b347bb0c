//! The model store: one space with a history, in which there is a lease record and the noise of all others.

use steadfast_core::lease::{Expect, LeaseRecord, Observed, Version};

/// A place in the history: a revision and the mark of the commit that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) revision: u64,
    mark: u64,
}

/// What a commit did to the lease, if it touched it: the record now, or none.
pub(crate) type Change = Option<Option<Observed>>;

struct Commit {
    mark: u64,
    change: Change,
}

/// How versions are made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Versions {
    /// The revision of the commit: never reused.
    Revision,
    /// Counted for each record from its creation on: reused after a delete.
    PerRecord,
}

pub(crate) struct Store {
    pub(crate) up: bool,
    versions: Versions,
    history: Vec<Commit>,
    lease: Option<Observed>,
}

impl Store {
    pub(crate) fn new(versions: Versions) -> Store {
        Store { up: true, versions, history: Vec::new(), lease: None }
    }

    pub(crate) fn head(&self) -> Cursor {
        let revision = self.history.len() as u64;
        Cursor { revision, mark: self.history.last().map_or(0, |commit| commit.mark) }
    }

    pub(crate) fn lease(&self) -> Option<&Observed> {
        self.lease.as_ref()
    }

    /// The lease as a reader sees it who is so many commits behind.
    pub(crate) fn lease_behind(&self, commits: usize) -> Option<Observed> {
        let known = &self.history[..self.history.len().saturating_sub(commits)];
        known.iter().rev().find_map(|commit| commit.change.clone()).flatten()
    }

    /// Compare and set. A conflict shows the record as it is.
    pub(crate) fn put(&mut self, expect: Expect, record: LeaseRecord, mark: u64) -> Result<Version, Option<Observed>> {
        let holds = match (expect, &self.lease) {
            (Expect::Absent, None) => true,
            (Expect::Version(expected), Some(lease)) => lease.version == expected,
            _ => false,
        };
        if !holds {
            return Err(self.lease.clone());
        }
        let version = match (self.versions, &self.lease) {
            (Versions::Revision, _) => Version(self.history.len() as u64 + 1),
            (Versions::PerRecord, lease) => Version(lease.as_ref().map_or(0, |lease| lease.version.0) + 1),
        };
        self.lease = Some(Observed { version, record });
        self.history.push(Commit { mark, change: Some(self.lease.clone()) });
        Ok(version)
    }

    /// Some other record of the space changes.
    pub(crate) fn noise(&mut self, mark: u64) {
        self.history.push(Commit { mark, change: None });
    }

    /// An operator deletes the lease, which nobody should.
    pub(crate) fn delete(&mut self, mark: u64) {
        self.lease = None;
        self.history.push(Commit { mark, change: Some(None) });
    }

    /// Acknowledged commits are lost: this is the history now.
    pub(crate) fn roll_back(&mut self, revision: u64) {
        self.history.truncate(revision as usize);
        self.lease = self.lease_behind(0);
    }

    /// What a watch that resumes at `from` gets first: the commit it saw last is included, which proves that
    /// the history is the same. `None`: it is not.
    pub(crate) fn resume(&self, from: Cursor) -> Option<Vec<(Cursor, Change)>> {
        if from.revision == 0 {
            return Some(self.after(0));
        }
        let last = self.history.get(from.revision as usize - 1)?;
        (last.mark == from.mark).then(|| self.after(from.revision - 1))
    }

    /// The last commit.
    pub(crate) fn last(&self) -> Option<(Cursor, Change)> {
        self.history.last().map(|commit| (self.head(), commit.change.clone()))
    }

    /// Commits above this revision, whatever was there before.
    pub(crate) fn after(&self, revision: u64) -> Vec<(Cursor, Change)> {
        let numbered = self.history.iter().zip(1..).skip(revision as usize);
        numbered.map(|(commit, revision)| (Cursor { revision, mark: commit.mark }, commit.change.clone())).collect()
    }
}
