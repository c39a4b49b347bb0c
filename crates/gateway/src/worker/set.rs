//! A set as one worker sees it: the present target with this worker's connections to it, and those who wait.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use steadfast_core::Moment;
use steadfast_host::clock;
use tokio::sync::Notify;

use super::conn_state::Ticks;
use super::pool::Pool;
use crate::bounds::Bounds;
use crate::clients::Held;
use crate::home::View;
use crate::set::{SetShared, Target};

/// See the module.
#[derive(Debug)]
pub(crate) struct SetHere {
    pub(crate) shared: Arc<SetShared>,
    worker: usize,
    idle_upstream: usize,
    seen: Cell<u64>,
    here: RefCell<Option<Rc<TargetHere>>>,
    homes: RefCell<Option<Rc<Homes>>>,
    /// Told to those who wait: look again.
    pub(crate) changed: Notify,
}

/// A sticky set as it is now, with this worker's connections to those homes that it used.
#[derive(Debug)]
pub(crate) struct Homes {
    pub(crate) view: Arc<View>,
    /// By the number of the home.
    used: RefCell<Vec<Option<Rc<TargetHere>>>>,
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

/// The right to forward one request, counted at the target while it is held. In a sticky set it ends when the client's
/// home is another one.
#[derive(Debug)]
pub(crate) struct Pass {
    here: Rc<TargetHere>,
    stay: Option<Held>,
}

impl SetHere {
    pub(crate) fn new(shared: Arc<SetShared>, worker: usize, bounds: &Bounds) -> SetHere {
        SetHere {
            shared,
            worker,
            idle_upstream: bounds.idle_upstream,
            // Nothing was looked at yet: the first look must not take version 0 for known.
            seen: Cell::new(u64::MAX),
            here: RefCell::new(None),
            homes: RefCell::new(None),
            changed: Notify::new(),
        }
    }

    /// The present target. One atomic load where nothing changed.
    pub(crate) fn target(&self) -> Option<Rc<TargetHere>> {
        self.look();
        self.here.borrow().clone()
    }

    /// The set, where it is known to be a sticky one. One atomic load where nothing changed.
    pub(crate) fn homes(&self) -> Option<Rc<Homes>> {
        self.look();
        self.homes.borrow().clone()
    }

    fn look(&self) {
        let version = self.shared.version();
        if self.seen.get() != version {
            self.seen.set(version);
            self.look_at_target();
            self.look_at_homes();
        }
    }

    fn look_at_homes(&self) {
        let view = self.shared.view();
        let mut homes = self.homes.borrow_mut();
        if !is_same(homes.as_ref().map(|homes| &homes.view), view.as_ref()) {
            // Connections to homes that are as they were are kept; those of the others go.
            let still = |view: &View, number: usize, here: &Rc<TargetHere>| {
                let home = view.homes.get(number).and_then(|home| home.as_ref());
                home.is_some_and(|home| Arc::ptr_eq(&home.target, &here.target))
            };
            let used = homes.take().map(|homes| homes.used.take()).unwrap_or_default();
            *homes = view.map(|view| {
                let keep = |(number, here): (usize, Option<Rc<TargetHere>>)| here.filter(|h| still(&view, number, h));
                let used = used.into_iter().enumerate().map(keep).collect();
                Rc::new(Homes { used: RefCell::new(used), view })
            });
        }
    }

    /// This worker's connections to a home.
    pub(crate) fn at_home(&self, homes: &Homes, number: u32) -> Option<Rc<TargetHere>> {
        let home = homes.view.home(number)?;
        let place = usize::try_from(number).ok()?;
        let mut used = homes.used.borrow_mut();
        if used.len() <= place {
            used.resize(place + 1, None);
        }
        let here = used[place].get_or_insert_with(|| self.begin(home.target.clone()));
        Some(here.clone())
    }

    fn begin(&self, target: Arc<Target>) -> Rc<TargetHere> {
        Rc::new(TargetHere {
            pools: target.addresses.iter().map(|_| Pool::new(self.idle_upstream)).collect(),
            target,
            set: self.shared.clone(),
            worker: self.worker,
            doubt: Cell::new(None),
            trying: Cell::new(false),
        })
    }

    fn look_at_target(&self) {
        let target = self.shared.target();
        let mut here = self.here.borrow_mut();
        if !is_same(here.as_ref().map(|here| &here.target), target.as_ref()) {
            *here = target.map(|target| self.begin(target));
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
        here.enter(None, now)
    }

    /// Until when what is under way at the present target may go on, as far as is known now.
    pub(crate) fn until(&self) -> Option<Moment> {
        Some(self.here.borrow().as_ref()?.target.until())
    }

    /// Whether there are connections that grow old.
    pub(crate) fn has_idle(&self) -> bool {
        let mut any = false;
        self.each_pool(|pool| any |= !pool.is_empty());
        any
    }

    fn each_pool(&self, mut look: impl FnMut(&Pool)) {
        if let Some(here) = self.here.borrow().as_ref() {
            here.pools.iter().for_each(&mut look);
        }
        if let Some(homes) = self.homes.borrow().as_ref() {
            homes.used.borrow().iter().flatten().flat_map(|here| &here.pools).for_each(look);
        }
    }

    /// Closes connections nobody used for a while.
    pub(crate) fn sweep(&self, now: Ticks, longest: Ticks) {
        self.each_pool(|pool| pool.sweep(now, longest));
    }
}

/// Whether nothing was published since, be it nothing both times.
fn is_same<T>(known: Option<&Arc<T>>, published: Option<&Arc<T>>) -> bool {
    known.map(Arc::as_ptr) == published.map(Arc::as_ptr)
}

impl TargetHere {
    /// The right to forward one request there now, for a client that stays so long.
    pub(crate) fn enter(self: &Rc<TargetHere>, stay: Option<Held>, now: Moment) -> Option<Pass> {
        // Not `then_some`: a pass that was made is counted out when it is dropped.
        if self.target.enter(self.worker, now) { Some(Pass { here: self.clone(), stay }) } else { None }
    }

    fn alarm(&self) {
        self.target.doubt();
        self.set.raise_alarm();
    }

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
        self.alarm();
    }
}

impl Trial {
    /// The connection was opened. True if that ended a doubt: others wait for it.
    pub(crate) fn succeeded(self) -> bool {
        self.0.doubt.take().is_some()
    }

    /// It could not be opened: nobody else tries before the target's probe has been asked again.
    pub(crate) fn failed(self) {
        let now = clock::now();
        self.0.target.refuse(now);
        self.0.doubt.set(Some(now));
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        self.0.trying.set(false);
        if self.0.doubt.get().is_some() {
            // Failed, or given up by a client that left: let the next one try, once the target has been looked at.
            self.0.alarm();
        }
    }
}

impl Pass {
    pub(crate) fn alive(&self, now: Moment) -> bool {
        self.here.target.alive(now) && !self.stay.as_ref().is_some_and(Held::is_over)
    }

    pub(crate) fn here(&self) -> Rc<TargetHere> {
        self.here.clone()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.here.target.leave(self.here.worker) {
            self.here.set.raise_alarm();
        }
    }
}
