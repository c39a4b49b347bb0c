//! What keepers do: raise the clock, expire, move at a drain's deadline, declare losses.

use steadfast_core::placement::{LedgerState, Reason, TICK, Tick, Wish};

use super::broken::Broken;
use super::faults::Edit;
use super::store::{Change, Expect, Key, Value, Write};
use super::world::{Event, World};
use crate::clock::{MS, True};
use crate::world::trace;

/// A keeper looks at everything so often.
const ROUND: True = 700 * MS;
/// An instance nobody heard of for so long is lost.
const LOST_AFTER: True = 10_000 * MS;

impl World {
    pub(crate) fn keep(&mut self, placer: usize) {
        let life = self.placers[placer].life;
        self.after(ROUND, Event::Keep { placer, life });
        self.raise_clock(placer);
        let quiet = self.placers[placer].queue.is_empty() && self.placers[placer].flight.is_none();
        if quiet && self.placers[placer].seen.is_some() {
            self.look_after_clients(placer);
        }
        for index in 0..self.instances.len() {
            let instance = &self.instances[index];
            let lost = !instance.alive && self.now >= instance.silent_since + LOST_AFTER;
            let ledger = self.placers[placer].ledgers.get(&instance.id);
            if lost && ledger.is_some_and(|shown| !shown.ledger.state.is_lost()) {
                let edit = Edit::Lost(instance.incarnation);
                self.edit(index, edit);
            }
        }
    }

    /// A tick lasts at least [`TICK`]: whoever raises the clock has itself seen it stand still for that long, and
    /// commits on the version it saw. So two keepers at once do not make it run faster.
    fn raise_clock(&mut self, placer: usize) {
        let local = self.placers[placer].clock.local(self.now).as_nanos();
        let keeper = &mut self.placers[placer];
        if keeper.seen.is_none() || local < keeper.tick_seen + TICK.as_millis() * MS {
            return;
        }
        let (version, tick) = match self.broken {
            Broken::TicksByOwnTimer => {
                keeper.tick_seen = local;
                let now = self.store.records.get(&Key::Clock).map_or(0, |record| record.version);
                (now, self.store.tick())
            }
            _ => keeper.tick,
        };
        let delay = self.random.between(MS, 20 * MS);
        self.after(delay, Event::Tick { expect: version, tick: Tick(tick.0 + 1) });
    }

    pub(crate) fn write_clock(&mut self, expect: Expect, tick: Tick) {
        let change = Change { key: Key::Clock, expect, write: Write::Put(Value::Clock(tick)) };
        if let Ok((_, touched)) = self.store.commit(&[change]) {
            trace!(self, "tick {tick}");
            self.judge.committed(self.now, &self.store, &touched, &Default::default());
        }
    }

    fn look_after_clients(&mut self, placer: usize) {
        let tick = match self.broken {
            Broken::ExpiryByWallClock => self.wall_tick(placer),
            _ => self.placers[placer].tick.1,
        };
        let mut asks = Vec::new();
        for (client, (_, known)) in &self.placers[placer].table {
            let ledger = self.placers[placer].ledgers.get(&known.home).map(|shown| &shown.ledger);
            let to_leave = ledger.is_some_and(|ledger| {
                ledger.state == LedgerState::Draining && ledger.move_at.is_some_and(|move_at| move_at <= tick)
            });
            if known.until <= tick {
                asks.push((client.clone(), Wish::Expire));
            } else if to_leave {
                asks.push((
                    client.clone(),
                    Wish::Move {
                        from: Some(known.home.clone()),
                        to: None,
                        reason: Reason::Drained,
                        certain_to_leave: known.owner_epoch.0 % 2 == 1,
                    },
                ));
            }
        }
        for (client, wish) in asks {
            let index = self.clients.iter().position(|known| *known == client).unwrap_or_default();
            self.ask(placer, index, wish);
        }
    }

    /// The tick by this process's wall clock, which was set by hand.
    pub(crate) fn wall_tick(&self, placer: usize) -> Tick {
        let elapsed = self.now * self.placers[placer].clock.rate_ppm / 1_000_000;
        let ahead = (placer as u64 % 3) * 20_000 * MS;
        Tick((elapsed + ahead) / (TICK.as_millis() * MS))
    }
}
