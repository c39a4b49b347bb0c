//! The way to the server: found, opened, looked at whether it is a master, and shared by all calls of a handle.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use steadfast_host::clock::{self, Moment, timeout_at};
use steadfast_host::net::{Address, dial};
use steadfast_host::tls;

use super::connection::{Connection, Missed, Wire};
use super::failure::{self, Refusal};
use super::resp::{Commands, Reply};
use super::says::{self, CONFIG, OLDEST, Role, Says};
use super::scripts::{COMMIT, SCAN, Script};
use super::sentinel;
use super::settings::{Settings, Way};
use crate::history::locked;
use crate::{Error, Secret};

/// Finding and greeting a server takes at most so long, and not all of a call's time: who waits for it may have more.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// The server, as far as it is connected to.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) settings: Settings,
    open: Mutex<Option<Open>>,
    /// Held by whoever connects, so that the others wait for that.
    connecting: tokio::sync::Mutex<()>,
    /// What the last server said that was connected to.
    told: Mutex<Option<Arc<Says>>>,
}

/// A connection, and what it was made with.
#[derive(Clone, Debug)]
pub(super) struct Open {
    connection: Connection,
    pub(super) commit: Script,
    pub(super) scan: Script,
    made_with: Credentials,
}

/// What a connection is made with, by how often it has changed: whoever uses one that was made with others makes
/// another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Credentials {
    secret: u64,
    tls: u64,
}

/// What a server that was greeted answered.
struct Greeted {
    wire: Wire,
    says: Says,
    commit: Script,
    scan: Script,
}

impl Link {
    pub(super) fn new(settings: Settings) -> Link {
        Link { settings, open: Mutex::default(), connecting: tokio::sync::Mutex::default(), told: Mutex::default() }
    }

    /// What the server said of itself when it was last connected to.
    pub(super) fn told(&self) -> Option<Arc<Says>> {
        locked(&self.told).clone()
    }

    /// Whether somebody moves the master.
    pub(super) fn has_sentinels(&self) -> bool {
        matches!(self.settings.way, Way::Asked(_))
    }

    /// The connection that all share, made if there is none.
    pub(super) async fn open(&self, deadline: Moment) -> Result<Open, Error> {
        if let Some(open) = self.usable() {
            return Ok(open);
        }
        let late = || Error::Unavailable(format!("{}: no connection was made in time", self.settings.place));
        let _connecting = timeout_at(deadline, self.connecting.lock()).await.ok_or_else(late)?;
        if let Some(open) = self.usable() {
            return Ok(open);
        }
        let made_with = self.credentials();
        let Greeted { wire, says, commit, scan } = self.connect(deadline.min(clock::now() + CONNECT_WITHIN)).await?;
        tracing::debug!(place = self.settings.place, version = says.version, "connected");
        *locked(&self.told) = Some(Arc::new(says));
        let open = Open { connection: Connection::over(wire), commit, scan, made_with };
        *locked(&self.open) = Some(open.clone());
        Ok(open)
    }

    /// Sends `commands` over `open` and returns as many replies.
    pub(super) async fn ask(&self, open: &Open, commands: Commands, deadline: Moment) -> Result<Vec<Reply>, Missed> {
        let place = &self.settings.place;
        let answer = open.connection.call(commands, deadline).await;
        answer.map_err(|missed| {
            // Whatever the reason: the next call is better off with another connection.
            self.forget(open);
            match missed {
                Missed::NotSent(why) => Missed::NotSent(format!("{place}: {why}")),
                Missed::Unanswered(why) => Missed::Unanswered(format!("{place}: {why}")),
            }
        })
    }

    /// A call that changes nothing: its replies, of which none is an error.
    pub(super) async fn look(&self, open: &Open, commands: Commands, deadline: Moment) -> Result<Vec<Reply>, Error> {
        let replies = self.ask(open, commands, deadline).await.map_err(Missed::of_look)?;
        self.none_refused(open, &replies).map(|()| replies)
    }

    fn none_refused(&self, open: &Open, replies: &[Reply]) -> Result<(), Error> {
        let refused = replies.iter().find_map(|reply| if let Reply::Error(said) = reply { Some(said) } else { None });
        refused.map_or(Ok(()), |said| Err(failure::of_look(self.refused(open, said))))
    }

