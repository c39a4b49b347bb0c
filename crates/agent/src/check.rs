//! Checks of the application: one at a time, each its own task, judged by core's health machine.

use std::io;
use std::time::Duration;

use steadfast_core::health::{CheckPolicy, CheckResult, Health, Verdict};
use steadfast_core::{Endpoint, Moment};
use steadfast_host::http::{Call, Client, ClientLimits, HeaderValue, Target, header};
use steadfast_host::net;
use steadfast_host::process::{self, RunError, Spec};

use crate::CheckTarget;
use crate::event::Event;

/// How often an application that has just been started is checked, until it is healthy: it shall not wait a whole
/// interval for being found ready.
const EAGER_EVERY: Duration = Duration::from_millis(100);
/// For so long after its start.
const EAGER_FOR: Duration = Duration::from_secs(10);
/// An application that was healthy and no longer is, is started again after so long, also where it does not lead.
/// One that was never healthy since its start may still be booting, and is left alone.
const RESTART_AFTER: Duration = Duration::from_secs(30);
/// So much of an answer is read, to let the application finish it.
const BODY_BYTES: usize = 64 * 1024;
/// Within this time: an answer that goes on and on is an answer.
const BODY_WITHIN: Duration = Duration::from_millis(50);

/// What is known of the application's health.
#[derive(Debug)]
pub(crate) struct Checks {
    target: Option<CheckTarget>,
    policy: CheckPolicy,
    health: Health,
    /// Which start of the application is checked; results of others are stale.
    start: u64,
    /// Since when.
    begun: Option<Moment>,
    /// When the next check is due; none while one is under way or nothing runs.
    due: Option<Moment>,
    /// Since when it has been healthy, or has not been.
    since: Moment,
    was_healthy: bool,
}

impl Checks {
    /// Checks of `target`; without one, what runs is healthy.
    pub(crate) fn new(target: Option<CheckTarget>, policy: CheckPolicy) -> Checks {
        Checks {
            target,
            policy,
            health: Health::new(policy),
            start: 0,
            begun: None,
            due: None,
            since: Moment::ZERO,
            was_healthy: false,
        }
    }

    /// The application runs: nothing is known of it yet.
    pub(crate) fn begin(&mut self, now: Moment, start: u64) {
        *self = Checks {
            start,
            begun: Some(now),
            due: Some(now),
            since: now,
            ..Checks::new(self.target.take(), self.policy)
        };
    }

    /// The application runs no more.
    pub(crate) fn end(&mut self) {
        (self.begun, self.due) = (None, None);
    }

    /// What is known.
    pub(crate) fn verdict(&self) -> Verdict {
        match (self.begun, &self.target) {
            (None, _) => Verdict::Unknown,
            (Some(_), None) => Verdict::Healthy,
            (Some(_), Some(_)) => self.health.verdict(),
        }
    }

    /// Since when it has been healthy.
    pub(crate) fn healthy_since(&self) -> Option<Moment> {
        (self.verdict() == Verdict::Healthy).then_some(self.since)
    }

    /// Whether it was healthy since its start.
    pub(crate) fn was_healthy(&self) -> bool {
        self.was_healthy || self.verdict() == Verdict::Healthy
    }

    /// When an application that stays unhealthy is to be started again.
    pub(crate) fn restart_at(&self) -> Option<Moment> {
        let sick = matches!(self.verdict(), Verdict::Failed | Verdict::Silent);
        (sick && self.was_healthy).then(|| self.since + RESTART_AFTER)
    }

    /// When [`Checks::next`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        self.target.as_ref().and(self.due)
    }

    /// The check that is due, to be carried out.
    pub(crate) fn next(&mut self, now: Moment) -> Option<impl Future<Output = Event> + Send + use<>> {
        let target = self.target.clone().filter(|_| self.due.is_some_and(|due| due <= now))?;
        self.due = None;
        let (start, within) = (self.start, self.policy.timeout().duration());
        Some(async move { Event::Checked { start, began: now, result: check(&target, within).await } })
    }

    /// A check ended that began at `began`; whether the verdict changed.
    pub(crate) fn ended(&mut self, now: Moment, start: u64, began: Moment, result: CheckResult) -> bool {
        let Some(begun) = self.begun.filter(|_| start == self.start) else { return false };
        let was_healthy_before = self.verdict() == Verdict::Healthy;
        let changed = self.health.handle(result);
        if was_healthy_before != (self.verdict() == Verdict::Healthy) {
            self.since = now;
        }
        self.was_healthy |= self.verdict() == Verdict::Healthy;
        let every = self.policy.every().duration();
        let cheap = !matches!(self.target, Some(CheckTarget::Command(_)));
        let eager = cheap && !self.was_healthy && now.since(begun) < EAGER_FOR;
        self.due = Some(began + if eager { every.min(EAGER_EVERY) } else { every });
        changed
    }
}

/// Each kind of check has one bound and says itself that it was reached: an application that hangs is told from one that
/// answers no, also where this machine is so busy that it looks long after the time.
async fn check(target: &CheckTarget, within: Duration) -> CheckResult {
    match target {
        CheckTarget::Http { endpoint, path } => ask(endpoint, path, within).await,
        CheckTarget::Tcp(endpoint) => connect(endpoint, within).await,
        CheckTarget::Command(command) => run(command, within).await,
    }
}

/// Whether a connection is taken.
async fn connect(endpoint: &Endpoint, within: Duration) -> CheckResult {
    match tokio::time::timeout(within, net::connect_tcp(endpoint.host(), endpoint.port())).await {
        Ok(Ok(_)) => CheckResult::Passed,
        Ok(Err(error)) if error.kind() != io::ErrorKind::TimedOut => CheckResult::Failed,
        Ok(Err(_)) | Err(_) => CheckResult::TimedOut,
    }
}

/// Whether a command ends with code 0. What it prints is kept from the application's output.
async fn run(command: &str, within: Duration) -> CheckResult {
    match process::run(&Spec::new(["sh", "-c", command]), within, 0).await {
        Ok(ran) if ran.exit.success() => CheckResult::Passed,
        Ok(_) | Err(RunError::Spawn(_)) => CheckResult::Failed,
        Err(RunError::TimedOut { .. }) => CheckResult::TimedOut,
    }
}

/// Whether GET is answered by 200 to 299. On a connection of its own: accepting one is part of being able to serve.
async fn ask(endpoint: &Endpoint, path: &str, within: Duration) -> CheckResult {
    let client = Client::new(ClientLimits { idle_per_target: 0, line_bytes: BODY_BYTES, ..ClientLimits::default() });
    let call = Call::get(path).with(header::USER_AGENT, HeaderValue::from_static("steadfast-check"));
    match client.stream(&Target::from(endpoint), call, within).await {
        Ok(reply) => {
            let success = reply.status.is_success();
            // An application that is cut off in the middle of its answer may complain.
            drop(tokio::time::timeout(BODY_WITHIN, reply.rest()).await);
            if success { CheckResult::Passed } else { CheckResult::Failed }
        }
        Err(error) if error.timed_out() => CheckResult::TimedOut,
        Err(_) => CheckResult::Failed,
    }
}

#[cfg(test)]
mod tests;
