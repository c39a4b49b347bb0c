//! True time, the queue of what happens next, and the wires between processes and the store.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use steadfast_core::lease::Timing;
use steadfast_core::{Epoch, InstanceId, Moment, Nonce};

use crate::agent::Agent;
use crate::broken::Broken;
use crate::clock::{MS, True};
use crate::faults::Plan;
use crate::gateway::Gateway;
use crate::invariants::{Judge, Violation};
use crate::random::Random;
use crate::store::{Cursor, Store, Versions};
use crate::wires::{Reply, Request, Way, Wire, Wires};

/// A process that uses the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    Agent(usize),
    Gateway(usize),
}

/// What happens at some true time.
#[derive(Clone)]
pub(crate) enum Event {
    /// A request reaches the store.
    Request { from: Who, life: u32, wire: Wire, request: Request },
    /// Something from the store reaches a process.
    Reply { to: Who, life: u32, wire: Wire, reply: Reply },
    /// A process goes on with something of its own.
    Run { who: Who, life: u32, task: Task },
    /// A gateway asks an agent's probe.
    Ask { gateway: usize, life: u32, agent: usize, asked: Moment },
    /// The probe answers: the epoch and for how long, or 503.
    Answer { gateway: usize, life: u32, agent: usize, asked: Moment, serving: Option<(Epoch, core::time::Duration)> },
    /// Nobody's process: the world itself.
    World(Happening),
}

/// What a process does by itself. Some wait for a timer, others are ready to run.
#[derive(Clone)]
pub(crate) enum Task {
    /// The machine's deadline, if it is still this one.
    Tick(u64),
    /// No answer came for an attempt.
    GiveUp(Nonce),
    /// What the machine wanted stopped has stopped.
    Stopped(u64),
    /// Nothing can be stopped.
    CannotStop,
    /// A broken rule: what runs is said to have stopped.
    SayStopped,
    /// The supervised application is started.
    StartApplication,
    /// The application is checked.
    Check,
    /// Bytes arrive at the gate.
    Bytes,
    /// This watch is broken.
    Broken(u64),
    /// There is no watch: try again.
    Connect,
    /// New settings arrive.
    Retune(Timing),
    /// An operator's wish arrives.
    HandOver(Option<InstanceId>),
    /// A gateway asks all probes.
    Probe,
    /// A request arrives at the gateway.
    Forward,
}

#[derive(Clone)]
pub(crate) enum Happening {
    Noise,
    Progress,
    Fault,
    /// A fault that was on its way.
    CutOff(Who, Way, True),
    Delete,
    /// A fault ends.
    Mend(Mend),
    Calm,
}

#[derive(Clone, Copy)]
pub(crate) enum Mend {
    Link(Who),
    Resume(Who),
    Start(Who),
    Store,
    Healthy(usize),
    StartApplication(usize),
}

pub(crate) struct World {
    pub(crate) now: True,
    pub(crate) random: Random,
    pub(crate) plan: Plan,
    pub(crate) broken: Broken,
    pub(crate) store: Store,
    pub(crate) agents: Vec<Agent>,
    pub(crate) gateways: Vec<Gateway>,
    pub(crate) judge: Judge,
    /// The set's settings at present.
    pub(crate) settings: Timing,
    /// Nothing goes wrong any more.
    pub(crate) calm: bool,
    pub(crate) tracing: bool,
    pub(crate) wires: Wires,
    queue: BinaryHeap<Queued>,
    sequence: u64,
}

struct Queued {
    at: True,
    sequence: u64,
    event: Event,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Queued) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Queued) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    /// The heap gives its greatest first: the earliest.
    fn cmp(&self, other: &Queued) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

/// Says what happens, where somebody reads it.
macro_rules! trace {
    ($world:expr, $($text:tt)*) => {
        if $world.tracing {
            println!("{:>11.6}s  {}", $world.now as f64 / 1e9, format!($($text)*));
        }
    };
}
pub(crate) use trace;

