//! PostgreSQL: a table of records, a log and a row a space, whose lock is what puts commits in an order.
//!
//! A commit is one statement, `commit_v1` (see `schema.sql`), and so one transaction and one round trip. Statements are
//! unnamed and settings local to their transaction, so a pooler in any mode may stand between. Watches are fed by the
//! log ([`tail`]); a notification that a commit was made only wakes them, and where a pooler swallows those they look
//! every now and then ([`listen`]).
//!
//! Every commit takes along what this handle saw last of the log ([`crate::seen`]): a database that was rolled back is
//! noticed by the first commit, or by the mark of the next entry that is read.
//!
//! Time-outs are ours: when one is over, the connection is closed, the server is asked to give the statement up, and of
//! a commit nobody knows.

mod calls;
mod examine;
mod failure;
mod listen;
mod pool;
mod prepare;
mod schema;
mod tail;
#[cfg(test)]
mod tests;
mod tls;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use steadfast_host::clock::{self, Moment};
use steadfast_host::net::Address;
use steadfast_host::tls::{Alpn, Client as Tls};

use crate::feed::Feeds;
use crate::feed::tail::Paged;
use crate::history::fresh_mark;
use crate::page::records_at_most;
use crate::seen::{Seen, Sight};
use crate::url::option::TlsOption;
use crate::url::{Url, wrong};
use crate::{
    Access, Batch, Cursor, Description, Error, Finding, Key, Limits, LogBound, Page, PageToken, Record, Secret, Space,
    Store, Watch, Write, rules,
};
use examine::Facts;
use failure::Asked;
use listen::Ears;
use pool::{Pool, Seat};
pub(crate) use prepare::{preparation, prepare};
use schema::Schema;

/// The port of a server that names none.
const PORT: u16 = 5432;

/// How often a feed looks that is told of commits, at the most.
const PACE: Duration = Duration::from_millis(250);

/// How often one looks that is not.
const POLLING_PACE: Duration = Duration::from_millis(500);

/// Commits of a space that the log keeps.
const KEEP: u64 = 16_384;

/// A store in a schema of a PostgreSQL database.
pub(crate) struct Postgres {
    server: Arc<Server>,
    feeds: Arc<Feeds<Paged<Server>>>,
}

/// What calls and feeds share.
#[derive(Debug)]
pub(crate) struct Server {
    settings: Arc<Settings>,
    pool: Pool,
    ears: Arc<Ears>,
    seen: Seen,
}

/// What the URL says.
#[derive(Debug)]
pub(crate) struct Settings {
    places: Vec<Address>,
    tls: Option<Tls>,
    user: String,
    secret: Option<Secret>,
    database: String,
    schema: Schema,
    /// Commits are told to those who listen, if no pooler swallows that.
    notify: bool,
    keep: i32,
    pace: Option<Duration>,
    /// For people.
    place: String,
}

/// Opens the database that `url` names. Nobody is asked.
pub(crate) fn open(url: Url<'_>, access: &Access) -> Result<Arc<dyn Store>, Error> {
    Ok(Arc::new(Postgres::new(Settings::of(url, access)?)))
}

impl Settings {
    fn of(url: Url<'_>, access: &Access) -> Result<Settings, Error> {
        let (settings, tls) = Settings::parse(url, access)?;
        Ok(Settings { tls: tls.client(Alpn::None)?, ..settings })
    }

