//! The client's side: a store behind a server.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use steadfast_host::clock::{self, Moment};
use steadfast_host::http::{
    Call, CallError, Client, HeaderMap, HeaderValue, Method, Reply, ReplyStream, StatusCode, Target, header,
};
use steadfast_host::problem;
use tokio::runtime::{Handle, Id};
use tokio::time::{Interval, interval};

use super::{PATH, PROTOCOL, wire};
use crate::history::locked;
use crate::{
    Batch, Cursor, Description, Error, Finding, Key, Limits, Notice, Page, PageToken, Record, Secret, Space, Store,
    Watch, rules,
};

/// What any server of this protocol takes: believed until the server has said what it takes.
const LIMITS_UNTIL_TOLD: Limits = Limits { operations: 100, bytes: 64 << 10, name_bytes: 512 };

/// How long the beginning of a watch is waited for.
const WATCH_WITHIN: Duration = Duration::from_secs(5);

/// How much longer than the interval of progress, or than the pace of the store behind it, a watch may be silent before
/// its server counts as gone.
const SILENCE: Duration = Duration::from_secs(1);

/// Runtimes whose connections are kept apart; the oldest of more loses its own.
const RUNTIMES: usize = 8;

/// After so long, a look at the store asks what it is once more: what it may lose, say, changes while it runs.
const TOLD_COUNTS: Duration = Duration::from_secs(30);

/// Of a look's time, that question may take one part in so many.
const ASKING_PARTS: u32 = 4;

/// A store behind a server of [`serve`](super::serve).
#[derive(Debug)]
pub struct Http {
    target: Target,
    token: Option<Secret>,
    /// A connection lives in the runtime it was made in.
    clients: Mutex<Vec<(Id, Client)>>,
    told: Mutex<Option<Told>>,
}

/// What the server said that it is and takes.
#[derive(Clone, Debug)]
struct Told {
    limits: Limits,
    description: Description,
    /// When it was last asked.
    asked: Moment,
}

/// Why a call brought no answer of the store's.
#[derive(Debug)]
pub(crate) enum Missed {
    /// The store's answer is an error, or the server's refusal.
    Answered(Error),
    /// Nothing was sent.
    NotSent(String),
    /// It was sent, and no answer came.
    Unanswered(String),
}

impl Http {
    /// The store at `target`, to which `token` is told. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Config`] if the token cannot be one.
    pub fn connect(target: Target, token: Option<Secret>) -> Result<Http, Error> {
        if let Some(token) = &token {
            bearer(&token.text())?;
        }
        Ok(Http { target, token, clients: Mutex::default(), told: Mutex::default() })
    }

    pub(crate) async fn try_read(&self, key: &Key, within: Duration) -> Result<Option<Record>, Missed> {
        let read = wire::Read {
            space: wire::WireSpace(key.space.clone()),
            name: wire::Raw(key.name.clone()),
            within_ms: served_within(within),
        };
        let reply: wire::ReadReply = self.look("read", &read, within).await?;
        Ok(reply.record.map(wire::WireRecord::record))
    }

    pub(crate) async fn try_commit(&self, batch: Batch, within: Duration) -> Result<Cursor, Missed> {
        let reply: wire::CommitReply =
            self.post("commit", &wire::Commit::of(batch, served_within(within)), within).await?;
        Ok(reply.cursor.0)
    }

    pub(crate) async fn try_scan(
        &self,
        space: &Space,
        prefix: &[u8],
        page: Option<PageToken>,
        limit: usize,
        within: Duration,
    ) -> Result<Page, Missed> {
        let scan = wire::Scan {
            space: wire::WireSpace(space.clone()),
            prefix: wire::Raw(prefix.to_vec()),
            page: page.map(wire::WireToken::of),
            limit,
            within_ms: served_within(within),
        };
        let reply: wire::ScanReply = self.look("scan", &scan, within).await?;
        Ok(reply.page())
    }