    /// Likewise of a server that is asked whether it is the master still. One that was made a replica, and hears from
    /// its master no more, shows what it heard last for ever: that is no contact.
    pub(super) async fn look_at_master(
        &self,
        open: &Open,
        commands: impl FnOnce(Commands) -> Commands,
        deadline: Moment,
    ) -> Result<Vec<Reply>, Error> {
        let commands = commands(Commands::default().and(&["ROLE"]));
        let mut replies = self.ask(open, commands, deadline).await.map_err(Missed::of_look)?.into_iter();
        match replies.next().and_then(says::role) {
            Some(Role::Replica) => {
                self.forget(open);
                return Err(Error::Unavailable(format!("{}: {REPLICA}", self.settings.place)));
            }
            Some(Role::Master { replicas }) => self.tell(|says| says.replicas = Some(replicas)),
            // Whoever may not ask finds out by the next commit.
            None => {}
        }
        let replies: Vec<Reply> = replies.collect();
        self.none_refused(open, &replies).map(|()| replies)
    }

    /// Changes what is known of the server.
    pub(super) fn tell(&self, change: impl FnOnce(&mut Says)) {
        if let Some(told) = &mut *locked(&self.told) {
            change(Arc::make_mut(told));
        }
    }

    /// What an error of the server's means; a connection that leads to the wrong server is given up.
    pub(super) fn refused(&self, open: &Open, said: &str) -> Error {
        let Refusal { error, look_elsewhere } = failure::refusal(&self.settings.place, said);
        if look_elsewhere {
            self.forget(open);
        }
        error
    }

    /// A connection of its own, greeted, for who listens, and what it was made with.
    pub(super) async fn wire(&self, deadline: Moment) -> Result<(Wire, Credentials), Error> {
        let made_with = self.credentials();
        let greeted = self.connect(deadline.min(clock::now() + CONNECT_WITHIN)).await?;
        Ok((greeted.wire, made_with))
    }

    /// No more calls go over this connection. Those under way may still be answered.
    fn forget(&self, former: &Open) {
        let mut open = locked(&self.open);
        if open.as_ref().is_some_and(|open| open.connection.is(&former.connection)) {
            *open = None;
        }
    }

    fn usable(&self) -> Option<Open> {
        let mut slot = locked(&self.open);
        let is_usable = |open: &Open| !open.connection.is_closed() && open.made_with == self.credentials();
        if !slot.as_ref().is_some_and(is_usable) {
            *slot = None;
        }
        slot.clone()
    }

    /// What a connection would be made with now.
    pub(super) fn credentials(&self) -> Credentials {
        Credentials {
            secret: self.settings.secret.as_ref().map_or(0, Secret::generation),
            tls: self.settings.tls.as_ref().map_or(0, tls::Client::generation),
        }
    }

    /// Finds the master and greets it.
    async fn connect(&self, deadline: Moment) -> Result<Greeted, Error> {
        let Settings { tls, .. } = &self.settings;
        match &self.settings.way {
            Way::At(address) => self.greet(address, deadline).await,
            Way::Asked(sentinels) => {
                let mut last = None;
                for sentinel in sentinels.in_some_order() {
                    match sentinels.ask(sentinel, tls.as_ref(), deadline).await {
                        Ok(Some(master)) => match self.greet(&master, deadline).await {
                            Err(error @ Error::Unavailable(_)) => last = Some(error),
                            greeted => return greeted,
                        },
                        Ok(None) => {
                            let unknown = sentinel::unknown_master(sentinel, sentinels);
                            last = last.or(Some(unknown));
                        }
                        Err(error) => last = last.or(Some(error)),
                    }
                }
                let none = || Error::Unavailable(format!("{}: no Sentinel was asked in time", self.settings.place));
                Err(last.unwrap_or_else(none))
            }
        }
    }

