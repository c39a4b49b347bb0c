//! The part of an instance in a single set: contends for the lease, and serves while it holds it.
//!
//! What is decided, [`steadfast_core::lease::Machine`] decides; here it is told what happened, and what it wishes is
//! carried out.

mod attempt;
mod news;
mod report;
mod stop;

use std::sync::Arc;
use std::time::Duration;

use steadfast_core::Moment;
use steadfast_core::lease::{self, Action, Machine, Phase, Timing};
use steadfast_host::{clock, random};
use steadfast_registry::{Leases, LedgerState, ProbeReason, Snapshot};

use crate::books::Presence;
use crate::driver::{Agent, Part};
use crate::epoch_file::EpochFile;
use crate::event::Event;
use crate::gate::Gates;
use crate::gateways::Gateways;
use crate::register::Registered;
use crate::standing::{Posted, Serving};

use news::LeaseNews;
use report::Report;
use stop::Stop;

/// A contender at work.
pub(crate) struct Contender {
    leases: Arc<Leases>,
    machine: Machine,
    timing: Timing,
    news: LeaseNews,
    gates: Gates,
    gateways: Gateways,
    epoch_file: EpochFile,
    /// What the machine was last told of our fitness.
    told_fit: bool,
    /// The epoch is being written down: nothing else is asked of the machine before it is.
    remembering: bool,
    stop: Option<Stop>,
    report: Report,
    /// Until when the gates may carry on.
    carry_until: Moment,
}

impl Contender {
    /// A contender for the lease of the agent's set; it steps into what `registered` says it may.
    pub(crate) fn new(
        agent: &Agent,
        timing: Timing,
        registered: Registered,
        gates: Gates,
        gateways: Gateways,
    ) -> Contender {
        let (life, instance) = (&agent.life, agent.config.instance.clone());
        let mut machine = Machine::new(instance, life.incarnation(), timing, life.memory(), random::u64());
        if let Some(previous) = registered.replaced.filter(|_| registered.proven_dead) {
            machine.succeed(previous);
        }
        Contender {
            leases: Arc::new(Leases::new(agent.registry.clone(), agent.config.set.clone())),
            machine,
            timing,
            news: LeaseNews::new(timing),
            gates,
            gateways,
            epoch_file: EpochFile::start(Arc::clone(life)),
            told_fit: false,
            remembering: false,
            stop: None,
            report: Report::default(),
            carry_until: Moment::ZERO,
        }
    }

    /// Tells the machine something, and everybody where that leaves us.
    fn tell(&mut self, agent: &mut Agent, now: Moment, event: lease::Event) {
        self.machine.handle(now, event);
        self.post(agent);
    }

    fn judge_fitness(&mut self, agent: &mut Agent, now: Moment) {
        // Registered, running, healthy, open, and not about to leave.
        let fit = agent.is_able() && agent.books.state() == Some(LedgerState::Open);
        if fit != self.told_fit {
            self.told_fit = fit;
            self.tell(agent, now, lease::Event::Fit(fit));
        }
    }

    /// Carries out what the machine wishes, until it wishes nothing more.
    fn act(&mut self, agent: &mut Agent) {
        while !self.remembering {
            let action = self.machine.next_action(clock::now());
            // Sending an attempt may already end what we may do.
            self.post(agent);
            match action {
                None => return,
                Some(Action::Stop(cause)) => self.stop(agent, cause),
                Some(Action::Remember(memory)) => {
                    self.remembering = true;
                    agent.effects.spawn(attempt::remember(Arc::clone(&agent.life), memory));
                }
                Some(Action::Read { within }) => {
                    agent.effects.spawn(attempt::read(Arc::clone(&self.leases), within));
                }
                Some(Action::Attempt(attempt)) => {
                    self.report.attempt(&attempt, &agent.mirror.snapshot(), &agent.config.instance);
                    agent.effects.spawn(attempt::attempt(Arc::clone(&self.leases), attempt));
                }
            }
        }
    }

