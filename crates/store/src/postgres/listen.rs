//! Word of commits, from handle to handle: who has committed says so, and who follows a space looks at once.
//!
//! It is a wake-up and nothing else. A lost one costs an interval: the log tells what happened. It is not sent within the
//! commit, where it would make the commits of all spaces wait for each other, but a moment after, for several at once.
//!
//! A connection pooler drops such words, or gives them to another client, and says nothing of it. So before a handle
//! believes that it hears, it tries: one connection listens, another one speaks.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use steadfast_host::clock;
use steadfast_host::net::Stream;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_postgres::error::Severity;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Connection};

use super::Server;
use super::failure::Asked;
use super::tls::Inside;
use crate::feed::Feeds;
use crate::feed::tail::Paged;
use crate::history::locked;
use crate::{Error, Revision, Space};

/// Commits are told after so long, those of that time together.
const GATHER: Duration = Duration::from_millis(5);

/// How long one telling, and one step of the trial, may take.
const STEP_WITHIN: Duration = Duration::from_secs(5);

/// How often it is tried whether we hear, and how long a word may take.
const TRIALS: usize = 3;
const TRIAL_WITHIN: Duration = Duration::from_secs(2);

/// What a handle hears, and says.
#[derive(Debug)]
pub(super) struct Ears {
    channel: String,
    /// Where only this handle speaks.
    trial_channel: String,
    hearing: AtomicU8,
    /// Somebody sees to it that a connection listens.
    settling: AtomicBool,
    /// The ear that listens, while its connection is there.
    listening: Mutex<Weak<Heard>>,
    ears: AtomicU64,
    /// The ear that heard the trial's word.
    trial_heard: Mutex<Option<u64>>,
    trial: Notify,
    saying: Mutex<Saying>,
    server: OnceLock<Weak<Server>>,
    feeds: OnceLock<Weak<Feeds<Paged<Server>>>>,
}

/// What is to be told.
#[derive(Debug, Default)]
struct Saying {
    pending: HashMap<Space, Revision>,
    /// Somebody tells it.
    running: bool,
}

/// A connection's ear.
#[derive(Clone, Debug)]
pub(super) struct Ear(Arc<Heard>);

#[derive(Debug)]
struct Heard {
    number: u64,
    listens: AtomicBool,
    /// What the server warned of, until it is asked for.
    warning: Mutex<Option<String>>,
}

// What is known of our hearing.
const UNKNOWN: u8 = 0;
const HEARS: u8 = 1;
const DEAF: u8 = 2;
/// It is not wanted.
const OFF: u8 = 3;

impl Ears {
    pub(super) fn new(notify: bool, channel: &str) -> Ears {
        Ears {
            channel: channel.to_owned(),
            trial_channel: format!("{channel}_{:016x}", steadfast_host::random::u64()),
            hearing: AtomicU8::new(if notify { UNKNOWN } else { OFF }),
            settling: AtomicBool::new(false),
            listening: Mutex::default(),
            ears: AtomicU64::new(0),
            trial_heard: Mutex::default(),
            trial: Notify::new(),
            saying: Mutex::default(),
            server: OnceLock::new(),
            feeds: OnceLock::new(),
        }
    }

    /// Whose ears they are, and who is to be woken.
    pub(super) fn tell(&self, server: &Arc<Server>, feeds: &Arc<Feeds<Paged<Server>>>) {
        // Done once, where all of them are made.
        let _ = self.server.set(Arc::downgrade(server));
        let _ = self.feeds.set(Arc::downgrade(feeds));
    }

    /// Whether commits of others wake us.
    pub(super) fn hear(&self) -> bool {
        self.is(HEARS)
    }

    /// Whether it was tried, in vain.
    pub(super) fn are_deaf(&self) -> bool {
        self.is(DEAF)
    }

    fn is(&self, state: u8) -> bool {
        self.hearing.load(Ordering::Relaxed) == state
    }

    /// An ear for a new connection.
    pub(super) fn another(&self) -> Ear {
        let number = self.ears.fetch_add(1, Ordering::Relaxed);
        Ear(Arc::new(Heard { number, listens: AtomicBool::new(false), warning: Mutex::default() }))
    }

