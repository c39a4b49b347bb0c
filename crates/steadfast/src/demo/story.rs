//! What the demo tells: where things are, what to paste, what happened, and what to do next.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use serde::Serialize;
use steadfast_host::clock;
use steadfast_registry::EventKind;

use super::acts::{Act, Done};
use super::fleet::CAMERAS;
use super::ingest::IngestFigures;
use super::score::{Leader, Score, Takeover};
use super::script::{Script, Step};
use super::stage::{Ended, LEASE_TTL, RECORDER_SET, RECORDERS, SET, Stage};
use super::tally::Tally;
use crate::admin::view::EventView;
use crate::commands::print::{CLEAR_LINE, Paint, count, err, json, out, out_text};
use crate::exit::Failure;
use crate::watch::millis;

/// Tells the story, or in JSON nothing but the figures at the end.
pub(super) struct Story {
    json: bool,
    live: bool,
    paint: Paint,
    unread: Cell<bool>,
}

/// What came of a demo, in one line of JSON.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    seconds: f64,
    requests: u64,
    failed: u64,
    failed_that_should_not: u64,
    two_answered: u64,
    takeovers: u64,
    lease_ttl_ms: u64,
    crash_gap_ms: Option<u64>,
    switchover_gap_ms: Option<u64>,
    host_gap_ms: Option<u64>,
    /// Steps after which nobody took over.
    unanswered: Vec<Step>,
    /// Why requests failed, and how many.
    failures: BTreeMap<String, u64>,
    #[serde(flatten)]
    ingest: IngestFigures,
}

impl Figures {
    pub(super) fn new(score: &Score, script: Option<&Script>, ingest: IngestFigures, ran: Duration) -> Figures {
        let gap = |step| script.and_then(|script| script.gap_ms(step));
        Figures {
            seconds: (ran.as_secs_f64() * 10.0).round() / 10.0,
            requests: score.requests,
            failed: score.failed,
            failed_that_should_not: score.should_not,
            two_answered: score.two_answered,
            takeovers: score.takeovers,
            lease_ttl_ms: millis(LEASE_TTL),
            crash_gap_ms: gap(Step::Crash),
            switchover_gap_ms: gap(Step::Switchover),
            host_gap_ms: gap(Step::Host),
            unanswered: script.map(Script::unanswered).unwrap_or_default(),
            failures: score.reasons.clone(),
            ingest,
        }
    }

    /// Nothing failed that should not, never did two answer, and no camera had two homes.
    pub(super) fn as_promised(&self) -> bool {
        self.ingest.as_promised()
            && self.failed_that_should_not == 0
            && self.two_answered == 0
            && self.unanswered.is_empty()
            && self.requests > 0
    }
}

impl Story {
    pub(super) fn new(json: bool) -> Story {
        Story { json, live: !json && std::io::stdout().is_terminal(), paint: Paint::detect(), unread: Cell::new(false) }
    }

    fn say(&self, text: &str) {
        if !self.json {
            let clear = if self.live { CLEAR_LINE } else { "" };
            self.note(out(format_args!("{clear}{text}")));
        }
    }

    fn note(&self, written: std::io::Result<()>) {
        if written.is_err() {
            self.unread.set(true);
        }
    }

    /// Nobody reads any more: there is nobody to show anything to.
    pub(super) fn is_unread(&self) -> bool {
        self.unread.get()
    }

    /// A line with the time of day before it.
    fn tell(&self, text: &str) {
        let at = clock::wall().to_string();
        self.say(&format!("{}  {text}", self.paint.dim(at.get(11..23).unwrap_or(&at))));
    }

    pub(super) fn begin(&self) {
        let title = self.paint.bold("Steadfast");
        self.say(&format!("{title}: three copies of an application run, and exactly one answers."));
        self.say(&format!(
            "Beside them {} cameras find their homes among four unequal recorders, and stay.",
            CAMERAS.len()
        ));
        self.say("Starting a gateway and seven agents; the first leader is elected after one lease …");
    }

