//! What gateways said when they asked the probe: whether they still carry requests to us. A leader that hands over
//! lets them finish first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use steadfast_core::Moment;
use steadfast_host::clock;
use tokio::sync::Notify;

/// So many gateways are remembered. Of more, the one silent longest is forgotten: it may lose requests, no more.
const GATEWAYS_KEPT: usize = 256;
/// A longer name is not one of ours.
const NAME_BYTES: usize = 128;

/// The reports of every gateway. A clone is the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gateways(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    known: Mutex<BTreeMap<String, Report>>,
    news: Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Report {
    /// When it last asked.
    asked: Moment,
    /// How many requests it then carried to us.
    in_flight: u64,
    /// Since when every answer to it was a no.
    refused: Option<Moment>,
    /// That it carried nothing, it said after it knew of a no.
    let_go: bool,
}

impl Gateways {
    /// A gateway asked at `now`, carrying `in_flight` requests to us, and was (or was not) told to serve.
    pub(crate) fn heard(&self, name: &str, in_flight: u64, now: Moment, told_to_serve: bool) {
        if name.is_empty() || name.len() > NAME_BYTES {
            return;
        }
        {
            let mut known = self.known();
            if known.len() >= GATEWAYS_KEPT && !known.contains_key(name) {
                let oldest = known.iter().min_by_key(|(_, report)| report.asked).map(|(name, _)| name.clone());
                oldest.map(|oldest| known.remove(&oldest));
            }
            let before = known.get(name).and_then(|report| report.refused);
            // Before it hears the first no it may still send us something, whatever it carries as it asks.
            let let_go = !told_to_serve && before.is_some() && in_flight == 0;
            let refused = if told_to_serve { None } else { before.or(Some(now)) };
            known.insert(name.to_owned(), Report { asked: now, in_flight, refused, let_go });
        }
        self.0.news.notify_waiters();
    }

    /// Returns once every gateway heard of since `since` has let go, at `give_up` at the latest.
    /// The probe must say no by now. Answers with those that had not.
    pub(crate) async fn let_go(&self, since: Moment, give_up: Moment) -> Vec<String> {
        loop {
            let news = self.0.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            let holding = self.holding(since);
            if holding.is_empty() || clock::timeout_at(give_up, news).await.is_none() {
                return holding;
            }
        }
    }

    fn holding(&self, since: Moment) -> Vec<String> {
        let known = self.known();
        let holding = known.iter().filter(|(_, report)| report.asked >= since && !report.let_go);
        holding.map(|(name, _)| name.clone()).collect()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Report>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far back a gateway counts that asked for permission: twice as long as any permission lasts.
pub(crate) fn window(valid_for: Duration) -> Duration {
    valid_for * 2
}

#[cfg(test)]
mod tests;
