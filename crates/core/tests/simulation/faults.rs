//! What goes wrong, when, and for how long: all of it drawn from the seed.

use steadfast_core::Span;
use steadfast_core::lease::Timing;

use crate::agent::Kind;
use crate::broken::Broken;
use crate::clock::{MS, True};
use crate::random::Random;
use crate::wires::{Slow, Way};
use crate::world::{Happening, Mend, Task, Who, World, trace};

/// The kinds of things that go wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    /// A process is cut off from the store.
    Cut,
    /// Its requests arrive, the answers do not; or the other way round.
    CutOneWay,
    /// Messages take up to more than a TTL.
    Slow,
    /// A third of all messages are lost.
    Lossy,
    /// SIGSTOP, later SIGCONT.
    Pause,
    /// kill -9 of the agent, with its state file kept or lost.
    KillAgent,
    KillMachine,
    ApplicationDies,
    Unhealthy,
    HandOver,
    Retune,
    StoreOutage,
    /// The store comes back with an older history, or with none.
    RollBack,
    /// The same without an outage worth the name: every watch has seen more than what is left.
    RollBackAtOnce,
    /// Somebody deletes the lease record.
    Delete,
    /// The same while the leader's last writes are still on their way.
    DeleteUnderWay,
    /// A link gets bad, and then there is none.
    Decline,
    Gateway,
}

const FAULTS: [Fault; 18] = [
    Fault::Cut,
    Fault::CutOneWay,
    Fault::Slow,
    Fault::Lossy,
    Fault::Pause,
    Fault::KillAgent,
    Fault::KillMachine,
    Fault::ApplicationDies,
    Fault::Unhealthy,
    Fault::HandOver,
    Fault::Retune,
    Fault::StoreOutage,
    Fault::RollBack,
    Fault::RollBackAtOnce,
    Fault::Delete,
    Fault::DeleteUnderWay,
    Fault::Decline,
    Fault::Gateway,
];

/// Where both the record and who knew of it are lost, nobody can know that it had a longer TTL than the settings
/// have now: then the epoch is the fence. Such runs are left out.
fn only_what_can_be_borne(mut faults: Vec<Fault>) -> Vec<Fault> {
    let loses = |fault: &Fault| {
        matches!(fault, Fault::RollBack | Fault::RollBackAtOnce | Fault::Delete | Fault::DeleteUnderWay)
    };
    let retunes = |fault: &Fault| matches!(fault, Fault::Retune | Fault::Decline);
    if faults.iter().any(loses) && faults.iter().any(retunes) {
        faults.retain(|fault| !matches!(fault, Fault::KillAgent | Fault::KillMachine));
    }
    faults
}

/// One run's circumstances.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) agents: usize,
    pub(crate) gateways: usize,
    pub(crate) has_twin: bool,
    timings: Vec<Timing>,
    faults: Vec<Fault>,
    /// On average.
    gap: True,
    pub(crate) progress_every: True,
    pub(crate) first_fault_at: True,
    pub(crate) calm_at: True,
    pub(crate) ends_at: True,
}

impl Plan {
    pub(crate) fn new(random: &mut Random, broken: Broken) -> Plan {
        let has_twin = broken == Broken::SecondAdopter;
        let agents = random.pick(&[2, 3, 3, 4]) + usize::from(has_twin);
        let gateways = random.pick(&[1, 2]);
        let (drift_milli, ttls): (u32, [u64; 3]) = random.pick(&[
            (100, [2_475, 3_000, 4_000]),
            (100, [2_475, 3_000, 3_000]),
            (50, [500, 1_000, 1_000]),
            (0, [300, 400, 500]),
        ]);
        let base = random.pick(&ttls);
        let release_after = Span::from_millis(random.pick(&[0, 0, 0, 500, base + 1_000]));
        let timings: Vec<Timing> = [base, random.pick(&ttls), base * 2, base * 3]
            .map(|ttl| Timing::new(Span::from_millis(ttl), drift_milli, release_after).expect("a safe timing"))
            .to_vec();
        let faults = (0..random.between(1, 6)).map(|_| random.pick(&FAULTS)).collect();
        let faults = only_what_can_be_borne(faults);
        let base = base * MS;
        let calm_at = base + base * 14;
        let plan = Plan {
            agents,
            gateways,
            has_twin,
            timings,
            faults,
            gap: random.pick(&[base / 6, base / 2, base]),
            progress_every: 0,
            first_fault_at: random.between(0, 2 * base),
            calm_at,
            ends_at: calm_at + 8 * base + 1_000 * MS,
        };
        Plan { progress_every: plan.shortest_ttl() / 12, ..plan }
    }

