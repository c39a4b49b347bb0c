//! The log as feeds read it: pages of a stream, and where the spaces stand by one question.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use steadfast_host::clock::{self, Moment};

use super::answers;
use super::keys::Keys;
use super::link::{Link, Open};
use super::resp::{Commands, Reply};
use crate::feed::tail::{Entry, Head, LogPage, Pages};
use crate::seen::Seen;
use crate::{Cursor, Error, Named, Revision, Space};

/// Commits of one page, at most: each may have a MiB.
const PAGE_COMMITS: usize = 64;

/// What reads the log.
#[derive(Debug)]
pub(super) struct Log {
    link: Arc<Link>,
    seen: Arc<Seen>,
}

impl Log {
    pub(super) fn new(link: Arc<Link>, seen: Arc<Seen>) -> Log {
        Log { link, seen }
    }

    fn keys(&self, space: &Space) -> Keys {
        Keys::of(&self.link.settings.prefix, space)
    }

    fn strange(&self, space: &Space) -> Error {
        let place = &self.link.settings.place;
        Error::Corrupt(format!("{place}: the log of space `{space}` has what was not written here"))
    }

    /// The last commit that was cut off the log, which has no entry up to where somebody asked; 0: none was.
    async fn base(&self, open: &Open, space: &Space, logged: Revision, deadline: Moment) -> Result<Revision, Error> {
        let first = Commands::default().and(&["XRANGE", &self.keys(space).log, "-", "+", "COUNT", "1"]);
        let first = self.link.look(open, first, deadline).await?.pop().and_then(answers::entries);
        Ok(match first.ok_or_else(|| self.strange(space))?.first() {
            Some(first) if first.prev.is_empty() => Revision::default(),
            Some(first) => Revision(first.revision.0 - 1),
            None => logged,
        })
    }

    /// Puts what `entries` did under [`BULK`](crate::BULK) to the rest of it.
    async fn add_bulk(
        &self,
        open: &Open,
        space: &Space,
        entries: &mut [answers::Entry],
        deadline: Moment,
    ) -> Result<(), Error> {
        let bulky = || entries.iter().filter(|entry| entry.has_bulk);
        let (Some(first), Some(last), count) = (bulky().next(), bulky().next_back(), bulky().count()) else {
            return Ok(());
        };
        let (first, last) = (first.revision.to_string(), last.revision.to_string());
        let range = ["XRANGE", &self.keys(space).bulk, &first, &last, "COUNT", &count.to_string()];
        let found = self.link.look(open, Commands::default().and(&range), deadline).await?.pop();
        let found = found.and_then(answers::bulk).ok_or_else(|| self.strange(space))?;
        let mut found: HashMap<Revision, Vec<Named>> = found.into_iter().collect();
        for entry in entries.iter_mut().filter(|entry| entry.has_bulk) {
            let trimmed = || {
                let why = format!("what was under client/ in revision {} was trimmed", entry.revision);
                Error::Compacted(entry.revision, why)
            };
            let changes = found.remove(&entry.revision).ok_or_else(trimmed)?;
            entry.changes.extend(changes);
        }
        Ok(())
    }
}

#[async_trait]
impl Pages for Log {
    async fn page(
        &self,
        space: &Space,
        bulk: bool,
        from: Revision,
        limit: usize,
        within: Duration,
    ) -> Result<LogPage, Error> {
        let deadline = clock::now() + within;
        let open = self.link.open(deadline).await?;
        let (Keys { head, log, .. }, limit) = (self.keys(space), limit.min(PAGE_COMMITS));
        let (from, after) = (from.to_string(), Revision(from.0.saturating_add(1)).to_string());
        let limited = limit.to_string();
        let commands = |commands: Commands| {
            commands
                .and(&["HMGET", &head, "logged", "mark"])
                .and(&["XREVRANGE", &log, &from, "-", "COUNT", "1"])
                .and(&["XRANGE", &log, &after, "+", "COUNT", &limited])
        };
        let replies = self.link.look_at_master(&open, commands, deadline).await?;
        let Ok([head, newest, later]) = <[Reply; 3]>::try_from(replies) else { return Err(self.strange(space)) };
        let logged = answers::head(head).ok_or_else(|| self.strange(space))?;
        let mut entries = answers::entries(newest).ok_or_else(|| self.strange(space))?;
        let has_newest = !entries.is_empty();
        let later = answers::entries(later).ok_or_else(|| self.strange(space))?;
        let more = later.len() == limit;
        entries.extend(later);
        if bulk {
            self.add_bulk(&open, space, &mut entries, deadline).await?;
        }
        let base =
            if has_newest { Revision::default() } else { self.base(&open, space, logged.revision, deadline).await? };
        let entries: Vec<Entry> = entries.into_iter().map(entry).collect();
        self.seen.read(space, entries.iter().map(|entry| &entry.cursor));
        Ok(LogPage { entries, head: Head { logged, base }, more })
    }

    async fn heads(&self, spaces: &[Space], within: Duration) -> Result<Vec<Head>, Error> {
        let deadline = clock::now() + within;
        let open = self.link.open(deadline).await?;
        let ask = |commands: Commands, space| commands.and(&["HMGET", &self.keys(space).head, "logged", "mark"]);
        let asked = |commands| spaces.iter().fold(commands, ask);
        let replies = self.link.look_at_master(&open, asked, deadline).await?;
        let of = |(space, reply)| {
            let logged = answers::head(reply).ok_or_else(|| self.strange(space))?;
            // What was trimmed is asked for by who finds that something is missing.
            Ok(Head { logged, base: Revision::default() })
        };
        spaces.iter().zip(replies).map(of).collect()
    }

    fn look_every(&self, wished: Duration) -> Duration {
        wished.max(self.link.settings.pace)
    }
}

fn entry(entry: answers::Entry) -> Entry {
    let answers::Entry { revision, mark, prev, changes, .. } = entry;
    Entry { cursor: Cursor { revision, mark }, prev, changes }
}
