//! A set as one worker sees it: the present target with this worker's connections to it, and those who wait.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use steadfast_core::Moment;
use steadfast_host::clock;
use tokio::sync::Notify;

use super::pool::Pool;
use crate::config::Bounds;
use crate::set::{SetShared, Target};

/// See the module.
#[derive(Debug)]
pub(crate) struct SetHere {
    pub(crate) shared: Arc<SetShared>,
    worker: usize,
    idle_upstream: usize,
    seen: Cell<u64>,
    here: RefCell<Option<Rc<TargetHere>>>,
    /// Told to those who wait: look again.
    pub(crate) changed: Notify,
}

/// The present target and this worker's connections to it.
#[derive(Debug)]
pub(crate) struct TargetHere {
    pub(crate) target: Arc<Target>,
    set: Arc<SetShared>,
    worker: usize,
    /// One for each endpoint.
    pub(crate) pools: Box<[Pool]>,
    /// When a connection to it failed last, until one succeeds.
    doubt: Cell<Option<Moment>>,
    /// While in doubt, one request tries and the others wait.
    trying: Cell<bool>,
}

/// The opening of a connection.
#[derive(Debug)]
pub(crate) struct Trial(Rc<TargetHere>);

/// A request broke there then.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) at: Rc<TargetHere>,
    pub(crate) when: Moment,
}

/// The right to forward one request, counted at the target while it is held.
#[derive(Debug)]
pub(crate) struct Pass(Rc<TargetHere>);

impl SetHere {
    pub(crate) fn new(shared: Arc<SetShared>, worker: usize, bounds: &Bounds) -> SetHere {
        SetHere {
            shared,
            worker,
            idle_upstream: bounds.idle_upstream,
            // Nothing was looked at yet: the first look must not take version 0 for known.
            seen: Cell::new(u64::MAX),
            here: RefCell::new(None),
            changed: Notify::new(),
        }
    }

    /// The present target. One atomic load where nothing changed.
    pub(crate) fn target(&self) -> Option<Rc<TargetHere>> {
        let version = self.shared.version();
        if self.seen.get() != version {
            self.seen.set(version);
            self.look();
        }
        self.here.borrow().clone()
    }

    fn look(&self) {
        let target = self.shared.target();
        let mut here = self.here.borrow_mut();
        let same = match (&*here, &target) {
            (Some(here), Some(target)) => Arc::ptr_eq(&here.target, target),
            (None, None) => true,
            _ => false,
        };
        if !same {
            *here = target.map(|target| {
                let pools = target.addresses.iter().map(|_| Pool::new(self.idle_upstream)).collect();
                Rc::new(TargetHere {
                    target,
                    set: self.shared.clone(),
                    worker: self.worker,
                    pools,
                    doubt: Cell::new(None),
                    trying: Cell::new(false),
                })
            });
        }
    }

    /// The right to forward one request now. A request that `failed` at this very target waits until its probe has
    /// been asked again: it must be seen to be well first.
    pub(crate) fn admit(&self, failed: Option<&Failure>, now: Moment) -> Option<Pass> {
        let here = self.target()?;
        let doubted = failed.is_some_and(|one| Rc::ptr_eq(&one.at, &here) && here.target.asked() <= one.when);
        if doubted || !here.is_trusted() {
            return None;
        }
        // Not `then_some`: a pass that was made is counted out when it is dropped.
        if here.target.enter(self.worker, now) { Some(Pass(here)) } else { None }
    }

    /// Until when what is under way at the present target may go on, as far as is known now.
    pub(crate) fn until(&self) -> Option<Moment> {
        Some(self.here.borrow().as_ref()?.target.until())
    }

    /// Whether there are connections that grow old.
    pub(crate) fn has_idle(&self) -> bool {
        self.here.borrow().as_ref().is_some_and(|here| here.pools.iter().any(|pool| !pool.is_empty()))
    }

    /// Closes connections nobody used for a while.
    pub(crate) fn sweep(&self, now: super::seat::Ticks, longest: super::seat::Ticks) {
        if let Some(here) = self.here.borrow().as_ref() {
            here.pools.iter().for_each(|pool| pool.sweep(now, longest));
        }
    }
}

impl TargetHere {
    /// Whether connections to it are believed to succeed, or somebody may try.
    fn is_trusted(&self) -> bool {
        self.doubt.get().is_none_or(|failed| self.target.asked() > failed && !self.trying.get())
    }

    /// Before a connection is opened. None: another request is trying already, wait for it.
    pub(crate) fn begin_trial(self: &Rc<TargetHere>) -> Option<Trial> {
        if !self.is_trusted() {
            return None;
        }
        self.trying.set(self.doubt.get().is_some());
        Some(Trial(self.clone()))
    }

    /// A request at it broke: worth a question, but no reason to hold the others.
    pub(crate) fn broke(&self) {
        self.set.raise_alarm();
    }
}

impl Trial {
    /// The connection was opened. True if that ended a doubt: others wait for it.
    pub(crate) fn succeeded(self) -> bool {
        self.0.doubt.take().is_some()
    }

    /// It could not be opened: nobody else tries before the target's probe has been asked again.
    pub(crate) fn failed(self) {
        self.0.doubt.set(Some(clock::now()));
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        self.0.trying.set(false);
        if self.0.doubt.get().is_some() {
            // Failed, or given up by a client that left: let the next one try, once the target has been looked at.
            self.0.set.raise_alarm();
        }
    }
}

impl Pass {
    pub(crate) fn alive(&self, now: Moment) -> bool {
        self.0.target.alive(now)
    }

    pub(crate) fn here(&self) -> Rc<TargetHere> {
        self.0.clone()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.0.target.leave(self.0.worker) {
            self.0.set.raise_alarm();
        }
    }
}
