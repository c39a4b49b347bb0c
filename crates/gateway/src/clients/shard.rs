//! One part of the table: an array of slots of forty bytes, open addressing, grown by a quarter at a time.
//!
//! A slot is found by the upper half of its hash, scaled to the number of slots, and from there on by looking at the
//! next ones. Removing closes the gap, so there are no tombstones. Between two growths at least 68 of 100 slots are
//! full, which is what keeps a client below 64 bytes.

use std::collections::HashMap;

use steadfast_core::placement::{Phase, Tick};
use steadfast_core::{Epoch, Weight};

use super::Hash;

/// An array grows when more than this part of it would be full, in hundredths.
const FULLEST_PERCENT: usize = 85;
/// The smallest array that is not empty.
const FEWEST_SLOTS: usize = 16;
/// A clock hand that has passed so many slots takes the next client it meets.
const LONGEST_SWEEP: usize = 64;

/// Clients of one part whose tries are counted in a round. Beyond: they wait for the next one.
const MOST_TRYING: usize = 256;

/// What is known of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The revision that wrote its record.
    pub(crate) version: u64,
    /// Its home's number.
    pub(crate) home: u32,
    pub(crate) epoch: Epoch,
    pub(crate) phase: Phase,
    /// When the phase ends.
    pub(crate) until: Tick,
    /// What it said it weighs.
    pub(crate) declared: Weight,
    /// It lost a home to which its set may return it.
    pub(crate) returns: bool,
}

/// A slot: 40 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    hash: Hash,
    version: u64,
    /// Declared weight 40 bits, home 19, returns 1, phase 2 (0: the slot is empty), asked 1, met 1.
    word: u64,
    /// The end of the phase 32 bits, owner epoch 32.
    time: u64,
}

const EMPTY: Slot = Slot { hash: Hash(0, 0), version: 0, word: 0, time: 0 };
const WEIGHT_BITS: u32 = 40;
const HOME_BITS: u32 = 19;
const RETURNS_AT: u32 = WEIGHT_BITS + HOME_BITS;
const PHASE_AT: u32 = RETURNS_AT + 1;
/// Something was asked of the books for this client and has not come back.
const ASKED: u64 = 1 << 62;
/// It was looked up since the hand passed last.
const MET: u64 = 1 << 63;

/// How many homes can be told apart.
pub(super) const MOST_HOMES: u32 = 1 << HOME_BITS;

impl Slot {
    /// `None` if something of the entry does not fit: it is then not remembered, and asked for each time.
    pub(super) fn new(hash: Hash, entry: &Entry) -> Option<Slot> {
        let weight = entry.declared.as_milli();
        let epoch = u32::try_from(entry.epoch.0).ok()?;
        let until = match entry.until {
            Tick::NEVER => u32::MAX,
            Tick(tick) => u32::try_from(tick).ok().filter(|tick| *tick != u32::MAX)?,
        };
        if weight >= 1 << WEIGHT_BITS || entry.home >= MOST_HOMES {
            return None;
        }
        let phase: u64 = match entry.phase {
            Phase::Reserved => 1,
            Phase::Active => 2,
            Phase::Idle => 3,
        };
        Some(Slot {
            hash,
            version: entry.version,
            word: weight
                | u64::from(entry.home) << WEIGHT_BITS
                | u64::from(entry.returns) << RETURNS_AT
                | phase << PHASE_AT,
            time: u64::from(until) << 32 | u64::from(epoch),
        })
    }

