//! Follows a sticky set: its books become the view that workers read, the feed of its clients fills the table, and what
//! workers want written without waiting is written.

use std::sync::Arc;

use steadfast_host::clock;
use steadfast_registry::{ClientNews, Mirror, Placer, PlacerBounds, Registry};
use tokio::sync::mpsc;

use super::Control;
use super::deferred::DeferredWrites;
use super::homes::Homes;
use crate::clients::Clients;
use crate::set::SetShared;

/// Runs until it is dropped.
pub(super) async fn follow(set: Arc<SetShared>, registry: &Registry, mirror: Arc<Mirror>, control: &Control) {
    let bounds = &control.bounds;
    let clients = Arc::new(Clients::new(bounds.clients));
    // A request that has waited long enough is answered; what was asked for it may still be found out.
    let placing = PlacerBounds { waiting: bounds.placing, within: bounds.place_within * 2 };
    let placer = Placer::start(registry, mirror.clone(), &control.by(), placing);
    let (sender, mut wanted) = mpsc::channel(bounds.deferred);
    let mut deferred =
        DeferredWrites::new(set.clone(), clients.clone(), registry.clone(), placer.clone(), bounds.deferred);
    let mut homes = Homes::new(set.clone(), clients.clone(), placer, sender, control.workers);
    let mut books = mirror.subscribe();
    let mut feed = registry.follow_clients(&set.name);
    homes.books(&books.borrow_and_update().clone());
    loop {
        tokio::select! {
            changed = books.changed() => {
                if changed.is_err() {
                    return;
                }
                let snapshot = books.borrow_and_update().clone();
                homes.books(&snapshot);
            }
            news = feed.recv() => match news {
                Some(news) => hear(&set, &clients, news),
                None => return,
            },
            () = set.alarm() => homes.alarm(),
            () = homes.settled() => {}
            Some(write) = wanted.recv() => deferred.take(write),
            () = deferred.settled() => {}
        }
        if let Some(view) = homes.take_tick() {
            deferred.tick(&view);
        }
    }
}

fn hear(set: &SetShared, clients: &Clients, news: ClientNews) {
    match news {
        ClientNews::Begin { .. } => {
            clients.begin();
            clients.heard(clock::now());
        }
        ClientNews::Changed { revision, clients: changed, at } => {
            let mut leave = false;
            for (client, now) in &changed {
                leave |= clients.news(client, revision.0, now.as_ref());
            }
            clients.heard(at);
            if leave {
                set.ring();
            }
        }
        ClientNews::Contact(at) => clients.heard(at),
        ClientNews::Trouble(why) => tracing::debug!(set = %set.name, why, "news of clients cannot be heard"),
    }
}