    /// Where everything is, and what to do to it.
    pub(super) fn introduce(&self, stage: &Stage, score: &Score, unattended: bool) -> Result<(), Failure> {
        self.say("");
        self.say(&format!("  page     {}", self.paint.bold(&stage.page_url()?)));
        self.say(&format!("  gateway  {}", stage.gateway_url()));
        self.say(&format!("  API      {}", stage.admin_url()));
        for copy in &stage.copies {
            let agent = copy.agent_pid().map(|pid| format!("agent {pid}")).unwrap_or_default();
            self.say(&format!("  {}    probe http://127.0.0.1:{}/   {agent}", copy.name, copy.probe));
        }
        for (recorder, capacity) in stage.recorders.iter().zip(RECORDERS) {
            let agent = recorder.agent_pid().map(|pid| format!("agent {pid}")).unwrap_or_default();
            self.say(&format!("  {}    {capacity:>3} Mb/s                       {agent}", recorder.name));
        }
        self.say(&format!("  files    {}", stage.place.path().display()));
        self.say("");
        self.say(
            "About 200 requests a second go through the gateway, over kept and new connections, some of them POST.",
        );
        self.say("Each is counted, and each answer is checked to be the one leader's.");
        self.say(&format!(
            "{} cameras, {} Mb/s together, ask the gateway where to stream to; each session is a stream and a control",
            CAMERAS.len(),
            CAMERAS.iter().sum::<u32>()
        ));
        self.say("connection straight to the camera's home, ends after some seconds, and begins at the gateway again.");
        if unattended {
            self.say("");
            return Ok(());
        }
        if let Some(leader) = &score.leader {
            self.say("");
            self.say(&format!("{} leads. Kill its application from another terminal:", leader.instance));
            self.paste(leader);
        }
        self.say("Or open the page, and kill a recorder there.");
        self.say("");
        Ok(())
    }

    fn paste(&self, leader: &Leader) {
        self.say("");
        self.say(&format!("    {}   # and look", self.paint.bold(&format!("kill -9 {}", leader.pid))));
        self.say("");
    }

    /// What the demo does by itself.
    pub(super) fn step(&self, step: Step, leader: &Leader) {
        let name = &leader.instance;
        self.tell(&match step {
            Step::Crash => format!("kill -9 {}: the application of {name}, which leads", leader.pid),
            Step::Switchover => format!("a planned switchover: {name} is to hand over"),
            Step::Host => format!("kill -9 of the agent and the application of {name}, as if its host died"),
        });
    }

    /// What the demo does to its recorders by itself.
    pub(super) fn act(&self, act: Act, recorder: &str, cameras: usize) {
        let theirs = format!("{cameras} cameras are at home there");
        match act {
            Act::Homecoming => {}
            Act::Kill => self.tell(&format!(
                "kill -9 of the agent and the application of {recorder}, as if its host died; {theirs}"
            )),
            Act::Return => self.tell(&format!("{recorder} is started again; {cameras} cameras had been at home there")),
            Act::Drain => self.tell(&format!("{recorder} is drained; {theirs}")),
        }
    }

    /// It does not come to its end: what the recorders and their agents said last tells why, if anything does.
    pub(super) fn act_unfinished(&self, act: Act, stage: &Stage, tally: &Tally) {
        let homes: Vec<String> = tally.homes().iter().map(|(home, cameras)| format!("{home} {cameras}")).collect();
        let logs: String = stage.logs().iter().map(|log| log.tail()).collect();
        err(format_args!("{act:?} does not end; at home: {}; the agents said last:\n{logs}", homes.join(", ")));
    }

