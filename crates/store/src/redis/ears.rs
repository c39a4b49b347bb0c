//! Listens for commits: one connection of a handle, subscribed to the logs of the spaces that are followed. What is
//! heard only wakes who follows; what was missed costs one pace. So nothing here is an error: who cannot be told looks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use steadfast_host::clock;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::connection::Wire;
use super::keys::Keys;
use super::link::{Credentials, Link};
use super::resp::{Commands, Reply};
use super::tail::Log;
use crate::feed::Feeds;
use crate::feed::tail::Paged;
use crate::history::locked;
use crate::{Revision, Space};

/// How often the server is asked for a sign of life; after twice as long without one another connection is made.
const PING_EVERY: Duration = Duration::from_secs(5);

/// A server that cannot be listened to is tried again so much later; doubled each time, up to [`REST_AT_MOST`].
const REST: Duration = Duration::from_millis(100);

/// The longest of these rests.
const REST_AT_MOST: Duration = Duration::from_secs(5);

/// Which spaces are listened to, and who does it.
#[derive(Debug)]
pub(super) struct Ears {
    link: Arc<Link>,
    feeds: Arc<Feeds<Paged<Log>>>,
    /// By channel; as many as this process follows sets, and they stay.
    spaces: Arc<Mutex<HashMap<String, Space>>>,
    deaf: Arc<Mutex<Option<String>>>,
    /// Whoever listens, and how it is told of one more channel.
    listening: Mutex<Option<(mpsc::UnboundedSender<String>, JoinHandle<()>)>>,
}

impl Ears {
    /// Wakes `feeds`.
    pub(super) fn new(link: Arc<Link>, feeds: Arc<Feeds<Paged<Log>>>) -> Ears {
        Ears { link, feeds, spaces: Arc::default(), deaf: Arc::default(), listening: Mutex::default() }
    }

    /// Why nothing can be heard, if that is so.
    pub(super) fn deaf(&self) -> Option<String> {
        locked(&self.deaf).clone()
    }

    /// Listens to `space` from now on.
    pub(super) fn listen_to(&self, space: &Space) {
        let channel = Keys::of(&self.link.settings.prefix, space).log;
        let is_new = locked(&self.spaces).insert(channel.clone(), space.clone()).is_none();
        let mut listening = locked(&self.listening);
        match &*listening {
            Some((wanted, task)) if !task.is_finished() => {
                if is_new {
                    // Whoever connects just now finds it among the spaces; to subscribe twice is to subscribe.
                    drop(wanted.send(channel));
                }
            }
            _ => {
                let (wanted, more) = mpsc::unbounded_channel();
                let ear = Ear {
                    link: Arc::clone(&self.link),
                    feeds: Arc::clone(&self.feeds),
                    spaces: Arc::clone(&self.spaces),
                    deaf: Arc::clone(&self.deaf),
                };
                *listening = Some((wanted, tokio::spawn(ear.listen(more))));
            }
        }
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        if let Some((_, task)) = locked(&self.listening).take() {
            task.abort();
        }
    }
}

/// What listens, in a task of its own.
struct Ear {
    link: Arc<Link>,
    feeds: Arc<Feeds<Paged<Log>>>,
    spaces: Arc<Mutex<HashMap<String, Space>>>,
    /// Why nothing can be heard; `None` until that was tried, and where it can.
    deaf: Arc<Mutex<Option<String>>>,
}

impl Ear {
    /// Listens until it is stopped.
    async fn listen(self, mut more: mpsc::UnboundedReceiver<String>) {
        let mut rest = REST;
        loop {
            let began = clock::now();
            let why = match self.link.wire(began + PING_EVERY).await {
                Ok((wire, made_with)) => self.hear_on(wire, made_with, &mut more).await,
                Err(error) => error.to_string(),
            };
            tracing::debug!("{}: not told of commits: {why}", self.link.settings.place);
            *locked(&self.deaf) = Some(why);
            // A server that takes connections and refuses to be listened to is no better than one that is away.
            if clock::now().since(began) >= PING_EVERY {
                rest = REST;
            }
            sleep(rest).await;
            rest = (2 * rest).min(REST_AT_MOST);
        }
    }

    /// Hears what comes over `wire` until it breaks, or what it was made with counts no more, and says why.
    async fn hear_on(
        &self,
        mut wire: Wire,
        made_with: Credentials,
        more: &mut mpsc::UnboundedReceiver<String>,
    ) -> String {
        let channels: Vec<String> = locked(&self.spaces).keys().cloned().collect();
        if let Err(error) = subscribe(&mut wire, &channels).await {
            return error.to_string();
        }
        let mut ping = interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = clock::now();
        loop {
            let sent = tokio::select! {
                reply = wire.receive() => match reply {
                    Ok(Reply::Error(said)) => return said,
                    Ok(reply) => {
                        last = clock::now();
                        *locked(&self.deaf) = None;
                        self.hear(&reply);
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                channel = more.recv() => match channel {
                    Some(channel) => subscribe(&mut wire, &[channel]).await,
                    None => return "the store was closed".to_owned(),
                },
                _ = ping.tick() => {
                    let silence = clock::now().since(last);
                    if silence >= 2 * PING_EVERY {
                        return format!("nothing was heard for {silence:?}");
                    }
                    if made_with != self.link.credentials() {
                        return "the secret or the certificate is another one by now".to_owned();
                    }
                    wire.send(&Commands::default().and(&["PING"])).await
                }
            };
            if let Err(error) = sent {
                return error.to_string();
            }
        }
    }

    /// What the server sends to who subscribed: a channel, and the revision that was committed there.
    fn hear(&self, reply: &Reply) {
        let Reply::Array(parts) = reply else { return };
        let [Reply::String(kind), Reply::String(channel), Reply::String(revision)] = &parts[..] else { return };
        let (Ok(channel), Ok(revision)) = (std::str::from_utf8(channel), std::str::from_utf8(revision)) else { return };
        let space = locked(&self.spaces).get(channel).cloned();
        if let (b"message", Some(space), Ok(revision)) = (&kind[..], space, revision.parse()) {
            self.feeds.wake(&space, Revision(revision));
        }
    }
}

async fn subscribe(wire: &mut Wire, channels: &[String]) -> std::io::Result<()> {
    let arguments: Vec<&str> = std::iter::once("SUBSCRIBE").chain(channels.iter().map(String::as_str)).collect();
    wire.send(&Commands::default().and(&arguments)).await
}
