//! The wires between processes and the store, and the store's side of a watch.

use steadfast_core::Nonce;
use steadfast_core::lease::{Attempt, Expect, Observed, Outcome};

use crate::broken::Broken;
use crate::clock::{MS, True};
use crate::store::{Change, Cursor};
use crate::world::{Event, Happening, Task, Who, World, trace};

#[derive(Clone)]
pub(crate) enum Request {
    /// A watch begins, or resumes at a cursor.
    Watch(Option<Cursor>),
    Read,
    Commit(Attempt),
}

#[derive(Clone)]
pub(crate) enum Reply {
    /// A watch has begun here, with the lease as it is.
    Scanned {
        watch: u64,
        cursor: Cursor,
        lease: Option<Observed>,
    },
    /// A watch has resumed: history goes on from where it was.
    Resumed {
        watch: u64,
    },
    /// History is another one.
    Compacted,
    /// A commit, in order.
    Committed {
        watch: u64,
        cursor: Cursor,
        change: Change,
    },
    /// Nothing new up to here.
    Progress {
        watch: u64,
        cursor: Cursor,
    },
    Read(Option<Observed>),
    Settled {
        nonce: Nonce,
        outcome: Outcome,
    },
}

/// What a message travels on. If it was cut since, the message is lost, unless it had left it already.
#[derive(Clone, Copy)]
pub(crate) struct Wire {
    outages: Option<u32>,
    cuts: Option<u32>,
}

impl Wire {
    /// It has arrived.
    pub(crate) const ARRIVED: Wire = Wire { outages: None, cuts: None };
}

/// What is slow on a slow link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slow {
    Everything,
    Requests,
    Replies,
    Watch,
}

/// Which way nothing passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    ToStore,
    FromStore,
    Both,
}

/// One process's way to the store.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    pub(crate) to_store: bool,
    pub(crate) from_store: bool,
    cuts: u32,
    pub(crate) slow_until: True,
    pub(crate) slow: Slow,
    pub(crate) slowest: True,
    pub(crate) lossy_until: True,
}

const GOOD_LINK: Link = Link {
    to_store: true,
    from_store: true,
    cuts: 0,
    slow_until: 0,
    slow: Slow::Everything,
    slowest: 0,
    lossy_until: 0,
};

/// A watch as the store keeps it.
struct Watch {
    id: u64,
    who: Who,
    life: u32,
    /// It is shown what comes above this. Differs from what there was when it began only if it resumed without
    /// looking whether that is still the same history.
    after: Option<Cursor>,
    last_delivery: True,
}

pub(crate) struct Wires {
    agents: usize,
    links: Vec<Link>,
    watches: Vec<Watch>,
    next_watch: u64,
    /// Until when a write that believes in no record may be on its way.
    pub(crate) creation_until: True,
    /// Raised when the store goes back in time.
    pub(crate) history: u32,
    /// Raised when the store goes away: whatever was on its wires is lost.
    outages: u32,
}

impl Wires {
    pub(crate) fn new(agents: usize, gateways: usize) -> Wires {
        Wires {
            agents,
            links: vec![GOOD_LINK; agents + gateways],
            watches: Vec::new(),
            next_watch: 1,
            creation_until: 0,
            history: 0,
            outages: 0,
        }
    }

    pub(crate) fn link(&mut self, who: Who) -> &mut Link {
        match who {
            Who::Agent(index) => &mut self.links[index],
            Who::Gateway(index) => &mut self.links[self.agents + index],
        }
    }

    pub(crate) fn was_cut(&mut self, who: Who, wire: Wire) -> bool {
        let cuts = self.link(who).cuts;
        wire.outages.is_some_and(|outages| outages != self.outages) || wire.cuts.is_some_and(|was| was != cuts)
    }

    pub(crate) fn is_watched_by(&self, who: Who) -> bool {
        self.watches.iter().any(|watch| watch.who == who)
    }