    pub(crate) async fn try_watch(
        &self,
        space: &Space,
        prefixes: &[&[u8]],
        from: Cursor,
        progress_every: Duration,
    ) -> Result<Box<dyn Watch>, Missed> {
        let progress_every = rules::progress_interval(progress_every);
        let watch = wire::Watch {
            space: wire::WireSpace(space.clone()),
            prefixes: prefixes.iter().map(|prefix| wire::Raw(prefix.to_vec())).collect(),
            from: wire::WireCursor(from),
            progress_ms: millis(progress_every),
        };
        let call = self.call("watch", Some(&watch))?;
        let ask = async |call| self.client().stream(&self.target, call, WATCH_WITHIN).await.map_err(missed);
        let mut stream = ask(call.clone()).await?;
        if let Some(call) = self.under_another_token(stream.status, call) {
            stream = ask(call).await?;
        }
        if stream.status != StatusCode::OK {
            let (status, headers) = (stream.status, stream.headers.clone());
            let body = stream.rest().await.map_err(|e| Missed::Unanswered(e.to_string()))?;
            return Err(self.refused(&Reply { status, headers, body }));
        }
        let pace = self.told().map_or(Duration::ZERO, |told| told.description.pace());
        let mut silence = interval(progress_every.max(pace) + SILENCE);
        silence.reset();
        Ok(Box::new(HttpWatch { stream, silence }))
    }

    async fn post<T: DeserializeOwned>(
        &self,
        what: &str,
        body: &impl Serialize,
        within: Duration,
    ) -> Result<T, Missed> {
        let deadline = clock::now() + within;
        self.be_told(within).await?;
        let call = self.call(what, Some(body))?;
        self.answer(call, deadline.since(clock::now())).await
    }

    /// The same for a call that changes nothing.
    async fn look<T: DeserializeOwned>(
        &self,
        what: &str,
        body: &impl Serialize,
        within: Duration,
    ) -> Result<T, Missed> {
        let deadline = clock::now() + within;
        if self.is_told_long_ago() {
            // Without an answer what was told counts on; what is wrong, the call itself will find.
            let _ = self.ask_again(within / ASKING_PARTS).await;
        }
        self.post(what, body, deadline.since(clock::now())).await
    }

    fn told(&self) -> Option<Told> {
        locked(&self.told).clone()
    }

    /// Whether it is time to ask again. Whoever is told so does it: the others go on.
    fn is_told_long_ago(&self) -> bool {
        let now = clock::now();
        match &mut *locked(&self.told) {
            Some(told) if now.since(told.asked) >= TOLD_COUNTS => {
                told.asked = now;
                true
            }
            _ => false,
        }
    }

    /// Asks what the server is and takes, where it has not said so yet.
    async fn be_told(&self, within: Duration) -> Result<(), Missed> {
        if locked(&self.told).is_some() { Ok(()) } else { self.ask_again(within).await }
    }

    async fn ask_again(&self, within: Duration) -> Result<(), Missed> {
        // Asking for this changes nothing: what was to come after it was not sent.
        let nothing_sent = |missed| match missed {
            Missed::Unanswered(why) => Missed::NotSent(why),
            other => other,
        };
        let said = self.asked(self.call("describe", None::<&()>)?, within).await.map_err(nothing_sent)?;
        // Alone: all else that another protocol says may be of another form.
        let wire::Speaks { protocol } = self.understood(&said).map_err(nothing_sent)?;
        if protocol != PROTOCOL {
            return Err(Missed::Answered(Error::Config(format!(
                "the store at {} speaks protocol {protocol}, this Steadfast speaks {PROTOCOL}: run the same version on both",
                self.target
            ))));
        }
        let wire::Describe { limits, description, .. } = self.understood(&said).map_err(nothing_sent)?;
        *locked(&self.told) = Some(Told { limits, description, asked: clock::now() });
        Ok(())
    }