    /// A connection to the server at `address`, if that is a master that can be used.
    async fn greet(&self, address: &Address, deadline: Moment) -> Result<Greeted, Error> {
        let Settings { user, db, tls, .. } = &self.settings;
        let stream = dial(address, tls.as_ref(), deadline).await;
        let stream = stream.map_err(|e| Error::Unavailable(format!("{address}: {e}")))?;
        let mut wire = Wire::new(stream);
        let secret = self.settings.secret.as_ref().map(Secret::text_now);
        let mut greeting = Commands::default();
        if let Some(secret) = &secret {
            greeting = login(greeting, user.as_deref(), secret);
        }
        let before = greeting.count();
        let greeting = greeting
            .and(&["SELECT", &db.to_string()])
            .and(&["CLIENT", "SETNAME", "steadfast"])
            .and(&["INFO"])
            .and(&CONFIG)
            .and(&["SCRIPT", "LOAD", COMMIT])
            .and(&["SCRIPT", "LOAD", SCAN]);
        let answered = timeout_at(deadline, wire.ask(&greeting)).await;
        let late = || Error::Unavailable(format!("{address}: it takes connections, and did not answer in time"));
        let replies = answered.ok_or_else(late)?.map_err(|e| unheard(address, &e))?;
        let (login, rest) = replies.split_at(before);
        let [select, _, info, fsync, commit, scan] = rest else {
            return Err(Error::Unavailable(format!("{address}: not every greeting was answered")));
        };
        accepted(address, login)?;
        let says = Says::of(info, fsync);
        // Before the database is missed: a Sentinel has none, and knows of no such command.
        check(address, &says)?;
        accepted(address, std::slice::from_ref(select))?;
        Ok(Greeted { wire, says, commit: script(commit, COMMIT), scan: script(scan, SCAN) })
    }
}

impl Missed {
    /// For a call that changes nothing.
    pub(super) fn of_look(self) -> Error {
        let (Missed::NotSent(why) | Missed::Unanswered(why)) = self;
        Error::Unavailable(why)
    }

    /// For a commit.
    pub(super) fn of_commit(self) -> Error {
        match self {
            Missed::NotSent(why) => Error::Unavailable(why),
            Missed::Unanswered(why) => Error::OutcomeUnknown(why),
        }
    }
}

/// `commands` and who we are.
pub(super) fn login(commands: Commands, user: Option<&str>, secret: &str) -> Commands {
    match user {
        Some(user) => commands.and(&["AUTH", user, secret]),
        None => commands.and(&["AUTH", secret]),
    }
}

/// The connection broke before anything was asked for.
pub(super) fn unheard(address: &Address, error: &std::io::Error) -> Error {
    let why = format!("{address}: {error}");
    if error.kind() == std::io::ErrorKind::InvalidData { Error::Config(why) } else { Error::Unavailable(why) }
}

/// Whether none of these was refused.
fn accepted(address: &Address, replies: &[Reply]) -> Result<(), Error> {
    let refused = replies.iter().find_map(|reply| if let Reply::Error(said) = reply { Some(said) } else { None });
    refused.map_or(Ok(()), |said| Err(failure::of_look(failure::refusal(&address.to_string(), said).error)))
}

/// Why a replica is no store.
const REPLICA: &str = "it is a replica: name its master, or its Sentinels";

/// Whether the server can be the store.
fn check(address: &Address, says: &Says) -> Result<(), Error> {
    if says.is_cluster {
        return Err(Error::Config(format!("{address}: {}", failure::CLUSTER)));
    }
    if says.is_sentinel {
        let instead = format!("redis+sentinel://{address}/NAME-OF-THE-MASTER");
        return Err(Error::Config(format!("{address}: it is a Sentinel: write {instead}")));
    }
    if says.numbers.is_some_and(|numbers| numbers < OLDEST) {
        let version = says.version.as_deref().unwrap_or_default();
        return Err(Error::Config(format!("{address}: it is {version}; 6.2 is the oldest that can be used")));
    }
    if says.is_master == Some(false) {
        return Err(Error::Unavailable(format!("{address}: {REPLICA}")));
    }
    Ok(())
}

/// The script, as the server that was given `text` names it; one that keeps none is given the text each time.
fn script(loaded: &Reply, text: &'static str) -> Script {
    match loaded {
        Reply::String(name) => String::from_utf8(name.to_vec()).map_or(Script::Text(text), Script::Known),
        _ => Script::Text(text),
    }
}
