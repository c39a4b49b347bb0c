//! Asking an application to send clients away that were moved or forgotten while they were connected.
//!
//! It is asked after the change is committed: a client that leaves and comes back at once is then sent to its new home.
//! That it is to be asked stands in the same commit, `leaving/<n>`, and is taken out when it was asked: what a process
//! leaves behind that is killed between the two, a keeper finds.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use steadfast_core::client::ClientKey;
use steadfast_core::{Endpoint, SetName, conceal};
use steadfast_host::http::{Call, Client, ClientLimits, Target};
use steadfast_store::{Change, Expect, Key, Write};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::records::LeavingRecord;
use crate::registry::{CALL_WITHIN, put};
use crate::{Error, Registry, keys};

/// How long an application may take to send a client away.
const WITHIN: Duration = Duration::from_secs(5);
/// How often it is asked, and the pause between.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// Clients that an application is asked about at once.
const AT_ONCE: usize = 16;
/// Clients that wait for that.
const WAITING: usize = 16_384;

/// A client that shall leave.
#[derive(Clone, Debug)]
pub(crate) struct Leaver {
    /// The set's `evict` URL; without one there is nobody to ask, and that it is to leave is only forgotten.
    pub(crate) url: Option<Arc<str>>,
    /// Who.
    pub(crate) client: ClientKey,
    /// Where that stands.
    pub(crate) name: String,
}

/// The way to the application.
#[derive(Debug)]
pub(crate) struct Evictions(mpsc::Sender<Leaver>);

impl Evictions {
    /// Asks until this is dropped, and then for those that wait. Must be called inside a Tokio runtime.
    pub(crate) fn start(registry: &Registry, set: &SetName) -> Evictions {
        let (leavers, mut waiting) = mpsc::channel::<Leaver>(WAITING);
        let mut asking = Asking::new(registry, set);
        tokio::spawn(async move {
            while let Some(leaver) = waiting.recv().await {
                asking.ask(leaver).await;
            }
            asking.finish().await;
        });
        Evictions(leavers)
    }

    /// These shall leave. A keeper asks later for those that would have to wait behind too many.
    pub(crate) fn ask(&self, leavers: Vec<Leaver>) {
        for leaver in leavers {
            if let Err(error) = self.0.try_send(leaver) {
                tracing::warn!(client = %error.into_inner().client, "too many clients wait to be sent away");
            }
        }
    }
}

/// Asks for several clients at once, up to [`AT_ONCE`].
#[derive(Debug)]
pub(crate) struct Asking {
    registry: Registry,
    set: SetName,
    http: Client,
    under_way: JoinSet<()>,
}

impl Asking {
    /// Nobody is asked for yet.
    pub(crate) fn new(registry: &Registry, set: &SetName) -> Asking {
        let http = Client::new(ClientLimits::default());
        Asking { registry: registry.clone(), set: set.clone(), http, under_way: JoinSet::new() }
    }

    /// Begins to ask for one more, as soon as there is room.
    pub(crate) async fn ask(&mut self, leaver: Leaver) {
        if self.under_way.len() >= AT_ONCE {
            self.under_way.join_next().await;
        }
        let (registry, set, http) = (self.registry.clone(), self.set.clone(), self.http.clone());
        self.under_way.spawn(async move { registry.send_away(&set, &http, &leaver).await });
    }

    /// Waits until all were asked for.
    pub(crate) async fn finish(&mut self) {
        while self.under_way.join_next().await.is_some() {}
    }
}

/// That an application is to be asked for `client`, as a part of the commit that makes it necessary.
pub(crate) fn note(set: &SetName, name: &str, client: &ClientKey, by: &str) -> Change {
    put(&keys::leaving(set, name), None, &LeavingRecord::new(client, by))
}

impl Registry {
    /// Those for whom an application is still to be asked, and where that stands.
    pub(crate) async fn leavers(&self, set: &SetName) -> Result<Vec<(String, ClientKey)>, Error> {
        let found = self.all_readable::<LeavingRecord>(&keys::space(set), keys::LEAVING.as_bytes()).await?;
        Ok(found.into_iter().map(|(name, stored)| (name, stored.record.client())).collect())
    }

    /// Has one client sent away, as far as the application does, unless somebody else was faster.
    pub(crate) async fn send_away(&self, set: &SetName, http: &Client, leaver: &Leaver) {
        let key = keys::leaving(set, &leaver.name);
        // While the store is away it is asked all the same: once too often does little harm.
        if let Ok(None) = self.store.read(&key, CALL_WITHIN).await {
            return;
        }
        let client = &leaver.client;
        if let Some(url) = &leaver.url
            && let Err(why) = evict_with_patience(http, url, client).await
        {
            tracing::warn!(%client, why, "a client that has another home now could not be sent away from its former one");
        }
        self.forget_leaver(&key).await;
    }

    /// Nobody need be asked for any more: it is done, or there is nobody to ask.
    async fn forget_leaver(&self, key: &Key) {
        let forgotten = async {
            let Some(noted) = self.store.read(key, CALL_WITHIN).await? else { return Ok(()) };
            let expect = Expect::Version(noted.version);
            let change = Change { name: key.name.clone(), expect, write: Write::Delete };
            self.commit(key.space.clone(), vec![change]).await.map(drop)
        };
        let forgotten: Result<(), Error> = forgotten.await;
        if let Err(error) = forgotten {
            tracing::debug!(%error, "that a client was asked to leave could not be written down: it is asked again");
        }
    }
}

async fn evict_with_patience(http: &Client, url: &str, client: &ClientKey) -> Result<(), String> {
    let mut last = String::new();
    for attempt in 0..TRIES {
        if attempt > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        match evict(http, url, client).await {
            Ok(()) => return Ok(()),
            Err(why) => last = why,
        }
    }
    Err(last)
}

/// Calls `url` (a POST, with `{client}` replaced by the key): any answer below 300 means that the client leaves.
async fn evict(http: &Client, url: &str, client: &ClientKey) -> Result<(), String> {
    let url = url.replace("{client}", &client.to_string());
    let shown = || conceal::urls(&url);
    let (target, path) = parse(&url).ok_or_else(|| format!("{} is not an http:// URL", shown()))?;
    let reply = http.call(&target, Call::new(Method::POST, path), WITHIN).await;
    match reply {
        Ok(reply) if reply.status.as_u16() < 300 => Ok(()),
        Ok(reply) => Err(format!("{} answered {}", shown(), reply.status)),
        Err(error) => Err(error.to_string()),
    }
}

fn parse(url: &str) -> Option<(Target, String)> {
    let rest = url.strip_prefix("http://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
    let endpoint: Endpoint = format!("http://{authority}").parse().ok()?;
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Some((Target::from(&endpoint), path))
}

#[cfg(test)]
mod tests;