    /// What came of it.
    pub(super) fn act_done(&self, done: &Done, tally: &Tally) {
        let (ms, cameras) = (count(millis(done.took)), done.cameras);
        let homes: Vec<String> = tally.homes().iter().map(|(home, cameras)| format!("{home} {cameras}")).collect();
        let homes = homes.join(", ");
        let told = match done.act {
            Act::Homecoming => {
                format!("{} after {ms} ms: {homes}", self.paint.good(&format!("{} cameras are at home", CAMERAS.len())))
            }
            Act::Kill => {
                let moved = self.paint.good(&format!("its {cameras} cameras have another home"));
                let others = match done.others_moved {
                    0 => self.paint.good("no other camera moved"),
                    others => self.paint.bad(&format!("{others} others moved")),
                };
                format!("{moved} after {ms} ms, {others}: {homes}")
            }
            Act::Return => format!(
                "{} after {ms} ms, each when its session ended: {homes}",
                self.paint.good(&format!("{} is back and its {cameras} cameras have returned", done.recorder))
            ),
            Act::Drain => format!(
                "{} after {ms} ms: {homes}; it takes part again",
                self.paint.good(&format!("{} is empty", done.recorder))
            ),
        };
        self.tell(&told);
    }

    /// Cameras that moved together: from where to where, and how many.
    pub(super) fn moved(&self, ways: &BTreeMap<(String, String), usize>) {
        let all: usize = ways.values().sum();
        let told: Vec<String> =
            ways.iter().map(|((from, to), cameras)| format!("{cameras} from {from} to {to}")).collect();
        let noun = if all == 1 { "camera" } else { "cameras" };
        self.tell(&format!("{all} {noun} moved: {}", told.join(", ")));
    }

    pub(super) fn ended(&self, ended: &Ended) {
        let told = format!("the process of {} ended ({}); it is started again in a moment", ended.name, ended.exit);
        self.tell(&told);
        if self.json {
            err(told);
        }
    }

    pub(super) fn took_over(&self, stage: &Stage, score: &Score, takeover: &Takeover, why: &str) {
        if !why.is_empty() {
            self.tell(why);
        }
        let gap = count(millis(takeover.gap));
        let to = self.paint.good(&takeover.to);
        let what = if takeover.from == takeover.to { "leads again" } else { "took over" };
        let pattern = if score.takeovers == 1 { "; the original pattern took over a minute" } else { "" };
        let standing = self.standing(score);
        self.tell(&format!("{to} {what} after {gap} ms at epoch {}, {standing}{pattern}", takeover.epoch));
        if score.takeovers == 1 && !self.json {
            self.more(stage, score);
        }
    }

    /// What else can be done to it.
    fn more(&self, stage: &Stage, score: &Score) {
        let Some(leader) = &score.leader else { return };
        let agent = stage.copy(&leader.instance).and_then(|copy| copy.agent_pid());
        let Some(agent) = agent else { return };
        let (name, program) = (&leader.instance, stage.program.display());
        let flags = format!("--admin {} --token-file {}", stage.admin_url(), stage.token_file().display());
        let lines = [
            format!("# {name} crashes:\n    kill -9 {}", leader.pid),
            format!(
                "# its whole host dies, as the others find out when its lease of {} s ends:\n    kill -9 {agent} {}",
                LEASE_TTL.as_secs(),
                leader.pid
            ),
            format!(
                "# it sleeps for ten seconds, and must not answer when it wakes:\n    kill -STOP {agent} {0}; sleep 10; kill -CONT {agent} {0}",
                leader.pid
            ),
            format!("# it hands over, planned:\n    {program} switchover {SET} --wait {flags}"),
            format!("# why is that camera there?\n    {program} explain {RECORDER_SET} cam-07 {flags}"),
            format!("# one screen:\n    {program} status {flags}"),
        ];
        self.say("");
        self.say("Other things to try (each is about the present leader):");
        for line in lines {
            self.say(&format!("    {line}"));
        }
        self.say("");
    }

