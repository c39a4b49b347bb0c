//! When which client's phase ends, in about 80 bytes a client, since there may be millions.
//!
//! A client is entered under a tick at or before the one that counts, and entered anew when that comes too early: so a
//! change costs an entry only if it makes the end come sooner. It is never entered further ahead than
//! [`HORIZON_TICKS`], so what is void is not kept for long.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};

use steadfast_core::client::ClientKey;
use steadfast_core::placement::Tick;

/// Ten minutes.
const HORIZON_TICKS: u32 = 120;

/// The clients by when they are to be looked at.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// By a keyed hash of the client. Should two share one, an end is noticed late, or asked for early and refused.
    times: HashMap<u64, Times>,
    due: BTreeMap<u32, Vec<Box<[u8]>>>,
    hasher: RandomState,
    now: u32,
}

#[derive(Clone, Copy, Debug)]
struct Times {
    entered: u32,
    until: u32,
}

impl Index {
    /// Of nobody yet, at this time.
    pub(super) fn at(tick: Tick) -> Index {
        Index { now: u32::try_from(tick.0).unwrap_or(u32::MAX), ..Index::default() }
    }

    /// A client's phase ends then; `None`: it is forgotten.
    pub(super) fn learn(&mut self, client: &ClientKey, until: Option<Tick>) {
        let hash = self.hasher.hash_one(client);
        let until = match until {
            None | Some(Tick::NEVER) => {
                self.times.remove(&hash);
                return;
            }
            Some(tick) => u32::try_from(tick.0).unwrap_or(u32::MAX),
        };
        let enter = until.min(self.now.saturating_add(HORIZON_TICKS));
        match self.times.get_mut(&hash) {
            Some(times) if times.entered <= enter => times.until = until,
            _ => {
                self.times.insert(hash, Times { entered: enter, until });
                self.due.entry(enter).or_default().push(client.as_bytes().into());
            }
        }
    }

    /// The same of a client that was read at an unknown time: it counts only if nothing was heard of it.
    pub(super) fn learn_if_new(&mut self, client: &ClientKey, until: Tick) {
        if !self.times.contains_key(&self.hasher.hash_one(client)) {
            self.learn(client, Some(until));
        }
    }

    /// At most `most` clients whose phase has ended at `tick`; they are not in the index any more. As many entries are
    /// looked at in one call, so fewer may come back though more are due.
    pub(super) fn take_due(&mut self, tick: Tick, most: usize) -> Vec<ClientKey> {
        self.now = u32::try_from(tick.0).unwrap_or(u32::MAX);
        let mut ended = Vec::new();
        for _ in 0..most {
            let Some(mut first) = self.due.first_entry().filter(|first| *first.key() <= self.now) else { break };
            let entered = *first.key();
            let Some(bytes) = first.get_mut().pop() else {
                first.remove();
                continue;
            };
            let Ok(client) = ClientKey::new(&bytes) else { continue };
            let hash = self.hasher.hash_one(&client);
            let Some(times) = self.times.get(&hash).copied().filter(|times| times.entered == entered) else { continue };
            self.times.remove(&hash);
            if times.until <= self.now {
                ended.push(client);
            } else {
                self.learn(&client, Some(Tick(times.until.into())));
            }
        }
        ended
    }

    /// Whether anybody may be due at the tick that was named last.
    pub(super) fn has_due(&self) -> bool {
        self.due.first_key_value().is_some_and(|(tick, _)| *tick <= self.now)
    }

    /// How many clients are in it.
    pub(super) fn len(&self) -> usize {
        self.times.len()
    }
}

#[cfg(test)]
mod tests;
