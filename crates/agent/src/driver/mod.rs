//! The agent's loop: takes one event at a time, lets the machines decide, carries out what they say.
//!
//! Nothing is awaited between reading state and changing it. What takes time is a task in `effects`, and ends in an
//! event. What others read is posted in one cell after every step.

mod application;
mod books;
mod leave;
mod report;
mod stop;

use std::sync::Arc;
use std::time::Duration;

use steadfast_core::Moment;
use steadfast_core::health::Verdict;
use steadfast_core::lease::{self, Action, Machine, Phase, Timing};
use steadfast_host::clock;
use steadfast_registry::{InstanceRecord, Leases, LedgerState, Mirror, ProbeReason, Registry, Snapshot};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::application::{Application, State};
use crate::books::{Books, Presence};
use crate::check::Checks;
use crate::controls::Controls;
use crate::endpoints::Endpoints;
use crate::epoch_file::EpochFile;
use crate::event::Event;
use crate::gate::Gates;
use crate::gateways::Gateways;
use crate::life::Life;
use crate::notes::Notes;
use crate::standing::{Cell, Posted};
use crate::supervise::Supervisor;
use crate::{AgentConfig, Error, Exit};

/// The longest the loop sleeps when nothing is due.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// What an agent is made of. Built by [`crate::run`].
pub(crate) struct Driver {
    pub(crate) config: AgentConfig,
    pub(crate) registry: Registry,
    pub(crate) life: Arc<Life>,
    pub(crate) record: InstanceRecord,
    pub(crate) leases: Arc<Leases>,
    pub(crate) machine: Machine,
    pub(crate) timing: Timing,
    pub(crate) books: Books,
    pub(crate) mirror: Mirror,
    pub(crate) checks: Checks,
    pub(crate) endpoints: Endpoints,
    pub(crate) supervised: Option<Supervised>,
    pub(crate) gates: Gates,
    pub(crate) gateways: Gateways,
    pub(crate) cell: Cell,
    pub(crate) epoch_file: EpochFile,
    pub(crate) notes: Notes,
    pub(crate) controls: Controls,
}

/// What an agent that has ended still has to say.
pub(crate) struct Unfinished {
    notes: Notes,
    epoch_file: EpochFile,
}

impl Unfinished {
    /// Says it, within this time.
    pub(crate) async fn finish(self, within: Duration) {
        tokio::join!(self.notes.finish(within), self.epoch_file.finish(within));
    }
}

/// The application and its keeper.
pub(crate) struct Supervised {
    pub(crate) application: Application,
    pub(crate) supervisor: Supervisor,
}

/// A driver at work.
struct Loop {
    parts: Driver,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    effects: JoinSet<Event>,
    /// What the machine was last told of our fitness.
    told_fit: bool,
    /// The epoch is being written down: nothing else is asked of the machine before it is.
    remembering: bool,
    stop: Option<stop::Stop>,
    leaving: Option<leave::Leaving>,
    beats: books::Beats,
    report: report::Report,
    /// Until when the gates may carry on.
    carry_until: Moment,
    alive_at: Option<Moment>,
}

impl Driver {
    /// Drives the agent to its end, and hands back what is left to be finished.
    pub(crate) async fn run(self) -> (Result<Exit, Error>, Unfinished) {
        let now = clock::now();
        let mut driver = Loop {
            snapshots: self.mirror.subscribe(),
            effects: JoinSet::new(),
            told_fit: false,
            remembering: false,
            stop: None,
            leaving: None,
            beats: books::Beats::new(now),
            report: report::Report::default(),
            carry_until: Moment::ZERO,
            alive_at: self.controls.notify.watchdog().map(|_| now),
            parts: self,
        };
        driver.begin(now);
        loop {
            let event = driver.next().await;
            driver.apply(clock::now(), event);
            if let Some(end) = driver.follow_up() {
                driver.effects.shutdown().await;
                return (end, Unfinished { notes: driver.parts.notes, epoch_file: driver.parts.epoch_file });
            }
        }
    }
}

impl Loop {
    fn begin(&mut self, now: Moment) {
        if self.parts.supervised.is_none() {
            self.parts.checks.begin(now, 0);
        }
        self.snapshots.mark_changed();
    }

