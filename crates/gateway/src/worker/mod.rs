//! A worker: one thread, one runtime, its own listeners, connections and pools. It shares with others only what
//! [`crate::set`] publishes and what is counted.

mod connection;
mod door;
mod here;
mod intake;
mod pool;
mod relay;
mod seat;
mod thread;
mod tunnel;
mod upstream;
mod warden;
mod wire;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

pub(crate) use connection::Guest;
pub(crate) use here::{Failure, Homes, SetHere, TargetHere};
pub(crate) use pool::Pool;
pub(crate) use relay::Relay;
pub(crate) use seat::{Fault, Limits, Phase, Seat, Ticks, Verdict, ticks};
pub(crate) use thread::{Duty, run};
pub(crate) use tunnel::Tunnel;
pub(crate) use upstream::{Broken, Upstream};

use crate::counters::Counters;
use crate::crowd::Counted;
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
    /// Counted up by the warden while there are connections.
    pub(crate) tick: Rc<Cell<Ticks>>,
    /// No connection takes another request.
    draining: Cell<bool>,
    seats: RefCell<Vec<Option<Rc<Seat>>>>,
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
            seats: RefCell::default(),
            free: RefCell::default(),
        }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.shared.counters[self.index]
    }

    /// A seat for a new connection.
    fn sit(self: &Rc<Worker>, counted: Counted) -> Place {
        let seat = Rc::new(Seat::new(self.tick.clone(), self.shared.bounds.body_bytes));
        let mut seats = self.seats.borrow_mut();
        let place = self.free.borrow_mut().pop().unwrap_or_else(|| {
            seats.push(None);
            seats.len() - 1
        });
        seats[place] = Some(seat.clone());
        if self.draining.get() {
            seat.judge(Verdict::Finish);
        }
        Place { worker: self.clone(), place, seat, counted: Some(counted) }
    }

    /// Has every connection finish what it is at, also those that have not got their seat yet.
    fn drain(&self) {
        self.draining.set(true);
        self.each_seat(|seat| seat.judge(Verdict::Finish));
    }

    /// How many connections there are.
    fn seated(&self) -> usize {
        self.seats.borrow().len() - self.free.borrow().len()
    }

    fn each_seat(&self, look: impl Fn(&Seat)) {
        self.seats.borrow().iter().flatten().for_each(|seat| look(seat));
    }
}

/// A connection's seat, given back when dropped.
#[derive(Debug)]
struct Place {
    worker: Rc<Worker>,
    place: usize,
    seat: Rc<Seat>,
    /// None once it was given back.
    counted: Option<Counted>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.worker.seats.borrow_mut()[self.place] = None;
        self.worker.free.borrow_mut().push(self.place);
        if let Some(counted) = self.counted.take() {
            self.worker.shared.crowd.leave(counted);
        }
    }
}

/// One request's turn on its connection. Dropping it ends the request, however it went.
#[derive(Debug)]
pub(crate) struct Turn(pub(crate) Rc<Guest>);

impl Turn {
    pub(crate) fn begin(guest: Rc<Guest>) -> Turn {
        guest.seat.begin_request();
        guest.worker.counters().requests.add_one();
        Turn(guest)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.0.seat.body_fault() == Some(Fault::TooLarge) {
            self.0.worker.counters().limited(Limit::Body);
        }
        self.0.seat.release();
        self.0.seat.enter(Phase::Idle);
        if self.0.intake.borrow_mut().end_turn() {
            // The next request is here already.
            self.0.seat.read();
            self.0.seat.wake();
        }
    }
}
