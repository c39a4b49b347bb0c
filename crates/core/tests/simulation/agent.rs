//! An agent: the lease machine in its shell, its probe, its gate, and the application beside it.

use steadfast_core::lease::{Action, Event, Hold, Machine, Memory, Outcome, Phase, Standing, StopCause, Timing};
use steadfast_core::{Epoch, Incarnation, InstanceId, Moment, Nonce, Span};

use crate::broken::{Broken, Step};
use crate::clock::{Clock, MS, True};
use crate::faults::Plan;
use crate::random::Random;
use crate::wires::{Reply, Request};
use crate::world::{Process, Task, Who, World, trace};

/// How traffic reaches the application, and what stopping means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Through the agent's gate, which closes.
    Gated,
    /// Directly; the agent supervises it and can kill it.
    Supervised,
    /// Directly, and nothing can be stopped.
    Bare,
}

pub(crate) struct Agent {
    pub(crate) process: Process,
    pub(crate) id: InstanceId,
    /// A second agent of the first one's name, which only a broken rule lets start.
    pub(crate) is_twin: bool,
    pub(crate) kind: Kind,
    pub(crate) clock: Clock,
    pub(crate) standing: Standing,
    pub(crate) application: Application,
    pub(crate) disk: Disk,
    pub(crate) machine: Machine,
    pub(crate) incarnation: Incarnation,
    pub(crate) timing: Timing,
    told_fit: bool,
    /// Connections are open at the gate.
    pub(crate) gate_open: bool,
    /// The present stop, so that the end of an earlier one is not taken for its own.
    stops: u64,
    ticks: u64,
    pub(crate) sent: Vec<Sent>,
    /// The version of the lease last seen.
    pub(crate) seen_version: Option<u64>,
    pub(crate) last_step: Moment,
    /// What a broken rule lets it serve, until when.
    pub(crate) usurped: Option<(Epoch, Moment)>,
    /// Until when it serves at most, whatever its machine says: a broken rule wrote a shorter TTL than the machine
    /// knows of, and its success is known.
    pub(crate) clamped: Moment,
    /// Renewals with such a TTL, and until when they let serve.
    pub(crate) shortened: Vec<(Nonce, Moment)>,
    /// The deadline it had when it began to step down.
    pub(crate) given_up: Option<(Epoch, Moment)>,
    permit: Permit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Application {
    pub(crate) alive: bool,
    pub(crate) healthy: bool,
}

/// What survives the agent.
#[derive(Clone, Copy, Default)]
pub(crate) struct Disk {
    memory: Memory,
    last_life: Option<Incarnation>,
    /// The highest epoch ever led, which the simulation knows.
    pub(crate) led: Epoch,
}

impl Disk {
    pub(crate) fn forget_former_life(&mut self) {
        self.last_life = None;
    }
}

/// An attempt that was sent.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) nonce: Nonce,
    pub(crate) ttl: Span,
    pub(crate) hold: Hold,
}

/// In true time, what the agent may do until when; each includes the time to cut traffic off.
#[derive(Clone, Copy, Default)]
struct Permit {
    serving: True,
    finishing: True,
    /// After a deadline that passed by itself.
    lingering: True,
}

impl Agent {
    pub(crate) fn new(index: usize, plan: &Plan, random: &mut Random) -> Agent {
        let is_twin = plan.has_twin && index + 1 == plan.agents;
        let named = if is_twin { 0 } else { index };
        let id: InstanceId = format!("web-{named}").parse().expect("an instance's id");
        let timing = plan.timing(0);
        let clock = Clock::new(random, timing.drift_milli());
        let machine = Machine::new(id.clone(), Incarnation(0), timing, Memory::default(), 0);
        Agent {
            process: Process::default(),
            id,
            is_twin,
            kind: random.pick(&[Kind::Gated, Kind::Gated, Kind::Supervised, Kind::Supervised, Kind::Bare]),
            clock,
            standing: Standing::NEW,
            application: Application { alive: true, healthy: true },
            disk: Disk::default(),
            machine,
            incarnation: Incarnation(0),
            timing,
            told_fit: false,
            gate_open: false,
            stops: 0,
            ticks: 0,
            sent: Vec::new(),
            seen_version: None,
            last_step: Moment::ZERO,
            usurped: None,
            clamped: Moment::MAX,
            shortened: Vec::new(),
            given_up: None,
            permit: Permit::default(),
        }
    }

