//! The agent's loop: takes one event at a time, lets the machines decide, carries out what they say.
//!
//! Nothing is awaited between reading state and changing it. What takes time is a task among the agent's effects, and
//! ends in an event. What others read is posted in one cell after every step. What a single set's agent does and a
//! sticky one's does not, or the other way round, is its [`Part`]'s.

mod agent;
mod application;
mod books;
mod leave;
mod part;
mod participation;

use std::sync::Arc;
use std::time::Duration;

use steadfast_core::Moment;
use steadfast_host::clock;
use steadfast_registry::Snapshot;
use tokio::sync::watch;

use crate::controls::Controls;
use crate::event::Event;
use crate::{Error, Exit};

pub(crate) use agent::{Agent, Supervised};
pub(crate) use part::Part;
pub(crate) use participation::Participation;

/// The longest the loop sleeps when nothing is due.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// An agent at work.
pub(crate) struct Driver<P> {
    agent: Agent,
    part: P,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    beats: books::Beats,
    alive_at: Option<Moment>,
}

impl<P: Part> Driver<P> {
    /// A driver of `agent` in its `part`.
    pub(crate) fn new(agent: Agent, part: P) -> Driver<P> {
        let now = clock::now();
        let snapshots = agent.mirror.subscribe();
        let alive_at = agent.controls.notify.watchdog().map(|_| now);
        Driver { agent, part, snapshots, beats: books::Beats::new(now), alive_at }
    }

    /// Drives the agent to its end, and hands back what is left to be finished.
    pub(crate) async fn run(mut self) -> (Result<Exit, Error>, Agent, P) {
        self.begin(clock::now());
        loop {
            let event = self.next().await;
            self.apply(clock::now(), event);
            if let Some(end) = self.follow_up() {
                self.agent.effects.shutdown().await;
                return (end, self.agent, self.part);
            }
        }
    }

    fn begin(&mut self, now: Moment) {
        if self.agent.supervised.is_none() {
            self.agent.checks.begin(now, 0);
        }
        self.snapshots.mark_changed();
    }

    /// Waits for exactly one event.
    async fn next(&mut self) -> Event {
        let deadline = self.deadline();
        let agent = &mut self.agent;
        let Controls { leave, at_once, signals, .. } = &mut agent.controls;
        let signal = async {
            match signals {
                Some(signals) => signals.recv().await,
                None => None,
            }
        };
        tokio::select! {
            biased;
            Some(ended) = agent.effects.join_next() => ended.unwrap_or_else(|error| match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Event::Tick,
            }),
            () = at_once.requested(), if agent.leaving.as_ref().is_none_or(|leaving| !leaving.at_once) => Event::LeaveAtOnce,
            () = leave.requested(), if agent.leaving.is_none() => Event::Leave,
            Some(signal) = signal => Event::Signal(signal),
            Ok(()) = self.snapshots.changed() => Event::Books(self.snapshots.borrow_and_update().clone()),
            () = clock::sleep_until(deadline) => Event::Tick,
        }
    }

    /// When something is due at the latest.
    fn deadline(&self) -> Moment {
        let agent = &self.agent;
        let due = [
            self.part.deadline(agent),
            agent.checks.deadline(),
            self.start_due(),
            self.restart_due(),
            self.beats.due().filter(|_| agent.leaving.is_none()),
            agent.leaving.as_ref().and_then(leave::Leaving::deadline),
            self.alive_at,
        ];
        due.into_iter().flatten().fold(clock::now() + LONGEST_SLEEP, Moment::min)
    }

    fn apply(&mut self, now: Moment, event: Event) {
        match event {
            // What follows from it is looked at after every event.
            Event::Tick => {}
            Event::Books(snapshot) => self.read_books(now, &snapshot),
            Event::Checked { start, began, result } => self.checked(now, start, began, result),
            Event::Started(Ok(group)) => self.started(now, group),
            Event::Started(Err(error)) => self.not_started(now, error),
            Event::Died { start, exit } => self.died(now, start, exit),
            Event::Empty { start, exit } => self.empty(now, start, exit),
            Event::Leave => self.agent.leave(Ok(Exit::Left)),
            Event::LeaveAtOnce => self.agent.leave_at_once(),
            Event::Signal(signal) => {
                if let Some(supervised) = &self.agent.supervised {
                    supervised.supervisor.signal(signal);
                }
            }
            Event::Beaten => self.beats.ended(),
            Event::Registered(result) => self.registered_again(result),
            Event::Said { state, accepted } => self.said(now, state, accepted),
            other => self.part.hear(&mut self.agent, now, other),
        }
    }

    /// Everything that follows from where things now stand. Says how the agent ends, when it does.
    fn follow_up(&mut self) -> Option<Result<Exit, Error>> {
        let now = clock::now();
        self.part.decide(&mut self.agent, now);
        self.check_due(now);
        self.start_or_restart(now);
        self.beat_or_register(now);
        self.part.conclude(&mut self.agent, now);
        self.say_alive(now);
        self.go_on_leaving(now)
    }

    fn say_alive(&mut self, now: Moment) {
        if let (Some(due), Some(every)) = (self.alive_at, self.agent.controls.notify.watchdog())
            && due <= now
        {
            self.agent.controls.notify.alive();
            self.alive_at = Some(now + every);
        }
    }
}