    /// The set's settings, and those it may be given; the first are those it begins with.
    pub(crate) fn timing(&self, index: usize) -> Timing {
        self.timings[index]
    }

    /// The TTL it begins with.
    pub(crate) fn base(&self) -> True {
        self.timings[0].ttl().as_millis() * MS
    }

    pub(crate) fn shortest_ttl(&self) -> True {
        self.timings.iter().map(|timing| timing.ttl().as_millis() * MS).min().unwrap_or(0)
    }

    /// Longer than any candidate goes without hearing from the store before it watches anew, on any clock.
    fn longer_than_patience(&self) -> True {
        let longest = self.timings.iter().map(|timing| timing.renew_every().as_nanos() as u64).max().unwrap_or(0);
        longest * 1_200 / 900 + MS
    }
}

impl World {
    pub(crate) fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Noise => {
                if self.store.up {
                    let mark = self.random.next();
                    self.store.noise(mark);
                    self.tell_watches();
                }
                let base = self.plan.base();
                let next_in = self.random.between(base / 12, base / 3);
                self.happens_in(next_in, Happening::Noise);
            }
            Happening::Progress => self.tell_progress(),
            Happening::Fault if self.calm => {}
            Happening::Fault => {
                let kinds = self.plan.faults.len();
                let fault = self.plan.faults[self.random.index(kinds)];
                self.strike(fault);
                if self.broken == Broken::SecondAdopter && self.random.percent(20) {
                    self.start_twin();
                }
                let next_in = self.random.between(self.plan.gap / 8, self.plan.gap * 2);
                self.happens_in(next_in, Happening::Fault);
            }
            Happening::CutOff(..) | Happening::Delete if self.calm => {}
            Happening::CutOff(who, way, lasts) => self.cut_off(who, way, lasts),
            Happening::Delete => self.delete_the_record(),
            Happening::Mend(mend) => self.mend(mend),
            Happening::Calm => self.calm_down(),
        }
    }

    fn strike(&mut self, fault: Fault) {
        let index = self.victim();
        let who = match self.random.percent(80) {
            true => Who::Agent(index),
            false => Who::Gateway(self.random.index(self.gateways.len())),
        };
        let lasts = self.duration();
        match fault {
            Fault::Cut => self.cut_off(who, Way::Both, lasts),
            Fault::CutOneWay => {
                let way = self.random.pick(&[Way::FromStore, Way::FromStore, Way::ToStore]);
                self.cut_off(who, way, lasts);
            }
            Fault::Slow => {
                let base = self.plan.base();
                let slow = self.random.pick(&[Slow::Everything, Slow::Requests, Slow::Replies, Slow::Watch]);
                let slowest = self.random.pick(&[base / 10, base / 2, base * 2, base * 4]);
                self.slow_down(who, slow, slowest, lasts);
            }
            Fault::Lossy => {
                trace!(self, "FAULT {who:?} loses a third of its messages for {} ms", lasts / MS);
                self.wires.link(who).lossy_until = self.now + lasts;
            }
            Fault::Decline => self.decline(index),
            Fault::DeleteUnderWay => self.delete_under_way(index),
            Fault::Pause => self.pause(who, lasts),
            Fault::KillAgent => self.kill(index, lasts),
            Fault::KillMachine => {
                trace!(self, "FAULT machine {index} goes down");
                self.kill_machine(index);
                self.mends_in(lasts / 4, Mend::Start(Who::Agent(index)));
                self.mends_in(lasts / 4 + 100 * MS, Mend::StartApplication(index));
            }
            Fault::ApplicationDies => {
                self.application_dies(index);
                self.mends_in(lasts / 4, Mend::StartApplication(index));
            }
            Fault::Unhealthy => {
                trace!(self, "FAULT {index} is unhealthy for {} ms", lasts / MS);
                self.agents[index].application.healthy = false;
                self.mends_in(lasts / 2, Mend::Healthy(index));
            }
            Fault::HandOver => self.order_hand_over(),
            Fault::Retune => self.retune(),
            Fault::StoreOutage | Fault::RollBack | Fault::RollBackAtOnce => self.strike_store(fault, lasts),
            Fault::Delete => self.delete_the_record(),
            Fault::Gateway => {
                let gateway = Who::Gateway(self.random.index(self.gateways.len()));
                self.process(gateway).end();
                self.mends_in(lasts / 4, Mend::Start(gateway));
            }
        }
    }

    /// Most often whoever leads.
    fn victim(&mut self) -> usize {
        let leader = self.agents.iter().position(|agent| agent.may_act(self.now, Broken::Nothing));
        match leader {
            Some(leader) if self.random.percent(60) => leader,
            _ => self.random.index(self.agents.len()),
        }
    }

    /// From a moment to a few TTLs.
    fn duration(&mut self) -> True {
        let base = self.plan.base();
        let longest = self.random.pick(&[base / 5, base, base * 3]);
        self.random.between(MS, longest)
    }

    fn mends_in(&mut self, delay: True, mend: Mend) {
        self.happens_in(delay, Happening::Mend(mend));
    }

    fn slow_down(&mut self, who: Who, slow: Slow, slowest: True, lasts: True) {
        trace!(self, "FAULT {who:?}: up to {} ms for {slow:?} for {} ms", slowest / MS, lasts / MS);
        let until = self.now + lasts;
        let link = self.wires.link(who);
        (link.slow_until, link.slow, link.slowest) = (until, slow, slowest);
    }

    fn cut_off(&mut self, who: Who, way: Way, lasts: True) {
        trace!(self, "FAULT {who:?} is cut off ({way:?}) for {} ms", lasts / MS);
        self.cut(who, way);
        self.mends_in(lasts, Mend::Link(who));
    }

    /// What the store answers comes late or not at all, sometimes just after the TTL was made shorter; soon after,
    /// nothing reaches the store for longer than a TTL.
    fn decline(&mut self, index: usize) {
        let (who, base) = (Who::Agent(index), self.plan.base());
        if self.random.percent(30) {
            self.retune();
        }
        let bad_for = self.random.between(base / 5, base);
        let way = self.random.pick(&[Way::Both, Way::ToStore]);
        if self.random.percent(50) {
            self.cut_off(who, Way::FromStore, bad_for);
        } else {
            let slow = if way == Way::Both { Slow::Everything } else { Slow::Replies };
            let slowest = self.random.between(base / 8, base * 2 / 3);
            self.slow_down(who, slow, slowest, bad_for);
        }
        let moment_of_health = self.random.between(0, base / 6);
        let gone_for = self.random.between(base, base * 5 / 2);
        self.happens_in(bad_for + moment_of_health, Happening::CutOff(who, way, gone_for));
    }

    fn delete_under_way(&mut self, index: usize) {
        let base = self.plan.base();
        self.slow_down(Who::Agent(index), Slow::Requests, base * 4, base / 2);
        let delay = self.random.between(base / 4, base / 2);
        self.happens_in(delay, Happening::Delete);
    }

    fn pause(&mut self, who: Who, lasts: True) {
        let process = self.process(who);
        if process.alive && process.paused.is_none() {
            process.paused = Some(Vec::new());
            trace!(self, "FAULT {who:?} stands still for {} ms", lasts / MS);
            self.mends_in(lasts, Mend::Resume(who));
        }
    }

    fn kill(&mut self, index: usize, lasts: True) {
        self.kill_agent(index);
        if self.random.percent(25) {
            trace!(self, "its state file is lost");
            self.lose_disk(index);
        }
        if self.random.percent(30) && self.agents[index].kind != Kind::Supervised {
            self.application_dies(index);
            self.mends_in(lasts / 4, Mend::StartApplication(index));
        }
        let back_in = if self.random.percent(50) { 50 * MS } else { lasts / 2 };
        self.mends_in(back_in, Mend::Start(Who::Agent(index)));
    }

    fn order_hand_over(&mut self) {
        let named = self.random.index(self.agents.len());
        let to = self.random.percent(60).then(|| self.agents[named].id.clone());
        trace!(self, "FAULT hand over to {to:?}");
        for index in 0..self.agents.len() {
            let delay = self.random.between(1, 40) * MS;
            self.task_in(delay, Who::Agent(index), Task::HandOver(to.clone()));
        }
    }

    fn retune(&mut self) {
        let among = self.plan.timings.len();
        self.settings = self.plan.timings[self.random.index(among)];
        trace!(self, "FAULT the TTL is now {}", self.settings.ttl());
        for index in 0..self.agents.len() {
            let longest = self.random.pick(&[20, 1_500]);
            let delay = self.random.between(1, longest) * MS;
            self.task_in(delay, Who::Agent(index), Task::Retune(self.settings));
        }
    }

    /// Nobody should. "None" has no version, so nothing can help whoever still believes in an earlier none, or has
    /// a write on its way that does: such a moment is not chosen.
    fn delete_the_record(&mut self) {
        let creating = self.now <= self.wires.creation_until;
        let unseen = self.agents.iter().any(|agent| agent.process.alive && agent.seen_version.is_none());
        if self.store.up && !creating && !unseen {
            trace!(self, "FAULT the record is deleted");
            self.judge.history_lost = true;
            let mark = self.random.next();
            self.store.delete(mark);
            self.tell_watches();
        }
    }

    fn strike_store(&mut self, fault: Fault, lasts: True) {
        if !self.store.up {
            return;
        }
        let head = self.store.head().revision;
        let left = match fault {
            Fault::RollBack if self.random.percent(30) => 0,
            Fault::RollBack => head.saturating_sub(self.random.between(1, 12)),
            Fault::RollBackAtOnce => head.saturating_sub(self.random.between(4, 12)),
            _ => head,
        };
        if fault == Fault::RollBackAtOnce && !self.everybody_would_notice(left) {
            return;
        }
        let away = match fault {
            Fault::RollBack => self.plan.longer_than_patience() + lasts / 3,
            Fault::RollBackAtOnce => self.random.between(1, 50) * MS,
            _ => lasts / 2,
        };
        trace!(self, "FAULT the store is away for {} ms and comes back at revision {left} of {head}", away / MS);
        if left < head {
            self.judge.history_lost = true;
            self.wires.history += 1;
            self.forget_former_lives();
        }
        self.store.up = false;
        self.store.roll_back(left);
        self.drop_connections();
        self.mends_in(away, Mend::Store);
    }

    /// Whoever starts after its store went back in time cannot know that its former life's lease, which the store
    /// shows again, had been lost to another one since: there, too, the epoch is the fence.
    fn forget_former_lives(&mut self) {
        for index in 0..self.agents.len() {
            self.agents[index].disk.forget_former_life();
            if self.agents[index].process.alive && self.agents[index].process.cursor.is_none() {
                self.kill_agent(index);
                self.mends_in(50 * MS, Mend::Start(Who::Agent(index)));
            }
        }
    }

    /// Whether every candidate watches now and has seen more than what will be left, so that its watch cannot
    /// resume. (One that has not cannot know of a loss that nobody needed `renew_every` for: there the epoch is
    /// the fence.)
    fn everybody_would_notice(&self, left: u64) -> bool {
        let now = self.store.lease().map(|lease| lease.version.0);
        let agents = self.agents.iter().enumerate().filter(|(_, agent)| agent.process.alive);
        agents.into_iter().all(|(index, agent)| {
            let watched_more = agent.process.cursor.is_some_and(|cursor| cursor.revision > left);
            let lease_seen = agent.seen_version == now || agent.seen_version.is_some_and(|seen| seen > left);
            self.wires.is_watched_by(Who::Agent(index)) && watched_more && lease_seen
        })
    }

    fn mend(&mut self, mend: Mend) {
        match mend {
            Mend::Link(who) => {
                let link = self.wires.link(who);
                (link.to_store, link.from_store) = (true, true);
            }
            Mend::Resume(who) => self.resume(who),
            Mend::Start(Who::Agent(index)) if !self.agents[index].is_twin => self.start_agent(index),
            Mend::Start(Who::Agent(_)) => {}
            Mend::Start(Who::Gateway(index)) => self.start_gateway(index),
            Mend::Store => self.store.up = true,
            Mend::Healthy(index) => self.agents[index].application.healthy = true,
            Mend::StartApplication(index) => {
                if self.agents[index].kind != Kind::Supervised {
                    self.agents[index].application.alive = true;
                }
            }
        }
    }

    /// Whatever was broken is mended, and nothing breaks any more.
    fn calm_down(&mut self) {
        trace!(self, "CALM");
        self.calm = true;
        self.wires.mend_all();
        self.store.up = true;
        for who in self.everybody() {
            self.mend(Mend::Resume(who));
            self.mend(Mend::Start(who));
        }
        for index in 0..self.agents.len() {
            self.mend(Mend::Healthy(index));
            self.mend(Mend::StartApplication(index));
        }
    }
}
