//! Turns: so that a placer that is far from the store is not kept out by one that is near.
//!
//! Whoever commits to the ledgers first wins, and the others decide again. Beside a placer whose commits follow each
//! other faster than another's way to the store and back, that other one would never win. So who loses again and again
//! says so in a record that every mirror shows, and the others let one commit of somebody else go first. It decides
//! nothing: a turn that is asked for by the dead costs a pause, and one that nobody hears of costs nothing.

use std::time::Duration;

use steadfast_core::{Moment, Nonce, SetName};
use steadfast_store::{self as store, Batch, Key, Record, Revision};

use super::queue::left;
use crate::records::{Extras, TurnRecord};
use crate::registry::{CALL_WITHIN, put, stored};
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
    /// The last one it gave, or that had been asked for before this placer began; `None`: it has not seen the books yet.
    given: Option<Revision>,
    /// The version of the record and its unknown fields, as an ask of its own showed them last: newer, perhaps, than what a
    /// snapshot shows, above all for a placer that looked only once.
    stands: Option<(Revision, Extras)>,
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

    /// Asks for a turn. Where that fails somebody else has asked since, and all the others give way as well; the next ask
    /// knows of it.
    pub(super) async fn ask(&mut self, registry: &Registry, set: &SetName, seen: &Snapshot, by: &str, until: Moment) {
        let id = Nonce(steadfast_host::random::u64());
        let shown = seen.turn.as_ref().map(|turn| (turn.version, turn.record.extras.clone()));
        let newest = [shown, self.stands.clone()].into_iter().flatten().max_by_key(|(version, _)| *version);
        let (version, extras) = newest.map_or((None, Extras::new()), |(version, extras)| (Some(version), extras));
        (self.asked, self.asks) = (Some(id), true);
        let (key, record) = (keys::turn(set), TurnRecord { id, by: by.to_owned(), extras });
        let batch = Batch { space: key.space.clone(), changes: vec![put(&key, version, &record)] };
        match registry.store.commit(batch, left(until).min(CALL_WITHIN)).await {
            Ok(cursor) => self.stands = Some((cursor.revision, record.extras)),
            Err(error) => {
                tracing::debug!(%set, %error, "a turn could not be asked for");
                if let store::Error::Conflict(current) = error {
                    self.stands = current.into_iter().find_map(|(_, record)| stands(&key, &record?));
                }
            }
        }
    }

    /// Lets somebody else go first, if somebody asked for that since this was called last. `last` is this placer's own
    /// last commit.
    pub(super) async fn give(&mut self, mirror: &Mirror, last: Revision) {
        let mut snapshots = mirror.subscribe();
        let seen = snapshots.borrow().clone();
        if !seen.complete {
            return;
        }
        let newest = seen.turn.as_ref().map(|turn| turn.version).unwrap_or_default();
        // What was asked for before this placer began was given by others, or is asked for again.
        let given = self.given.replace(newest).unwrap_or(newest);
        let Some(turn) = seen.turn.as_ref().filter(|turn| turn.version > given) else { return };
        if Some(turn.record.id) == self.asked || self.others > turn.version {
            return;
        }
        let after = last.max(turn.version);
        let taken = |snapshot: &Snapshot| snapshot.instances.values().any(|seen| seen.ledger_version > after);
        drop(tokio::time::timeout(PAUSE, snapshots.wait_for(|snapshot| taken(snapshot))).await);
    }
}

/// The version and the unknown fields of the record that is there.
fn stands(key: &Key, record: &Record) -> Option<(Revision, Extras)> {
    stored::<TurnRecord>(key, record).ok().map(|turn| (turn.version, turn.record.extras))
}

#[cfg(test)]
mod tests;