    /// Reads a connection until it ends, for as long as its calls need it.
    pub(super) async fn read(self: Arc<Self>, mut connection: Connection<Stream, Inside>, ear: Ear) {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            match message {
                AsyncMessage::Notification(said) => self.heard(ear.number(), said.channel(), said.payload()),
                // It comes before the answer of what it is about.
                AsyncMessage::Notice(said) if said.parsed_severity() == Some(Severity::Warning) => {
                    *locked(&ear.0.warning) = Some(said.to_string());
                }
                _ => {}
            }
        }
    }

    fn heard(&self, ear: u64, channel: &str, payload: &str) {
        if channel == self.trial_channel {
            *locked(&self.trial_heard) = Some(ear);
            self.trial.notify_one();
            return;
        }
        let said = payload.rsplit_once(' ').filter(|_| channel == self.channel);
        let commit = said.and_then(|(space, revision)| Some((Space::new(space)?, Revision(revision.parse().ok()?))));
        if let Some(((space, revision), feeds)) = commit.zip(self.feeds.get().and_then(Weak::upgrade)) {
            feeds.wake(&space, revision);
        }
    }

    /// Sees to it that one connection listens, in the background.
    pub(super) fn settle(&self) {
        if self.is(OFF) || self.is(DEAF) || locked(&self.listening).strong_count() > 0 {
            return;
        }
        let Some(server) = self.server.get().and_then(Weak::upgrade) else { return };
        if self.settling.swap(true, Ordering::AcqRel) {
            return;
        }
        tokio::spawn(async move {
            let ears = &server.ears;
            if let Err(error) = ears.listen(&server).await {
                tracing::debug!(%error, "no connection listens yet");
                // Not with every look that follows.
                sleep(TRIAL_WITHIN).await;
            }
            ears.settling.store(false, Ordering::Release);
        });
    }

    /// Listens on a connection, and tries first whether that is any use.
    async fn listen(&self, server: &Server) -> Result<(), Error> {
        let (seat, deadline) = server.seat(STEP_WITHIN).await?;
        let (channel, trial) = (&self.channel, &self.trial_channel);
        let both = format!("LISTEN \"{channel}\"; LISTEN \"{trial}\"");
        let asked = clock::timeout_at(deadline, seat.client().batch_execute(&both)).await;
        let Some(Ok(())) = asked else { return server.settle(seat, Asked::Look, asked) };
        if self.is(UNKNOWN) {
            // Meanwhile the one that listens is idle: a pooler would give what it hears to whoever is not.
            let hears = self.try_it(server, seat.ear().number()).await?;
            self.hearing.store(if hears { HEARS } else { DEAF }, Ordering::Relaxed);
            if !hears {
                // Closed with all that it listens to.
                drop(seat);
                return Ok(());
            }
        }
        seat.ear().0.listens.store(true, Ordering::Relaxed);
        *locked(&self.listening) = Arc::downgrade(&seat.ear().0);
        seat.give_back();
        Ok(())
    }

    /// Whether the ear of this number hears what another connection says.
    async fn try_it(&self, server: &Server, ear: u64) -> Result<bool, Error> {
        for _ in 0..TRIALS {
            let (seat, deadline) = server.seat(STEP_WITHIN).await?;
            let say = format!("NOTIFY \"{}\"", self.trial_channel);
            let said = clock::timeout_at(deadline, seat.client().batch_execute(&say)).await;
            server.settle(seat, Asked::Look, said)?;
            let heard = async {
                while *locked(&self.trial_heard) != Some(ear) {
                    self.trial.notified().await;
                }
            };
            if timeout(TRIAL_WITHIN, heard).await.is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tells whoever listens of a commit, a moment later.
    pub(super) fn say(&self, space: &Space, revision: Revision) {
        if self.is(OFF) || self.is(DEAF) {
            return;
        }
        let Some(server) = self.server.get().and_then(Weak::upgrade) else { return };
        let mut saying = locked(&self.saying);
        saying.pending.insert(space.clone(), revision);
        if !std::mem::replace(&mut saying.running, true) {
            tokio::spawn(async move { server.ears.say_all(&server).await });
        }
    }

    async fn say_all(&self, server: &Server) {
        loop {
            sleep(GATHER).await;
            let commits: Vec<String> = {
                let mut saying = locked(&self.saying);
                saying.running = !saying.pending.is_empty();
                saying.pending.drain().map(|(space, revision)| format!("{space} {revision}")).collect()
            };
            if commits.is_empty() {
                return;
            }
            if let Err(error) = self.say_now(server, &commits).await {
                // Who follows the space looks by itself, a little later.
                tracing::debug!(%error, "a commit was not told");
            }
        }
    }

    async fn say_now(&self, server: &Server, commits: &[String]) -> Result<(), Error> {
        const SQL: &str = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, said) \
                           FROM unnest($2) AS commits(said)";
        let (seat, deadline) = server.seat(STEP_WITHIN).await?;
        let client = seat.client();
        let parameters = [(&self.channel as _, Type::TEXT), (&commits as _, Type::TEXT_ARRAY)];
        let said = clock::timeout_at(deadline, client.query_typed(SQL, &parameters)).await;
        server.settle(seat, Asked::Look, said).map(drop)
    }
}

impl Ear {
    pub(super) fn number(&self) -> u64 {
        self.0.number
    }

    /// What the server warned of since this was last asked.
    pub(super) fn warning(&self) -> Option<String> {
        locked(&self.0.warning).take()
    }

    /// Whether commits are heard of here.
    pub(super) fn listens(&self) -> bool {
        self.0.listens.load(Ordering::Relaxed)
    }
}