    /// Publishes where we stand.
    fn post(&mut self, agent: &Agent) {
        let standing = self.machine.standing();
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
        let serving = Serving::Leased { standing, carry_until: self.carry_until };
        agent.cell.post(Posted { serving, reason: self.reason(agent, standing.phase) });
        self.report_standing(agent, &standing);
    }

    /// Why we do not serve, where we do not.
    fn reason(&self, agent: &Agent, phase: Phase) -> ProbeReason {
        if agent.leaving.is_some() {
            return ProbeReason::Leaving;
        }
        if matches!(phase, Phase::Stepping | Phase::Releasing) {
            return ProbeReason::SteppingDown;
        }
        if agent.books.state() == Some(LedgerState::Draining) {
            return ProbeReason::Draining;
        }
        agent.ailment().unwrap_or_else(|| match () {
            () if agent.books.trouble().is_some() || self.report.unwritten() => ProbeReason::StoreUnavailable,
            () if self.report.lost() => ProbeReason::LeaseLost,
            () if *agent.books.presence() != Presence::There => ProbeReason::Starting,
            () if self.report.led_by_another() => ProbeReason::Standby,
            () => ProbeReason::Waiting,
        })
    }
}

impl Part for Contender {
    fn learn(&mut self, agent: &mut Agent, now: Moment, snapshot: &Snapshot) {
        self.report.see(snapshot, &agent.config.instance);
        for event in self.news.learn(snapshot) {
            if let lease::Event::Retune(timing) = &event {
                tracing::info!(set = %agent.config.set, ttl = %timing.ttl(), "the set's settings changed");
                self.timing = *timing;
            }
            self.tell(agent, now, event);
        }
    }

    fn hear(&mut self, agent: &mut Agent, now: Moment, event: Event) {
        match event {
            Event::Settled { nonce, outcome, refusal } => {
                self.report.settled(&outcome, refusal);
                self.tell(agent, now, lease::Event::Settled { nonce, outcome });
            }
            Event::Read(Some(seen)) => self.tell(agent, now, lease::Event::Seen(seen)),
            Event::Remembered => self.remembering = false,
            Event::LetGo => self.let_go(agent),
            // What follows from the others is looked at after every event.
            _ => {}
        }
    }

    fn died(&mut self, agent: &mut Agent, now: Moment) {
        self.told_fit = false;
        self.tell(agent, now, lease::Event::ApplicationDied);
    }

    fn decide(&mut self, agent: &mut Agent, now: Moment) {
        self.judge_fitness(agent, now);
        self.act(agent);
    }

    fn conclude(&mut self, agent: &mut Agent, now: Moment) {
        self.go_on_stopping(agent, now);
        self.act(agent);
    }

    fn deadline(&self, _agent: &Agent) -> Option<Moment> {
        // While the epoch is being written down the machine's wishes wait.
        self.machine.deadline().filter(|_| !self.remembering)
    }

    /// An application that may still be sent something on the word of its former life is not started before that word
    /// has run out, unless a gate stands in front of it. While a step-down waits for it to be gone it is not started
    /// either: the lease would be kept for ever by an instance that does not serve.
    fn start_from(&self) -> Option<Moment> {
        let covered = self.gates.cover_all();
        let promised = self.machine.standing().promised_until;
        (!self.is_stopping()).then_some(if covered { Moment::ZERO } else { promised })
    }

    /// A leader's application is stopped by stepping down.
    fn may_restart(&self) -> bool {
        self.stop.is_none() && !self.is_bound()
    }

    fn is_bound(&self) -> bool {
        self.machine.standing().phase == Phase::Leading
    }

    /// Whether a step-down is under way that ends by our doing.
    fn is_stopping(&self) -> bool {
        self.stop.is_some_and(|stop| !stop.is_lapsing())
    }

    /// What cannot be released is left to expire.
    fn is_released(&self) -> bool {
        let free = matches!(self.machine.standing().phase, Phase::Idle | Phase::Watching);
        free || self.stop.is_some_and(|stop| stop.is_lapsing())
    }

    /// Load balancers are given their time to notice before others may lead.
    fn notice(&self) -> Duration {
        self.timing.release_after().duration()
    }

    async fn finish(self, within: Duration) {
        self.epoch_file.finish(within).await;
    }
}
