//! Connections to one address that wait for their next request. The last one used is the first one taken, so that
//! the others grow old and go.

use std::cell::RefCell;
use std::task::Context;

use super::conn_state::Ticks;
use super::upstream::Upstream;

/// See the module.
#[derive(Debug)]
pub(crate) struct Pool {
    most: usize,
    idle: RefCell<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    upstream: Box<Upstream>,
    since: Ticks,
}

impl Pool {
    pub(crate) fn new(most: usize) -> Pool {
        Pool { most, idle: RefCell::new(Vec::new()) }
    }

    /// A connection that is still open as far as can be seen, unused for at most `longest`.
    pub(crate) fn take(&self, cx: &mut Context<'_>, now: Ticks, longest: Ticks) -> Option<Box<Upstream>> {
        loop {
            let Idle { mut upstream, since } = self.idle.borrow_mut().pop()?;
            if now.wrapping_sub(since) > longest {
                // Those below are older still, but may be young enough for a request that can be repeated.
                self.idle.borrow_mut().push(Idle { upstream, since });
                return None;
            }
            if upstream.is_ready(cx) {
                return Some(upstream);
            }
        }
    }

    /// Keeps a connection for the next request, or closes it where there are enough.
    pub(crate) fn put(&self, upstream: Box<Upstream>, now: Ticks) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.most {
            idle.push(Idle { upstream, since: now });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.idle.borrow().is_empty()
    }

    /// Closes all of them: where one was found dead, the others are as old.
    pub(crate) fn clear(&self) {
        self.idle.borrow_mut().clear();
    }

    /// Closes the old ones: they lie at the bottom.
    pub(crate) fn sweep(&self, now: Ticks, longest: Ticks) {
        let mut idle = self.idle.borrow_mut();
        let old = idle.iter().take_while(|one| now.wrapping_sub(one.since) > longest).count();
        idle.drain(..old);
    }
}
