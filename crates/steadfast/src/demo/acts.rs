//! What an unattended demo does to its recorders: waits until every camera is at home, kills a recorder, brings it
//! back, drains another one. Each act begins when the one before has come to its end, and is left out if its time is
//! not left.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use steadfast_core::{InstanceId, Moment, SetName, Span};
use steadfast_registry::Text;

use super::stage::{RECORDER_SET, Stage};
use super::story::Story;
use super::tally::{Moved, Tally};
use crate::admin::Api;
use crate::admin::view::DrainOrder;
use crate::exit::Failure;

/// Between two acts.
const SETTLE: Duration = Duration::from_millis(1_500);
/// No act is waited for longer.
const ACT_WITHIN: Duration = Duration::from_secs(60);
/// After a drain, how long the cameras stay where they are.
const MOVE_AFTER: Span = Span::from_millis(2_000);

/// Something done to the recorders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Act {
    /// Every camera comes home for the first time.
    Homecoming,
    /// kill -9 of a recorder and its agent together, as if their host died.
    Kill,
    /// It is started again, and its cameras return.
    Return,
    /// Another one is drained, until no camera is at home there.
    Drain,
}

const ACTS: [Act; 4] = [Act::Homecoming, Act::Kill, Act::Return, Act::Drain];
/// The first two belong to every unattended demo, however short.
const ALWAYS: usize = 2;

/// What came of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Done {
    /// Which.
    pub(super) act: Act,
    /// The recorder it was about; empty for the homecoming.
    pub(super) recorder: String,
    /// From its beginning until the last camera was where it should be.
    pub(super) took: Duration,
    /// The cameras it was about.
    pub(super) cameras: usize,
    /// Changes of home of any other camera meanwhile.
    pub(super) others_moved: u64,
}

/// The acts of one demo, and what came of them.
pub(super) struct Acts {
    began: Moment,
    next: usize,
    due: Moment,
    /// When it shall be over; none: somebody looks on, and all that is waited for is the homecoming.
    end: Option<Moment>,
    playing: Option<Playing>,
    /// Who was killed, and whose home it had been.
    victim: (String, BTreeSet<usize>),
    /// The acts that have come to their end.
    pub(super) done: Vec<Done>,
    /// Those that did not.
    pub(super) unfinished: Vec<Act>,
}

/// The act under way.
struct Playing {
    act: Act,
    recorder: String,
    cameras: BTreeSet<usize>,
    began: Moment,
    others_moved: u64,
}

impl Acts {
    /// Acts that begin at `now` and shall be over at `end`.
    pub(super) fn new(now: Moment, end: Option<Moment>) -> Acts {
        let (playing, victim) = (None, Default::default());
        Acts { began: now, next: 0, due: now, end, playing, victim, done: Vec::new(), unfinished: Vec::new() }
    }

    /// A camera moved.
    pub(super) fn moved(&mut self, moved: &Moved) {
        if let Some(playing) = &mut self.playing {
            playing.others_moved += u64::from(!playing.cameras.contains(&moved.camera));
        }
    }

