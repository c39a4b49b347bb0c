//! Connections: one while there is little to do, more while calls wait for each other.
//!
//! A call has its connection for itself. So an answer is never another's, a statement that waits for a lock holds up
//! nobody, and a connection whose call was given up is closed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use steadfast_host::clock::{self, Moment};
use steadfast_host::net::{Address, Stream, dial};
use tokio::runtime::{Handle, Id};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::AbortHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config};

use super::Settings;
use super::examine::Facts;
use super::failure;
use super::listen::{Ear, Ears};
use super::schema::Found;
use super::tls::Over;
use crate::Error;
use crate::history::locked;

/// Connections of a handle, at most: a server has a hundred for everybody.
const CONNECTIONS: usize = 4;

/// A connection beyond the first is closed after so long a rest.
const REST: Duration = Duration::from_secs(60);

/// How long a server is asked to give a statement up. It is a courtesy: without it the statement ends by itself.
const CANCEL_WITHIN: Duration = Duration::from_secs(1);

/// How long a connection may take to be made, and the schema with it, whatever patience the call has that needs it: the
/// next call finds it.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);

/// How long one of several servers may take to be reached, and to make itself known: one that is silent does not take
/// the time of those after it.
const DIAL_WITHIN: Duration = Duration::from_secs(2);
const GREET_WITHIN: Duration = Duration::from_secs(4);

/// The connections of a handle.
#[derive(Debug)]
pub(super) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: Arc<Settings>,
    seats: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    facts: Mutex<Option<Facts>>,
    /// Which of the places was written to last: the first to be tried.
    last_used: AtomicUsize,
    ears: Arc<Ears>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Moment,
}

/// A connection, and what reads it.
#[derive(Debug)]
pub(super) struct Connection {
    client: Client,
    reading: AbortHandle,
    /// A connection lives in the runtime it was made in.
    runtime: Id,
    /// What it was opened with: which secret, which certificates.
    generation: (u64, u64),
    server: Address,
    /// Which of the readers hears what is told here.
    ear: Ear,
}

/// A connection for one call. It is closed when this is dropped, unless it is given back: so also when whoever called
/// lost patience, and the answer would be taken for another's.
#[derive(Debug)]
pub(super) struct Seat {
    connection: Option<Connection>,
    pool: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(settings: Arc<Settings>, ears: Arc<Ears>) -> Pool {
        let seats = Arc::new(Semaphore::new(CONNECTIONS));
        let (idle, facts, last_used) = (Mutex::default(), Mutex::default(), AtomicUsize::new(0));
        Pool(Arc::new(Shared { settings, seats, idle, facts, last_used, ears }))
    }

    /// What the server last said of itself.
    pub(super) fn facts(&self) -> Option<Facts> {
        locked(&self.0.facts).clone()
    }

    /// A new connection, whether or not the schema is there.
    pub(super) async fn reach(&self, deadline: Moment) -> Result<Connection, Error> {
        self.0.reach(deadline).await
    }

    /// A connection that nobody uses, or a new one.
    ///
    /// # Errors
    /// Nothing was sent then that could happen.
    pub(super) async fn seat(&self, deadline: Moment) -> Result<Seat, Error> {
        let pool = &self.0;
        let permit = clock::timeout_at(deadline, Arc::clone(&pool.seats).acquire_owned()).await;
        let late = |what| Error::Unavailable(format!("{}: {what}", pool.settings.place));
        let permit = permit.and_then(Result::ok).ok_or_else(|| late("other calls took all the time there was"))?;
        if let Some(connection) = pool.take() {
            return Ok(Seat { connection: Some(connection), pool: Arc::clone(pool), _permit: permit });
        }
        let (done, made) = oneshot::channel();
        let making = Arc::clone(pool);
        tokio::spawn(async move {
            let seat = making.connect(clock::now() + CONNECT_WITHIN).await.map(|connection| Seat {
                connection: Some(connection),
                pool: Arc::clone(&making),
                _permit: permit,
            });
            // Who asked may have lost patience: it is for the next one then.
            if let Err(Ok(seat)) = done.send(seat) {
                seat.give_back();
            }
        });
        match clock::timeout_at(deadline, made).await {
            Some(Ok(seat)) => seat,
            Some(Err(_)) => Err(late("the connection's maker was stopped")),
            None => Err(late("no connection was made in time")),
        }
    }
}

impl Shared {
    /// The first idle connection that can be used; closes those that cannot, or have rested for long.
    fn take(&self) -> Option<Connection> {
        let (here, now, generation) = (Handle::current().id(), clock::now(), self.settings.generation());
        let mut idle = locked(&self.idle);
        let usable = |connection: &Connection| !connection.client.is_closed() && connection.generation == generation;
        idle.retain(|idle| usable(&idle.connection));
        // The one used last is first, so that it is the others that come to rest.
        let mut number = 0;
        idle.retain(|idle| {
            number += 1;
            number == 1 || idle.connection.ear.listens() || now.since(idle.since) < REST
        });
        let at = idle.iter().position(|idle| idle.connection.runtime == here)?;
        Some(idle.remove(at).connection)
    }

    /// A connection to work with.
    async fn connect(&self, deadline: Moment) -> Result<Connection, Error> {
        let connection = self.reach(deadline).await?;
        let (settings, shown) = (&*self.settings, connection.place());
        let found = clock::timeout_at(deadline, settings.schema.ensure(&connection.client)).await;
        match found.ok_or_else(|| late(&connection.server))? {
            Ok(Found::Ready) => Ok(connection),
            Ok(Found::Newer(format)) => Err(settings.newer(format)),
            Err(error) => Err(failure::of_connecting(&error, &shown, settings)),
        }
    }