    /// What the URL says alone, whatever there is in the files of TLS.
    fn parse(mut url: Url<'_>, access: &Access) -> Result<(Settings, TlsOption), Error> {
        if url.options.has("sslmode") {
            return Err(wrong("has the option `sslmode`: write tls=on, and ca=/path for an authority of your own"));
        }
        let socket = url.options.take_file("host")?;
        let places = Settings::places(&url, socket)?;
        let on_this_machine = places.iter().all(|(_, local)| *local);
        let tls = url.options.take_tls(!on_this_machine, access)?;
        let schema = Schema::of(url.options.take("schema")?)?;
        let notify = url.options.take_word("notify", &[("auto", true), ("off", false)])?.unwrap_or(true);
        let keep = url.options.take_whole("keep", "a number of commits", 256..=1_000_000)?.unwrap_or(KEEP);
        let pace = url.options.take_span("pace", Duration::from_millis(10)..=Duration::from_secs(60))?;
        url.finish()?;
        let database = match &url.segments()?[..] {
            [database] => database.clone(),
            [] => {
                let place = url.place();
                return Err(wrong(format!("names no database after `{place}`: as in `{place}/steadfast`")));
            }
            _ => return Err(wrong(format!("names more than a database; expected {}", url.form))),
        };
        let Some(user) = url.user.clone() else {
            return Err(wrong("names no user: it stands before the host, as in `steadfast@db1`"));
        };
        let settings = Settings {
            secret: url.secret(access)?,
            place: format!("{}, schema {}", url.place(), schema.name()),
            tls: None,
            places: places.into_iter().map(|(place, _)| place).collect(),
            user,
            database,
            schema,
            notify,
            keep: i32::try_from(keep).unwrap_or(i32::MAX),
            pace,
        };
        Ok((settings, tls))
    }

    /// Where the servers are, and whether each is on this machine.
    fn places(url: &Url<'_>, socket: Option<PathBuf>) -> Result<Vec<(Address, bool)>, Error> {
        match socket {
            Some(_) if !url.authority().is_empty() => {
                Err(wrong("names a host, and the directory of a socket as `host`: give one of them"))
            }
            Some(directory) => Ok(vec![(Address::Unix(directory.join(format!(".s.PGSQL.{PORT}"))), true)]),
            None => Ok(url.hosts(PORT)?.iter().map(|place| (place.address(), place.is_loopback())).collect()),
        }
    }
}

impl Postgres {
    fn new(settings: Settings) -> Postgres {
        let ears = Arc::new(Ears::new(settings.notify, settings.schema.name()));
        let settings = Arc::new(settings);
        let pool = Pool::new(Arc::clone(&settings), Arc::clone(&ears));
        let server = Arc::new(Server { settings, pool, ears, seen: Seen::default() });
        let feeds = Arc::new(Feeds::new(Arc::new(Paged::new(Arc::clone(&server))), LogBound::default()));
        server.ears.tell(&server, &feeds);
        Postgres { server, feeds }
    }

    /// Says so where the store no longer has the history that was seen.
    fn note_rollback(&self, space: &Space, seen: &Sight) {
        let why = format!("the store was rolled back: it no longer has what it showed at revision {}", seen.floor);
        tracing::error!(%space, "{}: {why}", self.server.settings.place);
        self.server.seen.was_another(space, seen);
        self.feeds.rolled_back(space, &why);
    }
}

/// What a call came to before its deadline, if to anything.
type Outcome<T> = Option<Result<T, tokio_postgres::Error>>;

impl Server {
    /// A connection for a call that ends at the deadline.
    async fn seat(&self, within: Duration) -> Result<(Seat, Moment), Error> {
        let deadline = clock::now() + within;
        Ok((self.pool.seat(deadline).await?, deadline))
    }

    /// What became of the call that was made on `seat`.
    fn settle<T>(&self, seat: Seat, asked: Asked, outcome: Outcome<T>) -> Result<T, Error> {
        match outcome {
            Some(Ok(answer)) => {
                let warning = seat.ear().warning();
                seat.give_back();
                match warning {
                    // Somebody had it stop waiting for a standby: it stands on the primary, and maybe nowhere else.
                    Some(warning) if asked == Asked::Commit => Err(asked.unanswered(warning)),
                    _ => Ok(answer),
                }
            }
            Some(Err(error)) => {
                if failure::leaves_the_connection(&error, &self.settings) {
                    seat.give_back();
                } else {
                    seat.give_up_all();
                }
                Err(failure::of_call(&error, asked, &self.settings))
            }
            None => {
                let server = seat.server();
                seat.give_up();
                Err(asked.unanswered(format!("{server} did not answer in time")))
            }
        }
    }
}

