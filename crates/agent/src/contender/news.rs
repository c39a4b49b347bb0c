//! What the books say of the lease: translates a mirror's snapshots into news for the machine.
//! Pure; a snapshot that says nothing new makes no news.

use steadfast_core::lease::{Event, Observed, Timing, Version};
use steadfast_core::settings::SetSettings;
use steadfast_core::{Moment, Nonce};
use steadfast_registry::Snapshot;

/// What was read off the snapshots so far.
#[derive(Debug)]
pub(super) struct LeaseNews {
    history: u64,
    /// The version of the lease the machine was shown last, if it was shown anything.
    shown: Option<Option<Version>>,
    contact: Option<Moment>,
    order: Option<Nonce>,
    timing: Timing,
}

impl LeaseNews {
    /// Nothing was seen; `timing` is what the machine goes by.
    pub(super) fn new(timing: Timing) -> LeaseNews {
        LeaseNews { history: 0, shown: None, contact: None, order: None, timing }
    }

    /// Takes a snapshot in. What is news in it, in order.
    pub(super) fn learn(&mut self, snapshot: &Snapshot) -> Vec<Event> {
        let mut news = Vec::new();
        if !snapshot.complete {
            return news;
        }
        if snapshot.history != self.history {
            self.history = snapshot.history;
            self.shown = None;
            self.order = None;
            news.push(Event::StoreReset);
        }
        self.learn_timing(snapshot, &mut news);
        self.learn_lease(snapshot, &mut news);
        self.learn_order(snapshot, &mut news);
        news
    }

    fn learn_timing(&mut self, snapshot: &Snapshot, news: &mut Vec<Event>) {
        let Some(SetSettings::Single(single)) = snapshot.settings else { return };
        if single.timing() != self.timing {
            self.timing = single.timing();
            news.push(Event::Retune(self.timing));
        }
    }

    fn learn_lease(&mut self, snapshot: &Snapshot, news: &mut Vec<Event>) {
        // A record that cannot be read is not an absent one: the machine hears nothing at all.
        if snapshot.unusable.keys().any(|key| key.starts_with("lease/")) {
            return;
        }
        let seen: Option<Observed> = snapshot.lease.as_ref().map(|lease| lease.observed.clone());
        let version = seen.as_ref().map(|observed| observed.version);
        if self.shown != Some(version) {
            self.shown = Some(version);
            self.contact = snapshot.contact;
            news.push(Event::Seen(seen));
        } else if self.contact != snapshot.contact {
            self.contact = snapshot.contact;
            news.push(Event::Contact);
        }
    }

    fn learn_order(&mut self, snapshot: &Snapshot, news: &mut Vec<Event>) {
        let (Some(order), Some(lease)) = (&snapshot.switchover, &snapshot.lease) else { return };
        if order.epoch == lease.observed.record.epoch.0 && self.order != Some(order.id) {
            self.order = Some(order.id);
            news.push(Event::HandOver { to: order.to.clone().map(|to| to.0) });
        }
    }
}

#[cfg(test)]
mod tests;