    /// What the probe answers and the gate obeys.
    pub(crate) fn serving(&self, now: Moment) -> Option<(Epoch, core::time::Duration)> {
        let usurped = self.usurped.filter(|(_, until)| now < *until).map(|(epoch, until)| (epoch, until.since(now)));
        self.standing.serving(now).filter(|_| now < self.clamped).or(usurped)
    }

    /// Whether it may act as the one active instance at this true time, or at any later one it may wake up at.
    pub(crate) fn may_act(&self, at: True, broken: Broken) -> bool {
        let gate = self.gate_open && (broken == Broken::GateChecksOnlyAtAccept || at < self.permit.finishing);
        self.process.alive && (at < self.permit.serving || at < self.permit.lingering || gate)
    }

    /// Whether whoever connects past the agent reaches something.
    pub(crate) fn reached_directly(&self) -> bool {
        self.kind != Kind::Gated && self.application.alive
    }

    fn permit(&mut self) {
        let usurped = self.usurped.map_or(Moment::ZERO, |(_, until)| until);
        let until = |moment: Moment| if moment == Moment::ZERO { 0 } else { self.clock.cut_at(moment) };
        self.permit.serving = until(self.standing.serve_until.min(self.clamped).max(usurped));
        self.permit.finishing = until(self.standing.held_until);
    }
}

/// Lives.
impl World {
    pub(crate) fn start_agent(&mut self, index: usize) {
        let (incarnation, seed) = (Incarnation(self.random.next()), self.random.next());
        let (now, agent) = (self.now, &mut self.agents[index]);
        if agent.process.alive {
            return;
        }
        agent.process.start();
        agent.timing = self.settings;
        agent.incarnation = incarnation;
        agent.machine = Machine::new(agent.id.clone(), incarnation, agent.timing, agent.disk.memory, seed);
        if let Some(last) = agent.disk.last_life {
            agent.machine.succeed(last);
        }
        let remembers = agent.disk.last_life.is_some() || agent.disk.memory.promised_until > Moment::ZERO;
        agent.disk.last_life = Some(incarnation);
        agent.standing = agent.machine.standing();
        (agent.told_fit, agent.gate_open, agent.seen_version) = (false, false, None);
        (agent.usurped, agent.given_up, agent.permit) = (None, None, Permit::default());
        agent.clamped = Moment::MAX;
        agent.shortened.clear();
        agent.sent.clear();
        agent.last_step = agent.clock.local(now);
        let (kind, clock, ttl) = (agent.kind, agent.clock, agent.timing.ttl());
        trace!(
            self,
            "{} starts, {kind:?}, clock x {:.3}, life {incarnation:.4}",
            self.agents[index].id,
            clock.rate_ppm as f64 / 1e6
        );
        let who = Who::Agent(index);
        self.task_in(0, who, Task::Connect);
        self.task_in(100 * MS, who, Task::Check);
        if kind == Kind::Gated {
            self.task_in(50 * MS, who, Task::Bytes);
        }
        if kind == Kind::Supervised && !self.agents[index].application.alive {
            // Whoever remembers nothing may have promised something in a life it does not know of.
            let promised = self.agents[index].standing.promised_until;
            let stranger = self.agents[index].clock.local(now) + ttl.duration();
            let at = clock.true_at(if remembers { promised } else { stranger });
            self.task_at(at.max(now + 50 * MS), who, Task::StartApplication);
        }
        self.step(index, None);
    }

    /// The agent is killed; a gate goes with it, and a supervised application too.
    pub(crate) fn kill_agent(&mut self, index: usize) {
        trace!(self, "{} is killed", self.agents[index].id);
        let agent = &mut self.agents[index];
        agent.process.end();
        agent.standing = Standing::NEW;
        if agent.kind == Kind::Supervised {
            agent.application.alive = false;
        }
    }

