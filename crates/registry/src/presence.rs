//! Presence: the beats of a set's instances, polled. What load they report, and since when one is silent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use steadfast_core::{Incarnation, InstanceId, Moment, SetName};
use steadfast_host::clock;
use tokio::sync::watch;

use crate::{BeatRecord, Error, Registry, keys};

/// How often beats are polled: about as often as they are written.
pub(crate) const POLL_EVERY: Duration = Duration::from_secs(2);

/// What was heard of one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beating {
    /// Which life of it beats.
    pub incarnation: Incarnation,
    /// Its counter.
    pub beat: u64,
    /// When the counter was seen to change last, by this process' clock. A store that does not answer moves it:
    /// silence counts only while the store is heard.
    pub changed: Moment,
    /// The load it reported with it, in thousandths.
    pub load_milli: Option<u64>,
}

/// Every instance that was heard of.
pub type Beats = BTreeMap<InstanceId, Beating>;

impl Registry {
    /// Polls the beats of `set`; every poll that was answered is news, whether or not anybody beat. Must be called
    /// inside a Tokio runtime; ends when the receiver is dropped.
    pub fn follow_beats(&self, set: &SetName) -> watch::Receiver<Arc<Beats>> {
        let (publish, beats) = watch::channel(Arc::default());
        let (registry, set) = (self.clone(), set.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = registry.poll_beats(&set, &publish) => {}
                () = publish.closed() => {}
            }
        });
        beats
    }

    async fn poll_beats(&self, set: &SetName, publish: &watch::Sender<Arc<Beats>>) {
        let mut known = Beats::new();
        let mut heard: Option<Moment> = None;
        loop {
            match self.beat_records(set).await {
                Ok(records) => {
                    let now = clock::now();
                    known = compare(&known, records, heard, now);
                    heard = Some(now);
                    publish.send_replace(Arc::new(known.clone()));
                }
                Err(error) => tracing::debug!(%set, %error, "beats could not be read"),
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// The beats as they are now, as if every one of them had just changed: one look cannot tell.
    pub(crate) async fn beats_now(&self, set: &SetName) -> Result<Beats, Error> {
        let records = self.beat_records(set).await?;
        Ok(compare(&Beats::new(), records, None, clock::now()))
    }

    async fn beat_records(&self, set: &SetName) -> Result<Vec<(InstanceId, BeatRecord)>, Error> {
        let found = self.all_readable::<BeatRecord>(&keys::space(set), keys::BEATS.as_bytes()).await?;
        Ok(found.into_iter().filter_map(|(id, beat)| Some((id.parse().ok()?, beat.record))).collect())
    }
}

/// What is known after a poll at `now`, given what was known after the one at `heard`.
fn compare(known: &Beats, records: Vec<(InstanceId, BeatRecord)>, heard: Option<Moment>, now: Moment) -> Beats {
    // What lies between two polls beyond their usual distance is the store's silence, and nobody else's.
    let unheard = heard.map_or(Duration::ZERO, |heard| now.since(heard + POLL_EVERY));
    let records = records.into_iter().map(|(id, record)| {
        let same = |seen: &&Beating| seen.incarnation == record.incarnation && seen.beat == record.beat;
        let changed = known.get(&id).filter(same).map_or(now, |seen| (seen.changed + unheard).min(now));
        let BeatRecord { incarnation, beat, load_milli, .. } = record;
        (id, Beating { incarnation, beat, changed, load_milli })
    });
    records.collect()
}

#[cfg(test)]
mod tests;
