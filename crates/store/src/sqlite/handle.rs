//! A handle on the file, whoever serves it.
//!
//! ```text
//!              lock is free                  thread ended by itself
//!   ┌───────┐ ──────────────▶ ┌─────────┐ ──────────────┐
//!   │ away  │                 │ serving │               │
//!   │       │ ◀───────────────┴─────────┴───────────────┘
//!   │       │  another answers ┌─────────┐  its connection ended
//!   │       │ ───────────────▶ │ calling │ ───────────────────────▶ away
//!   └───────┘                  └─────────┘
//! ```
//! The [`Keeper`] makes these steps.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use steadfast_host::clock;
use steadfast_host::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::engine::Engine;
use super::examine;
use super::fold::FoldBound;
use super::keeper::Keeper;
use super::place::Place;
use super::socket::Address;
use crate::http::{Http, Missed};
use crate::{
    Batch, Cursor, Description, Error, Finding, Key, Limits, LogBound, Page, PageToken, Record, Space, Store, Watch,
    rules,
};

/// Between two attempts to reach whoever serves.
const RETRY: Duration = Duration::from_millis(8);

/// How long a watch waits for somebody to serve it.
const WATCH_WITHIN: Duration = Duration::from_secs(5);

/// A store in a SQLite file. Several processes may open the same one.
pub struct Sqlite {
    place: Place,
    role: watch::Receiver<Role>,
    stop: Shutdown,
    keeper: Option<JoinHandle<()>>,
}

/// What a handle is at the moment.
#[derive(Clone)]
pub(super) enum Role {
    /// It serves the file.
    Serving(Arc<Engine>),
    /// Another process serves the file, and answers.
    Calling(Arc<Http>),
    /// Neither, for this reason.
    Away(Error),
}

impl Sqlite {
    /// Opens the store in the file at `path`, making it if there is none. The file and its journal are this
    /// process' to serve if no other process does so.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::Denied`] and [`Error::Corrupt`] say what is wrong with the file or its directory.
    /// A serving process that does not answer is no error here.
    pub fn open(path: impl AsRef<Path>) -> Result<Sqlite, Error> {
        Sqlite::with_log(path, LogBound::default())
    }

    /// The same, with watches that can go back only this far.
    ///
    /// # Errors
    /// As [`Sqlite::open`].
    pub fn with_log(path: impl AsRef<Path>, bound: LogBound) -> Result<Sqlite, Error> {
        Sqlite::with_bounds(path, bound, FoldBound::default())
    }

    /// The same, with a table of records that is brought up to the log when this bound says so.
    ///
    /// # Errors
    /// As [`Sqlite::open`].
    pub fn with_bounds(path: impl AsRef<Path>, bound: LogBound, fold: FoldBound) -> Result<Sqlite, Error> {
        let place = Place::of(path.as_ref())?;
        let address = Address::of(&place.socket)?;
        let (tell, role) = watch::channel(Role::Away(Error::Unavailable("the store is being opened".to_owned())));
        let stop = Shutdown::new();
        let keeper = Keeper { place: place.clone(), bound, fold, address, tell, stop: stop.clone() };
        let (opened, first) = mpsc::channel();
        let spawned = Builder::new().name("store-keeper".to_owned()).spawn(move || keeper.run(&opened));
        let keeper = spawned.map_err(|e| Error::Unavailable(format!("start the store's keeper: {e}")))?;
        match first.recv() {
            Ok(Ok(())) => Ok(Sqlite { place, role, stop, keeper: Some(keeper) }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::Unavailable("the store's keeper ended".to_owned())),
        }
    }

    /// Whether this handle serves the file now.
    pub fn serves(&self) -> bool {
        matches!(*self.role.borrow(), Role::Serving(_))
    }

    /// What to call, as soon as there is something; until then it waits.
    async fn role(&self, within: Duration) -> Result<Role, Error> {
        let mut role = self.role.clone();
        let settled = role.wait_for(|role| match role {
            Role::Serving(_) | Role::Calling(_) => true,
            // Waiting does not help against what is no mere absence.
            Role::Away(error) => !matches!(error, Error::Unavailable(_)),
        });
        let settled = timeout(within, settled).await.map(|role| role.map(|role| role.clone()));
        match settled {
            Ok(Ok(Role::Away(error))) => Err(error),
            Ok(Ok(role)) => Ok(role),
            Ok(Err(_)) => Err(Error::Unavailable("the store was closed".to_owned())),
            Err(_) => Err(match self.role.borrow().clone() {
                Role::Away(error) => error,
                _ => Error::Unavailable(format!("nobody served the store within {within:?}")),
            }),
        }
    }
}