    /// The machine goes down and comes up again as another boot.
    pub(crate) fn kill_machine(&mut self, index: usize) {
        self.kill_agent(index);
        let agent = &mut self.agents[index];
        agent.application.alive = false;
        agent.clock = agent.clock.rebooted(&mut self.random);
        agent.disk.last_life = None;
        agent.disk.memory.promised_until = Moment::ZERO;
    }

    /// Nothing is left of its state.
    pub(crate) fn lose_disk(&mut self, index: usize) {
        self.agents[index].disk = Disk::default();
    }

    /// The application dies by itself.
    pub(crate) fn application_dies(&mut self, index: usize) {
        trace!(self, "{}'s application dies", self.agents[index].id);
        let agent = &mut self.agents[index];
        agent.application.alive = false;
        if agent.kind == Kind::Supervised && agent.process.alive {
            let noticed_in = self.random.between(1, 5) * MS;
            self.task_in(noticed_in, Who::Agent(index), Task::Check);
            self.restart_application(index);
        }
    }

    fn restart_application(&mut self, index: usize) {
        let backoff = self.random.between(50, 600) * MS;
        let agent = &self.agents[index];
        let promised = agent.clock.true_at(agent.standing.promised_until);
        let at = if self.broken == Broken::RestartsBeforeThePromiseIsOver { 0 } else { promised };
        self.task_at(at.max(self.now + backoff), Who::Agent(index), Task::StartApplication);
    }

    /// A second agent of the first one's name adopts its lease, though it lives.
    pub(crate) fn start_twin(&mut self) {
        let first = &self.agents[0];
        let (disk, clock, alive) = (first.disk, first.clock, first.process.alive);
        if alive && let Some(twin) = self.agents.iter().position(|agent| agent.is_twin && !agent.process.alive) {
            self.agents[twin].disk = Disk { led: Epoch::NONE, ..disk };
            self.agents[twin].clock = clock;
            self.start_agent(twin);
        }
    }
}

/// What it does.
impl World {
    pub(crate) fn agent_runs(&mut self, index: usize, task: Task) {
        let who = Who::Agent(index);
        match task {
            Task::Tick(ticks) if ticks == self.agents[index].ticks => self.step(index, None),
            Task::GiveUp(nonce) => {
                if self.agents[index].sent.iter().any(|sent| sent.nonce == nonce) {
                    self.step(index, Some(Event::Settled { nonce, outcome: Outcome::Unknown }));
                }
            }
            Task::Stopped(stops) if stops == self.agents[index].stops => {
                self.agents[index].gate_open = false;
                if self.agents[index].kind == Kind::Supervised {
                    self.agents[index].application.alive = false;
                    self.restart_application(index);
                }
                self.step(index, Some(Event::Stopped));
            }
            Task::SayStopped => self.step(index, Some(Event::Stopped)),
            Task::CannotStop => self.step(index, Some(Event::CannotStop)),
            Task::StartApplication => {
                self.agents[index].application = Application { alive: true, healthy: true };
                trace!(self, "{}'s application is up", self.agents[index].id);
            }
            Task::Check => self.check_application(index),
            Task::Bytes => self.bytes_arrive(index),
            Task::Broken(watch) => self.watch_broken(who, watch),
            Task::Connect => self.connect(who),
            Task::Retune(timing) => {
                self.agents[index].timing = timing;
                self.step(index, Some(Event::Retune(timing)));
            }
            Task::HandOver(to) => self.step(index, Some(Event::HandOver { to })),
            Task::Tick(_) | Task::Stopped(_) | Task::Probe | Task::Forward => {}
        }
    }

    fn check_application(&mut self, index: usize) {
        let agent = &mut self.agents[index];
        let fit = agent.application.alive && agent.application.healthy;
        let (was_fit, supervised) = (agent.told_fit, agent.kind == Kind::Supervised);
        if fit != was_fit {
            agent.told_fit = fit;
            let died = supervised && !agent.application.alive;
            self.step(index, Some(if died { Event::ApplicationDied } else { Event::Fit(fit) }));
        }
        let again_in = self.random.between(150, 250) * MS;
        self.task_in(again_in, Who::Agent(index), Task::Check);
    }

