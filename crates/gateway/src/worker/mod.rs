//! A worker: one thread, one runtime, its own listeners, connections and pools. It shares with others only what
//! [`crate::set`] publishes and what is counted.

mod conn_state;
mod connection;
mod intake;
mod pool;
mod reject;
mod relay;
mod set;
mod thread;
mod tunnel;
mod upstream;
mod watchdog;
mod wire;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

pub(crate) use conn_state::{ConnState, Fault, Limits, Phase, Ticks, Verdict, ticks};
pub(crate) use connection::Guest;
pub(crate) use pool::Pool;
pub(crate) use relay::Relay;
pub(crate) use set::{Failure, Homes, SetHere, TargetHere};
pub(crate) use thread::{Duty, run};
pub(crate) use tunnel::Tunnel;
pub(crate) use upstream::{Broken, Upstream};

use crate::connections::Counted;
use crate::counters::Counters;
use crate::limit::Limit;
use crate::shared::Shared;

/// What is read of a peer, and kept for a peer that does not read, at most at once.
const BUFFER_BYTES: usize = 64 << 10;

/// Everything a worker's tasks have in common.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) sets: Vec<SetHere>,
    /// Counted up by the watchdog while there are connections.
    pub(crate) tick: Rc<Cell<Ticks>>,
    /// No connection takes another request.
    draining: Cell<bool>,
    conns: RefCell<Vec<Option<Rc<ConnState>>>>,
    free: RefCell<Vec<usize>>,
}

impl Worker {
    fn new(index: usize, shared: Arc<Shared>) -> Worker {
        let sets = shared.sets.iter().map(|set| SetHere::new(set.clone(), index, &shared.bounds)).collect();
        Worker {
            index,
            shared,
            sets,
            tick: Rc::default(),
            draining: Cell::new(false),
            conns: RefCell::default(),
            free: RefCell::default(),
        }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.shared.counters[self.index]
    }

    /// Takes a connection in, with a new state.
    fn enter(self: &Rc<Worker>, counted: Counted) -> Place {
        let conn = Rc::new(ConnState::new(self.tick.clone(), self.shared.bounds.body_bytes));
        let mut conns = self.conns.borrow_mut();
        let place = self.free.borrow_mut().pop().unwrap_or_else(|| {
            conns.push(None);
            conns.len() - 1
        });
        conns[place] = Some(conn.clone());
        if self.draining.get() {
            conn.judge(Verdict::Finish);
        }
        Place { worker: self.clone(), place, conn, counted: Some(counted) }
    }

    /// Has every connection finish what it is at, also those that have no state yet.
    fn drain(&self) {
        self.draining.set(true);
        self.each_conn(|conn| conn.judge(Verdict::Finish));
    }

    /// How many connections there are.
    fn connected(&self) -> usize {
        self.conns.borrow().len() - self.free.borrow().len()
    }

    fn each_conn(&self, look: impl Fn(&ConnState)) {
        self.conns.borrow().iter().flatten().for_each(|conn| look(conn));
    }
}

/// A connection's state, given back when dropped.
#[derive(Debug)]
struct Place {
    worker: Rc<Worker>,
    place: usize,
    conn: Rc<ConnState>,
    /// None once it was given back.
    counted: Option<Counted>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.worker.conns.borrow_mut()[self.place] = None;
        self.worker.free.borrow_mut().push(self.place);
        if let Some(counted) = self.counted.take() {
            self.worker.shared.connections.leave(counted);
        }
    }
}

/// One request's turn on its connection. Dropping it ends the request, however it went.
#[derive(Debug)]
pub(crate) struct Turn(pub(crate) Rc<Guest>);

impl Turn {
    pub(crate) fn begin(guest: Rc<Guest>) -> Turn {
        guest.conn.begin_request();
        guest.worker.counters().requests.add_one();
        Turn(guest)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.0.conn.body_fault() == Some(Fault::TooLarge) {
            self.0.worker.counters().limited(Limit::Body);
        }
        self.0.conn.release();
        self.0.conn.enter(Phase::Idle);
        if self.0.intake.borrow_mut().end_turn() {
            // The next request is here already.
            self.0.conn.read();
            self.0.conn.wake();
        }
    }
}
