//! What the books say, as far as it concerns one agent: translates a mirror's snapshots into news.
//! Pure; a snapshot that says nothing new makes no news.

use steadfast_core::lease::{Event, Observed, Timing, Version};
use steadfast_core::settings::SetSettings;
use steadfast_core::{Incarnation, InstanceId, Moment, Nonce};
use steadfast_registry::{LedgerState, Snapshot};

/// What was read off the snapshots so far.
#[derive(Debug)]
pub(crate) struct Books {
    instance: InstanceId,
    incarnation: Incarnation,
    /// The life whose record ours replaced: after a rollback the store may show it again.
    replaced: Option<Incarnation>,
    history: u64,
    /// The version of the lease the machine was shown last, if it was shown anything.
    shown: Option<Option<Version>>,
    contact: Option<Moment>,
    order: Option<Nonce>,
    timing: Timing,
    presence: Presence,
    state: Option<LedgerState>,
    trouble: Option<String>,
}

/// Our own record, as the books show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It was written; no snapshot has shown it yet.
    Expected,
    /// It is there.
    There,
    /// It was there and is gone: the store was emptied or rolled back.
    Missing,
    /// Another life of our name has replaced it.
    Replaced {
        /// Where that one is, as it says.
        place: String,
    },
}

/// What a snapshot taught.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// For the lease machine, in order.
    pub(crate) lease: Vec<Event>,
    /// The store stopped or began to answer.
    pub(crate) trouble: Option<Trouble>,
}

/// A change in whether the store answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It does not, and why.
    Began(String),
    /// It does again.
    Ended,
}

impl Books {
    /// Books of which nothing was seen; `timing` is what the machine goes by.
    pub(crate) fn new(
        instance: InstanceId,
        incarnation: Incarnation,
        replaced: Option<Incarnation>,
        timing: Timing,
    ) -> Books {
        Books {
            instance,
            incarnation,
            replaced,
            history: 0,
            shown: None,
            contact: None,
            order: None,
            timing,
            presence: Presence::Expected,
            state: None,
            trouble: None,
        }
    }

    /// Our own record.
    pub(crate) fn presence(&self) -> &Presence {
        &self.presence
    }

    /// The life whose record ours replaced.
    pub(crate) fn replaced(&self) -> Option<Incarnation> {
        self.replaced
    }

    /// Whether this life takes part, as far as the books say; `None` if they say nothing of it.
    pub(crate) fn state(&self) -> Option<LedgerState> {
        self.state.filter(|_| self.presence == Presence::There)
    }

    /// Why the store does not answer, if it does not.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Takes a snapshot in.
    pub(crate) fn learn(&mut self, snapshot: &Snapshot) -> News {
        let mut news = News { trouble: self.learn_trouble(snapshot), ..News::default() };
        if !snapshot.complete {
            return news;
        }
        if snapshot.history != self.history {
            self.history = snapshot.history;
            self.shown = None;
            self.order = None;
            news.lease.push(Event::StoreReset);
        }
        self.learn_timing(snapshot, &mut news);
        self.learn_lease(snapshot, &mut news);
        self.learn_order(snapshot, &mut news);
        self.learn_presence(snapshot);
        news
    }

    fn learn_trouble(&mut self, snapshot: &Snapshot) -> Option<Trouble> {
        let lease = snapshot.unusable.iter().find(|(key, _)| key.starts_with("lease/"));
        let trouble = snapshot.trouble.clone().or_else(|| lease.map(|(_, error)| error.to_string()));
        let before = std::mem::replace(&mut self.trouble, trouble.clone());
        match (before, trouble) {
            (None, Some(why)) => Some(Trouble::Began(why)),
            (Some(_), None) => Some(Trouble::Ended),
            _ => None,
        }
    }

    fn learn_timing(&mut self, snapshot: &Snapshot, news: &mut News) {
        let Some(SetSettings::Single(single)) = snapshot.settings else { return };
        if single.timing() != self.timing {
            self.timing = single.timing();
            news.lease.push(Event::Retune(self.timing));
        }
    }

    fn learn_lease(&mut self, snapshot: &Snapshot, news: &mut News) {
        // A record that cannot be read is not an absent one: the machine hears nothing at all.
        if snapshot.unusable.keys().any(|key| key.starts_with("lease/")) {
            return;
        }
        let seen: Option<Observed> = snapshot.lease.as_ref().map(|lease| lease.observed.clone());
        let version = seen.as_ref().map(|observed| observed.version);
        if self.shown != Some(version) {
            self.shown = Some(version);
            self.contact = snapshot.contact;
            news.lease.push(Event::Seen(seen));
        } else if self.contact != snapshot.contact {
            self.contact = snapshot.contact;
            news.lease.push(Event::Contact);
        }
    }

    fn learn_order(&mut self, snapshot: &Snapshot, news: &mut News) {
        let (Some(order), Some(lease)) = (&snapshot.switchover, &snapshot.lease) else { return };
        if order.epoch == lease.observed.record.epoch.0 && self.order != Some(order.id) {
            self.order = Some(order.id);
            news.lease.push(Event::HandOver { to: order.to.clone().map(|to| to.0) });
        }
    }

    fn learn_presence(&mut self, snapshot: &Snapshot) {
        let seen = snapshot.instances.get(&self.instance);
        let description = seen.and_then(|seen| seen.description.as_ref());
        let ours = |life: Incarnation| life == self.incarnation;
        // Nothing is concluded from a record until ours was seen: the mirror may lag behind our own write.
        self.presence = match (description, &self.presence) {
            (Some(record), _) if ours(record.incarnation) => Presence::There,
            (_, Presence::Expected) => Presence::Expected,
            (None, _) => Presence::Missing,
            (Some(record), _) if Some(record.incarnation) == self.replaced => Presence::Missing,
            (Some(record), _) => {
                Presence::Replaced { place: format!("on {} (its probe is {})", record.host, record.probe.0) }
            }
        };
        let ledger = seen.and_then(|seen| seen.ledger.as_ref());
        self.state = ledger.filter(|ledger| ours(ledger.incarnation)).map(|ledger| ledger.state);
    }
}

#[cfg(test)]
mod tests;
