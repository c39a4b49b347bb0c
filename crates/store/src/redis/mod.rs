//! Redis and Valkey: a script a commit, a stream for who follows, and what a server can lose said as it is.
//!
//! ```text
//! commit, scan ── scripts ──┐                       ┌── answers ── Outcome, Page
//!                           ├── link ── connection ─┤
//! read, tail ───────────────┘   (one, pipelined)    └── failure ── what a refusal means
//! ears ────────────────────── wire (subscribed)
//! ```
//!
//! What lies where is said in [`keys`]. Every commit takes along what this handle saw last of the log ([`crate::seen`]): a
//! server that was rolled back is noticed by the first commit, or by the mark of the next entry that is read ([`tail`]).

mod answers;
mod connection;
mod ears;
mod examine;
mod failure;
mod keys;
mod link;
pub(crate) mod resp;
mod says;
mod scripts;
mod sentinel;
mod settings;
mod tail;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use steadfast_host::clock::{self, Moment};

use crate::feed::Feeds;
use crate::feed::tail::Paged;
use crate::history::fresh_mark;
use crate::page::records_at_most;
use crate::seen::{Seen, Sight};
use crate::url::Url;
use crate::{
    Access, Batch, Cursor, Description, Error, Finding, Key, Limits, LogBound, Page, PageToken, Record, Space, Store,
    Watch, rules,
};
use answers::Outcome;
use connection::Missed;
use ears::Ears;
use keys::Keys;
use link::{Link, Open};
use resp::{Commands, Reply};
use scripts::{Script, is_logged};
use settings::Settings;
use tail::Log;

/// A store in a Redis or Valkey server.
#[derive(Debug)]
struct Redis {
    link: Arc<Link>,
    seen: Arc<Seen>,
    feeds: Arc<Feeds<Paged<Log>>>,
    ears: Ears,
}

/// Opens the store that `url` names. Nothing is asked of a server.
pub(crate) fn open(url: Url<'_>, access: &Access) -> Result<Arc<dyn Store>, Error> {
    Ok(Arc::new(Redis::new(Settings::of(url, access)?)))
}

impl Redis {
    fn new(settings: Settings) -> Redis {
        let (link, seen) = (Arc::new(Link::new(settings)), Arc::default());
        let log = Log::new(Arc::clone(&link), Arc::clone(&seen));
        let feeds = Arc::new(Feeds::new(Arc::new(Paged::new(Arc::new(log))), LogBound::default()));
        let ears = Ears::new(Arc::clone(&link), Arc::clone(&feeds));
        Redis { link, seen, feeds, ears }
    }

    fn keys(&self, space: &Space) -> Keys {
        Keys::of(&self.link.settings.prefix, space)
    }

    /// Runs a script whose commands `of` makes, once more by its text where the server has forgotten it: then it did
    /// nothing.
    async fn run(
        &self,
        open: &Open,
        script: (&Script, &'static str),
        of: impl Fn(&Script) -> Commands,
        deadline: Moment,
    ) -> Result<Vec<Reply>, Missed> {
        let (known, text) = script;
        let replies = self.link.ask(open, of(known), deadline).await?;
        match replies.first() {
            Some(Reply::Error(said)) if said.starts_with("NOSCRIPT") => {
                self.link.ask(open, of(&Script::Text(text)), deadline).await
            }
            _ => Ok(replies),
        }
    }

    async fn try_commit(&self, batch: &Batch, deadline: Moment) -> Result<Cursor, Error> {
        let open = self.link.open(deadline).await?;
        let (keys, mark, seen) = (self.keys(&batch.space), fresh_mark(), self.seen.of(&batch.space));
        let Settings { keep, wait, wait_for, .. } = &self.link.settings;
        let waits = *wait > 0 && is_logged(batch);
        let commands = |script: &Script| {
            let commands = scripts::commit(script, &keys, batch, &mark, &seen, *keep);
            let millis = wait_for.as_millis().to_string();
            if waits { commands.and(&["WAIT", &wait.to_string(), &millis]) } else { commands }
        };
        let replies = self.run(&open, (&open.commit, scripts::COMMIT), commands, deadline).await;
        let mut replies = replies.map_err(Missed::of_commit)?.into_iter();
        let place = &self.link.settings.place;
        let outcome = match replies.next() {
            Some(Reply::Error(said)) => return Err(self.link.refused(&open, &said)),
            reply => reply.and_then(answers::outcome),
        };
        match outcome {
            Some(Outcome::Done { cursor, jumped }) => {
                self.note(&batch.space, &seen, jumped);
                if is_logged(batch) {
                    self.seen.committed(&batch.space, &cursor);
                    self.feeds.wake(&batch.space, cursor.revision);
                }
                if waits { self.replicated(replies.next()).map(|()| cursor) } else { Ok(cursor) }
            }
            Some(Outcome::Differs { records, jumped }) => {
                self.note(&batch.space, &seen, jumped);
                Err(Error::Conflict(records))
            }
            Some(Outcome::Damaged(what)) => Err(Error::Corrupt(format!("{place}, space `{}`: {what}", batch.space))),
            None => Err(Error::OutcomeUnknown(format!("{place}: it answers a commit as no script of ours does"))),
        }
    }

    /// Says so where the store no longer has the history that was seen.
    fn note(&self, space: &Space, seen: &Sight, jumped: bool) {
        if !jumped {
            return;
        }
        let why = format!("the store was rolled back: it no longer has what it showed at revision {}", seen.floor);
        tracing::error!(%space, "{}: {why}", self.link.settings.place);
        self.seen.was_another(space, seen);
        self.feeds.rolled_back(space, &why);
    }

    /// Whether as many replicas have a commit as were asked for.
    fn replicated(&self, reply: Option<Reply>) -> Result<(), Error> {
        let Settings { place, wait, .. } = &self.link.settings;
        match reply {
            Some(Reply::Integer(replicas)) if u64::try_from(replicas).is_ok_and(|replicas| replicas >= *wait) => Ok(()),
            Some(Reply::Integer(replicas)) => Err(Error::OutcomeUnknown(format!(
                "{place}: written on the master, acknowledged by {replicas} of {wait} replicas"
            ))),
            _ => Err(Error::OutcomeUnknown(format!(
                "{place}: written on the master, which does not tell by how many replicas"
            ))),
        }
    }
}

#[async_trait]
impl Store for Redis {
    async fn read(&self, key: &Key, within: Duration) -> Result<Option<Record>, Error> {
        rules::check_name(&key.name, rules::LIMITS)?;
        let deadline = clock::now() + within;
        let open = self.link.open(deadline).await?;
        let get = Commands::default().and(&[b"HGET", self.keys(&key.space).records.as_bytes(), &key.name]);
        let mut replies = self.link.look(&open, get, deadline).await?;
        answers::record(&key.name, replies.pop().unwrap_or(Reply::Nil))
    }

