//! Turns: so that a placer that is far from the store is not kept out by one that is near.
//!
//! Whoever commits to the ledgers first wins, and the others decide again. Beside a placer whose commits follow each
//! other faster than another's way to the store and back, that other one would never win. So who loses again and again
//! says so in a record that every mirror shows, and the others let one commit of somebody else go first. It decides
//! nothing: a turn that is asked for by the dead costs a pause, and one that nobody hears of costs nothing.

use std::time::Duration;

use steadfast_core::{Moment, Nonce, SetName};
use steadfast_store::{Batch, Revision};

use super::queue::left;
use crate::records::{Extras, TurnRecord};
use crate::registry::{CALL_WITHIN, put};
use crate::{Mirror, Registry, Snapshot, keys};

/// Commits lost in a row before a turn is asked for, and again after so many more. Who was kept out just before asks at
/// the first loss.
pub(super) const LOSSES_BEFORE_ASKING: u32 = 3;
/// How long one commit of somebody else is waited for: several times the way to a store and back.
const PAUSE: Duration = Duration::from_millis(200);

/// What one placer knows of turns.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The one it asked for last.
    asked: Option<Nonce>,
    /// It asked since its last commit.
    asks: bool,
    /// Its last commit took a turn.
    kept_out: bool,
    /// The last one it gave.
    given: Revision,
    /// The newest commit of somebody else to a ledger, as far as conflicts showed.
    others: Revision,
}

impl Turns {
    /// A ledger was found to have this version, which this placer did not write.
    pub(super) fn others_wrote(&mut self, version: Revision) {
        self.others = self.others.max(version);
    }

    /// Whether it is time to ask, with so many commits lost in a row.
    pub(super) fn wants_one(&self, losses: u32) -> bool {
        let first = if self.kept_out { 1 } else { LOSSES_BEFORE_ASKING };
        losses.checked_sub(first).is_some_and(|more| more % LOSSES_BEFORE_ASKING == 0)
    }

    /// A commit went through.
    pub(super) fn won(&mut self) {
        self.kept_out = std::mem::take(&mut self.asks);
    }

    /// Asks for a turn. Where that fails somebody else has just asked, and all the others give way as well.
    pub(super) async fn ask(&mut self, registry: &Registry, set: &SetName, seen: &Snapshot, by: &str, until: Moment) {
        let id = Nonce(steadfast_host::random::u64());
        let (version, extras) = match &seen.turn {
            Some(turn) => (Some(turn.version), turn.record.extras.clone()),
            None => (None, Extras::new()),
        };
        (self.asked, self.asks) = (Some(id), true);
        let record = TurnRecord { id, by: by.to_owned(), extras };
        let batch = Batch { space: keys::space(set), changes: vec![put(&keys::turn(set), version, &record)] };
        if let Err(error) = registry.store.commit(batch, left(until).min(CALL_WITHIN)).await {
            tracing::debug!(%set, %error, "a turn could not be asked for");
        }
    }

    /// Lets somebody else go first, if somebody asked for that since this was called last. `last` is this placer's own
    /// last commit.
    pub(super) async fn give(&mut self, mirror: &Mirror, last: Revision) {
        let mut snapshots = mirror.subscribe();
        let Some(turn) = snapshots.borrow().turn.clone() else { return };
        let new = turn.version > self.given && Some(turn.record.id) != self.asked;
        self.given = self.given.max(turn.version);
        if !new || self.others > turn.version {
            return;
        }
        let after = last.max(turn.version);
        let taken = |snapshot: &Snapshot| snapshot.instances.values().any(|seen| seen.ledger_version > after);
        drop(tokio::time::timeout(PAUSE, snapshots.wait_for(|snapshot| taken(snapshot))).await);
    }
}