    pub(crate) fn mend_all(&mut self) {
        for link in &mut self.links {
            *link = Link { cuts: link.cuts, ..GOOD_LINK };
        }
    }
}

impl World {
    /// Cuts a process off from the store, or only one way.
    pub(crate) fn cut(&mut self, who: Who, way: Way) {
        let link = self.wires.link(who);
        link.to_store &= way == Way::FromStore;
        link.from_store &= way == Way::ToStore;
        if way != Way::ToStore {
            link.cuts += 1;
            self.break_watches(|watch| watch.who == who);
        }
    }

    /// The store goes away, and with it whatever is on its wires.
    pub(crate) fn drop_connections(&mut self) {
        self.wires.outages += 1;
        self.break_watches(|_| true);
    }

    /// Its clients notice soon, and try again until it works.
    fn break_watches(&mut self, which: impl Fn(&Watch) -> bool) {
        let (broken, kept) = std::mem::take(&mut self.wires.watches).into_iter().partition(which);
        self.wires.watches = kept;
        for watch in broken {
            if self.life(watch.who) == watch.life {
                let notice_in = self.random.between(MS, self.plan.shortest_ttl() / 10);
                self.task_in(notice_in, watch.who, Task::Broken(watch.id));
            }
        }
    }

    fn delay(&mut self, who: Who, of: Slow) -> True {
        let (now, link) = (self.now, *self.wires.link(who));
        let slow = now < link.slow_until && (link.slow == of || link.slow == Slow::Everything);
        if slow && self.random.percent(60) {
            self.random.between(MS, link.slowest)
        } else {
            let shortest_ttl = self.plan.shortest_ttl();
            let slowest = if self.random.percent(5) { shortest_ttl / 20 } else { shortest_ttl / 100 };
            self.random.between(MS / 10, slowest)
        }
    }

    fn copies(&mut self, who: Who, works: bool) -> usize {
        let lossy = self.now < self.wires.link(who).lossy_until;
        let chance = if lossy { 35 } else { u64::from(!self.calm) };
        match works && !self.random.percent(chance) {
            true => 1 + usize::from(!self.calm && self.random.percent(2)),
            false => 0,
        }
    }

    fn wire(&mut self, who: Who) -> Wire {
        let cuts = self.wires.link(who).cuts;
        Wire { outages: Some(self.wires.outages), cuts: self.random.percent(70).then_some(cuts) }
    }

    pub(crate) fn send(&mut self, from: Who, request: Request) {
        let (life, works) = (self.life(from), self.wires.link(from).to_store);
        for _ in 0..self.copies(from, works) {
            let wire = self.wire(from);
            let delay = match self.process(from).history == self.wires.history {
                true => self.delay(from, Slow::Requests),
                // A store that went back in time hands its numbers out again. What was meant for the old ones must
                // reach it before it has come so far: no rule helps against a write that arrives much later.
                false => self.random.between(MS / 10, self.plan.shortest_ttl() / 100),
            };
            if matches!(&request, Request::Commit(attempt) if attempt.expect == Expect::Absent) {
                self.wires.creation_until = self.wires.creation_until.max(self.now + delay);
            }
            self.at(self.now + delay, Event::Request { from, life, wire, request: request.clone() });
        }
    }

    fn answer(&mut self, to: Who, life: u32, reply: Reply) {
        let works = self.wires.link(to).from_store;
        for _ in 0..self.copies(to, works) {
            let (delay, wire) = (self.delay(to, Slow::Replies), self.wire(to));
            self.at(self.now + delay, Event::Reply { to, life, wire, reply: reply.clone() });
        }
    }

    /// The store serves a request.
    pub(crate) fn serve(&mut self, from: Who, life: u32, request: Request) {
        match request {
            Request::Read => {
                // Only commits are linearizable: a read may show a recent past.
                let behind = if self.random.percent(20) { self.random.index(4) } else { 0 };
                let shown = self.store.lease_behind(behind);
                self.answer(from, life, Reply::Read(shown));
            }
            Request::Commit(attempt) => self.commit(from, life, attempt),
            Request::Watch(resume_at) => self.watch(from, life, resume_at),
        }
    }