#[async_trait]
impl Store for Postgres {
    async fn read(&self, key: &Key, within: Duration) -> Result<Option<Record>, Error> {
        rules::check_name(&key.name, rules::LIMITS)?;
        let (seat, deadline) = self.server.seat(within).await?;
        let call = calls::read(seat.client(), &self.server.settings.schema, key);
        let outcome = clock::timeout_at(deadline, call).await;
        self.server.settle(seat, Asked::Look, outcome)
    }

    async fn commit(&self, batch: Batch, within: Duration) -> Result<Cursor, Error> {
        batch.check(rules::LIMITS)?;
        let (mark, seen) = (fresh_mark(), self.server.seen.of(&batch.space));
        let settings = &self.server.settings;
        let commit = calls::Commit::of(&batch, &mark, &seen, settings.keep);
        let (seat, deadline) = self.server.seat(within).await?;
        let outcome = clock::timeout_at(deadline, commit.make(seat.client(), &settings.schema)).await;
        let done = self.server.settle(seat, Asked::Commit, outcome)?;
        if done.jumped {
            self.note_rollback(&batch.space, &seen);
        }
        let outcome = done.outcome?;
        if !batch.is_beat() && outcome != Cursor::START {
            self.server.seen.committed(&batch.space, &outcome);
            self.feeds.wake(&batch.space, outcome.revision);
            if batch.changes.iter().any(|change| change.write != Write::Nothing) {
                self.server.ears.say(&batch.space, outcome.revision);
            }
        }
        Ok(outcome)
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
        let is_first = page.is_none();
        let scan = calls::Scan { space, prefix, token: page, records_at_most: records_at_most(space, limit)? };
        let (seat, deadline) = self.server.seat(within).await?;
        let outcome = clock::timeout_at(deadline, scan.ask(seat.client(), &self.server.settings.schema)).await;
        let page = self.server.settle(seat, Asked::Look, outcome)?;
        // A later page has the cursor that the caller gave, which may be anything.
        if is_first {
            self.server.seen.saw(space, &page.cursor);
        }
        Ok(page)
    }

    async fn watch(
        &self,
        space: &Space,
        prefixes: &[&[u8]],
        from: Cursor,
        progress_every: Duration,
    ) -> Result<Box<dyn Watch>, Error> {
        rules::check_prefixes(prefixes, rules::LIMITS)?;
        self.feeds.watch(space, prefixes, from, progress_every).await
    }

    fn limits(&self) -> Limits {
        rules::LIMITS
    }

    fn describe(&self) -> Description {
        let (settings, facts) = (&self.server.settings, self.server.pool.facts());
        let mut notes = Vec::new();
        if settings.notify && self.server.ears.are_deaf() {
            notes.push("polls: what stands between swallows notifications, as a connection pooler does".to_owned());
        }
        Description {
            engine: "postgres".to_owned(),
            place: settings.place.clone(),
            durable: facts.as_ref().is_none_or(Facts::is_durable),
            push: self.server.ears.hear(),
            one_machine: settings.places.iter().all(is_on_this_machine),
            may_lose: match &facts {
                Some(facts) => facts.may_lose(),
                None => Some("not known before the server has answered once".to_owned()),
            },
            pace_ms: u64::try_from(self.server.pace().as_millis()).unwrap_or(u64::MAX),
            leases_apart: false,
            lease_lasts_ms: None,
            notes,
        }
    }

    async fn examine(&self, within: Duration) -> Result<Vec<Finding>, Error> {
        let (seat, deadline) = self.server.seat(within).await?;
        let outcome = clock::timeout_at(deadline, Facts::ask(seat.client())).await;
        Ok(self.server.settle(seat, Asked::Look, outcome)?.findings())
    }
}

fn is_on_this_machine(place: &Address) -> bool {
    match place {
        Address::Tcp { host: steadfast_host::Host::Ip(ip), .. } => ip.is_loopback(),
        Address::Tcp { host: steadfast_host::Host::Name(name), .. } => name == "localhost",
        Address::Unix(_) => true,
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("place", &self.server.settings.place).finish_non_exhaustive()
    }
}
