//! The log of a space, as its feeds read it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use steadfast_host::clock::{self, Moment};
use tokio::task::JoinSet;

use super::entity::{BULK, CHANGES, Row, log_properties};
use super::failure::Failure;
use super::keys::{self, LOG};
use super::rest::{Continuation, Rest};
use super::transaction::{self, unpack};
use crate::feed::tail::{self, Entry, LogPage, Pages};
use crate::floor::Floor;
use crate::{Cursor, Error, Revision, Space};

/// Commits asked for at once where each may hold as much as a batch: their answer stays below what is read of one.
const BULK_COMMITS: usize = 32;

/// An account's logs.
#[derive(Debug)]
pub(super) struct Logs {
    pub(super) rest: Arc<Rest>,
    /// What is seen here counts for commits.
    pub(super) floor: Arc<Floor>,
    /// How often they are looked at.
    pub(super) poll: Duration,
}

impl Logs {
    /// Where a space stands.
    pub(super) async fn head(&self, space: &Space, deadline: Moment) -> Result<transaction::Head, Error> {
        head(&self.rest, &self.floor, space, deadline).await
    }

    async fn entries(
        &self,
        space: &Space,
        bulk: bool,
        from: Revision,
        limit: usize,
        deadline: Moment,
    ) -> Result<(Vec<Entry>, bool), Error> {
        let filter = format!(
            "PartitionKey eq '{}' and RowKey ge '{}' and RowKey lt '{}'",
            keys::partition(space),
            keys::log(from),
            LOG.1
        );
        let select = log_properties(bulk);
        // The commit at `from` comes first, and is not counted.
        let top = if bulk { limit.min(BULK_COMMITS) } else { limit }.saturating_add(1);
        let asked = self.rest.query(&filter, &select, top, Continuation::default(), deadline).await;
        let (rows, more) = asked.map_err(Failure::of_look)?;
        let entries = rows.iter().map(|row| entry(row, bulk)).collect::<Result<Vec<_>, _>>()?;
        Ok((entries, more.is_some()))
    }
}

async fn head(rest: &Arc<Rest>, floor: &Floor, space: &Space, deadline: Moment) -> Result<transaction::Head, Error> {
    let row = rest.entity(&keys::partition(space), keys::HEAD, deadline).await.map_err(Failure::of_look)?;
    let head = transaction::Head::of(row.as_ref())?;
    floor.saw(space, head.revision);
    Ok(head)
}

fn entry(row: &Row, bulk: bool) -> Result<Entry, Error> {
    let strange = || Error::Corrupt(format!("the row `{}` of the log cannot be read", row.key));
    let revision = keys::logged(&row.key).ok_or_else(strange)?;
    let mut changes = unpack(&row.parts(CHANGES)?, revision).ok_or_else(strange)?;
    if bulk {
        changes.extend(unpack(&row.parts(BULK)?, revision).ok_or_else(strange)?);
    }
    Ok(Entry { cursor: Cursor { revision, mark: row.bytes("Mark")? }, prev: row.bytes("Prev")?, changes })
}

impl From<transaction::Head> for tail::Head {
    fn from(head: transaction::Head) -> tail::Head {
        tail::Head { logged: head.cursor(), base: head.base }
    }
}

#[async_trait]
impl Pages for Logs {
    async fn page(
        &self,
        space: &Space,
        bulk: bool,
        from: Revision,
        limit: usize,
        within: Duration,
    ) -> Result<LogPage, Error> {
        let deadline = clock::now() + within;
        let (head, entries) =
            tokio::join!(self.head(space, deadline), self.entries(space, bulk, from, limit, deadline));
        let (head, (mut entries, mut more)) = (tail::Head::from(head?), entries?);
        // What was cut is gone, though its deletion may be under way.
        entries.retain(|entry| entry.cursor.revision > head.base);
        // What lies above the head was read after it, and is read again with the next page.
        let below = entries.iter().take_while(|entry| entry.cursor.revision <= head.logged.revision).count();
        if below < entries.len() {
            entries.truncate(below);
            more = false;
        }
        Ok(LogPage { entries, head, more })
    }

    async fn heads(&self, spaces: &[Space], within: Duration) -> Result<Vec<tail::Head>, Error> {
        let deadline = clock::now() + within;
        let mut asking = JoinSet::new();
        for (at, space) in spaces.iter().cloned().enumerate() {
            let (rest, floor) = (Arc::clone(&self.rest), Arc::clone(&self.floor));
            asking.spawn(async move { (at, head(&rest, &floor, &space, deadline).await) });
        }
        let mut heads = vec![None; spaces.len()];
        while let Some(asked) = asking.join_next().await {
            let (at, head) = asked.map_err(|e| Error::Unavailable(format!("a look was given up: {e}")))?;
            heads[at] = Some(tail::Head::from(head?));
        }
        Ok(heads.into_iter().flatten().collect())
    }

    fn look_every(&self, _wished: Duration) -> Duration {
        self.poll
    }
}
