//! What an unattended demo does to itself: kills the leader's application, hands over as planned, kills a whole copy.
//! Each step begins when the one before has been answered by a takeover, and is left out if its time is not left.

use std::time::Duration;

use serde::Serialize;
use steadfast_core::{Moment, SetName};
use steadfast_host::process::{self, Output, Spec};

use super::score::{Score, Takeover};
use super::stage::{LEASE_TTL, SET, Stage};
use super::story::Story;
use crate::admin::Api;
use crate::exit::{Exit, Failure};

/// Load before the first step and between two.
const SETTLE: Duration = Duration::from_millis(1_500);
/// In a short demo, load before the first step.
const SETTLE_SHORT: Duration = Duration::from_millis(500);
/// What the death of a host may cost beyond the lease.
const BEYOND_TTL: Duration = Duration::from_millis(300);
/// No takeover is waited for longer.
const TAKEOVER_WITHIN: Duration = Duration::from_secs(15);
const KILL_WITHIN: Duration = Duration::from_secs(5);

/// Something done to the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Step {
    /// kill -9 of its application.
    Crash,
    /// A planned switchover.
    Switchover,
    /// kill -9 of its agent and its application together, as if its host died.
    Host,
}

const STEPS: [Step; 3] = [Step::Crash, Step::Switchover, Step::Host];

/// The steps of one demo, and what came of them.
pub(super) struct Script {
    next: usize,
    due: Moment,
    end: Moment,
    doing: Option<Doing>,
    gaps: Vec<(Step, Option<Duration>)>,
}

struct Doing {
    step: Step,
    epoch: u64,
    until: Moment,
}

impl Script {
    /// A script that begins at `now` and shall be over at `end`.
    pub(super) fn new(now: Moment, end: Moment) -> Script {
        let short = end.since(now) < SETTLE * 3;
        let settle = if short { SETTLE_SHORT } else { SETTLE };
        Script { next: 0, due: now + settle, end, doing: None, gaps: Vec::new() }
    }

    /// Time passes: begins the next step if it is due.
    pub(super) async fn tick(
        &mut self,
        now: Moment,
        stage: &Stage,
        api: &impl Api,
        score: &Score,
        story: &Story,
    ) -> Result<(), Failure> {
        if let Some(doing) = &self.doing {
            if now >= doing.until {
                self.gaps.push((doing.step, None));
                self.doing = None;
            }
            return Ok(());
        }
        let (Some(step), Some(leader)) = (STEPS.get(self.next).copied(), &score.leader) else { return Ok(()) };
        // The first step belongs to every demo, however short.
        let fits = self.next == 0 || now + expected(step) <= self.end;
        if now < self.due || !fits {
            return Ok(());
        }
        self.next += 1;
        self.doing = Some(Doing { step, epoch: leader.epoch, until: now + TAKEOVER_WITHIN });
        story.step(step, leader);
        match step {
            Step::Crash => kill(&[leader.pid]).await,
            Step::Switchover => {
                let set: SetName = SET.parse().map_err(Failure::usage)?;
                api.switchover(&set, None).await.map(drop).map_err(Failure::from)
            }
            Step::Host => {
                let agent = stage.copy(&leader.instance).and_then(|copy| copy.agent_pid());
                kill(&agent.into_iter().chain([leader.pid]).collect::<Vec<_>>()).await
            }
        }
    }

    /// Somebody took over.
    pub(super) fn took_over(&mut self, takeover: &Takeover) {
        if let Some(doing) = self.doing.take_if(|doing| takeover.epoch > doing.epoch) {
            self.gaps.push((doing.step, Some(takeover.gap)));
            self.due = takeover.at + SETTLE;
        }
    }

    /// Whether there is nothing left to wait for.
    pub(super) fn over(&self, now: Moment) -> bool {
        now >= self.end && self.doing.is_none() && self.next > 0
    }

    /// The gap of a step in milliseconds; none if it was left out or nobody took over.
    pub(super) fn gap_ms(&self, step: Step) -> Option<u64> {
        let found = self.gaps.iter().find(|(done, _)| *done == step);
        found.and_then(|(_, gap)| *gap).map(crate::watch::millis)
    }

    /// Steps after which nobody took over.
    pub(super) fn unanswered(&self) -> Vec<Step> {
        self.gaps.iter().filter(|(_, gap)| gap.is_none()).map(|(step, _)| *step).collect()
    }
}

/// How long a step needs, with some load after it.
fn expected(step: Step) -> Duration {
    match step {
        Step::Crash | Step::Switchover => SETTLE,
        Step::Host => LEASE_TTL + BEYOND_TTL + SETTLE,
    }
}

/// What a person would type.
async fn kill(pids: &[i32]) -> Result<(), Failure> {
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    let line = format!("kill -9 {}", pids.join(" "));
    let spec = Spec::new(["sh", "-c", line.as_str()]).output(Output::Piped);
    let ran = process::run(&spec, KILL_WITHIN, 1024).await;
    let failed = |why: String| Failure::new(Exit::No, anyhow::anyhow!("{line}: {why}"));
    let ran = ran.map_err(|error| failed(error.to_string()))?;
    if ran.exit.success() { Ok(()) } else { Err(failed(String::from_utf8_lossy(&ran.stderr).into_owned())) }
}
