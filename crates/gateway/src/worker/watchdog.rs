//! The one who watches the time of a worker: ends what runs at a target that has ended, closes what stands still.
//!
//! What keeps the lease's promise is the check before every piece that is passed on; the watchdog sees to those that
//! wait for a piece.

use std::rc::Rc;

use steadfast_core::Moment;
use steadfast_host::clock;

use super::conn_state::TICK;
use super::{Limits, SetHere, Worker, ticks};

/// Runs as long as the worker does.
pub(crate) async fn watch(worker: Rc<Worker>) {
    let limits = Limits::new(&worker.shared.bounds);
    let longest_idle = ticks(worker.shared.bounds.idle_upstream_for);
    let bell = &worker.shared.bells[worker.index];
    let mut ticking = tokio::time::interval(TICK);
    ticking.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut inspected = Moment::ZERO;
    loop {
        // A target whose time had passed when it was looked at last has nothing left to end; should it be vouched for
        // again, the bell rings.
        let untils = worker.sets.iter().filter_map(|set| set.until());
        let until = untils.filter(|until| *until > inspected).min().unwrap_or(Moment::MAX);
        tokio::select! {
            () = bell.notified() => {}
            () = clock::sleep_until(until), if until < Moment::MAX => {}
            _ = ticking.tick(), if worker.connected() > 0 || worker.sets.iter().any(SetHere::has_idle) => {
                worker.tick.set(worker.tick.get().wrapping_add(1));
                worker.each_conn(|conn| {
                    if let Some(limit) = conn.inspect_time(&limits) {
                        worker.counters().limited(limit);
                    }
                });
                worker.sets.iter().for_each(|set| set.sweep(worker.tick.get(), longest_idle));
                continue;
            }
        }
        inspected = clock::now();
        for set in &worker.sets {
            set.target();
            set.changed.notify_waiters();
        }
        worker.each_conn(|conn| {
            if conn.inspect_pass(inspected) {
                worker.counters().cut.add_one();
            }
        });
    }
}
