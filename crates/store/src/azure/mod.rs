//! Azure Storage: leases on blobs of a container, everything else in a table.
//!
//! A space is a partition of the table. A commit is one entity group transaction: the space's head, compared and set on
//! its ETag, a row of the log, and the records ([`transaction`], [`desk`]). The log is polled ([`tail`]). Beats and
//! leases count for themselves ([`apart`]): a beat is an entity of a partition of its own, a lease a blob ([`lease`]).
//!
//! What it promises: no request is ever sent twice, no call takes longer than it was given, and what was not sent, what
//! was refused and what may have happened are three things ([`failure`]).

mod account;
mod apart;
mod batch;
mod beats;
mod credential;
mod desk;
mod entity;
mod examine;
mod failure;
mod keys;
mod lease;
mod open;
mod rest;
mod scan;
mod sign;
mod tags;
mod tail;
mod transaction;
mod trim;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use steadfast_host::clock::{self, Moment};

use crate::feed::Feeds;
use crate::feed::tail::Paged;
use crate::floor::Floor;
use crate::page::{PageBuilder, records_at_most};
use crate::turn::Turns;
use crate::{
    Batch, Change, Cursor, Description, Error, Finding, Key, Limits, LogBound, Page, PageToken, Record, Space, Store,
    Watch, rules,
};
use apart::{Memory, Place};
use beats::Beats;
use desk::{Desk, Terms};
use failure::Failure;
use keys::Shelf;
use lease::Leases;
use lease::etag::Look;
use lease::poll::{Asked, LeaseWatch, shows_leases};
use rest::Rest;
use tail::Logs;
use transaction::Keep;
use trim::Trimming;

#[cfg(any(test, fuzzing))]
pub(crate) use batch::fuzzing;
pub(crate) use open::{open, preparation, prepare};

/// What a batch may hold: a transaction has 100 entities, of which head and log are two, and the log's row, which holds
/// all names and values, a MiB. A row's key has 512 characters at most, and four of them hold three bytes of a name.
const LIMITS: Limits = Limits { operations: 98, bytes: 900 << 10, name_bytes: 380 };

/// How much of the way a store is used.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// How often logs and leases are looked at.
    poll: Duration,
    /// Commits that a log keeps.
    keep: Keep,
}

/// A store in an account of Azure Storage.
#[derive(Debug)]
pub(crate) struct Azure {
    rest: Arc<Rest>,
    plan: Plan,
    turns: Turns<Desk>,
    floor: Arc<Floor>,
    logs: Arc<Logs>,
    feeds: Feeds<Paged<Logs>>,
    beats: Memory,
    leases: Arc<Leases>,
    trimming: Trimming,
    /// A space stood lower than this process had seen it.
    rolled_back: AtomicBool,
}

impl Azure {
    fn new(rest: Arc<Rest>, leases: Leases, plan: Plan) -> Azure {
        let floor = Arc::new(Floor::default());
        let logs = Arc::new(Logs { rest: Arc::clone(&rest), floor: Arc::clone(&floor), poll: plan.poll });
        let tail = Arc::new(Paged::new(Arc::clone(&logs)));
        Azure {
            rest,
            plan,
            turns: Turns::default(),
            floor,
            logs,
            feeds: Feeds::new(tail, LogBound::default()),
            beats: Memory::default(),
            leases: Arc::new(leases),
            trimming: Trimming::default(),
            rolled_back: AtomicBool::new(false),
        }
    }

    /// A batch that is ordered with all others of its space.
    async fn commit_records(&self, batch: &Batch, within: Duration) -> Result<Cursor, Error> {
        let deadline = clock::now() + within;
        let space = &batch.space;
        let mut desk = self.turns.wait(space, within).await?;
        let terms = Terms { rest: &self.rest, floor: self.floor.of(space), keep: self.plan.keep, deadline };
        let made = desk.commit(batch, &terms).await?;
        drop(desk);
        if made.rolled_back {
            tracing::warn!(%space, "the store was rolled back: it stood lower than was seen of it");
            self.rolled_back.store(true, Ordering::Relaxed);
            self.feeds.rolled_back(space, "the store was rolled back: it stood lower than was seen of it");
        }
        self.floor.saw(space, made.cursor.revision);
        self.feeds.wake(space, made.cursor.revision);
        if let Some(cut) = made.cut {
            self.trimming.begin(&self.rest, space, cut);
        }
        Ok(made.cursor)
    }

