//! A gateway: asks probes, and forwards to whoever answered 200 as long as the guard allows.

use std::time::Duration;

use steadfast_core::lease::RouteGuard;
use steadfast_core::{Epoch, Moment};

use crate::broken::Broken;
use crate::clock::{Clock, MS, True};
use crate::faults::Plan;
use crate::random::Random;
use crate::wires::Reply;
use crate::world::{Event, Process, Task, Who, World, trace};

pub(crate) struct Gateway {
    pub(crate) process: Process,
    pub(crate) guard: RouteGuard,
    pub(crate) route: Option<Route>,
    clock: Clock,
    drift_milli: u32,
    /// The highest epoch forwarded to in this life.
    forwarded: Epoch,
}

/// To whom it forwards.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    pub(crate) agent: usize,
    pub(crate) epoch: Epoch,
    until: Moment,
    /// The same in true time, with the time to cut off what is in flight.
    cut_at: True,
}

impl Gateway {
    pub(crate) fn new(plan: &Plan, random: &mut Random) -> Gateway {
        let drift_milli = plan.timing(0).drift_milli();
        Gateway {
            process: Process::default(),
            guard: RouteGuard::default(),
            route: None,
            clock: Clock::new(random, drift_milli),
            drift_milli,
            forwarded: Epoch::NONE,
        }
    }

    /// To whom it may still forward at this true time.
    pub(crate) fn may_forward(&self, at: True) -> Option<&Route> {
        self.route.as_ref().filter(|route| self.process.alive && at < route.cut_at && self.guard.admits(route.epoch))
    }
}

impl World {
    pub(crate) fn start_gateway(&mut self, index: usize) {
        let gateway = &mut self.gateways[index];
        if gateway.process.alive {
            return;
        }
        gateway.process.start();
        (gateway.guard, gateway.route, gateway.forwarded) = (RouteGuard::default(), None, Epoch::NONE);
        let who = Who::Gateway(index);
        self.task_in(0, who, Task::Connect);
        self.task_in(MS, who, Task::Probe);
        self.task_in(2 * MS, who, Task::Forward);
    }

    pub(crate) fn gateway_runs(&mut self, index: usize, task: Task) {
        let who = Who::Gateway(index);
        match task {
            Task::Probe => self.probe_all(index),
            Task::Forward => self.forward(index),
            Task::Connect => self.connect(who),
            Task::Broken(watch) => self.watch_broken(who, watch),
            _ => {}
        }
    }

    fn probe_all(&mut self, index: usize) {
        let (life, asked) = (self.gateways[index].process.life, self.gateways[index].clock.local(self.now));
        for agent in 0..self.agents.len() {
            let slowest_ms = if !self.calm && self.random.percent(5) { 800 } else { 20 };
            let delay = self.random.between(1, slowest_ms) * MS;
            if self.calm || !self.random.percent(2) {
                self.at(self.now + delay, Event::Ask { gateway: index, life, agent, asked });
            }
        }
        let ttl = self.plan.shortest_ttl();
        let again_in = self.random.between(ttl / 10, ttl / 4);
        self.task_in(again_in, Who::Gateway(index), Task::Probe);
    }

    pub(crate) fn probe_answered(
        &mut self,
        index: usize,
        agent: usize,
        asked: Moment,
        serving: Option<(Epoch, Duration)>,
    ) {
        let gateway = &mut self.gateways[index];
        let Some((epoch, valid_for)) = serving else {
            gateway.route = gateway.route.filter(|route| route.agent != agent);
            return;
        };
        let Some(vouched) = gateway.guard.vouched(asked, epoch, valid_for, gateway.drift_milli) else { return };
        let until = match self.broken {
            Broken::GatewayPastValidFor => asked + valid_for + valid_for,
            _ => vouched,
        };
        let later = gateway.route.is_none_or(|route| route.epoch < epoch || route.until < until);
        if later {
            gateway.route = Some(Route { agent, epoch, until, cut_at: gateway.clock.cut_at(until) });
        }
    }

    fn forward(&mut self, index: usize) {
        let gateway = &mut self.gateways[index];
        let now = gateway.clock.local(self.now);
        let route = gateway.route.filter(|route| now < route.until && gateway.guard.admits(route.epoch));
        if let Some(route) = route {
            let overtaken = route.epoch < gateway.forwarded;
            gateway.forwarded = gateway.forwarded.max(route.epoch);
            if overtaken {
                self.judge.forwards_back(index, route.epoch, self.now);
            }
            if self.agents[route.agent].reached_directly() {
                self.acts(route.agent, route.epoch, "is forwarded to");
            }
        }
        let again_in = self.random.between(40, 160) * MS;
        self.task_in(again_in, Who::Gateway(index), Task::Forward);
    }

    pub(crate) fn gateway_receives(&mut self, index: usize, reply: Reply) {
        let who = Who::Gateway(index);
        if !self.follows(who, &reply) {
            return;
        }
        let lease = match reply {
            Reply::Compacted => return self.connect(who),
            Reply::Scanned { lease, .. } | Reply::Committed { change: Some(lease), .. } => lease,
            _ => return,
        };
        if let Some(lease) = lease {
            self.gateways[index].guard.saw(lease.record.epoch);
        }
        trace!(self, "gateway {index} knows of epoch {}", self.gateways[index].guard.highest());
    }
}
