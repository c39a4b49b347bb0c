//! Which member of the cluster is talked to, and how one is come to: dialled, asked to believe us, looked at.
//!
//! ```text
//! no member ──call──▶ dialling: each in turn, the next when one fails or takes long ──▶ a member, kept
//!     ▲                    │ none can be had: every call that waits is told why            │
//!     └────────────────────┴──────────────── the member is given up ◀──────────────────────┘
//! ```
//! Dialling goes on when the call that began it has run out of time: else a connection that takes longer to make than a
//! call may last would never be made. Nothing is asked twice, save where the server said that it did nothing since it
//! no longer knows who we are.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::HeaderValue;
use prost::Message;
use steadfast_host::clock::{self, Moment};
use steadfast_host::net::{Address, dial};
use steadfast_host::{random, tls};
use tokio::runtime::{Handle, Id};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::failure::{self, Asked};
use super::grpc::{Answer, Connection, Missed};
use super::proto::{AuthenticateRequest, AuthenticateResponse, StatusRequest, StatusResponse};
use crate::history::locked;
use crate::{Error, Secret};

/// How long a member is waited for before the next one is tried beside it.
const NEXT_MEMBER_AFTER: Duration = Duration::from_millis(200);

/// How long a member may take until it has said that it serves.
const REACH_WITHIN: Duration = Duration::from_secs(5);

/// Runtimes whose connections are kept apart; the oldest of more loses its own.
const RUNTIMES: usize = 8;

/// The oldest version that has all that is used here.
const OLDEST: (u32, u32) = (3, 4);

/// Who we are, for a cluster that asks.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) user: String,
    pub(super) password: Secret,
}

/// How the members are come to.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) addresses: Vec<Address>,
    pub(super) tls: Option<tls::Client>,
    pub(super) identity: Option<Identity>,
}

/// The members, and the one in use.
#[derive(Debug)]
pub(super) struct Members {
    cluster: Arc<Cluster>,
    slots: Mutex<Slots>,
}

#[derive(Debug)]
struct Slots {
    /// A connection lives in the runtime it was made in.
    dials: Vec<(Id, Dial)>,
    /// The member that is tried first.
    first: usize,
}

type Outcome = Option<Result<Arc<Member>, Error>>;

/// A dialling, or what came of it.
#[derive(Debug)]
struct Dial {
    outcome: watch::Receiver<Outcome>,
    task: AbortHandle,
}

