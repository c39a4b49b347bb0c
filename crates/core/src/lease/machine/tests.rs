use alloc::vec::Vec;

use super::*;
use crate::Span;
use crate::lease::{Phase, Version};

mod legality;
mod rules;

/// One machine on a stage: events in at a millisecond, and what it asked for out.
struct Stage {
    machine: Machine,
    now_ms: u64,
    asked: Vec<Action>,
}

const READ: Action = Action::Read { within: Duration::from_millis(500) };
const ME: &str = "web-1";
const OTHER: &str = "web-2";
const TTL_MS: u64 = 3_000;
const RENEW_EVERY_MS: u64 = 750;
/// TTL − margin.
const LASTS_MS: u64 = 2_400;

impl Stage {
    /// A machine of the default timing that has seen nothing, at a second past boot.
    fn new() -> Stage {
        Stage::remembering(Memory::default())
    }

    fn remembering(memory: Memory) -> Stage {
        let machine = Machine::new(ME.parse().unwrap(), Incarnation(1), Timing::default(), memory, 7);
        Stage { machine, now_ms: 1_000, asked: Vec::new() }
    }

    /// A fit candidate that has watched this record, as version 10, for as long as a renewal takes.
    fn watching(record: LeaseRecord) -> Stage {
        let mut stage = Stage::new();
        stage.event(Event::Fit(true));
        stage.sees(9, held_by_other(3));
        stage.keep_in_touch(RENEW_EVERY_MS);
        stage.sees(10, record);
        stage.asked.clear();
        stage
    }

    /// One that leads epoch 5 since now, its take having been sent now and committed as version 10.
    fn leading() -> Stage {
        let mut stage = Stage::new();
        stage.event(Event::Fit(true));
        stage.sees(9, held_by_other(4));
        stage.keep_in_touch(TTL_MS);
        let take = stage.attempt(Hold::Take);
        stage.commits(take.record.nonce, 10);
        assert_eq!(stage.phase(), Phase::Leading);
        stage.asked.clear();
        stage
    }

    /// One whose release of epoch 5, over version 10, is on its way.
    fn releasing() -> Stage {
        let mut stage = Stage::leading();
        stage.event(Event::HandOver { to: None });
        stage.event(Event::Stopped);
        assert_eq!(stage.phase(), Phase::Releasing);
        stage
    }

    fn now(&self) -> Moment {
        Moment::from_nanos(self.now_ms * 1_000_000)
    }

    /// One step of the shell.
    fn event(&mut self, event: Event) {
        self.machine.handle(self.now(), event);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(action) = self.machine.next_action(self.now()) {
            self.asked.push(action);
        }
        assert!(self.machine.deadline().is_none_or(|deadline| deadline > self.now()), "would spin: {:?}", self.machine);
    }

    /// Lets time pass as the shell would: a tick at every deadline on the way.
    fn pass(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while let Some(deadline) = self.machine.deadline().map(|at| at.as_nanos().div_ceil(1_000_000))
            && deadline <= end_ms
        {
            self.now_ms = deadline.max(self.now_ms + 1);
            self.tick();
        }
        self.now_ms = end_ms;
        self.tick();
    }

    /// Lets time pass without the process running: one tick at the end.
    fn freeze(&mut self, ms: u64) {
        self.now_ms += ms;
    }

    fn tick(&mut self) {
        self.machine.tick(self.now());
        self.drain();
    }

    /// Lets time pass while the store gives signs of life.
    fn keep_in_touch(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while self.now_ms < end_ms {
            self.pass(250.min(end_ms - self.now_ms));
            self.event(Event::Contact);
        }
    }

    fn sees(&mut self, version: u64, record: LeaseRecord) {
        self.event(Event::Seen(Some(Observed { version: Version(version), record })));
    }

    fn settles(&mut self, nonce: Nonce, outcome: Outcome) {
        self.event(Event::Settled { nonce, outcome });
    }

    fn commits(&mut self, nonce: Nonce, version: u64) {
        self.settles(nonce, Outcome::Committed(Version(version)));
    }

    /// The attempt asked for last, which must be of this kind; what was asked before is forgotten.
    fn attempt(&mut self, hold: Hold) -> Attempt {
        let asked = core::mem::take(&mut self.asked);
        let last = asked.iter().rev().find_map(|action| match action {
            Action::Attempt(attempt) => Some(attempt.clone()),
            _ => None,
        });
        match last {
            Some(attempt) if attempt.hold == hold => attempt,
            _ => panic!("expected {hold:?}, asked for {asked:?} in {:?}", self.machine),
        }
    }

    fn asked_for_attempt(&self) -> bool {
        self.asked.iter().any(|action| matches!(action, Action::Attempt(_)))
    }

    fn phase(&self) -> Phase {
        self.machine.standing().phase
    }

    /// How long it may serve from now, in milliseconds.
    fn serves_ms(&self) -> Option<u128> {
        self.machine.standing().serving(self.now()).map(|(_, valid_for)| valid_for.as_millis())
    }
}

fn record(holder: &str, incarnation: u64, epoch: u64, nonce: u64) -> LeaseRecord {
    LeaseRecord {
        epoch: Epoch(epoch),
        holder: holder.parse().unwrap(),
        incarnation: Incarnation(incarnation),
        ttl: Span::from_millis(TTL_MS),
        nonce: Nonce(nonce),
        released: false,
    }
}

fn held_by_other(epoch: u64) -> LeaseRecord {
    record(OTHER, 2, epoch, 1_000 + epoch)
}

fn released(record: LeaseRecord) -> LeaseRecord {
    LeaseRecord { released: true, nonce: Nonce(record.nonce.0 + 1), ..record }
}