    async fn commit(&self, batch: Batch, within: Duration) -> Result<Cursor, Error> {
        batch.check(rules::LIMITS)?;
        self.try_commit(&batch, clock::now() + within).await
    }

    async fn scan(
        &self,
        space: &Space,
        prefix: &[u8],
        page: Option<PageToken>,
        limit: usize,
        within: Duration,
    ) -> Result<Page, Error> {
        rules::check_prefix(prefix, rules::LIMITS)?;
        let records_at_most = records_at_most(space, limit)?;
        let deadline = clock::now() + within;
        let open = self.link.open(deadline).await?;
        let keys = self.keys(space);
        let commands = |script: &Script| scripts::scan(script, &keys, prefix, page.as_ref(), records_at_most);
        let replies = self.run(&open, (&open.scan, scripts::SCAN), commands, deadline).await;
        match replies.map_err(Missed::of_look)?.pop() {
            Some(Reply::Error(said)) => Err(failure::of_look(self.link.refused(&open, &said))),
            reply => {
                let found = answers::page(reply.unwrap_or(Reply::Nil), page.as_ref())?;
                // A later page has the cursor that the caller gave, which may be anything.
                if page.is_none() {
                    self.seen.saw(space, &found.cursor);
                }
                Ok(found)
            }
        }
    }

    async fn watch(
        &self,
        space: &Space,
        prefixes: &[&[u8]],
        from: Cursor,
        progress_every: Duration,
    ) -> Result<Box<dyn Watch>, Error> {
        rules::check_prefixes(prefixes, rules::LIMITS)?;
        self.ears.listen_to(space);
        self.feeds.watch(space, prefixes, from, progress_every).await
    }

    fn limits(&self) -> Limits {
        rules::LIMITS
    }

    fn describe(&self) -> Description {
        let told = self.link.told();
        let may_lose = match &told {
            Some(says) => says.may_lose(self.link.has_sentinels()),
            None => Some("not known before the server has answered once".to_owned()),
        };
        Description {
            engine: "redis".to_owned(),
            place: self.link.settings.place.clone(),
            durable: may_lose.is_none(),
            push: true,
            one_machine: !self.link.has_sentinels() && told.is_none_or(|says| says.replicas.is_none_or(|n| n == 0)),
            may_lose,
            pace_ms: u64::try_from(self.link.settings.pace.as_millis()).unwrap_or(u64::MAX),
            leases_apart: false,
            lease_lasts_ms: None,
            notes: self
                .ears
                .deaf()
                .map(|why| format!("is not told of commits, and looks: {why}"))
                .into_iter()
                .collect(),
        }
    }

    async fn examine(&self, within: Duration) -> Result<Vec<Finding>, Error> {
        examine::examine(&self.link, clock::now() + within).await
    }
}