impl Drop for Dial {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A member that we are connected to.
pub(super) struct Member {
    pub(super) connection: Connection,
    /// `host:port`.
    pub(super) place: String,
    index: usize,
    /// What the connection was proven by, as of then.
    generation: (u64, u64),
    token: Mutex<Option<HeaderValue>>,
    /// Held by whoever asks for another token, so that the others wait for that.
    proving: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Members {
    pub(super) fn new(cluster: Cluster) -> Members {
        // So that many processes spread over the members, whatever the order in their URL.
        let first = usize::try_from(random::u64() % cluster.addresses.len().max(1) as u64).unwrap_or_default();
        Members { cluster: Arc::new(cluster), slots: Mutex::new(Slots { dials: Vec::new(), first }) }
    }

    pub(super) fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// One call of the member in use.
    pub(super) async fn call<A: Message + Default>(
        &self,
        asked: Asked,
        path: &'static str,
        request: &impl Message,
        deadline: Moment,
    ) -> Result<A, Error> {
        let member = self.member(deadline).await?;
        let token = member.token();
        let answer = match member.connection.call(path, request, token.as_ref(), deadline).await {
            Err(missed) if self.cluster.identity.is_some() && failure::wants_to_know_us(&missed) => {
                self.authenticate(&member, token, deadline).await?;
                member.connection.call(path, request, member.token().as_ref(), deadline).await
            }
            answer => answer,
        };
        answer.map_err(|missed| self.failed(&member, asked, missed))
    }

    /// A stream from the member in use, and that member, which must be held for as long.
    pub(super) async fn stream(
        &self,
        path: &'static str,
        request: &impl Message,
        deadline: Moment,
    ) -> Result<(Arc<Member>, Answer), Error> {
        let member = self.member(deadline).await?;
        let answer = member.connection.stream(path, request, member.token().as_ref(), deadline).await;
        match answer {
            Ok(answer) => Ok((member, answer)),
            Err(missed) => Err(self.failed(&member, Asked::Look, missed)),
        }
    }

    /// The error for a call of `member` that failed. Where that is the member's own failure, the next call goes to
    /// another one.
    pub(super) fn failed(&self, member: &Member, asked: Asked, missed: Missed) -> Error {
        if failure::is_of_the_member(&missed) {
            member.connection.close();
        }
        failure::error(&member.place, asked, missed)
    }

    /// Has the server give us another token than the one it refused. To compare passwords costs it much: one of all who
    /// were refused asks, and the others have what comes of it.
    async fn authenticate(&self, member: &Member, refused: Option<HeaderValue>, deadline: Moment) -> Result<(), Error> {
        let Some(identity) = &self.cluster.identity else { return Ok(()) };
        let late = || Error::Unavailable(format!("etcd at {}: it did not say in time who we are", member.place));
        let _proving = clock::timeout_at(deadline, member.proving.lock()).await.ok_or_else(late)?;
        if member.token() != refused {
            return Ok(());
        }
        let token = identity.authenticate(&member.connection, deadline).await;
        let token = token.map_err(|missed| self.failed(member, Asked::Look, missed))?;
        *locked(&member.token) = Some(token);
        Ok(())
    }

    /// The member in use; one is looked for if there is none.
    pub(super) async fn member(&self, deadline: Moment) -> Result<Arc<Member>, Error> {
        let mut outcome = self.dial();
        let made = clock::timeout_at(deadline, outcome.wait_for(Option::is_some)).await;
        let late = || {
            let members = self.cluster.places().join(", ");
            Error::Unavailable(format!("etcd at {members}: no connection was made in the time given"))
        };
        match made.ok_or_else(late)?.map(|outcome| outcome.clone()) {
            Ok(Some(outcome)) => outcome,
            _ => Err(Error::Unavailable("the runtime that was dialling etcd is shutting down".to_owned())),
        }
    }

    /// What comes of the dialling that there is, or of a new one.
    fn dial(&self) -> watch::Receiver<Outcome> {
        let runtime = Handle::current().id();
        let mut slots = locked(&self.slots);
        if let Some(at) = slots.dials.iter().position(|(id, _)| *id == runtime) {
            if slots.dials[at].1.is_of_use(&self.cluster) {
                return slots.dials[at].1.outcome.clone();
            }
            let (_, ended) = slots.dials.remove(at);
            // Whoever failed is tried last. Where what it was proven by counts no more, the watches on it end, too.
            if let Some(Ok(member)) = &*ended.outcome.borrow() {
                member.connection.close();
                slots.first = (member.index + 1) % self.cluster.addresses.len().max(1);
            }
        }
        if slots.dials.len() == RUNTIMES {
            slots.dials.remove(0);
        }
        let (sender, outcome) = watch::channel(None);
        let first = slots.first;
        let cluster = Arc::clone(&self.cluster);
        let task = tokio::spawn(async move {
            let reached = reach_any(cluster, first).await;
            sender.send_replace(Some(reached));
        });
        let dial = Dial { outcome: outcome.clone(), task: task.abort_handle() };
        slots.dials.push((runtime, dial));
        outcome
    }
}

impl Dial {
    /// Whether it goes on, or led to a member that can be used.
    fn is_of_use(&self, cluster: &Cluster) -> bool {
        match &*self.outcome.borrow() {
            // Its task may have died with the runtime.
            None => self.outcome.has_changed().is_ok(),
            Some(Ok(member)) => !member.connection.is_closed() && member.generation == cluster.generation(),
            Some(Err(_)) => false,
        }
    }
}

impl Member {
    pub(super) fn token(&self) -> Option<HeaderValue> {
        locked(&self.token).clone()
    }
}

impl Cluster {
    /// Each member's `host:port`.
    pub(super) fn places(&self) -> Vec<String> {
        self.addresses.iter().map(Address::to_string).collect()
    }

    /// Changes with the files that a connection is proven by.
    fn generation(&self) -> (u64, u64) {
        let password = self.identity.as_ref().map_or(0, |identity| identity.password.generation());
        (password, self.tls.as_ref().map_or(0, tls::Client::generation))
    }