impl World {
    pub(crate) fn new(seed: u64, broken: Broken, tracing: bool) -> World {
        let mut random = Random::new(seed);
        let plan = Plan::new(&mut random, broken);
        let versions = if broken == Broken::VersionReused { Versions::PerRecord } else { Versions::Revision };
        let agents = (0..plan.agents).map(|index| Agent::new(index, &plan, &mut random)).collect();
        let gateways: Vec<Gateway> = (0..plan.gateways).map(|_| Gateway::new(&plan, &mut random)).collect();
        let settings = plan.timing(0);
        let wires = Wires::new(plan.agents, plan.gateways);
        World {
            now: 0,
            random,
            plan,
            broken,
            store: Store::new(versions),
            agents,
            gateways,
            judge: Judge::new(),
            settings,
            calm: false,
            tracing,
            wires,
            queue: BinaryHeap::new(),
            sequence: 0,
        }
    }

    /// Runs to the end or to the first violation.
    pub(crate) fn run(mut self) -> Result<(), Violation> {
        self.open();
        while let Some(Queued { at, event, .. }) = self.queue.pop() {
            if at > self.plan.ends_at {
                break;
            }
            self.now = at;
            self.deliver(event);
            self.check()?;
        }
        self.now = self.plan.ends_at;
        self.check_liveness()
    }

    fn open(&mut self) {
        trace!(self, "{:?}", self.plan);
        for index in 0..self.agents.len() {
            if !self.agents[index].is_twin {
                self.start_agent(index);
            }
        }
        for index in 0..self.gateways.len() {
            self.start_gateway(index);
        }
        self.happens_in(0, Happening::Progress);
        self.happens_in(500 * MS, Happening::Noise);
        self.happens_in(self.plan.first_fault_at, Happening::Fault);
        self.happens_in(self.plan.calm_at, Happening::Calm);
    }

    pub(crate) fn at(&mut self, at: True, event: Event) {
        self.sequence += 1;
        self.queue.push(Queued { at: at.max(self.now), sequence: self.sequence, event });
    }

    pub(crate) fn happens_in(&mut self, delay: True, happening: Happening) {
        self.at(self.now + delay, Event::World(happening));
    }

    /// A process goes on with this at a true time.
    pub(crate) fn task_at(&mut self, at: True, who: Who, task: Task) {
        let life = self.life(who);
        self.at(at, Event::Run { who, life, task });
    }

    pub(crate) fn task_in(&mut self, delay: True, who: Who, task: Task) {
        self.task_at(self.now + delay, who, task);
    }

    fn deliver(&mut self, event: Event) {
        let (who, life) = match &event {
            Event::Request { .. } | Event::World(_) => return self.deliver_outside(event),
            Event::Reply { to, life, .. } => (*to, Some(*life)),
            Event::Run { who, life, .. } => (*who, Some(*life)),
            Event::Ask { agent, .. } => (Who::Agent(*agent), None),
            Event::Answer { gateway, life, .. } => (Who::Gateway(*gateway), Some(*life)),
        };
        if let Event::Reply { to, wire, .. } = &event
            && self.wires.was_cut(*to, *wire)
        {
            return;
        }
        let current = self.life(who);
        let process = self.process(who);
        if !process.alive || life.is_some_and(|life| life != current) {
            return;
        }
        if let Some(inbox) = &mut process.paused {
            inbox.push(event);
            return;
        }
        match (who, event) {
            (Who::Agent(index), Event::Reply { reply, .. }) => self.agent_receives(index, reply),
            (Who::Gateway(index), Event::Reply { reply, .. }) => self.gateway_receives(index, reply),
            (Who::Agent(index), Event::Run { task, .. }) => self.agent_runs(index, task),
            (Who::Gateway(index), Event::Run { task, .. }) => self.gateway_runs(index, task),
            (_, Event::Ask { gateway, life, agent, asked }) => self.probe_asked(gateway, life, agent, asked),
            (_, Event::Answer { gateway, agent, asked, serving, .. }) => {
                self.probe_answered(gateway, agent, asked, serving)
            }
            (_, Event::Request { .. } | Event::World(_)) => {}
        }
    }