    fn commit(&mut self, from: Who, life: u32, attempt: Attempt) {
        let nonce = attempt.record.nonce;
        let before = self.store.lease().map(|lease| lease.record.clone());
        let mark = self.random.next();
        let outcome = match self.store.put(attempt.expect, attempt.record.clone(), mark) {
            Ok(version) => {
                trace!(self, "store: {version:?} is {}", text(&attempt.record));
                self.judge.written(before.as_ref(), &attempt.record, self.now);
                self.tell_watches();
                Outcome::Committed(version)
            }
            Err(shown) => Outcome::Conflict(shown),
        };
        self.answer(from, life, Reply::Settled { nonce, outcome });
    }

    fn watch(&mut self, who: Who, life: u32, resume_at: Option<Cursor>) {
        self.wires.watches.retain(|watch| watch.who != who);
        if !self.wires.link(who).from_store || self.life(who) != life {
            return;
        }
        let missed = match resume_at {
            None => Some(Vec::new()),
            Some(cursor) if self.broken == Broken::ExclusiveResume => Some(self.store.after(cursor.revision)),
            Some(cursor) => self.store.resume(cursor),
        };
        let Some(missed) = missed else { return self.answer(who, life, Reply::Compacted) };
        let id = self.wires.next_watch;
        self.wires.next_watch += 1;
        let after = resume_at.filter(|_| self.broken == Broken::ExclusiveResume);
        self.wires.watches.push(Watch { id, who, life, after, last_delivery: self.now });
        let index = self.wires.watches.len() - 1;
        let first = match resume_at {
            None => Reply::Scanned { watch: id, cursor: self.store.head(), lease: self.store.lease().cloned() },
            Some(_) => Reply::Resumed { watch: id },
        };
        self.push(index, first);
        for (cursor, change) in missed {
            self.push(index, Reply::Committed { watch: id, cursor, change });
        }
    }

    /// Every watch is shown the last commit.
    pub(crate) fn tell_watches(&mut self) {
        let Some((cursor, change)) = self.store.last() else { return };
        for index in 0..self.wires.watches.len() {
            let Watch { id: watch, after, .. } = self.wires.watches[index];
            if after.is_none_or(|after| cursor.revision > after.revision) {
                self.push(index, Reply::Committed { watch, cursor, change: change.clone() });
            }
        }
    }

    pub(crate) fn tell_progress(&mut self) {
        if self.store.up {
            let cursor = self.store.head();
            for index in 0..self.wires.watches.len() {
                let Watch { id: watch, after, .. } = self.wires.watches[index];
                let cursor = after.filter(|after| after.revision > cursor.revision).unwrap_or(cursor);
                self.push(index, Reply::Progress { watch, cursor });
            }
        }
        self.happens_in(self.plan.progress_every, Happening::Progress);
    }

    /// What a watch shows arrives in order.
    fn push(&mut self, index: usize, reply: Reply) {
        let (who, life) = (self.wires.watches[index].who, self.wires.watches[index].life);
        let delay = self.delay(who, Slow::Watch);
        let at = self.wires.watches[index].last_delivery.max(self.now + delay);
        self.wires.watches[index].last_delivery = at;
        // A connection delivers everything until it breaks.
        let cuts = self.wires.link(who).cuts;
        let wire = Wire { outages: Some(self.wires.outages), cuts: Some(cuts) };
        self.at(at, Event::Reply { to: who, life, wire, reply });
    }
}

/// A record on one line.
pub(crate) fn text(record: &steadfast_core::lease::LeaseRecord) -> String {
    let released = if record.released { " released" } else { "" };
    format!(
        "epoch {} {} ({:.4}) ttl {} nonce {:.4}{released}",
        record.epoch,
        record.holder,
        record.incarnation.to_string(),
        record.ttl,
        record.nonce.to_string()
    )
}