    /// Connects to the member, and lets it say that it serves.
    pub(super) async fn reach(&self, index: usize) -> Result<Arc<Member>, Error> {
        let address = self.addresses.get(index).ok_or_else(|| Error::Config("the URL names no member".to_owned()))?;
        let place = address.to_string();
        let deadline = clock::now() + REACH_WITHIN;
        let generation = self.generation();
        let stream = dial(address, self.tls.as_ref(), deadline).await;
        let stream = stream.map_err(|e| Error::Unavailable(format!("etcd at {place}: {e}")))?;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let explain = |missed| failure::error(&place, Asked::Look, missed);
        let connection = Connection::open(stream, format!("{scheme}://{place}")).await.map_err(explain)?;
        let (token, status) = match self.greet(&connection, deadline).await {
            Ok(greeted) => greeted,
            // A server that wants a certificate says so when the connection, for us, is made.
            Err(missed) => return Err(explain(connection.last_words(missed).await)),
        };
        if let Some(status) = status {
            serving(&place, &status)?;
        }
        let (token, proving) = (Mutex::new(token), tokio::sync::Mutex::default());
        Ok(Arc::new(Member { connection, place, index, generation, token, proving }))
    }

    /// Says who we are, and lets the member say how it is.
    async fn greet(
        &self,
        connection: &Connection,
        deadline: Moment,
    ) -> Result<(Option<HeaderValue>, Option<StatusResponse>), Missed> {
        let token = match &self.identity {
            Some(identity) => Some(identity.authenticate(connection, deadline).await?),
            None => None,
        };
        let status = connection.call("/etcdserverpb.Maintenance/Status", &StatusRequest {}, token.as_ref(), deadline);
        match status.await {
            Ok(status) => Ok((token, Some(status))),
            // It answers, and that is what had to be known. What we may do is told at each call.
            Err(Missed::Refused(status)) if failure::is_about_rights(&status) => Ok((token, None)),
            Err(missed) => Err(missed),
        }
    }
}

impl Identity {
    async fn authenticate(&self, connection: &Connection, deadline: Moment) -> Result<HeaderValue, Missed> {
        // Seldom asked for, and refused if it is the one of a moment ago: so it is looked at now.
        let request = AuthenticateRequest { name: self.user.clone(), password: self.password.text_now().to_string() };
        let answer = connection.call("/etcdserverpb.Auth/Authenticate", &request, None, deadline).await?;
        let AuthenticateResponse { token } = answer;
        let mut token = HeaderValue::try_from(token)
            .map_err(|_| Missed::Stranger("a token that cannot be sent back".to_owned()))?;
        token.set_sensitive(true);
        Ok(token)
    }
}

/// Connects to the first of all members that serves, beginning with the one numbered `first`.
async fn reach_any(cluster: Arc<Cluster>, first: usize) -> Result<Arc<Member>, Error> {
    let members = cluster.addresses.len();
    let mut left = (0..members).map(|nth| (first + nth) % members);
    let mut trying = JoinSet::new();
    let mut failed = Vec::new();
    loop {
        match left.next() {
            Some(index) => {
                let cluster = Arc::clone(&cluster);
                trying.spawn(async move { cluster.reach(index).await });
            }
            None if trying.is_empty() => return Err(of_all(failed)),
            None => {}
        }
        let patience = if left.len() > 0 { NEXT_MEMBER_AFTER } else { REACH_WITHIN };
        tokio::select! {
            Some(reached) = trying.join_next() => match reached {
                Ok(Ok(member)) => return Ok(member),
                Ok(Err(error)) => failed.push(error),
                Err(stopped) => failed.push(Error::Unavailable(format!("dialling etcd: {stopped}"))),
            },
            () = sleep(patience) => {}
        }
    }
}

/// Why no member could be had: in its own kind, where all failed in the same way.
fn of_all(mut failed: Vec<Error>) -> Error {
    if let Some(at) = failed.iter().position(|error| matches!(error, Error::Denied(_))) {
        return failed.swap_remove(at);
    }
    let wrong = failed.iter().all(|error| matches!(error, Error::Config(_)));
    let reasons = failed.iter().map(|error| match error {
        Error::Unavailable(why) | Error::Config(why) => why.clone(),
        other => other.to_string(),
    });
    let reasons = reasons.collect::<Vec<_>>().join("; ");
    if wrong { Error::Config(reasons) } else { Error::Unavailable(reasons) }
}

/// Whether a member can be asked anything.
fn serving(place: &str, status: &StatusResponse) -> Result<(), Error> {
    if version(&status.version).is_some_and(|version| version < OLDEST) {
        let (major, minor) = OLDEST;
        return Err(Error::Config(format!(
            "etcd at {place} is of version {}: {major}.{minor} is the oldest that will do",
            status.version.escape_debug()
        )));
    }
    if status.is_learner {
        return Err(Error::Unavailable(format!("etcd at {place}: the member is a learner, and serves nobody yet")));
    }
    if status.leader == 0 {
        return Err(Error::Unavailable(format!("etcd at {place}: the member knows of no leader")));
    }
    Ok(())
}

/// Major and minor number.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}
