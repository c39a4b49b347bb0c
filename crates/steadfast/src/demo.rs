//! `demo`: shows what this is about, on this machine, with real processes and real kills. What it tells, it measured.
//!
//! Two halves at once, behind one gateway: a single set under load ([`load`], [`score`], [`script`]), and a sticky set
//! of recorders with a fleet of cameras ([`ingest`], which has [`fleet`], [`tally`] and [`acts`]). [`stage`] has the
//! processes of both, [`story`] all that is said, [`control`] what the page can do beyond the API.

mod acts;
mod application;
mod control;
mod fleet;
mod ingest;
mod load;
mod recorder;
mod score;
mod script;
mod stage;
mod story;
mod tally;

use std::time::Duration;

use steadfast_host::clock;
use steadfast_host::shutdown;
use tokio::sync::mpsc;

pub(crate) use self::application::application;
pub(crate) use self::control::Passage;
use self::ingest::Ingest;
use self::load::{Load, SAMPLES_WAITING};
pub(crate) use self::recorder::recorder;
use self::score::{Score, Takeover};
use self::script::Script;
use self::stage::{Ended, Stage};
use self::story::{Figures, Story};
use crate::admin::Api;
use crate::admin::view::EventCursor;
use crate::cli::Demo;
use crate::exit::{Exit, Outcome};

/// How often the line that is written over is written, and the script looked at.
const TICK: Duration = Duration::from_millis(100);
/// Ends of processes on their way to the story.
const ENDS_WAITING: usize = 64;

pub(crate) async fn run(flags: &Demo) -> Outcome {
    let mut signals = shutdown::signals()?;
    let began = clock::now();
    let story = Story::new(flags.output.json);
    story.begin();
    let (tell_end, mut ends) = mpsc::channel(ENDS_WAITING);
    let stage = tokio::select! {
        stage = Stage::open(tell_end) => stage?,
        _ = signals.next() => return Ok(Exit::No),
    };
    let outcome = show(flags, &stage, &story, &mut ends, &mut signals, began).await;
    stage.end().await;
    let figures = outcome?;
    story.end(&figures, flags.for_.is_some())?;
    Ok(if figures.as_promised() { Exit::Yes } else { Exit::No })
}

/// The demo itself, between the building up and the taking down.
async fn show(
    flags: &Demo,
    stage: &Stage,
    story: &Story,
    ends: &mut mpsc::Receiver<Ended>,
    signals: &mut shutdown::Signals,
    began: steadfast_core::Moment,
) -> Result<Figures, crate::exit::Failure> {
    let (tell, mut samples) = mpsc::channel(SAMPLES_WAITING);
    let probes: Vec<u16> = stage.copies.iter().map(|copy| copy.probe).collect();
    let load = Load::start(stage.gateway, &probes, &tell);
    drop(tell);
    let api = stage.api()?;
    let mut score = Score::default();
    // Where the building up took long, at least half of the time is left for what is to be seen.
    let now = clock::now();
    let until = flags.for_.map(|span| (began + span.duration()).max(now + span.duration() / 2));
    let mut script = until.map(|until| Script::new(now, until));
    let mut ingest = Ingest::open(stage, until)?;
    let mut introduced = false;
    let mut seen = EventCursor::default();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(sample) = samples.recv() => {
                if let Some(takeover) = score.take(sample) {
                    if let Some(script) = &mut script {
                        script.took_over(&takeover);
                    }
                    let why = why(&api, &mut seen, &takeover).await;
                    story.took_over(stage, &score, &takeover, &why);
                }
            }
            Some(seen) = ingest.next() => ingest.take(seen),
            Some(ended) = ends.recv() => story.ended(&ended),
            _ = signals.next() => break,
            _ = tick.tick() => {
                if !introduced && score.leader.is_some() {
                    introduced = true;
                    story.introduce(stage, &score, script.is_some())?;
                }
                story.live(&score, &ingest.standing());
                if story.is_unread() {
                    break;
                }
                ingest.tick(clock::now(), stage, &api, story).await?;
                if let Some(script) = &mut script {
                    script.tick(clock::now(), stage, &api, &score, story).await?;
                    if script.over(clock::now()) && ingest.over(clock::now()) {
                        break;
                    }
                }
            }
        }
    }
    // What is under way is finished and counted before anything is taken down.
    let finishing = load.end();
    tokio::pin!(finishing);
    loop {
        tokio::select! {
            () = &mut finishing => break,
            Some(sample) = samples.recv() => drop(score.take(sample)),
        }
    }
    while let Ok(sample) = samples.try_recv() {
        score.take(sample);
    }
    let ingest = ingest.end(&api).await?;
    Ok(Figures::new(&score, script.as_ref(), ingest, clock::now().since(began)))
}

/// Why there was a takeover, by what the books say happened.
async fn why(api: &impl Api, seen: &mut EventCursor, takeover: &Takeover) -> String {
    let Ok(found) = api.events(None, seen).await else { return String::new() };
    *seen = found.next.0;
    story::cause(&found.events, takeover)
}
