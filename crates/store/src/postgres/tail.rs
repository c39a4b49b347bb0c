//! The log, in pages.

use std::time::Duration;

use async_trait::async_trait;
use steadfast_host::clock;

use super::failure::Asked;
use super::{PACE, POLLING_PACE, Server, calls};
use crate::feed::tail::{Head, LogPage, Pages};
use crate::{Error, Revision, Space};

impl Server {
    /// The shortest interval at which a watch can prove contact.
    pub(super) fn pace(&self) -> Duration {
        self.settings.pace.unwrap_or(if self.ears.hear() { PACE } else { POLLING_PACE })
    }
}

#[async_trait]
impl Pages for Server {
    async fn page(
        &self,
        space: &Space,
        bulk: bool,
        from: Revision,
        limit: usize,
        within: Duration,
    ) -> Result<LogPage, Error> {
        let (seat, deadline) = self.seat(within).await?;
        let call = calls::page(seat.client(), &self.settings.schema, space, bulk, from, limit);
        let outcome = clock::timeout_at(deadline, call).await;
        let page = self.settle(seat, Asked::Look, outcome)?;
        self.seen.read(space, page.entries.iter().map(|entry| &entry.cursor));
        self.ears.settle();
        Ok(page)
    }

    async fn heads(&self, spaces: &[Space], within: Duration) -> Result<Vec<Head>, Error> {
        let (seat, deadline) = self.seat(within).await?;
        let outcome = clock::timeout_at(deadline, calls::heads(seat.client(), &self.settings.schema, spaces)).await;
        let heads = self.settle(seat, Asked::Look, outcome)?;
        self.ears.settle();
        Ok(heads)
    }

    fn look_every(&self, wished: Duration) -> Duration {
        let pace = self.pace();
        if self.ears.hear() { wished.max(pace) } else { pace }
    }
}
