//! Instances without agents: asks each by itself, as a cloud load balancer would, and sends everything to the one
//! that answers 200. Only 200 is a yes (as Azure's load balancer has it).
//!
//! An instance that answers as a Steadfast probe does, with an epoch and how long it holds, is taken at its word: it
//! is forwarded to only as long as rule 7 of the lease allows.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use steadfast_core::health::{CheckResult, Health, Verdict};
use steadfast_core::lease::RouteGuard;
use steadfast_core::{Epoch, Moment};
use steadfast_host::http::{Call, CallError, Client, ClientLimits, Target as Server};
use steadfast_host::{clock, net};
use steadfast_registry::ProbeAnswer;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use crate::config::{FixedInstance, FixedSet};
use crate::set::{Addresses, SetShared, Target};

/// Bytes of a check's answer that are read; more is a no.
const ANSWER_BYTES: usize = 64 << 10;
/// Checks on their way to the decision.
const RESULTS_WAITING: usize = 64;
/// However loud the alarm, an instance is not checked more often.
const CHECK_AT_MOST_EVERY: Duration = Duration::from_millis(100);
/// One that vouches for itself is asked at least this often.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// What a check brought.
#[derive(Debug)]
struct Checked {
    index: usize,
    asked: Moment,
    result: CheckResult,
    /// It answered as a Steadfast probe does.
    vouched: Option<(Epoch, Duration)>,
    addresses: Addresses,
}

/// Runs until it is dropped.
pub(crate) async fn check(set: Arc<SetShared>, fixed: FixedSet, workers: usize) {
    let (results, mut checked) = mpsc::channel(RESULTS_WAITING);
    let hurry = Arc::new(Notify::new());
    let mut checking = JoinSet::new();
    let mut choice = Choice::new(set.clone(), &fixed, workers);
    for (index, instance) in fixed.instances.into_iter().enumerate() {
        checking.spawn(check_one(index, instance, set.clone(), results.clone(), hurry.clone()));
    }
    drop(results);
    loop {
        let lapse = choice.lapse();
        tokio::select! {
            () = set.alarm() => {
                choice.alarmed = true;
                hurry.notify_waiters();
            }
            one = checked.recv() => match one {
                Some(one) => choice.checked(one),
                None => return,
            },
            () = clock::sleep_until(lapse), if lapse < Moment::MAX => choice.decide(),
        }
    }
}

async fn check_one(
    index: usize,
    instance: FixedInstance,
    set: Arc<SetShared>,
    results: mpsc::Sender<Checked>,
    hurry: Arc<Notify>,
) {
    let client = Client::new(ClientLimits { body_bytes: ANSWER_BYTES, idle_per_target: 1, ..ClientLimits::default() });
    let policy = instance.check.policy;
    loop {
        let asked = clock::now();
        let (result, vouched) = ask(&client, &instance, policy.timeout().duration()).await;
        let addresses = addresses(&set, &instance, policy.timeout().duration()).await;
        if results.send(Checked { index, asked, result, vouched, addresses }).await.is_err() {
            return;
        }
        let every = policy.every().duration();
        let every = vouched.map_or(every, |(_, valid_for)| every.min((valid_for / 3).min(ASK_EVERY)));
        clock::sleep_until(asked + CHECK_AT_MOST_EVERY.min(every)).await;
        tokio::select! {
            () = hurry.notified() => {}
            () = clock::sleep_until(asked + every) => {}
        }
    }
}

async fn ask(client: &Client, instance: &FixedInstance, within: Duration) -> (CheckResult, Option<(Epoch, Duration)>) {
    let target = Server::from(&instance.check.endpoint);
    match client.call(&target, Call::get(instance.check.path.as_str()), within).await {
        Ok(reply) if reply.status == StatusCode::OK => {
            let probe: Option<ProbeAnswer> = serde_json::from_slice(&reply.body).ok();
            let vouched = probe
                .as_ref()
                .and_then(|answer| answer.leading().map(|epoch| (epoch, Duration::from_millis(answer.valid_for_ms))));
            match (probe, vouched) {
                (Some(_), None) => (CheckResult::Failed, None),
                (_, vouched) => (CheckResult::Passed, vouched),
            }
        }
        // Nothing came, or nothing whole: it may be serving somebody.
        Err(CallError::Unknown { .. }) => (CheckResult::TimedOut, None),
        Err(error) if error.timed_out() => (CheckResult::TimedOut, None),
        Ok(_) | Err(_) => (CheckResult::Failed, None),
    }
}