    /// The gate looks before every read it passes on.
    fn bytes_arrive(&mut self, index: usize) {
        let agent = &mut self.agents[index];
        let now = agent.clock.local(self.now);
        let serving = agent.serving(now);
        let may_finish = agent.gate_open && agent.standing.holding(now);
        let unchecked = agent.gate_open && self.broken == Broken::GateChecksOnlyAtAccept;
        if serving.is_some() || may_finish || unchecked {
            agent.gate_open = true;
            let epoch = serving.map_or(agent.standing.epoch, |(epoch, _)| epoch);
            self.acts(index, epoch, "passes bytes through its gate");
        } else {
            agent.gate_open = false;
        }
        let again_in = self.random.between(30, 150) * MS;
        self.task_in(again_in, Who::Agent(index), Task::Bytes);
    }

    pub(crate) fn agent_receives(&mut self, index: usize, reply: Reply) {
        let who = Who::Agent(index);
        match &reply {
            Reply::Read(_) | Reply::Settled { .. } => {}
            _ if self.follows(who, &reply) => {}
            _ => return,
        }
        let event = match reply {
            Reply::Scanned { lease, .. } | Reply::Read(lease) => Event::Seen(lease),
            Reply::Committed { change: Some(lease), .. } => Event::Seen(lease),
            Reply::Committed { change: None, .. } | Reply::Progress { .. } | Reply::Resumed { .. } => Event::Contact,
            Reply::Compacted => {
                self.connect(who);
                Event::StoreReset
            }
            Reply::Settled { nonce, outcome } => Event::Settled { nonce, outcome },
        };
        let seen_version = &mut self.agents[index].seen_version;
        match &event {
            Event::Seen(seen) | Event::Settled { outcome: Outcome::Conflict(seen), .. } => {
                *seen_version = seen.as_ref().map(|seen| seen.version.0);
            }
            Event::Settled { outcome: Outcome::Committed(version), .. } => *seen_version = Some(version.0),
            _ => {}
        }
        self.step(index, Some(event.clone()));
        if let Event::Settled { nonce, .. } = event {
            self.agents[index].sent.retain(|sent| sent.nonce != nonce);
        }
    }

    pub(crate) fn probe_asked(&mut self, gateway: usize, life: u32, index: usize, asked: Moment) {
        let agent = &self.agents[index];
        let serving = agent.serving(agent.clock.local(self.now));
        if let Some((epoch, _)) = serving {
            self.acts(index, epoch, "answers 200");
        }
        let delay = self.random.between(1, 20) * MS;
        self.at(self.now + delay, crate::world::Event::Answer { gateway, life, agent: index, asked, serving });
    }

    /// One step of the shell: an event or a tick, the machine's wishes, and what is published.
    pub(crate) fn step(&mut self, index: usize, event: Option<Event>) {
        let before = self.agents[index].standing;
        let now = self.agents[index].clock.local(self.now);
        if let Some(event) = &event {
            self.trace_event(index, event);
        }
        self.break_before(index, now, event.as_ref());
        let agent = &mut self.agents[index];
        match event.clone() {
            Some(event) => agent.machine.handle(now, event),
            None => agent.machine.tick(now),
        }
        agent.last_step = now;
        let handled = agent.machine.standing();
        let mut stop = None;
        while let Some(action) = self.agents[index].machine.next_action(now) {
            if let Action::Stop(cause) = action {
                stop = Some(cause);
            }
            self.carry_out(index, now, action);
        }
        self.break_after(index, &Step { now, event: event.as_ref(), before, handled, stop });
        self.publish(index, before);
        let agent = &mut self.agents[index];
        agent.ticks += 1;
        let (deadline, ticks) = (agent.machine.deadline(), agent.ticks);
        if let Some(deadline) = deadline {
            assert!(deadline > now, "the shell would spin: {:?}", self.agents[index].machine);
            let at = self.agents[index].clock.true_at(deadline);
            self.task_at(at, Who::Agent(index), Task::Tick(ticks));
        }
    }