/// How much is left of a time-out that begins now.
fn countdown(within: Duration) -> impl Fn() -> Duration + Send + Sync {
    let deadline = clock::now() + within;
    move || deadline.since(clock::now())
}

/// Waits before a call that changes nothing is made again, to whoever serves then; an error if that is no use.
async fn after_look(missed: Missed, left: Duration) -> Result<(), Error> {
    match missed {
        Missed::NotSent(_) | Missed::Unanswered(_) if left > RETRY => {}
        missed => return Err(missed.of_look()),
    }
    sleep(RETRY).await;
    Ok(())
}

/// The same of a commit, which is made again only if it was not sent.
async fn after_commit(missed: Missed, left: Duration) -> Result<(), Error> {
    match missed {
        Missed::NotSent(_) if left > RETRY => {}
        missed => return Err(missed.of_commit()),
    }
    sleep(RETRY).await;
    Ok(())
}

#[async_trait]
impl Store for Sqlite {
    async fn read(&self, key: &Key, within: Duration) -> Result<Option<Record>, Error> {
        let left = countdown(within);
        loop {
            match self.role(left()).await? {
                Role::Serving(engine) => return engine.read(key, left()).await,
                Role::Calling(http) => match http.try_read(key, left()).await {
                    Ok(record) => return Ok(record),
                    Err(missed) => after_look(missed, left()).await?,
                },
                Role::Away(error) => return Err(error),
            }
        }
    }

    async fn commit(&self, batch: Batch, within: Duration) -> Result<Cursor, Error> {
        batch.check(rules::LIMITS)?;
        let left = countdown(within);
        loop {
            match self.role(left()).await? {
                Role::Serving(engine) => return engine.commit(batch, left()).await,
                Role::Calling(http) => match http.try_commit(batch.clone(), left()).await {
                    Ok(cursor) => return Ok(cursor),
                    Err(missed) => after_commit(missed, left()).await?,
                },
                Role::Away(error) => return Err(error),
            }
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
        let left = countdown(within);
        loop {
            match self.role(left()).await? {
                Role::Serving(engine) => return engine.scan(space, prefix, page, limit, left()).await,
                Role::Calling(http) => match http.try_scan(space, prefix, page.clone(), limit, left()).await {
                    Ok(page) => return Ok(page),
                    Err(missed) => after_look(missed, left()).await?,
                },
                Role::Away(error) => return Err(error),
            }
        }
    }

    /// A watch through another process ends when that does; it is resumed like any other.
    async fn watch(
        &self,
        space: &Space,
        prefixes: &[&[u8]],
        from: Cursor,
        progress_every: Duration,
    ) -> Result<Box<dyn Watch>, Error> {
        let left = countdown(WATCH_WITHIN);
        loop {
            match self.role(left()).await? {
                Role::Serving(engine) => return engine.watch(space, prefixes, from, progress_every).await,
                Role::Calling(http) => match http.try_watch(space, prefixes, from.clone(), progress_every).await {
                    Ok(watch) => return Ok(watch),
                    Err(missed) => after_look(missed, left()).await?,
                },
                Role::Away(error) => return Err(error),
            }
        }
    }

    fn limits(&self) -> Limits {
        rules::LIMITS
    }

    fn describe(&self) -> Description {
        self.place.describe()
    }

    /// Of the files, which lie on this machine, whoever serves them.
    async fn examine(&self, _within: Duration) -> Result<Vec<Finding>, Error> {
        Ok(examine::findings(&self.place))
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.stop.begin();
        if let Some(keeper) = self.keeper.take() {
            // It panicked if this fails, and has said so.
            drop(keeper.join());
        }
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match *self.role.borrow() {
            Role::Serving(_) => "serving",
            Role::Calling(_) => "calling",
            Role::Away(_) => "away",
        };
        f.debug_struct("Sqlite").field("file", &self.place.file).field("role", &role).finish()
    }
}
