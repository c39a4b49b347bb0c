//! Asking an application to send clients away that were moved or forgotten while they were connected.
//!
//! It is asked after the change is committed: a client that leaves and comes back at once is then sent to its new home.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use steadfast_core::client::ClientKey;
use steadfast_core::{Endpoint, conceal};
use steadfast_host::http::{Call, Client, ClientLimits, Target};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How long an application may take to send a client away.
const WITHIN: Duration = Duration::from_secs(5);
/// How often it is asked, and the pause between.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// Clients that an application is asked about at once.
const AT_ONCE: usize = 16;
/// Clients that wait for that.
const WAITING: usize = 16_384;

/// A client that shall leave, and the set's `evict` URL.
pub(super) type Leaver = (Arc<str>, ClientKey);

/// The way to the application.
#[derive(Debug)]
pub(super) struct Evictions(mpsc::Sender<Leaver>);

impl Evictions {
    /// Asks until this is dropped, and then for those that wait. Must be called inside a Tokio runtime.
    pub(super) fn start() -> Evictions {
        let (leavers, mut waiting) = mpsc::channel::<Leaver>(WAITING);
        tokio::spawn(async move {
            let http = Client::new(ClientLimits::default());
            let mut asked = JoinSet::new();
            while let Some((url, client)) = waiting.recv().await {
                if asked.len() >= AT_ONCE {
                    asked.join_next().await;
                }
                let http = http.clone();
                asked.spawn(async move { send_away(&http, &url, &client).await });
            }
            while asked.join_next().await.is_some() {}
        });
        Evictions(leavers)
    }

    /// These shall leave.
    pub(super) fn ask(&self, leavers: Vec<Leaver>) {
        for leaver in leavers {
            if let Err(error) = self.0.try_send(leaver) {
                let (_, client) = error.into_inner();
                tracing::warn!(%client, "too many clients wait to be sent away: this one is not");
            }
        }
    }
}

/// Has one client sent away, as far as the application does.
pub(super) async fn send_away(http: &Client, url: &str, client: &ClientKey) {
    let mut last = String::new();
    for attempt in 0..TRIES {
        if attempt > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        match evict(http, url, client).await {
            Ok(()) => return,
            Err(why) => last = why,
        }
    }
    tracing::warn!(%client, why = last, "a client that has another home now could not be sent away from its former one");
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