    async fn answer<T: DeserializeOwned>(&self, call: Call, within: Duration) -> Result<T, Missed> {
        self.understood(&self.asked(call, within).await?)
    }

    /// The body of an answer that is no refusal.
    async fn asked(&self, call: Call, within: Duration) -> Result<Bytes, Missed> {
        let deadline = clock::now() + within;
        let ask =
            async |call| self.client().call(&self.target, call, deadline.since(clock::now())).await.map_err(missed);
        let mut reply = ask(call.clone()).await?;
        if let Some(call) = self.under_another_token(reply.status, call) {
            reply = ask(call).await?;
        }
        if reply.status == StatusCode::OK { Ok(reply.body) } else { Err(self.refused(&reply)) }
    }

    fn understood<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, Missed> {
        let stranger = |e| Missed::Unanswered(format!("{} answers what no store of Steadfast does: {e}", self.target));
        serde_json::from_slice(body).map_err(stranger)
    }

    fn call(&self, what: &str, body: Option<&impl Serialize>) -> Result<Call, Missed> {
        let path = format!("{PATH}{what}");
        let call = match body {
            Some(body) => Call::json(Method::POST, path, body),
            None => Call::get(path),
        };
        match &self.token {
            Some(token) => Ok(call.with(header::AUTHORIZATION, bearer(&token.text()).map_err(Missed::Answered)?)),
            None => Ok(call),
        }
    }

    /// `call` once more, where it was refused for its token and there is another one by now. It has changed nothing.
    fn under_another_token(&self, refused: StatusCode, call: Call) -> Option<Call> {
        let token = self.token.as_ref().filter(|_| refused == StatusCode::UNAUTHORIZED)?;
        let now = bearer(&token.text_now()).ok()?;
        (call.headers.get(header::AUTHORIZATION) != Some(&now)).then(|| call.with(header::AUTHORIZATION, now))
    }

    /// What an answer other than 200 says. Only a problem with a store's reason is the store's own word; before it
    /// may stand a proxy, or another server altogether.
    fn refused(&self, reply: &Reply) -> Missed {
        if let Some(error) = error_of(&reply.headers, &reply.body) {
            return Missed::Answered(error);
        }
        let said = reply.problem().map_or_else(|| reply.status.to_string(), |problem| problem.to_string());
        let target = &self.target;
        match reply.status.as_u16() {
            401 | 403 => Missed::Answered(Error::Denied(format!(
                "{target} does not let us in ({said}): give the token of its `token_file` with --token-file"
            ))),
            404 | 405 => {
                Missed::Answered(Error::Config(format!("there is no store of Steadfast at {target} ({said})")))
            }
            408 | 429 => Missed::Answered(Error::Unavailable(format!("{target}: {said}"))),
            400..500 => Missed::Answered(Error::Config(format!("{target} refuses the request: {said}"))),
            _ => Missed::Unanswered(format!("{target}: {said}")),
        }
    }

    /// The client of the runtime this is called in.
    fn client(&self) -> Client {
        let here = Handle::current().id();
        let mut clients = locked(&self.clients);
        if let Some((_, client)) = clients.iter().find(|(runtime, _)| *runtime == here) {
            return client.clone();
        }
        if clients.len() == RUNTIMES {
            clients.remove(0);
        }
        let client = Client::default();
        clients.push((here, client.clone()));
        client
    }
}