    /// Time passes: ends the act that has come to its end, and begins the next if it is due.
    pub(super) async fn tick(
        &mut self,
        now: Moment,
        stage: &Stage,
        api: &impl Api,
        tally: &Tally,
        story: &Story,
    ) -> Result<(), Failure> {
        if let Some(playing) = self.playing.take_if(|playing| playing.is_over(tally)) {
            let done = playing.done(now, tally);
            story.act_done(&done, tally);
            if done.act == Act::Drain {
                api.undrain(&set()?, &id(&done.recorder)?).await?;
            }
            self.due = now + SETTLE;
            self.done.push(done);
        }
        if let Some(playing) = self.playing.take_if(|playing| now.since(playing.began) >= ACT_WITHIN) {
            story.act_unfinished(playing.act, stage, tally);
            self.unfinished.push(playing.act);
            // What follows would begin from somewhere else than it should.
            self.next = ACTS.len();
        }
        let Some(act) = ACTS.get(self.next).copied().filter(|act| self.may_begin(*act, now)) else { return Ok(()) };
        self.next += 1;
        let (recorder, cameras) = self.cast(act, tally);
        story.act(act, &recorder, cameras.len());
        match act {
            Act::Homecoming => {}
            Act::Kill => stage.kill(RECORDER_SET, &recorder),
            Act::Return => stage.start(RECORDER_SET, &recorder),
            Act::Drain => {
                let order = DrainOrder { move_after: Some(Text(MOVE_AFTER)) };
                api.drain(&set()?, &id(&recorder)?, &order).await?;
            }
        }
        if act == Act::Kill {
            self.victim = (recorder.clone(), cameras.clone());
        }
        let began = if act == Act::Homecoming { self.began } else { now };
        self.playing = Some(Playing { act, recorder, cameras, began, others_moved: 0 });
        Ok(())
    }

    fn may_begin(&self, act: Act, now: Moment) -> bool {
        let fits = match self.end {
            Some(end) => self.next < ALWAYS || now + expected(act) <= end,
            None => act == Act::Homecoming,
        };
        self.playing.is_none() && now >= self.due && fits
    }

    /// The recorder an act is about, and the cameras.
    fn cast(&self, act: Act, tally: &Tally) -> (String, BTreeSet<usize>) {
        let fullest = |but: &str| {
            let homes = tally.homes().into_iter().filter(|(recorder, _)| *recorder != but);
            let recorder = homes.max_by_key(|(_, cameras)| *cameras).map(|(recorder, _)| recorder.to_owned());
            let recorder = recorder.unwrap_or_default();
            let cameras = tally.of(&recorder);
            (recorder, cameras)
        };
        match act {
            Act::Homecoming => Default::default(),
            Act::Kill => fullest(""),
            Act::Return => self.victim.clone(),
            Act::Drain => fullest(&self.victim.0),
        }
    }

    /// Whether anything is done to the recorders without being asked.
    pub(super) fn are_played(&self) -> bool {
        self.end.is_some()
    }

    /// Whether there is nothing left to wait for.
    pub(super) fn over(&self, now: Moment) -> bool {
        self.end.is_some_and(|end| now >= end) && self.playing.is_none() && self.next >= ALWAYS
    }

    /// What came of `act`.
    pub(super) fn of(&self, act: Act) -> Option<&Done> {
        self.done.iter().find(|done| done.act == act)
    }
}

impl Playing {
    fn is_over(&self, tally: &Tally) -> bool {
        match self.act {
            Act::Homecoming => tally.all_home.is_some(),
            Act::Kill => tally.all_elsewhere(&self.cameras, &self.recorder),
            Act::Return => tally.all_at(&self.cameras, &self.recorder),
            Act::Drain => tally.all_home.is_some() && tally.of(&self.recorder).is_empty(),
        }
    }

    fn done(self, now: Moment, tally: &Tally) -> Done {
        let ended = if self.act == Act::Homecoming { tally.all_home.unwrap_or(now) } else { now };
        Done {
            act: self.act,
            recorder: self.recorder,
            took: ended.since(self.began),
            cameras: self.cameras.len(),
            others_moved: self.others_moved,
        }
    }
}

/// How long an act needs, with some peace after it.
fn expected(act: Act) -> Duration {
    match act {
        Act::Homecoming => SETTLE,
        // Its presence is missed for ten seconds before it is taken for lost.
        Act::Kill => Duration::from_secs(16),
        // The cameras come again when their sessions end.
        Act::Return | Act::Drain => Duration::from_secs(18),
    }
}

fn set() -> Result<SetName, Failure> {
    RECORDER_SET.parse().map_err(Failure::usage)
}

fn id(recorder: &str) -> Result<InstanceId, Failure> {
    recorder.parse().map_err(Failure::usage)
}
