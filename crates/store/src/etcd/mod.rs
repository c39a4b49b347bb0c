//! A store in etcd: transactions on its revisions, and its own watch. For more than one machine.
//!
//! A record's version is etcd's own revision at its last change, so it survives whatever the members survive. Where the
//! records lie says `keys`; how a batch becomes a transaction, `transaction`; how a watch is one of etcd's, `tail`; what
//! a failure means for the caller, `failure`.

mod compact;
mod events;
mod examine;
mod failure;
mod grpc;
mod heads;
mod keys;
mod members;
mod open;
mod proto;
mod scan;
mod tail;
mod transaction;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use async_trait::async_trait;
use steadfast_host::clock::{self, Moment};

use crate::feed::Feeds;
use crate::history::fresh_mark;
use crate::{
    Batch, Cursor, Description, Error, Finding, Key, Limits, LogBound, Page, PageToken, Record, Space, Store, Watch,
    rules,
};
use compact::Compactor;
use failure::Asked;
use heads::Heads;
use keys::Keys;
use members::Members;
use proto::{RangeRequest, RangeResponse, TxnRequest, TxnResponse};

pub(crate) use open::open;

/// A store in etcd.
#[derive(Debug)]
pub(crate) struct Etcd {
    core: Arc<Core>,
    feeds: Feeds<Core>,
}

/// What the URL settles beside the members.
#[derive(Clone, Debug)]
struct Settings {
    /// What all keys begin with.
    prefix: String,
    /// The URL as it may be shown.
    place: String,
    /// Operations of a transaction that the server takes.
    max_txn_ops: usize,
    /// How long history is kept at least; `None`: others compact it.
    compact: Option<Duration>,
    /// The shortest interval at which contact is proven.
    pace: Duration,
}

/// What is asked of the cluster, whatever it is asked for.
#[derive(Debug)]
struct Core {
    members: Members,
    keys: Keys,
    limits: Limits,
    heads: Heads,
    compactor: Compactor,
    pace: Duration,
    place: String,
    /// Records that the next page of a scan asks for at first.
    page_records: AtomicUsize,
}

impl Core {
    fn new(members: Members, settings: Settings) -> Core {
        let Settings { prefix, place, max_txn_ops, compact, pace } = settings;
        let operations = (max_txn_ops - transaction::BESIDES).min(rules::LIMITS.operations);
        let limits = Limits { operations, ..rules::LIMITS };
        Core {
            members,
            keys: Keys::new(prefix.as_bytes()),
            limits,
            heads: Heads::default(),
            compactor: Compactor::new(compact),
            pace,
            place,
            page_records: AtomicUsize::new(scan::FEW),
        }
    }

    async fn read(&self, key: &Key, within: Duration) -> Result<Option<Record>, Error> {
        rules::check_name(&key.name, self.limits)?;
        let request = RangeRequest::one(self.keys.record(&key.space, &key.name));
        let answer: RangeResponse = self.members.call(Asked::Look, RANGE, &request, clock::now() + within).await?;
        Ok(answer.kvs.into_iter().next().map(transaction::record_of))
    }

    async fn commit(&self, batch: &Batch, within: Duration) -> Result<Cursor, Error> {
        batch.check(self.limits)?;
        let mark = fresh_mark();
        let request = transaction::request(&self.keys, batch, &mark);
        let answer = self.transact(Asked::Commit, &request, clock::now() + within).await?;
        transaction::outcome(batch, &mark, answer)
    }

    async fn transact(&self, asked: Asked, request: &TxnRequest, deadline: Moment) -> Result<TxnResponse, Error> {
        self.members.call(asked, TXN, request, deadline).await
    }
}

const RANGE: &str = "/etcdserverpb.KV/Range";
const TXN: &str = "/etcdserverpb.KV/Txn";

impl Etcd {
    fn new(members: Members, settings: Settings) -> Etcd {
        let core = Arc::new(Core::new(members, settings));
        Etcd { feeds: Feeds::new(Arc::clone(&core), LogBound::default()), core }
    }
}

#[async_trait]
impl Store for Etcd {
    async fn read(&self, key: &Key, within: Duration) -> Result<Option<Record>, Error> {
        self.core.read(key, within).await
    }

    async fn commit(&self, batch: Batch, within: Duration) -> Result<Cursor, Error> {
        self.core.commit(&batch, within).await
    }

    async fn scan(
        &self,
        space: &Space,
        prefix: &[u8],
        page: Option<PageToken>,
        limit: usize,
        within: Duration,
    ) -> Result<Page, Error> {
        self.core.scan(space, prefix, page, limit, within).await
    }

    async fn watch(
        &self,
        space: &Space,
        prefixes: &[&[u8]],
        from: Cursor,
        progress_every: Duration,
    ) -> Result<Box<dyn Watch>, Error> {
        rules::check_prefixes(prefixes, self.core.limits)?;
        self.feeds.watch(space, prefixes, from, progress_every).await
    }

    fn limits(&self) -> Limits {
        self.core.limits
    }

    fn describe(&self) -> Description {
        Description {
            engine: "etcd".to_owned(),
            place: self.core.place.clone(),
            durable: true,
            push: true,
            // Of members that the URL does not name nothing is known.
            one_machine: self.core.members.cluster().addresses.len() == 1,
            may_lose: None,
            pace_ms: u64::try_from(self.core.pace.as_millis()).unwrap_or(u64::MAX),
            leases_apart: false,
            lease_lasts_ms: None,
            notes: Vec::new(),
        }
    }

    async fn examine(&self, within: Duration) -> Result<Vec<Finding>, Error> {
        self.core.examine(within).await
    }
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;
