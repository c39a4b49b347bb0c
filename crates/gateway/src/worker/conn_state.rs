//! One client connection as its worker supervises it: what it is doing, since when, and whether it must stop.
//!
//! A timer for each request would cost more than the request. Instead every connection has a state, in which it notes
//! what it does, and the worker's watchdog looks over all connections a few times a second and whenever a target ends.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use steadfast_core::Moment;
use steadfast_host::clock;

use super::set::Pass;
use crate::bounds::Bounds;
use crate::limit::Limit;

/// How exact the time-outs of connections are.
pub(crate) const TICK: Duration = Duration::from_millis(250);

const TICKS_A_SECOND: u64 = 4;

/// A number of [`TICK`]s.
pub(crate) type Ticks = u32;

/// How long a connection has been idle at least that is closed to make room for another: one that is about to send its
/// next request is not.
const IDLE_BEFORE_MAKING_ROOM: Ticks = 4;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It has said nothing yet.
    Fresh,
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

/// What the watchdog has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Go on.
    None,
    /// The head of the request has taken too long: answer that, and close.
    Late,
    /// The answer of the instance is overdue.
    Overdue,
    /// Finish this request, then close.
    Finish,
    /// Close now.
    Close,
}

/// What is wrong with the body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It broke off.
    Broken,
    /// It is larger than is allowed.
    TooLarge,
    /// It comes too slowly, or not at all.
    TooSlow,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct ConnState {
    tick: Rc<Cell<Ticks>>,
    phase: Cell<Phase>,
    since: Cell<Ticks>,
    moved: Cell<Ticks>,
    verdict: Cell<Verdict>,
    /// Bytes that the body of a request may have.
    most_body: u64,
    /// Bytes of the present one that came.
    body_bytes: Cell<u64>,
    body_fault: Cell<Option<Fault>>,
    /// Since when more of it would be taken and nothing comes.
    starving: Cell<Option<Ticks>>,
    /// For how long that was so in all.
    starved: Cell<Ticks>,
    /// Since when the client takes nothing of what there is for it.
    blocked: Cell<Option<Ticks>>,
    /// The answer ends with its connection (HTTP/1.0): a clean end before that would pass for it.
    ends_with_connection: Cell<bool>,
    reset: Cell<bool>,
    pass: RefCell<Option<Pass>>,
    waker: RefCell<Option<Waker>>,
}