    /// Requests and failures so far.
    fn standing(&self, score: &Score) -> String {
        let failed = format!("{} of {} requests failed", count(score.failed), count(score.requests));
        let failed = match (score.failed, score.should_not) {
            (0, _) => self.paint.good(&failed),
            (_, 0) => format!("{failed} (POSTs already under way, which nobody may repeat)"),
            _ => self.paint.bad(&failed),
        };
        let two = if score.two_answered > 0 {
            self.paint.bad(&format!("; {} answers were not the one leader's", count(score.two_answered)))
        } else {
            String::new()
        };
        format!("{failed}{two}")
    }

    /// The line that is written over.
    pub(super) fn live(&self, score: &Score, cameras: &str) {
        let Some(leader) = score.leader.as_ref().filter(|_| self.live) else { return };
        let silent = clock::now().since(leader.last);
        let who = if silent < Duration::from_millis(100) {
            format!("{} answers (application {})", leader.instance, leader.pid)
        } else {
            format!("nobody has answered for {} ms", millis(silent))
        };
        let line = format!(
            "{} requests, {} failed; {who}; {cameras}; Ctrl-C ends it",
            count(score.requests),
            count(score.failed)
        );
        self.note(out_text(format_args!("{CLEAR_LINE}{}", self.paint.dim(&line))));
    }

    /// The figures, and the next command.
    pub(super) fn end(&self, figures: &Figures, unattended: bool) -> Result<(), Failure> {
        if self.json {
            return json(figures);
        }
        self.say("");
        self.say(&format!(
            "{} requests in {} s: {} failed, {} of them should not have; {} takeovers; two at once: {}.",
            count(figures.requests),
            figures.seconds,
            count(figures.failed),
            count(figures.failed_that_should_not),
            count(figures.takeovers),
            if figures.two_answered == 0 { "never".to_owned() } else { count(figures.two_answered) }
        ));
        for (why, number) in &figures.failures {
            self.say(&format!("  {} × {why}", count(*number)));
        }
        for step in &figures.unanswered {
            self.say(&format!("  nobody took over after: {step:?}"));
        }
        self.say(&figures.ingest.told());
        if unattended {
            let said = |gap: Option<u64>| gap.map_or_else(|| "not tried".to_owned(), |ms| format!("{} ms", count(ms)));
            self.say(&format!(
                "Without an answer: crash {}, planned switchover {}, death of a host {} (its lease lasts {} s).",
                said(figures.crash_gap_ms),
                said(figures.switchover_gap_ms),
                said(figures.host_gap_ms),
                LEASE_TTL.as_secs()
            ));
        }
        self.say("");
        self.say("Now your own application, on this machine or on three:");
        self.say("");
        self.say(
            "    steadfast agent --set web --kind single --instance web-1 --endpoint http=http://127.0.0.1:8081 \\",
        );
        self.say("        --check http://127.0.0.1:8081/ --probe 127.0.0.1:7501 -- ./your-application");
        self.say("    steadfast init single     # or all of it in one file");
        Ok(())
    }
}

/// Why there was a takeover, by the events since the last one.
pub(super) fn cause(events: &[EventView], takeover: &Takeover) -> String {
    let from = &takeover.from;
    let mut why = String::new();
    for event in events {
        match &event.kind {
            EventKind::Stopped { instance, reason, .. } if instance.0.as_str() == from => {
                why = match reason.as_str() {
                    "application-died" => format!("the application of {from} died"),
                    "hand-over" => format!("{from} handed over"),
                    "unhealthy" => format!("the application of {from} was unwell"),
                    "draining" => format!("{from} was drained"),
                    "leaving" => format!("the agent of {from} left"),
                    "lost" => format!("{from} lost its lease"),
                    other => format!("{from} stopped ({other})"),
                };
            }
            EventKind::Leading { epoch, reason, .. } if *epoch == takeover.epoch && reason == "expired" => {
                why = format!("{from} fell silent, and its lease ran out");
            }
            _ => {}
        }
    }
    why
}

#[cfg(test)]
mod tests;