    fn is_empty(&self) -> bool {
        (self.word >> PHASE_AT) & 3 == 0
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn entry(&self) -> Entry {
        let until = (self.time >> 32) as u32;
        Entry {
            version: self.version,
            home: (self.word >> WEIGHT_BITS) as u32 & (MOST_HOMES - 1),
            epoch: Epoch(self.time & u64::from(u32::MAX)),
            phase: match (self.word >> PHASE_AT) & 3 {
                1 => Phase::Reserved,
                2 => Phase::Active,
                _ => Phase::Idle,
            },
            until: if until == u32::MAX { Tick::NEVER } else { Tick(u64::from(until)) },
            declared: Weight::from_milli(self.word & ((1 << WEIGHT_BITS) - 1)).unwrap_or(Weight::MAX),
            returns: self.word >> RETURNS_AT & 1 == 1,
        }
    }

    pub(super) fn meet(&mut self) {
        self.word |= MET;
    }

    /// Notes that something is asked. False if something is already.
    pub(super) fn ask(&mut self) -> bool {
        let free = self.word & ASKED == 0;
        self.word |= ASKED;
        free
    }

    pub(super) fn is_asked(&self) -> bool {
        self.word & ASKED != 0
    }

    pub(super) fn answered(&mut self) {
        self.word &= !ASKED;
    }

    pub(super) fn declare(&mut self, weight: Weight) {
        let mask = (1 << WEIGHT_BITS) - 1;
        self.word = self.word & !mask | weight.as_milli().min(mask);
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Shard {
    slots: Box<[Slot]>,
    used: usize,
    hand: usize,
    /// The highest version of anything that was known here and is not any more: forgotten, or made room.
    pub(super) lost: u64,
    /// Counts how often everything was cleared.
    pub(super) generation: u64,
    tries: Tries,
}

/// How often what may be tried only so often was tried for a client, in one round.
#[derive(Debug, Default)]
struct Tries {
    round: u64,
    counts: HashMap<Hash, u8>,
}

impl Shard {
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// Bytes of the array.
    pub(super) fn bytes(&self) -> usize {
        std::mem::size_of_val(&*self.slots)
    }

    pub(super) fn find(&mut self, hash: Hash) -> Option<&mut Slot> {
        let place = self.place(hash)?;
        self.slots.get_mut(place)
    }

    fn place(&self, hash: Hash) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let mut place = self.ideal(hash);
        loop {
            let slot = &self.slots[place];
            if slot.is_empty() {
                return None;
            }
            if slot.hash == hash {
                return Some(place);
            }
            place = self.next(place);
        }
    }

    /// Puts in a client that is not there. At `most` clients another one makes room: the number of those that did.
    pub(super) fn insert(&mut self, slot: Slot, most: usize) -> usize {
        let mut evicted = 0;
        while self.used >= most.max(1) {
            self.evict();
            evicted += 1;
        }
        if (self.used + 1) * 100 > self.slots.len() * FULLEST_PERCENT {
            self.grow();
        }
        self.put(slot);
        self.used += 1;
        evicted
    }

    pub(super) fn remove(&mut self, hash: Hash) -> bool {
        let found = self.place(hash);
        if let Some(place) = found {
            self.lost = self.lost.max(self.slots[place].version);
            self.close(place);
        }
        found.is_some()
    }

    /// Empties it: what was known is worth nothing.
    pub(super) fn clear(&mut self) -> usize {
        let was = self.used;
        *self = Shard { generation: self.generation + 1, ..Shard::default() };
        was
    }

    /// Notes a try. False where there were `most` in this round, or too many clients have tried.
    pub(super) fn try_in(&mut self, hash: Hash, round: u64, most: u8) -> bool {
        if self.tries.round != round {
            self.tries = Tries { round, ..Tries::default() };
        }
        let counts = &mut self.tries.counts;
        if counts.len() >= MOST_TRYING && !counts.contains_key(&hash) {
            return false;
        }
        let count = counts.entry(hash).or_default();
        let may = *count < most;
        *count += u8::from(may);
        may
    }

    /// The first slot that a hash may be in. The upper half of the product is as evenly spread as the hash.
    fn ideal(&self, hash: Hash) -> usize {
        ((u128::from(hash.0) * self.slots.len() as u128) >> 64) as usize
    }

    fn next(&self, place: usize) -> usize {
        if place + 1 == self.slots.len() { 0 } else { place + 1 }
    }

    /// There is room, and it is not there yet.
    fn put(&mut self, slot: Slot) {
        let mut place = self.ideal(slot.hash);
        while !self.slots[place].is_empty() {
            place = self.next(place);
        }
        self.slots[place] = slot;
    }

    fn grow(&mut self) {
        let slots = (self.slots.len() + self.slots.len() / 4).max(FEWEST_SLOTS);
        let old = std::mem::replace(&mut self.slots, vec![EMPTY; slots].into_boxed_slice());
        // In their order, so that the new array is written from its beginning to its end.
        old.iter().filter(|slot| !slot.is_empty()).for_each(|slot| self.put(*slot));
        self.hand = 0;
    }

    /// Takes away one that was not looked up lately, as a clock's hand finds it.
    fn evict(&mut self) {
        for passed in 0.. {
            let place = self.hand % self.slots.len();
            self.hand = self.next(place);
            let slot = &mut self.slots[place];
            if slot.is_empty() {
                continue;
            }
            if slot.word & MET == 0 || passed >= LONGEST_SWEEP {
                self.lost = self.lost.max(slot.version);
                self.close(place);
                return;
            }
            slot.word &= !MET;
        }
    }

    /// Empties a slot, and moves those behind it that would not be found any more.
    fn close(&mut self, place: usize) {
        let slots = self.slots.len();
        let distance = |from: usize, to: usize| if to >= from { to - from } else { to + slots - from };
        let (mut hole, mut place) = (place, place);
        loop {
            place = self.next(place);
            let slot = self.slots[place];
            if slot.is_empty() {
                break;
            }
            let ideal = self.ideal(slot.hash);
            if distance(ideal, hole) <= distance(ideal, place) {
                self.slots[hole] = slot;
                hole = place;
            }
        }
        self.slots[hole] = EMPTY;
        self.used -= 1;
    }
}

#[cfg(test)]
mod tests;