async fn addresses(set: &SetShared, instance: &FixedInstance, within: Duration) -> Addresses {
    let mut found = Vec::with_capacity(set.endpoints.len());
    for name in &set.endpoints {
        let endpoint = instance.endpoints.iter().find(|(known, at)| known == name && at.scheme() == "http");
        found.push(match endpoint {
            None => None,
            Some((_, at)) => match net::resolve(at.host(), at.port(), within).await {
                Ok(addresses) => addresses.first().copied(),
                Err(error) => {
                    tracing::warn!(instance = %instance.id, %error, "an endpoint cannot be resolved");
                    None
                }
            },
        });
    }
    found.into()
}

/// Which instance it is.
struct Choice {
    set: Arc<SetShared>,
    workers: usize,
    drift_milli: u32,
    guard: RouteGuard,
    instances: Vec<Candidate>,
    present: Option<(usize, Arc<Target>)>,
    /// Several were seen to answer 200 at once, and that was said.
    several: bool,
    alarmed: bool,
}

struct Candidate {
    instance: FixedInstance,
    health: Health,
    /// What the last check that passed allows.
    allowed: Option<Allowed>,
}

#[derive(Clone)]
struct Allowed {
    asked: Moment,
    epoch: Option<Epoch>,
    until: Moment,
    addresses: Addresses,
}

impl Choice {
    fn new(set: Arc<SetShared>, fixed: &FixedSet, workers: usize) -> Choice {
        let candidate = |instance: &FixedInstance| Candidate {
            health: Health::new(instance.check.policy),
            instance: instance.clone(),
            allowed: None,
        };
        Choice {
            set,
            workers,
            drift_milli: fixed.settings.timing().drift_milli(),
            guard: RouteGuard::default(),
            instances: fixed.instances.iter().map(candidate).collect(),
            present: None,
            several: false,
            alarmed: false,
        }
    }

    fn checked(&mut self, one: Checked) {
        let Some(candidate) = self.instances.get_mut(one.index) else { return };
        candidate.health.handle(one.result);
        if one.result == CheckResult::Passed {
            let until = match one.vouched {
                None => Some(Moment::MAX),
                Some((epoch, valid_for)) => self.guard.vouched(one.asked, epoch, valid_for, self.drift_milli),
            };
            candidate.allowed = until.map(|until| Allowed {
                asked: one.asked,
                epoch: one.vouched.map(|(epoch, _)| epoch),
                until,
                addresses: one.addresses,
            });
        }
        self.decide();
        let present = self.present.as_ref().is_some_and(|(index, _)| *index == one.index);
        if present && std::mem::take(&mut self.alarmed) {
            self.set.ring();
        }
    }

    /// When what is allowed now ends by itself.
    fn lapse(&self) -> Moment {
        self.present.as_ref().map_or(Moment::MAX, |(_, target)| target.until())
    }

    fn allowed(&self, index: usize, now: Moment) -> Option<&Allowed> {
        let candidate = self.instances.get(index)?;
        let allowed = candidate.allowed.as_ref().filter(|_| candidate.health.verdict() == Verdict::Healthy)?;
        let admitted = allowed.epoch.is_none_or(|epoch| self.guard.admits(epoch));
        (admitted && now < allowed.until).then_some(allowed)
    }

    fn decide(&mut self) {
        let now = clock::now();
        let healthy: Vec<usize> = (0..self.instances.len()).filter(|i| self.allowed(*i, now).is_some()).collect();
        self.say_if_several(&healthy);
        let kept = self.present.as_ref().map(|(index, _)| *index).filter(|index| healthy.contains(index));
        let Some(chosen) = kept.or(healthy.first().copied()) else {
            if self.present.take().is_some() {
                tracing::warn!(set = %self.set.name, "no instance answers 200");
                self.set.publish(None);
            }
            return;
        };
        let Some(allowed) = self.allowed(chosen, now).cloned() else { return };
        match &self.present {
            Some((index, target))
                if *index == chosen && target.epoch == allowed.epoch && target.addresses == allowed.addresses =>
            {
                target.vouch(allowed.asked, allowed.until);
            }
            _ => self.begin(chosen, allowed),
        }
    }

    fn begin(&mut self, chosen: usize, allowed: Allowed) {
        let id = self.instances[chosen].instance.id.clone();
        tracing::info!(set = %self.set.name, instance = %id, "the one that answers 200");
        let target = Arc::new(Target::new(id, None, allowed.epoch, allowed.addresses, Duration::ZERO, self.workers));
        target.vouch(allowed.asked, allowed.until);
        self.present = Some((chosen, target.clone()));
        self.set.publish(Some(target));
    }

    fn say_if_several(&mut self, healthy: &[usize]) {
        let several = healthy.len() > 1;
        if several && !self.several {
            let names: Vec<String> = healthy.iter().map(|i| self.instances[*i].instance.id.to_string()).collect();
            tracing::warn!(
                set = %self.set.name, instances = names.join(", "),
                "several instances of a single set answer 200; the present one is kept, else the first in the file"
            );
        }
        self.several = several;
    }
}