    /// Waits for exactly one event.
    async fn next(&mut self) -> Event {
        let deadline = self.deadline();
        let Controls { leave, at_once, signals, .. } = &mut self.parts.controls;
        let signal = async {
            match signals {
                Some(signals) => signals.recv().await,
                None => None,
            }
        };
        tokio::select! {
            biased;
            Some(ended) = self.effects.join_next() => ended.unwrap_or_else(|error| match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Event::Tick,
            }),
            () = at_once.requested(), if self.leaving.as_ref().is_none_or(|leaving| !leaving.at_once) => Event::LeaveAtOnce,
            () = leave.requested(), if self.leaving.is_none() => Event::Leave,
            Some(signal) = signal => Event::Signal(signal),
            Ok(()) = self.snapshots.changed() => Event::Books(self.snapshots.borrow_and_update().clone()),
            () = clock::sleep_until(deadline) => Event::Tick,
        }
    }

    /// When something is due at the latest.
    fn deadline(&self) -> Moment {
        let parts = &self.parts;
        let due = [
            // While the epoch is being written down the machine's wishes wait.
            parts.machine.deadline().filter(|_| !self.remembering),
            parts.checks.deadline(),
            self.start_due(),
            self.restart_due(),
            self.beats.due().filter(|_| self.leaving.is_none()),
            self.leaving.as_ref().and_then(leave::Leaving::deadline),
            self.alive_at,
        ];
        due.into_iter().flatten().fold(clock::now() + LONGEST_SLEEP, Moment::min)
    }

    fn apply(&mut self, now: Moment, event: Event) {
        match event {
            // What follows from these is looked at after every event.
            Event::Tick | Event::Emptied => {}
            Event::Books(snapshot) => self.read_books(now, &snapshot),
            Event::Settled { nonce, outcome, refusal } => {
                self.report.refusal(refusal);
                self.tell(now, lease::Event::Settled { nonce, outcome });
            }
            Event::Read(Some(seen)) => self.tell(now, lease::Event::Seen(seen)),
            Event::Read(None) => {}
            Event::Remembered => self.remembering = false,
            Event::Checked { start, began, result } => self.checked(now, start, began, result),
            Event::Started(Ok(group)) => self.started(now, group),
            Event::Started(Err(error)) => self.not_started(now, error),
            Event::Died { start, exit } => self.died(now, start, exit),
            Event::Empty { start, exit } => self.empty(now, start, exit),
            Event::LetGo => self.let_go(),
            Event::Leave => self.leave(now, Ok(Exit::Left)),
            Event::LeaveAtOnce => self.leave_at_once(now),
            Event::Signal(signal) => {
                if let Some(supervised) = &self.parts.supervised {
                    supervised.supervisor.signal(signal);
                }
            }
            Event::Beaten => self.beats.ended(),
            Event::Registered(result) => self.registered_again(result),
            Event::Announced(state) => self.announced(state),
        }
    }

    /// Everything that follows from where things now stand. Says how the agent ends, when it does.
    fn follow_up(&mut self) -> Option<Result<Exit, Error>> {
        let now = clock::now();
        self.judge_fitness(now);
        self.act();
        self.check_due(now);
        self.start_or_restart(now);
        self.beat_or_register(now);
        self.go_on_stopping(now);
        self.act();
        self.say_alive(now);
        self.go_on_leaving(now)
    }

    /// Tells the machine something, and everybody where that leaves us.
    fn tell(&mut self, now: Moment, event: lease::Event) {
        self.parts.machine.handle(now, event);
        self.post();
    }

    fn judge_fitness(&mut self, now: Moment) {
        let fit = self.is_fit();
        if fit != self.told_fit {
            self.told_fit = fit;
            self.tell(now, lease::Event::Fit(fit));
        }
    }

    /// Registered, running, healthy, open, and not about to leave.
    fn is_fit(&self) -> bool {
        let up = self.parts.supervised.as_ref().is_none_or(|supervised| supervised.application.is_up());
        self.leaving.is_none()
            && up
            && self.parts.checks.verdict() == Verdict::Healthy
            && self.parts.books.state() == Some(LedgerState::Open)
    }

    /// Carries out what the machine wishes, until it wishes nothing more.
    fn act(&mut self) {
        while !self.remembering {
            let action = self.parts.machine.next_action(clock::now());
            // Sending an attempt may already end what we may do.
            self.post();
            match action {
                None => return,
                Some(Action::Stop(cause)) => self.stop(cause),
                Some(Action::Remember(memory)) => {
                    self.remembering = true;
                    self.effects.spawn(crate::lease::remember(Arc::clone(&self.parts.life), memory));
                }
                Some(Action::Read { within }) => {
                    self.effects.spawn(crate::lease::read(Arc::clone(&self.parts.leases), within));
                }
                Some(Action::Attempt(attempt)) => {
                    self.report.attempt(&attempt, &self.snapshots.borrow(), &self.parts.config.instance);
                    self.effects.spawn(crate::lease::attempt(Arc::clone(&self.parts.leases), attempt));
                }
            }
        }
    }

    /// Publishes where we stand.
    fn post(&mut self) {
        let standing = self.parts.machine.standing();
        match standing.phase {
            Phase::Leading => {
                self.carry_until = standing.serve_until;
                self.stop = None;
            }
            // The lease is still renewed, for those who are finishing.
            Phase::Stepping if self.is_in_grace() => self.carry_until = standing.held_until,
            Phase::Stepping => {}
            Phase::Idle | Phase::Watching | Phase::Taking | Phase::Releasing => self.carry_until = Moment::ZERO,
        }
        let reason = self.reason(standing.phase);
        self.parts.cell.post(Posted { standing, carry_until: self.carry_until, reason });
        self.report_standing(&standing);
    }

    /// Why we do not serve, where we do not.
    fn reason(&self, phase: Phase) -> ProbeReason {
        let parts = &self.parts;
        let application = parts.supervised.as_ref().map(|supervised| supervised.application.state());
        match (parts.books.state(), parts.checks.verdict()) {
            _ if self.leaving.is_some() => ProbeReason::Leaving,
            _ if matches!(phase, Phase::Stepping | Phase::Releasing) => ProbeReason::SteppingDown,
            (Some(LedgerState::Draining), _) => ProbeReason::Draining,
            _ if application == Some(State::Starting) => ProbeReason::Starting,
            _ if application.is_some_and(|state| state != State::Up) => ProbeReason::ApplicationDown,
            (_, Verdict::Failed | Verdict::Silent) if parts.checks.was_healthy() => ProbeReason::Unhealthy,
            (_, Verdict::Failed | Verdict::Silent | Verdict::Unknown) => ProbeReason::Starting,
            _ if parts.books.trouble().is_some() => ProbeReason::StoreUnavailable,
            _ if self.report.lost() => ProbeReason::LeaseLost,
            _ if *parts.books.presence() != Presence::There => ProbeReason::Starting,
            _ if self.report.led_by_another() => ProbeReason::Standby,
            _ => ProbeReason::Waiting,
        }
    }

    fn say_alive(&mut self, now: Moment) {
        if let (Some(due), Some(every)) = (self.alive_at, self.parts.controls.notify.watchdog())
            && due <= now
        {
            self.parts.controls.notify.alive();
            self.alive_at = Some(now + every);
        }
    }
}