    /// A beat or a lease, alone.
    async fn commit_apart(
        &self,
        shelf: Shelf,
        space: &Space,
        change: &Change,
        within: Duration,
    ) -> Result<Cursor, Error> {
        let deadline = clock::now() + within;
        let key = Key::new(space.clone(), change.name.clone());
        let made = match shelf {
            Shelf::Leases => self.leases.commit(&self.rest, &key, change, deadline).await?,
            Shelf::Beats | Shelf::Records => self.beats.commit(&Beats(&self.rest), &key, change, deadline).await?,
        };
        match made {
            Some(revision) => Ok(Cursor { revision, mark: Vec::new() }),
            None => self.stands(space, deadline).await,
        }
    }

    async fn stands(&self, space: &Space, deadline: Moment) -> Result<Cursor, Error> {
        Ok(self.logs.head(space, deadline).await?.cursor())
    }
}

#[async_trait]
impl Store for Azure {
    async fn read(&self, key: &Key, within: Duration) -> Result<Option<Record>, Error> {
        rules::check_name(&key.name, LIMITS)?;
        let deadline = clock::now() + within;
        let look = match keys::shelf(&key.name) {
            Shelf::Records => {
                let row = self.rest.entity(&keys::partition(&key.space), &keys::record(&key.name), deadline).await;
                return row.map_err(Failure::of_look)?.map(|row| row.record()).transpose();
            }
            Shelf::Beats => Beats(&self.rest).look(key, deadline).await.map_err(Failure::of_look)?,
            Shelf::Leases => match self.leases.look(&self.rest, key, None, deadline).await {
                Ok(Look::Is(seen)) => Some(seen),
                Ok(Look::Same | Look::None) => None,
                Err(failure) => return Err(failure.of_look()),
            },
        };
        Ok(look.and_then(|seen| seen.record()))
    }

    async fn commit(&self, batch: Batch, within: Duration) -> Result<Cursor, Error> {
        batch.check(LIMITS)?;
        match &batch.changes[..] {
            [change] if keys::shelf(&change.name) != Shelf::Records => {
                self.commit_apart(keys::shelf(&change.name), &batch.space, change, within).await
            }
            _ => self.commit_records(&batch, within).await,
        }
    }

    async fn scan(
        &self,
        space: &Space,
        prefix: &[u8],
        page: Option<PageToken>,
        limit: usize,
        within: Duration,
    ) -> Result<Page, Error> {
        rules::check_prefix(prefix, LIMITS)?;
        let limit = records_at_most(space, limit)?;
        let deadline = clock::now() + within;
        let cursor = match &page {
            Some(token) => token.cursor.clone(),
            None => self.stands(space, deadline).await?,
        };
        let mut filled = PageBuilder::new(cursor, limit);
        let scan = scan::Scan { rest: &self.rest, leases: &self.leases, space, limit, deadline };
        scan.fill(&mut filled, prefix, page.as_ref().map(|token| token.after.as_slice())).await?;
        Ok(filled.finish())
    }

    async fn watch(
        &self,
        space: &Space,
        prefixes: &[&[u8]],
        from: Cursor,
        progress_every: Duration,
    ) -> Result<Box<dyn Watch>, Error> {
        rules::check_prefixes(prefixes, LIMITS)?;
        let log = self.feeds.watch(space, prefixes, from, progress_every).await?;
        if !shows_leases(prefixes) {
            return Ok(log);
        }
        let asked = Asked {
            rest: Arc::clone(&self.rest),
            leases: Arc::clone(&self.leases),
            space: space.clone(),
            prefixes: prefixes.iter().map(|prefix| prefix.to_vec()).collect(),
            every: self.plan.poll,
        };
        Ok(Box::new(LeaseWatch::new(log, asked)))
    }

    fn limits(&self) -> Limits {
        LIMITS
    }

    fn describe(&self) -> Description {
        let account = &self.rest.account;
        let native = self.leases.native.as_ref();
        let mut notes = vec![
            format!("polls every {:?}", self.plan.poll),
            format!("proves itself with {}", self.rest.credential.name()),
        ];
        if self.rolled_back.load(Ordering::Relaxed) {
            notes.push("was rolled back since this process began to use it".to_owned());
        }
        Description {
            engine: "azure".to_owned(),
            place: format!("{account}{}", if native.is_some() { "?lease=native" } else { "" }),
            durable: !account.is_emulator(),
            push: false,
            one_machine: account.is_emulator(),
            may_lose: examine::may_lose(account),
            pace_ms: u64::try_from(self.plan.poll.as_millis()).unwrap_or(u64::MAX),
            leases_apart: true,
            lease_lasts_ms: native.map(|native| u64::try_from(native.lasts.as_millis()).unwrap_or(u64::MAX)),
            notes,
        }
    }

    async fn examine(&self, within: Duration) -> Result<Vec<Finding>, Error> {
        examine::findings(&self.rest, clock::now() + within).await
    }
}

#[cfg(test)]
mod tests;
