//! What happens to the application, and what follows from it.

use std::sync::Arc;

use steadfast_core::Moment;
use steadfast_core::health::{CheckResult, Verdict};
use steadfast_host::process::{Exit as Ended, Group, SpawnError};

use super::{Driver, Part, Supervised};
use crate::application::{State, Why};
use crate::supervise::code;
use crate::{Error, Exit};

impl<P: Part> Driver<P> {
    /// When the application is to be started.
    pub(super) fn start_due(&self) -> Option<Moment> {
        let supervised = self.agent.supervised.as_ref().filter(|_| self.agent.leaving.is_none())?;
        let start_at = supervised.application.start_at()?;
        Some(start_at.max(self.part.start_from()?))
    }

    /// When an application that stays unhealthy is to be started again.
    pub(super) fn restart_due(&self) -> Option<Moment> {
        let supervised = self.agent.supervised.as_ref().filter(|_| self.agent.leaving.is_none())?;
        let may = supervised.application.is_up() && self.part.may_restart();
        self.agent.checks.restart_at().filter(|_| may)
    }

    pub(super) fn start_or_restart(&mut self, now: Moment) {
        if self.start_due().is_some_and(|due| due <= now) {
            self.start();
        }
        if self.restart_due().is_some_and(|due| due <= now) {
            tracing::warn!(instance = %self.agent.config.instance, "the application stays unhealthy: starting it again");
            self.agent.stop_application(Why::Unhealthy);
        }
        if let Some(since) = self.agent.checks.healthy_since()
            && let Some(supervised) = &mut self.agent.supervised
        {
            supervised.application.healthy(since, now);
        }
    }

    fn start(&mut self) {
        self.agent.endpoints.release();
        if let Some(Supervised { application, supervisor }) = &mut self.agent.supervised {
            application.start();
            self.agent.effects.spawn(supervisor.start());
        }
    }

    pub(super) fn started(&mut self, now: Moment, group: Arc<Group>) {
        let Some(Supervised { application, supervisor }) = &mut self.agent.supervised else { return };
        application.started();
        self.agent.effects.spawn(supervisor.started(group, application.number()));
        let pid = supervisor.pid().unwrap_or_default();
        tracing::info!(instance = %self.agent.config.instance, pid, program = supervisor.program(), "started the application");
        self.agent.checks.begin(now, application.number());
    }

    pub(super) fn not_started(&mut self, now: Moment, error: SpawnError) {
        let Some(Supervised { application, .. }) = &mut self.agent.supervised else { return };
        application.not_started(now);
        if application.number() == 1 {
            // It never ran: most likely it never will.
            self.agent.leave(Err(Error::Command(error)));
        } else {
            tracing::error!(instance = %self.agent.config.instance, %error, "the application could not be started again");
        }
    }

    /// Its main process died: by our wish or not, the rest follows.
    pub(super) fn died(&mut self, now: Moment, start: u64, exit: Ended) {
        let Some(Supervised { application, supervisor }) = &mut self.agent.supervised else { return };
        if start != application.number() {
            return;
        }
        let by_itself = application.is_up();
        application.died(code(exit));
        self.agent.checks.end();
        if !by_itself {
            return;
        }
        tracing::warn!(instance = %self.agent.config.instance, %exit, "the application died");
        if let Some(burying) = supervisor.bury() {
            self.agent.effects.spawn(burying);
        }
        self.part.died(&mut self.agent, now);
    }

    /// Nothing of it runs any more.
    pub(super) fn empty(&mut self, now: Moment, start: u64, exit: Ended) {
        let Some(Supervised { application, supervisor }) = &mut self.agent.supervised else { return };
        if start != application.number() {
            return;
        }
        supervisor.forget();
        self.agent.checks.end();
        application.empty(now, code(exit));
        if let State::Over { code } = application.state() {
            tracing::info!(instance = %self.agent.config.instance, %exit, "the application ended");
            self.agent.leave(Ok(Exit::Application { code }));
        }
    }

    pub(super) fn check_due(&mut self, now: Moment) {
        if let Some(check) = self.agent.checks.next(now) {
            self.agent.effects.spawn(check);
        }
    }

    pub(super) fn checked(&mut self, now: Moment, start: u64, began: Moment, result: CheckResult) {
        if !self.agent.checks.ended(now, start, began, result) {
            return;
        }
        let instance = &self.agent.config.instance;
        match self.agent.checks.verdict() {
            Verdict::Healthy => tracing::info!(%instance, "the application is healthy"),
            Verdict::Failed if self.agent.checks.was_healthy() => {
                tracing::warn!(%instance, "the application's checks fail")
            }
            Verdict::Silent if self.agent.checks.was_healthy() => {
                tracing::warn!(%instance, "the application does not answer its checks in time");
            }
            Verdict::Unknown | Verdict::Failed | Verdict::Silent => {}
        }
    }
}