    fn publish(&mut self, index: usize, before: Standing) {
        let (now, agent) = (self.now, &mut self.agents[index]);
        let standing = agent.machine.standing();
        let given_away = matches!(standing.phase, Phase::Stepping | Phase::Releasing);
        if before.phase == Phase::Leading && standing.phase != Phase::Leading && !given_away {
            agent.permit.lingering =
                agent.clock.cut_at(before.serve_until).min(agent.clock.cut_at(agent.clock.local(now)));
        }
        agent.standing = standing;
        agent.permit();
        if standing.phase != before.phase {
            trace!(self, "{}: {:?} at epoch {}", self.agents[index].id, standing.phase, standing.epoch);
        }
        if standing.phase == Phase::Leading && (before.phase != Phase::Leading || before.epoch != standing.epoch) {
            let agent = &mut self.agents[index];
            self.judge.leads(&agent.id, standing.epoch, &mut agent.disk.led, now);
        }
    }

    fn carry_out(&mut self, index: usize, now: Moment, action: Action) {
        let who = Who::Agent(index);
        match action {
            Action::Remember(memory) => self.agents[index].disk.memory = memory,
            Action::Read { .. } => self.send(who, Request::Read),
            Action::Attempt(mut attempt) => {
                self.break_attempt(index, now, &mut attempt);
                let (nonce, ttl, hold) = (attempt.record.nonce, attempt.record.ttl, attempt.hold);
                trace!(
                    self,
                    "{} -> {hold:?} {:?} {}",
                    self.agents[index].id,
                    attempt.expect,
                    crate::wires::text(&attempt.record)
                );
                let agent = &mut self.agents[index];
                agent.sent.push(Sent { nonce, ttl, hold });
                let give_up = agent.clock.true_at(now + attempt.within);
                self.send(who, Request::Commit(attempt));
                self.task_at(give_up, who, Task::GiveUp(nonce));
            }
            Action::Stop(cause) => self.stop(index, cause),
        }
    }

    fn stop(&mut self, index: usize, cause: StopCause) {
        trace!(self, "{}: stop, {cause:?}", self.agents[index].id);
        let who = Who::Agent(index);
        let agent = &mut self.agents[index];
        agent.stops += 1;
        let (kind, stops) = (agent.kind, agent.stops);
        match (kind, cause) {
            (Kind::Gated, StopCause::Lost | StopCause::Died) => {
                agent.gate_open = false;
                self.task_in(1, who, Task::Stopped(stops));
            }
            // What it carries may finish first.
            (Kind::Gated, _) => {
                let finished_in = self.random.between(1, 400) * MS;
                self.task_in(finished_in, who, Task::Stopped(stops));
            }
            // It goes on as a standby; nobody is sent to it any more.
            (Kind::Supervised | Kind::Bare, StopCause::Lost) => {}
            (Kind::Supervised, _) => {
                let killed_in = self.random.between(1, 900) * MS;
                self.task_in(killed_in, who, Task::Stopped(stops));
                if self.broken == Broken::ReleasesBeforeStopped {
                    self.task_in(1, who, Task::SayStopped);
                }
            }
            (Kind::Bare, _) => self.task_in(1, who, Task::CannotStop),
        }
    }

    fn trace_event(&self, index: usize, event: &Event) {
        if !matches!(event, Event::Contact) {
            trace!(self, "{} <- {}", self.agents[index].id, describe(event));
        }
    }
}

fn describe(event: &Event) -> String {
    let shown = |seen: &Option<steadfast_core::lease::Observed>| match seen {
        Some(seen) => format!("{:?} {}", seen.version, crate::wires::text(&seen.record)),
        None => "no record".to_owned(),
    };
    match event {
        Event::Seen(seen) => format!("sees {}", shown(seen)),
        Event::Settled { nonce, outcome: Outcome::Conflict(seen) } => {
            format!("nonce {:.4} conflicts with {}", nonce.to_string(), shown(seen))
        }
        Event::Settled { nonce, outcome } => format!("nonce {:.4}: {outcome:?}", nonce.to_string()),
        other => format!("{other:?}"),
    }
}
