//! Keeping our own page of the books, and reading the others'.

use std::time::Duration;

use steadfast_core::{Incarnation, Moment};
use steadfast_registry::{BeatRecord, Error as RegistryError, Snapshot};

use super::{Driver, Part};
use crate::Error;
use crate::books::{Presence, Trouble};
use crate::event::Event;

/// How often presence is shown.
const BEAT_EVERY: Duration = Duration::from_secs(3);
/// Between two tries to register anew.
const REGISTER_EVERY: Duration = Duration::from_secs(1);

/// Presence: when it is shown next.
#[derive(Debug)]
pub(super) struct Beats {
    number: u64,
    due: Moment,
    under_way: bool,
}

impl Beats {
    pub(super) fn new(now: Moment) -> Beats {
        Beats { number: 0, due: now, under_way: false }
    }

    pub(super) fn due(&self) -> Option<Moment> {
        (!self.under_way).then_some(self.due)
    }

    pub(super) fn ended(&mut self) {
        self.under_way = false;
    }
}

impl<P: Part> Driver<P> {
    pub(super) fn read_books(&mut self, now: Moment, snapshot: &Snapshot) {
        let set = self.agent.config.set.clone();
        match self.agent.books.learn(snapshot) {
            Some(Trouble::Began(why)) => tracing::warn!(%set, %why, "the store cannot be followed"),
            Some(Trouble::Ended) => tracing::info!(%set, "the store can be followed again"),
            None => {}
        }
        self.part.learn(&mut self.agent, now, snapshot);
        if let Presence::Replaced { place } = self.agent.books.presence() {
            let (instance, place) = (self.agent.config.instance.clone(), place.clone());
            self.agent.leave(Err(Error::Replaced { set, instance, place }));
        }
    }

    /// Shows that we are there; where the store has forgotten us, tells it anew.
    pub(super) fn beat_or_register(&mut self, now: Moment) {
        if self.agent.leaving.is_some() || self.beats.due().is_none_or(|due| due > now) {
            return;
        }
        self.beats.under_way = true;
        if *self.agent.books.presence() == Presence::Missing {
            self.beats.due = now + REGISTER_EVERY;
            self.register_again();
        } else {
            self.beats.due = now + BEAT_EVERY;
            self.beat(now);
        }
    }

    fn beat(&mut self, now: Moment) {
        self.beats.number += 1;
        let mut beat = BeatRecord::new(self.agent.life.incarnation(), self.beats.number);
        beat.load_milli = self.agent.load.at(now);
        let (registry, set, id) = self.agent.address();
        self.agent.effects.spawn(async move {
            if let Err(error) = registry.beat(&set, &id, &beat).await {
                tracing::debug!(instance = %id, %error, "presence could not be shown");
            }
            Event::Beaten
        });
    }

    fn register_again(&mut self) {
        let (registry, set, id) = self.agent.address();
        let (record, replaced) = (self.agent.record.clone(), self.agent.books.replaced());
        let (entry, tick) = (self.agent.entry, self.agent.mirror.snapshot().tick);
        self.agent.effects.spawn(async move {
            let again = async {
                let found = registry.instance(&set, &id).await?;
                let there = found.description.as_ref().map(|stored| stored.record.incarnation);
                let ours = |life: Incarnation| life == record.incarnation || Some(life) == replaced;
                // Whoever else has the name, the mirror shows us.
                if there.is_none_or(ours) {
                    entry.write(&registry, &set, &id, &record, tick, &found).await
                } else {
                    Ok(())
                }
            };
            Event::Registered(again.await)
        });
    }

    pub(super) fn registered_again(&mut self, result: Result<(), RegistryError>) {
        self.beats.ended();
        let (set, instance) = (&self.agent.config.set, &self.agent.config.instance);
        self.agent.participation.forget();
        match result {
            Ok(()) => tracing::warn!(%set, %instance, "the store had forgotten this instance: registered it again"),
            Err(error) => tracing::warn!(%set, %instance, %error, "the store has forgotten this instance"),
        }
    }
}