/// `Bearer …`, marked as secret.
fn bearer(token: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
        .map_err(|_| Error::Config("the store's token has characters that no token has".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn error_of(headers: &HeaderMap, body: &[u8]) -> Option<Error> {
    let media = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let document = media.starts_with(problem::MEDIA_TYPE).then(|| serde_json::from_slice::<wire::Problem>(body));
    document?.ok()?.error()
}

fn missed(error: CallError) -> Missed {
    if error.may_have_happened() { Missed::Unanswered(error.to_string()) } else { Missed::NotSent(error.to_string()) }
}

/// How long the server may take of a call's time-out: a little less, so that its answer, which can tell what did not
/// happen from what may have, is not overtaken by our own silence.
fn served_within(within: Duration) -> u64 {
    millis(within - within / 16)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Missed {
    /// For a call that changes nothing.
    pub(crate) fn of_look(self) -> Error {
        match self {
            Missed::Answered(Error::OutcomeUnknown(why)) | Missed::NotSent(why) | Missed::Unanswered(why) => {
                Error::Unavailable(why)
            }
            Missed::Answered(error) => error,
        }
    }

    /// For a commit.
    pub(crate) fn of_commit(self) -> Error {
        match self {
            Missed::Answered(error) => error,
            Missed::NotSent(why) => Error::Unavailable(why),
            Missed::Unanswered(why) => Error::OutcomeUnknown(why),
        }
    }
}

#[async_trait]
impl Store for Http {
    async fn read(&self, key: &Key, within: Duration) -> Result<Option<Record>, Error> {
        self.try_read(key, within).await.map_err(Missed::of_look)
    }

    async fn commit(&self, batch: Batch, within: Duration) -> Result<Cursor, Error> {
        self.try_commit(batch, within).await.map_err(Missed::of_commit)
    }

    async fn scan(
        &self,
        space: &Space,
        prefix: &[u8],
        page: Option<PageToken>,
        limit: usize,
        within: Duration,
    ) -> Result<Page, Error> {
        self.try_scan(space, prefix, page, limit, within).await.map_err(Missed::of_look)
    }

    async fn watch(
        &self,
        space: &Space,
        prefixes: &[&[u8]],
        from: Cursor,
        progress_every: Duration,
    ) -> Result<Box<dyn Watch>, Error> {
        self.try_watch(space, prefixes, from, progress_every).await.map_err(Missed::of_look)
    }

    fn limits(&self) -> Limits {
        self.told().map_or(LIMITS_UNTIL_TOLD, |told| told.limits)
    }

    fn describe(&self) -> Description {
        let engine = "http".to_owned();
        match self.told() {
            Some(Told { description, .. }) => {
                let place = format!("{} ({} in {})", self.target, description.engine, description.place);
                Description { engine, place, ..description }
            }
            None => Description {
                engine,
                place: self.target.to_string(),
                durable: false,
                push: true,
                one_machine: true,
                may_lose: Some("not known before the server has answered once".to_owned()),
                pace_ms: 0,
                leases_apart: false,
                lease_lasts_ms: None,
                notes: Vec::new(),
            },
        }
    }

    async fn examine(&self, within: Duration) -> Result<Vec<Finding>, Error> {
        let examine = wire::Examine { within_ms: served_within(within) };
        let reply: Result<wire::ExamineReply, Missed> = self.look("examine", &examine, within).await;
        reply.map(|reply| reply.findings).map_err(Missed::of_look)
    }
}

/// A watch at the other end of a connection.
#[derive(Debug)]
struct HttpWatch {
    stream: ReplyStream,
    /// Ticks when nothing was heard for so long that the server, or the way to it, must be gone. It is set anew by
    /// what is heard alone, so that waits given up and begun again do not hide the silence.
    silence: Interval,
}

#[async_trait]
impl Watch for HttpWatch {
    async fn next(&mut self) -> Result<Notice, Error> {
        let gone = |why: String| Error::Unavailable(format!("the watch was cut off: {why}"));
        let line = tokio::select! {
            biased;
            line = self.stream.next_line() => line.map_err(|e| gone(e.to_string()))?,
            _ = self.silence.tick() => {
                return Err(gone(format!("its server was silent for {:?}", self.silence.period())));
            }
        };
        self.silence.reset();
        let line = line.ok_or_else(|| gone("its server ended it".to_owned()))?;
        let line: wire::Line = serde_json::from_slice(&line).map_err(|e| gone(format!("a line of it: {e}")))?;
        line.notice()
    }
}

#[cfg(test)]
mod tests;
