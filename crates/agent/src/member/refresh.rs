//! Clients that are here stay charged: their records are written again before they expire.

use std::sync::Arc;
use std::time::Duration;

use steadfast_core::client::ClientKey;
use steadfast_core::placement::{Refusal, Wish};
use steadfast_core::settings::{Presence, SetSettings, StickySettings};
use steadfast_core::{InstanceId, SetName};
use steadfast_host::clock;
use steadfast_registry::{Mirror, PlaceError, Placer, Snapshot};
use tokio::task::JoinSet;

use super::Roster;
use crate::standing::Cell;

/// How often the roster is looked through: well within the quarter of `idle_after` that expiries are written ahead.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Clients refreshed at the same moment: they share commits, and leave room for reports.
const REFRESHED_AT_ONCE: usize = 512;

/// The clients of one instance, as its application's reports and the books have them. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    pub(crate) set: SetName,
    pub(crate) instance: InstanceId,
    pub(crate) placer: Placer,
    pub(crate) mirror: Arc<Mirror>,
    pub(crate) roster: Roster,
    /// Where the instance stands.
    pub(crate) cell: Cell,
}

/// The settings of a sticky set, as far as the books say.
pub(crate) fn sticky(snapshot: &Snapshot) -> Option<&StickySettings> {
    match &snapshot.settings {
        Some(SetSettings::Sticky(sticky)) => Some(sticky),
        _ => None,
    }
}

impl Clients {
    /// Keeps whoever is on the roster charged while the application can serve: of one that died unnoticed, or fails its
    /// checks, nobody knows who is connected, and its reports lapse with `idle_after` unless it recovers before.
    pub(crate) async fn refresh(self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let snapshot = self.mirror.snapshot();
            let Some(settings) = sticky(&snapshot).filter(|settings| settings.presence == Presence::Report) else {
                continue;
            };
            // With the store away nothing expires, and nothing can be written.
            if snapshot.trouble.is_some() || self.cell.serve_until() <= clock::now() {
                continue;
            }
            let due = self.roster.ending_before(snapshot.tick.after(Some(settings.idle_after)));
            for some in due.chunks(REFRESHED_AT_ONCE) {
                let mut asking = JoinSet::new();
                for client in some {
                    let (clients, client) = (self.clone(), client.clone());
                    asking.spawn(async move { clients.refresh_one(client).await });
                }
                while asking.join_next().await.is_some() {}
            }
        }
    }

    async fn refresh_one(&self, client: ClientKey) {
        let wish = Wish::Report { at: self.instance.clone(), weight: None };
        match self.placer.ask(client.clone(), wish).await {
            Ok(placed) => {
                if let Some(stored) = placed.client {
                    self.roster.refreshed(&client, stored.record.until);
                }
            }
            Err(PlaceError::Refused(Refusal::NotHomeHere { home })) => {
                tracing::info!(%client, %home, "a client that is connected here was moved");
                self.roster.dismiss(&client);
            }
            Err(error) => tracing::debug!(%client, %error, "a client that is connected here was not refreshed"),
        }
    }
}
