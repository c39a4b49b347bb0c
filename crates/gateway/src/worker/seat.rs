//! One client connection as its worker supervises it: what it is doing, since when, and whether it must stop.
//!
//! A timer for each request would cost more than the request. Instead every connection has a seat, in which it notes
//! what it does, and the worker's warden looks over all seats a few times a second and whenever a target ends.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use steadfast_core::Moment;
use steadfast_host::clock;

use super::here::Pass;
use crate::bounds::Bounds;

/// How exact the time-outs of connections are.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// A number of [`TICK`]s.
pub(crate) type Ticks = u32;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing: between two requests.
    Idle,
    /// Reading the head of a request.
    Head,
    /// A request is being worked on; where `awaited`, it was passed on and the head of its answer is waited for.
    Request { awaited: bool },
    /// An answer is on its way to the client.
    Answer,
    /// Bytes pass both ways: there are no requests any more.
    Tunnel,
}

/// What the warden has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Go on.
    None,
    /// The answer of the instance is overdue.
    Overdue,
    /// Finish this request, then close.
    Finish,
    /// Close now.
    Close,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Seat {
    tick: Rc<Cell<Ticks>>,
    phase: Cell<Phase>,
    since: Cell<Ticks>,
    moved: Cell<Ticks>,
    verdict: Cell<Verdict>,
    /// The client owes us a part of its request's body.
    owes_body: Cell<bool>,
    /// The answer ends with its connection (HTTP/1.0): a clean end before that would pass for it.
    ends_with_connection: Cell<bool>,
    reset: Cell<bool>,
    pass: RefCell<Option<Pass>>,
    waker: RefCell<Option<Waker>>,
}

impl Seat {
    pub(crate) fn new(tick: Rc<Cell<Ticks>>) -> Seat {
        let now = tick.get();
        Seat {
            tick,
            // A new connection owes us a head.
            phase: Cell::new(Phase::Head),
            since: Cell::new(now),
            moved: Cell::new(now),
            verdict: Cell::new(Verdict::None),
            owes_body: Cell::new(false),
            ends_with_connection: Cell::new(false),
            reset: Cell::new(false),
            pass: RefCell::new(None),
            waker: RefCell::new(None),
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(self.tick.get());
        self.moved.set(self.tick.get());
    }

    /// Bytes came from the client.
    pub(crate) fn read(&self) {
        self.moved.set(self.tick.get());
        if self.phase.get() == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    /// Bytes went to the client.
    pub(crate) fn written(&self) {
        self.moved.set(self.tick.get());
    }

    /// The right to forward that this connection's request holds.
    pub(crate) fn hold(&self, pass: Pass) {
        *self.pass.borrow_mut() = Some(pass);
    }

    /// Takes it over.
    pub(crate) fn take_pass(&self) -> Option<Pass> {
        self.pass.borrow_mut().take()
    }

    /// Gives it back.
    pub(crate) fn release(&self) {
        let pass = self.pass.borrow_mut().take();
        drop(pass);
    }

    /// Whether bytes may be passed on, in either direction, now.
    pub(crate) fn may_forward(&self) -> bool {
        self.pass.borrow().as_ref().is_some_and(|pass| pass.alive(clock::now()))
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict.get()
    }

    pub(crate) fn set_ends_with_connection(&self, ends: bool) {
        self.ends_with_connection.set(ends);
    }

    /// Closes the connection in the middle of an answer, so that the client sees that this was not its end.
    pub(crate) fn cut(&self) {
        self.reset.set(self.ends_with_connection.get());
        self.judge(Verdict::Close);
    }

    pub(crate) fn must_reset(&self) -> bool {
        self.reset.get()
    }

    pub(crate) fn set_owes_body(&self, owes: bool) {
        self.owes_body.set(owes);
    }

    pub(crate) fn owes_body(&self) -> bool {
        self.owes_body.get()
    }

    /// Forgets that an answer was overdue: the next one is another matter.
    pub(crate) fn forgive(&self) {
        if self.verdict.get() == Verdict::Overdue {
            self.verdict.set(Verdict::None);
        }
    }

    /// The connection's task is here: it is to be woken as `cx` says.
    pub(crate) fn attend(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    pub(crate) fn judge(&self, verdict: Verdict) {
        if self.verdict.get() != Verdict::Close {
            self.verdict.set(verdict);
        }
        self.wake();
    }

    /// Has the connection's task look again.
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// The warden: stops what goes on at a target that has ended. True if that cut an answer.
    pub(crate) fn inspect_pass(&self, now: Moment) -> bool {
        let lost = self.pass.borrow().as_ref().is_some_and(|pass| !pass.alive(now));
        let streams = matches!(self.phase.get(), Phase::Answer | Phase::Tunnel);
        if lost && streams && self.verdict.get() != Verdict::Close {
            // The client must not take what it has for the whole.
            self.cut();
            return true;
        }
        if lost {
            // The request itself finds out, and decides whether it can be repeated.
            self.wake();
        }
        false
    }

    /// The warden: has this connection been at it for too long?
    pub(crate) fn inspect_time(&self, bounds: &Limits) {
        let now = self.tick.get();
        let (in_phase, still) = (now.wrapping_sub(self.since.get()), now.wrapping_sub(self.moved.get()));
        match self.phase.get() {
            Phase::Idle if in_phase > bounds.idle => self.judge(Verdict::Close),
            Phase::Head if in_phase > bounds.head => self.judge(Verdict::Close),
            // While its body is still coming, a request cannot be late with its answer.
            Phase::Request { awaited: true } if still > bounds.answer => self.judge(Verdict::Overdue),
            Phase::Answer if still > bounds.stalled => self.cut(),
            _ => {}
        }
    }
}

/// The time-outs, in ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    idle: Ticks,
    head: Ticks,
    answer: Ticks,
    stalled: Ticks,
}

impl Limits {
    pub(crate) fn new(bounds: &Bounds) -> Limits {
        Limits {
            idle: ticks(bounds.idle_for),
            head: ticks(bounds.head_within),
            answer: ticks(bounds.answer_within),
            stalled: ticks(bounds.stalled_for),
        }
    }
}

pub(crate) fn ticks(span: Duration) -> Ticks {
    Ticks::try_from(span.as_millis().div_ceil(TICK.as_millis())).unwrap_or(Ticks::MAX)
}
