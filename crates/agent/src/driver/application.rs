//! What happens to the application, and what follows from it.

use std::sync::Arc;

use steadfast_core::Moment;
use steadfast_core::health::{CheckResult, Verdict};
use steadfast_core::lease::{self, Phase};
use steadfast_host::process::{Exit as Ended, Group, SpawnError};

use super::{Loop, Supervised};
use crate::application::{State, Why};
use crate::supervise::code;
use crate::{Error, Exit};

impl Loop {
    /// When the application is to be started. One that may still be sent something on the word of its former life
    /// is not started before that word has run out, unless a gate stands in front of it. While a step-down waits for
    /// it to be gone it is not started either: the lease would be kept for ever by an instance that does not serve.
    pub(super) fn start_due(&self) -> Option<Moment> {
        let supervised = self.parts.supervised.as_ref().filter(|_| self.leaving.is_none() && !self.is_stopping())?;
        let start_at = supervised.application.start_at()?;
        let promised = self.parts.machine.standing().promised_until;
        Some(if self.parts.gates.cover_all() { start_at } else { start_at.max(promised) })
    }

    /// When an application that stays unhealthy is to be started again. A leader's is stopped by stepping down.
    pub(super) fn restart_due(&self) -> Option<Moment> {
        let supervised = self.parts.supervised.as_ref().filter(|_| self.leaving.is_none() && self.stop.is_none())?;
        let leads = self.parts.machine.standing().phase == Phase::Leading;
        self.parts.checks.restart_at().filter(|_| supervised.application.is_up() && !leads)
    }

    pub(super) fn start_or_restart(&mut self, now: Moment) {
        if self.start_due().is_some_and(|due| due <= now) {
            self.start();
        }
        if self.restart_due().is_some_and(|due| due <= now) {
            tracing::warn!(instance = %self.parts.config.instance, "the application stays unhealthy: starting it again");
            self.stop_application(Why::Unhealthy);
        }
        if let Some(since) = self.parts.checks.healthy_since()
            && let Some(supervised) = &mut self.parts.supervised
        {
            supervised.application.healthy(since, now);
        }
    }

    fn start(&mut self) {
        self.parts.endpoints.release();
        if let Some(Supervised { application, supervisor }) = &mut self.parts.supervised {
            application.start();
            self.effects.spawn(supervisor.start());
        }
    }

    pub(super) fn started(&mut self, now: Moment, group: Arc<Group>) {
        let Some(Supervised { application, supervisor }) = &mut self.parts.supervised else { return };
        application.started();
        self.effects.spawn(supervisor.started(group, application.number()));
        let pid = supervisor.pid().unwrap_or_default();
        tracing::info!(instance = %self.parts.config.instance, pid, program = supervisor.program(), "started the application");
        self.parts.checks.begin(now, application.number());
    }

    pub(super) fn not_started(&mut self, now: Moment, error: SpawnError) {
        let Some(Supervised { application, .. }) = &mut self.parts.supervised else { return };
        application.not_started(now);
        if application.number() == 1 {
            // It never ran: most likely it never will.
            self.leave(now, Err(Error::Command(error)));
        } else {
            tracing::error!(instance = %self.parts.config.instance, %error, "the application could not be started again");
        }
    }

    /// Its main process died: by our wish or not, the rest follows.
    pub(super) fn died(&mut self, now: Moment, start: u64, exit: Ended) {
        let Some(Supervised { application, supervisor }) = &mut self.parts.supervised else { return };
        if start != application.number() {
            return;
        }
        let by_itself = application.is_up();
        application.died(code(exit));
        self.parts.checks.end();
        if !by_itself {
            return;
        }
        tracing::warn!(instance = %self.parts.config.instance, %exit, "the application died");
        if let Some(burying) = supervisor.bury() {
            self.effects.spawn(burying);
        }
        self.told_fit = false;
        self.tell(now, lease::Event::ApplicationDied);
    }

    /// Nothing of it runs any more.
    pub(super) fn empty(&mut self, now: Moment, start: u64, exit: Ended) {
        let Some(Supervised { application, supervisor }) = &mut self.parts.supervised else { return };
        if start != application.number() {
            return;
        }
        supervisor.forget();
        self.parts.checks.end();
        application.empty(now, code(exit));
        if let State::Over { code } = application.state() {
            tracing::info!(instance = %self.parts.config.instance, %exit, "the application ended");
            self.leave(now, Ok(Exit::Application { code }));
        }
    }

    /// Ends the application, if it runs.
    pub(super) fn stop_application(&mut self, why: Why) {
        let Some(Supervised { application, supervisor }) = &mut self.parts.supervised else { return };
        if !application.is_up() {
            return;
        }
        application.stop(why);
        self.parts.checks.end();
        if let Some(stopping) = supervisor.stop() {
            self.effects.spawn(stopping);
        }
    }

    pub(super) fn check_due(&mut self, now: Moment) {
        if let Some(check) = self.parts.checks.next(now) {
            self.effects.spawn(check);
        }
    }

    pub(super) fn checked(&mut self, now: Moment, start: u64, began: Moment, result: CheckResult) {
        if !self.parts.checks.ended(now, start, began, result) {
            return;
        }
        let instance = &self.parts.config.instance;
        match self.parts.checks.verdict() {
            Verdict::Healthy => tracing::info!(%instance, "the application is healthy"),
            Verdict::Failed if self.parts.checks.was_healthy() => {
                tracing::warn!(%instance, "the application's checks fail")
            }
            Verdict::Silent if self.parts.checks.was_healthy() => {
                tracing::warn!(%instance, "the application does not answer its checks in time");
            }
            Verdict::Unknown | Verdict::Failed | Verdict::Silent => {}
        }
    }
}