    /// A connection to the first of the servers that can be written to.
    async fn reach(&self, deadline: Moment) -> Result<Connection, Error> {
        let places = &self.settings.places;
        let first = self.last_used.load(Ordering::Relaxed);
        let mut failed = None;
        for number in (0..places.len()).map(|number| (first + number) % places.len()) {
            let place = &places[number];
            let until = |within| if places.len() == 1 { deadline } else { deadline.min(clock::now() + within) };
            let stream = dial(place, None, until(DIAL_WITHIN)).await;
            let made = match stream.map_err(|error| failure::of_dialling(&error, place)) {
                Ok(stream) => clock::timeout_at(until(GREET_WITHIN), self.greet(place, stream)).await,
                Err(error) => Some(Err(error)),
            };
            let error = match made {
                Some(Ok(connection)) => {
                    self.last_used.store(number, Ordering::Relaxed);
                    return Ok(connection);
                }
                Some(Err(error)) => error,
                None => late(place),
            };
            failed = Some(match failed {
                // What another try would not change counts for more than what it would.
                Some(first @ (Error::Denied(_) | Error::Config(_) | Error::Corrupt(_))) => first,
                _ => error,
            });
        }
        Err(failed.unwrap_or_else(|| Error::Config("the store's URL names no host".to_owned())))
    }

    /// Makes itself known to a server, and makes sure that it is one to work with.
    async fn greet(&self, place: &Address, stream: Stream) -> Result<Connection, Error> {
        let (settings, shown) = (&*self.settings, place.to_string());
        let generation = settings.generation();
        let over = Over::new(settings.tls.as_ref(), place);
        let made = settings.config(over.is_wanted()).connect_raw(stream, over).await;
        let (client, connection) = made.map_err(|error| failure::of_connecting(&error, &shown, settings))?;
        let ear = self.ears.another();
        let reading = tokio::spawn(Arc::clone(&self.ears).read(connection, ear.clone())).abort_handle();
        let (runtime, server) = (Handle::current().id(), place.clone());
        let connection = Connection { client, reading, runtime, generation, server, ear };
        let wrong = |error| failure::of_connecting(&error, &shown, settings);
        let facts = Facts::ask(&connection.client).await.map_err(wrong)?;
        if facts.is_standby() {
            return Err(Error::Unavailable(format!("{shown} is a standby, which takes no commits")));
        }
        // One alone can at least be read from.
        if facts.is_read_only() && settings.places.len() > 1 {
            return Err(Error::Unavailable(format!("{shown} is read-only, and takes no commits")));
        }
        *locked(&self.facts) = Some(facts);
        connection.ear.warning();
        Ok(connection)
    }
}

fn late(place: &Address) -> Error {
    Error::Unavailable(format!("{place} did not answer in time"))
}

impl Settings {
    fn config(&self, tls: bool) -> Config {
        let mut config = Config::new();
        config.user(&self.user).dbname(&self.database).application_name("steadfast");
        config.ssl_mode(if tls { SslMode::Require } else { SslMode::Disable });
        if let Some(secret) = &self.secret {
            config.password(secret.text_now().as_bytes());
        }
        config
    }

    /// What is said where the schema is not for this version.
    pub(super) fn newer(&self, format: i32) -> Error {
        let place = &self.place;
        Error::Corrupt(format!(
            "{place}: the tables have format {format}, of a later version of Steadfast than this one"
        ))
    }

    fn generation(&self) -> (u64, u64) {
        let secret = self.secret.as_ref().map_or(0, crate::Secret::generation);
        (secret, self.tls.as_ref().map_or(0, steadfast_host::tls::Client::generation))
    }
}

impl Seat {
    pub(super) fn client(&self) -> &Client {
        self.connection().client()
    }

    /// What hears on this connection.
    pub(super) fn ear(&self) -> &Ear {
        &self.connection().ear
    }

    /// Where it leads, for messages.
    pub(super) fn server(&self) -> String {
        self.connection().place()
    }

    /// The call has ended: the next one may use it.
    pub(super) fn give_back(mut self) {
        if let Some(connection) = self.connection.take() {
            locked(&self.pool.idle).insert(0, Idle { connection, since: clock::now() });
        }
    }

    /// The call was given up: closes the connection, and asks the server to end what was begun.
    pub(super) fn give_up(mut self) {
        let Some(connection) = self.connection.take() else { return };
        let (cancel, place) = (connection.client.cancel_token(), connection.server.clone());
        let over = Over::new(self.pool.settings.tls.as_ref(), &place);
        drop(connection);
        tokio::spawn(async move {
            let until = clock::now() + CANCEL_WITHIN;
            let asked = async {
                if let Ok(stream) = dial(&place, None, until).await {
                    // Whatever it says, the connection it was begun on is closed.
                    let _ = cancel.cancel_query_raw(stream, over).await;
                }
            };
            clock::timeout_at(until, asked).await;
        });
    }

    /// The connection ended in the middle of a call: so have the others, though nobody has seen it yet.
    pub(super) fn give_up_all(self) {
        locked(&self.pool.idle).clear();
    }

    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("a seat has its connection until it is given away")
    }
}

impl Connection {
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Where it leads, for messages.
    pub(super) fn place(&self) -> String {
        self.server.to_string()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reading.abort();
    }
}
