//! Keeps the tally of the fleet: which camera is at home where, who moved, and whether one ever had two homes. Pure:
//! sightings come in, findings go out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use steadfast_core::Moment;

use super::fleet::{CAMERAS, Home, Seen};

/// The tally so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// What is known of each camera.
    cameras: BTreeMap<usize, Known>,
    /// Sessions that stood.
    pub(super) sessions: u64,
    /// Times that a camera was refused or cut off.
    pub(super) aways: u64,
    /// Why, and how often.
    pub(super) reasons: BTreeMap<String, u64>,
    /// Homes that a camera cannot have had, if it has one at a time.
    pub(super) double_homes: u64,
    /// Changes of home.
    pub(super) moves: u64,
    /// Since when all have been at home.
    pub(super) all_home: Option<Moment>,
}

/// A camera.
#[derive(Debug, Default)]
struct Known {
    home: Option<String>,
    /// A session of it stands.
    at_home: bool,
    /// How often it was sent elsewhere than the time before.
    changes: u64,
}

/// A camera changed its home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    /// Which.
    pub(super) camera: usize,
    /// Where it was.
    pub(super) from: String,
    /// Where it is.
    pub(super) to: String,
    /// Since when.
    pub(super) at: Moment,
}

impl Tally {
    /// Takes a sighting, and says whether a camera moved.
    pub(super) fn take(&mut self, seen: Seen) -> Option<Moved> {
        let moved = match seen {
            Seen::Home(home) => self.arrived(home),
            Seen::Away { camera, why } => {
                self.aways += 1;
                *self.reasons.entry(why).or_default() += 1;
                self.cameras.entry(camera).or_default().at_home = false;
                None
            }
        };
        let all = self.at_home() == CAMERAS.len();
        if !all {
            self.all_home = None;
        }
        moved
    }

    fn arrived(&mut self, seen: Home) -> Option<Moved> {
        let known = self.cameras.entry(seen.camera).or_default();
        self.double_homes += u64::from(seen.named.is_some_and(|named| named != seen.recorder));
        self.sessions += u64::from(seen.complete);
        known.at_home |= seen.complete;
        let before = known.home.replace(seen.recorder.clone());
        let from = before.filter(|before| *before != seen.recorder);
        known.changes += u64::from(from.is_some());
        if self.all_home.is_none() && self.at_home() == CAMERAS.len() {
            self.all_home = Some(seen.at);
        }
        let from = from?;
        self.moves += 1;
        Some(Moved { camera: seen.camera, from, to: seen.recorder, at: seen.at })
    }

    /// Compares with the books: a camera at owner epoch n has moved n - 1 times, and asks one thing after the other. If
    /// it was sent elsewhere more often than that, it was sent to a home it did not have.
    pub(super) fn compare(&mut self, owner_epochs: &BTreeMap<usize, u64>) {
        for (camera, epoch) in owner_epochs {
            let changes = self.cameras.get(camera).map_or(0, |known| known.changes);
            self.double_homes += changes.saturating_sub(epoch.saturating_sub(1));
        }
    }

    /// How many are at home.
    pub(super) fn at_home(&self) -> usize {
        self.cameras.values().filter(|known| known.at_home).count()
    }

    /// The cameras whose home this is, by what they met last.
    pub(super) fn of(&self, recorder: &str) -> BTreeSet<usize> {
        let at = |known: &Known| known.home.as_deref() == Some(recorder);
        self.cameras.iter().filter(|(_, known)| at(known)).map(|(camera, _)| *camera).collect()
    }

    /// How many are at each recorder.
    pub(super) fn homes(&self) -> BTreeMap<&str, usize> {
        let mut homes = BTreeMap::new();
        for home in self.cameras.values().filter_map(|known| known.home.as_deref()) {
            *homes.entry(home).or_default() += 1;
        }
        homes
    }

    /// Whether all of these are at home, none of them at `recorder`.
    pub(super) fn all_elsewhere(&self, cameras: &BTreeSet<usize>, recorder: &str) -> bool {
        let elsewhere = |known: &Known| known.at_home && known.home.as_deref() != Some(recorder);
        cameras.iter().all(|camera| self.cameras.get(camera).is_some_and(elsewhere))
    }

    /// Whether all of these are at home at `recorder`.
    pub(super) fn all_at(&self, cameras: &BTreeSet<usize>, recorder: &str) -> bool {
        let there = |known: &Known| known.at_home && known.home.as_deref() == Some(recorder);
        cameras.iter().all(|camera| self.cameras.get(camera).is_some_and(there))
    }
}

/// Moves that belong together: told once no more come for a while.
#[derive(Debug, Default)]
pub(super) struct Burst {
    ways: BTreeMap<(String, String), usize>,
    last: Option<Moment>,
}

impl Burst {
    pub(super) fn add(&mut self, moved: &Moved) {
        *self.ways.entry((moved.from.clone(), moved.to.clone())).or_default() += 1;
        self.last = Some(moved.at);
    }

    /// The moves since the last burst, if the last of them is `quiet` ago: from where to where, and how many.
    pub(super) fn over(&mut self, now: Moment, quiet: Duration) -> Option<BTreeMap<(String, String), usize>> {
        self.last.take_if(|last| now.since(*last) >= quiet)?;
        Some(std::mem::take(&mut self.ways))
    }
}

#[cfg(test)]
mod tests;