    fn deliver_outside(&mut self, event: Event) {
        match event {
            Event::Request { from, wire, .. } if !self.store.up || self.wires.was_cut(from, wire) => {}
            Event::Request { from, life, request, .. } => self.serve(from, life, request),
            Event::World(happening) => self.happen(happening),
            _ => {}
        }
    }

    pub(crate) fn process(&mut self, who: Who) -> &mut Process {
        match who {
            Who::Agent(index) => &mut self.agents[index].process,
            Who::Gateway(index) => &mut self.gateways[index].process,
        }
    }

    pub(crate) fn life(&mut self, who: Who) -> u32 {
        self.process(who).life
    }

    /// What was ready while the process stood still runs first, then its timers.
    pub(crate) fn resume(&mut self, who: Who) {
        let Some(inbox) = self.process(who).paused.take() else { return };
        trace!(self, "{who:?} goes on");
        let (timers, ready): (Vec<_>, Vec<_>) = inbox
            .into_iter()
            .partition(|event| matches!(event, Event::Run { task: Task::Tick(_) | Task::GiveUp(_), .. }));
        for event in ready.into_iter().chain(timers) {
            // A cut since then does not empty its buffers.
            let event = match event {
                Event::Reply { to, life, reply, .. } => Event::Reply { to, life, wire: Wire::ARRIVED, reply },
                other => other,
            };
            self.at(self.now, event);
        }
    }

    pub(crate) fn everybody(&self) -> impl Iterator<Item = Who> + use<> {
        (0..self.agents.len()).map(Who::Agent).chain((0..self.gateways.len()).map(Who::Gateway))
    }
}

/// What agents and gateways have in common: a process that can be dead, stand still, and start again.
#[derive(Clone, Default)]
pub(crate) struct Process {
    pub(crate) alive: bool,
    pub(crate) life: u32,
    /// What arrived while it stands still.
    pub(crate) paused: Option<Vec<Event>>,
    /// The running watch.
    pub(crate) watch: Option<u64>,
    pub(crate) cursor: Option<Cursor>,
    /// Which of the store's histories it knows of.
    pub(crate) history: u32,
}

impl Process {
    pub(crate) fn start(&mut self) {
        *self = Process { alive: true, life: self.life + 1, ..Process::default() };
    }

    pub(crate) fn end(&mut self) {
        self.alive = false;
        self.paused = None;
    }
}

/// What both do to keep a watch.
impl World {
    pub(crate) fn connect(&mut self, who: Who) {
        if self.process(who).watch.is_none() {
            let cursor = self.process(who).cursor;
            self.send(who, Request::Watch(cursor));
            let ttl = self.plan.shortest_ttl();
            let again_in = self.random.between(ttl / 20, ttl / 8);
            self.task_in(again_in, who, Task::Connect);
        }
    }

    pub(crate) fn watch_broken(&mut self, who: Who, watch: u64) {
        let process = self.process(who);
        if process.watch == Some(watch) {
            process.watch = None;
            self.connect(who);
        }
    }

    /// Whether something that came over a watch is of the present one; if so, history has come this far.
    pub(crate) fn follows(&mut self, who: Who, reply: &Reply) -> bool {
        let history = self.wires.history;
        let process = self.process(who);
        let newer = |watch: u64| process.watch.is_none_or(|present| watch > present);
        match *reply {
            Reply::Scanned { watch, cursor, .. } if newer(watch) => {
                (process.watch, process.cursor, process.history) = (Some(watch), Some(cursor), history);
                true
            }
            Reply::Resumed { watch } if newer(watch) => {
                (process.watch, process.history) = (Some(watch), history);
                true
            }
            Reply::Committed { watch, cursor, .. } | Reply::Progress { watch, cursor }
                if process.watch == Some(watch) =>
            {
                process.cursor = Some(cursor);
                true
            }
            Reply::Compacted if process.watch.is_none() => {
                (process.cursor, process.history) = (None, history);
                true
            }
            _ => false,
        }
    }
}
