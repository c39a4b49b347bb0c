//! What is written of clients while no request waits for it: charges that end soon, other weights, those who were sent
//! home while the store was away, and who is still there or has left.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use steadfast_core::Moment;
use steadfast_core::client::{ClientKey, Labels};
use steadfast_core::placement::{Placement, Tick, Wish};
use steadfast_core::settings::Presence;
use steadfast_host::clock;
use steadfast_registry::{PlaceError, Placed, Placer, Registry, Stored};
use tokio::task::JoinSet;

use crate::clients::{Clients, Found, Hash, Ticket};
use crate::home::{DeferredWrite, View};
use crate::set::SetShared;

/// Deferred writes run at once; the placer takes as many into one commit as fit.
const RUNNING: usize = 1_024;
/// Records read at once, and in a tick, of clients who are carried and not known.
const READING: usize = 256;
/// How long those rest that the store was away for.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct DeferredWrites {
    set: Arc<SetShared>,
    clients: Arc<Clients>,
    registry: Registry,
    placer: Placer,
    running: JoinSet<Run>,
    /// At most one a client: the last one counts, of those to be kept if there is one.
    waiting: HashMap<Hash, DeferredWrite>,
    /// Of those who are carried and not known: where they are at home.
    reading: JoinSet<Read>,
    most: usize,
    /// Nothing is begun before: the store is away.
    rest: Moment,
}

#[derive(Debug)]
struct Run {
    write: DeferredWrite,
    ticket: Ticket,
    result: Result<Placed, PlaceError>,
}

/// A client's record, read because the table does not have it.
#[derive(Debug)]
struct Read {
    hash: Hash,
    ticket: Ticket,
    /// `None`: the store did not say.
    found: Option<Option<Stored<Placement>>>,
}

impl DeferredWrites {
    pub(super) fn new(
        set: Arc<SetShared>,
        clients: Arc<Clients>,
        registry: Registry,
        placer: Placer,
        most: usize,
    ) -> DeferredWrites {
        let (running, waiting, reading) = (JoinSet::new(), HashMap::new(), JoinSet::new());
        DeferredWrites { set, clients, registry, placer, running, waiting, reading, most, rest: Moment::ZERO }
    }

    /// Runs a deferred write, or has it wait.
    pub(super) fn take(&mut self, write: DeferredWrite) {
        if self.running.len() < RUNNING && clock::now() >= self.rest {
            self.run(write);
        } else {
            self.wait(write);
        }
    }

    fn run(&mut self, write: DeferredWrite) {
        let (placer, ticket) = (self.placer.clone(), self.clients.ticket(write.hash));
        self.running.spawn(async move {
            let result = placer.ask(write.client.clone(), write.wish.clone()).await;
            Run { write, ticket, result }
        });
    }

    fn wait(&mut self, write: DeferredWrite) {
        if let Some(waiting) = self.waiting.get_mut(&write.hash) {
            // What was acted upon already is not given up for what was only wished.
            if write.keep || !waiting.keep {
                *waiting = write;
            }
        } else if self.waiting.len() < self.most {
            self.waiting.insert(write.hash, write);
        } else {
            tracing::debug!(set = %self.set.name, client = %write.client, "too much is to be written: it is left");
            self.clients.failed(write.hash);
        }
    }

    /// Returns when there may be something else to do. Cancel safe.
    pub(super) async fn settled(&mut self) {
        let pause = if self.waiting.is_empty() { Moment::MAX } else { self.rest };
        tokio::select! {
            Some(run) = self.running.join_next() => if let Ok(run) = run {
                self.settle(run);
            },
            Some(read) = self.reading.join_next() => if let Ok(read) = read {
                self.learn(read);
            },
            () = clock::sleep_until(pause), if pause < Moment::MAX && self.running.len() < RUNNING => {}
            else => std::future::pending().await,
        }
        while self.running.len() < RUNNING && clock::now() >= self.rest {
            let Some(hash) = self.waiting.keys().next().copied() else { return };
            if let Some(write) = self.waiting.remove(&hash) {
                self.run(write);
            }
        }
    }

