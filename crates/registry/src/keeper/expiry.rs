//! What is over is over: reserved places are given away, who was not there for long enough turns idle, who was idle for
//! long enough is forgotten. Each as an ask like any other: core decides from the record whether it really is over.

use std::time::Duration;

use steadfast_core::SetName;
use steadfast_core::client::ClientKey;
use steadfast_core::placement::{Tick, Wish};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::index::Index;
use super::{Parts, Task};
use crate::{ClientNews, PlaceError, Placed, Registry};

/// Asks at once: what one batch holds.
const AT_ONCE: usize = 512;
/// How often to look whether something is due: ticks come more slowly.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Whoever could not be expired is looked at again so many ticks later: at once after a store's absence, in a minute
/// where the record cannot be used.
const AGAIN_TICKS: u64 = 1;
const SPOILT_AGAIN_TICKS: u64 = 12;
/// Clients read at once while the index is made.
const PAGE: usize = 1_024;
/// How long to wait with a store that does not answer.
const PAUSE: Duration = Duration::from_secs(1);

type Read = Vec<(ClientKey, Tick)>;

pub(super) async fn run(parts: &Parts) {
    while parts.mirror.complete(PAUSE).await.is_none() {}
    let mut feed = parts.registry.follow_clients(&parts.set);
    let mut index = Index::default();
    let mut reading: Option<(mpsc::Receiver<Read>, Task)> = None;
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let page = async {
            match &mut reading {
                Some((pages, _)) => pages.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            news = feed.recv() => match news {
                Some(ClientNews::Begin { .. }) => {
                    // What changed before may have been missed: everything is read anew, beside the changes.
                    index = Index::at(parts.mirror.snapshot().tick);
                    reading = Some(read(&parts.registry, &parts.set));
                }
                Some(ClientNews::Changed { clients, .. }) => {
                    for (client, placement) in clients {
                        index.learn(&client, placement.map(|placement| placement.until));
                    }
                }
                Some(ClientNews::Contact(_) | ClientNews::Trouble(_)) => {}
                None => return,
            },
            page = page => match page {
                Some(clients) => clients.iter().for_each(|(client, until)| index.learn_if_new(client, *until)),
                None => {
                    tracing::debug!(set = %parts.set, clients = index.len(), "the keeper knows when each client's phase ends");
                    reading = None;
                }
            },
            _ = look.tick() => {
                if expire(parts, &mut index).await {
                    look.reset_immediately();
                }
            }
        }
    }
}

/// Reads every client, page by page; the channel closes when that was all.
fn read(registry: &Registry, set: &SetName) -> (mpsc::Receiver<Read>, Task) {
    let (pages, receiver) = mpsc::channel(2);
    let (registry, set) = (registry.clone(), set.clone());
    let task = tokio::spawn(async move {
        let mut after = None;
        loop {
            let page = match registry.clients(&set, after.as_ref(), PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::debug!(%set, %error, "the keeper cannot read the clients");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let until = |(client, stored): (ClientKey, crate::Stored<steadfast_core::placement::Placement>)| {
                (client, stored.record.until)
            };
            if pages.send(page.clients.into_iter().map(until).collect()).await.is_err() {
                return;
            }
            after = page.next;
            if after.is_none() {
                return;
            }
        }
    });
    (receiver, Task(task))
}

/// Asks once for everybody who is due, a batch's worth. Says whether more are.
async fn expire(parts: &Parts, index: &mut Index) -> bool {
    let snapshot = parts.mirror.snapshot();
    if snapshot.trouble.is_some() {
        return false;
    }
    let tick = snapshot.tick;
    let mut asks = JoinSet::new();
    for client in index.take_due(tick, AT_ONCE) {
        let placer = parts.placer.clone();
        asks.spawn(async move { (placer.ask(client.clone(), Wish::Expire).await, client) });
    }
    while let Some(ended) = asks.join_next().await {
        let Ok((answer, client)) = ended else { continue };
        index.learn(&client, next_look(answer, tick));
    }
    index.has_due()
}

/// When to look at a client again, after it was asked to expire at `tick`.
fn next_look(answer: Result<Placed, PlaceError>, tick: Tick) -> Option<Tick> {
    let later = |ticks| Tick(tick.0.saturating_add(ticks));
    match answer {
        Ok(Placed { client, .. }) => client.map(|stored| stored.record.until.max(later(AGAIN_TICKS))),
        Err(PlaceError::Unavailable(_) | PlaceError::Busy) => Some(later(AGAIN_TICKS)),
        Err(PlaceError::Refused(_) | PlaceError::Books(_)) => Some(later(SPOILT_AGAIN_TICKS)),
    }
}