impl ConnState {
    pub(crate) fn new(tick: Rc<Cell<Ticks>>, most_body: Option<u64>) -> ConnState {
        let now = tick.get();
        ConnState {
            tick,
            phase: Cell::new(Phase::Fresh),
            since: Cell::new(now),
            moved: Cell::new(now),
            verdict: Cell::new(Verdict::None),
            most_body: most_body.unwrap_or(u64::MAX),
            body_bytes: Cell::new(0),
            body_fault: Cell::new(None),
            starving: Cell::new(None),
            starved: Cell::new(0),
            blocked: Cell::new(None),
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
        if matches!(self.phase.get(), Phase::Fresh | Phase::Idle) {
            self.enter(Phase::Head);
        }
    }

    /// Bytes went to the client.
    pub(crate) fn written(&self) {
        self.moved.set(self.tick.get());
        if self.blocked.take().is_some() && matches!(self.phase.get(), Phase::Idle | Phase::Head) {
            // It was still taking the answer before: only now it rests, or can be heard.
            self.since.set(self.tick.get());
        }
    }

    /// There are bytes for the client, and it takes none.
    pub(crate) fn held_up(&self) {
        if self.blocked.get().is_none() {
            self.blocked.set(Some(self.tick.get()));
        }
    }

    /// A new request, of whose body nothing has come.
    pub(crate) fn begin_request(&self) {
        self.forgive();
        self.body_bytes.set(0);
        self.body_fault.set(None);
        self.starving.set(None);
        self.starved.set(0);
        self.enter(Phase::Request { awaited: false });
    }

    /// More of the body would be taken, and there is nothing.
    pub(crate) fn starve(&self) {
        if self.starving.get().is_none() {
            self.starving.set(Some(self.tick.get()));
        }
    }

    /// Nobody waits for the body any more.
    pub(crate) fn starve_no_more(&self) {
        self.starving.set(None);
    }

    /// So much of the body came.
    pub(crate) fn take_body(&self, bytes: usize) -> Result<(), Fault> {
        self.starving.set(None);
        self.body_bytes.set(self.body_bytes.get().saturating_add(bytes as u64));
        self.check_body(self.body_bytes.get())
    }

    /// Whether a body of so many bytes is allowed; if not, that is its fault.
    pub(crate) fn check_body(&self, bytes: u64) -> Result<(), Fault> {
        if bytes <= self.most_body {
            return Ok(());
        }
        self.blame_body(Fault::TooLarge);
        Err(Fault::TooLarge)
    }

    pub(crate) fn most_body(&self) -> u64 {
        self.most_body
    }

    /// What is wrong with the body. What was found first counts.
    pub(crate) fn blame_body(&self, fault: Fault) {
        if self.body_fault.get().is_none() {
            self.body_fault.set(Some(fault));
        }
    }

    pub(crate) fn body_fault(&self) -> Option<Fault> {
        self.body_fault.get()
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

    /// Forgets that an answer was overdue, or a head late: the next one is another matter.
    pub(crate) fn forgive(&self) {
        if matches!(self.verdict.get(), Verdict::Overdue | Verdict::Late) {
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

    /// The watchdog: stops what goes on at a target that has ended. True if that cut an answer.
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

    /// The watchdog: has this connection been at it for too long? The limit it has run into now.
    pub(crate) fn inspect_time(&self, limits: &Limits) -> Option<Limit> {
        if self.verdict.get() == Verdict::Close {
            return None;
        }
        let age = |since: Ticks| self.tick.get().wrapping_sub(since);
        let (in_phase, still) = (age(self.since.get()), age(self.moved.get()));
        if self.blocked.get().is_some_and(|since| age(since) > limits.reader) {
            // What it has not taken would stay with the kernel for a long time.
            self.reset.set(true);
            self.judge(Verdict::Close);
            return Some(Limit::ReaderStalled);
        }
        match self.phase.get() {
            // It is still taking the answer before, and what it has sent behind that is not looked at yet.
            Phase::Idle | Phase::Head if self.blocked.get().is_some() => None,
            Phase::Fresh if in_phase > limits.head => self.end(Limit::Idle),
            Phase::Idle if in_phase > limits.idle => self.end(Limit::Idle),
            // Who does not even let itself be told is closed.
            Phase::Head if in_phase > limits.head.saturating_mul(2) => self.end(Limit::HeadWithin),
            Phase::Head if in_phase > limits.head && self.verdict.get() != Verdict::Late => {
                // Counted where it is answered.
                self.judge(Verdict::Late);
                None
            }
            Phase::Request { .. } if self.starving.get().is_some() => self.inspect_body(limits),
            // While its body is still coming, a request cannot be late with its answer.
            Phase::Request { awaited: true } if still > limits.answer => {
                self.judge(Verdict::Overdue);
                None
            }
            Phase::Answer if still > limits.stalled => {
                self.cut();
                Some(Limit::AnswerStalled)
            }
            _ => None,
        }
    }

    fn end(&self, limit: Limit) -> Option<Limit> {
        self.judge(Verdict::Close);
        Some(limit)
    }

    /// Once in a tick: a body that is waited for.
    fn inspect_body(&self, limits: &Limits) -> Option<Limit> {
        self.starved.set(self.starved.get().saturating_add(1));
        if self.body_fault.get().is_some() {
            return None;
        }
        let waits = self.starving.get().map_or(0, |since| self.tick.get().wrapping_sub(since));
        let limit = if waits > limits.body {
            Limit::BodyStalled
        } else if self.starved.get() > limits.body_allowance(self.body_bytes.get()) {
            Limit::BodyRate
        } else {
            return None;
        };
        self.blame_body(Fault::TooSlow);
        self.wake();
        Some(limit)
    }

    /// There is no room for another connection, and this one does nothing.
    pub(crate) fn make_room(&self) {
        let rests = self.phase.get() == Phase::Idle && self.blocked.get().is_none();
        if rests && self.tick.get().wrapping_sub(self.since.get()) > IDLE_BEFORE_MAKING_ROOM {
            self.judge(Verdict::Close);
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
    reader: Ticks,
    body: Ticks,
    /// Bytes a second.
    body_rate: u64,
}

impl Limits {
    pub(crate) fn new(bounds: &Bounds) -> Limits {
        Limits {
            idle: ticks(bounds.idle_for),
            head: ticks(bounds.head_within),
            answer: ticks(bounds.answer_within),
            stalled: ticks(bounds.stalled_for),
            reader: ticks(bounds.reader_stalled_for),
            body: ticks(bounds.body_stalled_for),
            body_rate: bounds.body_rate,
        }
    }

    /// How long a body of which so many bytes came may have been waited for in all.
    fn body_allowance(&self, bytes: u64) -> Ticks {
        let earned = match self.body_rate {
            0 => u64::MAX,
            rate => bytes.saturating_mul(TICKS_A_SECOND) / rate,
        };
        self.body.saturating_add(Ticks::try_from(earned).unwrap_or(Ticks::MAX))
    }
}

pub(crate) fn ticks(span: Duration) -> Ticks {
    Ticks::try_from(span.as_millis().div_ceil(TICK.as_millis())).unwrap_or(Ticks::MAX)
}

#[cfg(test)]
mod tests;