    fn settle(&mut self, Run { write, ticket, result }: Run) {
        match result {
            Ok(Placed { client: Some(client), .. }) => {
                if let Some(entry) = self.clients.answer(write.hash, ticket, client.version.0, &client.record)
                    && self.clients.has_left(write.hash, entry.home)
                {
                    self.set.ring();
                }
            }
            Ok(Placed { client: None, .. }) => self.clients.failed(write.hash),
            Err(PlaceError::Refused(refusal)) => {
                tracing::debug!(set = %self.set.name, client = %write.client, %refusal, "not written");
                match write.wish {
                    Wish::Arrive { weight: Some(weight), .. } => self.clients.declared(write.hash, weight),
                    _ => self.clients.failed(write.hash),
                }
            }
            Err(PlaceError::Unavailable(_) | PlaceError::Busy) if write.keep => {
                self.rest = clock::now() + AGAIN_AFTER;
                self.wait(write);
            }
            Err(error) => {
                tracing::debug!(set = %self.set.name, client = %write.client, %error, "not written");
                self.clients.failed(write.hash);
            }
        }
    }

    /// Reads where those are at home whom the table does not know: news of them may have been missed.
    fn read_unknown(&mut self, carried: Vec<(Hash, ClientKey)>) {
        if !self.reading.is_empty() {
            return;
        }
        for (hash, client) in carried.into_iter().filter(|(hash, _)| self.clients.look(*hash).is_none()).take(READING) {
            let (registry, set, ticket) = (self.registry.clone(), self.set.name.clone(), self.clients.ticket(hash));
            self.reading.spawn(async move {
                let found = registry.client(&set, &client).await;
                let found = found.inspect_err(|error| tracing::debug!(%set, %client, %error, "a record was not read"));
                Read { hash, ticket, found: found.ok() }
            });
        }
    }

    fn learn(&self, Read { hash, ticket, found }: Read) {
        let leaves = match found {
            None => false,
            Some(None) => self.clients.absent(hash),
            Some(Some(client)) => {
                let entry = self.clients.answer(hash, ticket, client.version.0, &client.record);
                entry.is_some_and(|entry| self.clients.has_left(hash, entry.home))
            }
        };
        if leaves {
            self.set.ring();
        }
    }

    /// Some of the set's time has passed: whoever is carried here is there, and is charged as long as it is.
    pub(super) fn tick(&mut self, view: &View) {
        let connection = view.settings.presence == Presence::Connection;
        let carried = self.clients.carried();
        // Moves that were heard of while nobody was looking.
        let leave = carried.iter().filter(|(hash, _)| self.clients.keep_home(*hash)).count();
        if leave > 0 {
            self.set.ring();
        }
        if view.settings.presence == Presence::Report {
            // Its agent's word charges it: here it is only seen whether it is still at home.
            self.read_unknown(carried);
        } else {
            for (hash, client) in carried {
                if wants_charge(self.clients.look(hash), view.due) {
                    self.clients.ask(hash);
                    let wish = Wish::Arrive { weight: None, labels: Labels::new(), present: connection };
                    self.take(DeferredWrite { hash, client, wish, keep: false });
                }
            }
        }
        for (hash, client) in self.clients.take_gone() {
            let Some(found) = self.clients.look(hash) else { continue };
            if connection && let Some(home) = view.home(found.entry.home) {
                let wish = Wish::Leave { at: home.target.instance.clone() };
                self.take(DeferredWrite { hash, client, wish, keep: true });
            }
        }
    }
}

/// Whether a client that is carried here is to be charged anew: its charge ends soon, or has ended. One that the table
/// does not know may have been moved unseen.
fn wants_charge(known: Option<Found>, due: Tick) -> bool {
    known.is_none_or(|found| !found.asked && (!found.entry.phase.is_charged() || found.entry.until < due))
}

#[cfg(test)]
mod tests;
