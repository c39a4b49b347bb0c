//! The second half of the demo: a fleet of cameras, four recorders, and what is done to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use steadfast_core::{Moment, SetName};
use steadfast_host::clock;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::acts::{Act, Acts};
use super::control::Control;
use super::fleet::{CAMERAS, Fleet, SEEN_WAITING, Seen, index};
use super::stage::{RECORDER_SET, Stage};
use super::story::Story;
use super::tally::{Burst, Tally};
use crate::admin::view::ClientQuery;
use crate::admin::{Api, Remote};
use crate::commands::print::count;
use crate::exit::Failure;
use crate::watch::millis;

/// How often it is looked how full the recorders are.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Moves without another one for so long belong together.
const QUIET: Duration = Duration::from_millis(1_500);

/// The second half, from its beginning to its end.
pub(super) struct Ingest {
    fleet: Fleet,
    seen: mpsc::Receiver<Seen>,
    tally: Tally,
    burst: Burst,
    acts: Acts,
    highest_fill: Arc<AtomicU64>,
    looking: JoinHandle<()>,
    control: Control,
    about: watch::Sender<String>,
}

/// What came of the second half.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct IngestFigures {
    /// How many cameras there were.
    cameras: usize,
    /// Sessions of theirs that stood: each began at the gateway.
    sessions: u64,
    /// Until every camera was at home.
    homecoming_ms: Option<u64>,
    /// How many were at home at the recorder that was killed, and have moved.
    moved_clients: Option<usize>,
    /// Until the last of them was at its new home.
    moved_ms: Option<u64>,
    /// How many others moved meanwhile: none should.
    moved_others: Option<u64>,
    /// Until the last of them had returned.
    returned_ms: Option<u64>,
    /// Until nobody was at home any more at a recorder that was drained.
    drained_ms: Option<u64>,
    /// The fullest that a recorder ever was; 1 is its capacity.
    highest_fill: f64,
    /// Connections that were not at the camera's one home.
    double_homes: u64,
    /// What does not agree in the books; none if they could not be read.
    books_faults: Option<usize>,
    /// Acts that did not come to their end.
    unfinished: Vec<Act>,
    /// Why cameras were refused or cut off, and how often.
    interruptions: BTreeMap<String, u64>,
}

impl IngestFigures {
    /// One home each, nobody above its capacity, nobody moved without need.
    pub(super) fn as_promised(&self) -> bool {
        self.double_homes == 0
            && self.highest_fill <= 1.0
            && self.books_faults == Some(0)
            && self.moved_others.unwrap_or(0) == 0
            && self.unfinished.is_empty()
    }

    /// The sentence at the end.
    pub(super) fn told(&self) -> String {
        let moved = match (self.moved_clients, self.moved_ms) {
            (Some(clients), Some(ms)) => {
                format!("{clients} moved when their recorder died, within {} ms; ", count(ms))
            }
            _ => String::new(),
        };
        let full = (self.highest_fill * 100.0).round();
        let two = if self.double_homes == 0 { "never".to_owned() } else { self.double_homes.to_string() };
        let books = match self.books_faults {
            Some(0) => "the books agree".to_owned(),
            Some(faults) => format!("the books have {faults} faults"),
            None => "the books could not be read".to_owned(),
        };
        format!(
            "{} cameras in {} sessions: {moved}no recorder above {full} % of its capacity; two homes at once: {two}; {books}.",
            self.cameras,
            count(self.sessions)
        )
    }
}

impl Ingest {
    /// Switches the cameras on, and serves what the page needs.
    pub(super) fn open(stage: &Stage, until: Option<Moment>) -> Result<Ingest, Failure> {
        let (tell, seen) = mpsc::channel(SEEN_WAITING);
        let about = watch::Sender::new(String::new());
        let fleet = Fleet::start(stage.gateway, &tell);
        let (players, bells) = (stage.players(), fleet.bells());
        let control = Control::serve(&stage.control_socket(), players, about.subscribe(), stage.evict, bells)?;
        let highest_fill = Arc::new(AtomicU64::new(0));
        let looking = tokio::spawn(look(stage.api()?, set()?, Arc::clone(&highest_fill)));
        Ok(Ingest {
            fleet,
            seen,
            tally: Tally::default(),
            burst: Burst::default(),
            acts: Acts::new(clock::now(), until),
            highest_fill,
            looking,
            control,
            about,
        })
    }

    /// The next sighting. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Seen> {
        self.seen.recv().await
    }

    /// Takes a sighting.
    pub(super) fn take(&mut self, seen: Seen) {
        if let Some(moved) = self.tally.take(seen) {
            self.acts.moved(&moved);
            self.burst.add(&moved);
        }
    }

    /// Time passes.
    pub(super) async fn tick(
        &mut self,
        now: Moment,
        stage: &Stage,
        api: &impl Api,
        story: &Story,
    ) -> Result<(), Failure> {
        // What the demo does by itself it tells itself.
        if let Some(ways) = self.burst.over(now, QUIET)
            && !self.acts.are_played()
        {
            story.moved(&ways);
        }
        let (home, all) = (self.tally.at_home(), CAMERAS.len());
        let waiting = if home < all { format!(", {} on their way", all - home) } else { String::new() };
        self.about.send_replace(format!("demo: {home} of {all} cameras at home{waiting}"));
        self.acts.tick(now, stage, api, &self.tally, story).await
    }

    /// Whether there is nothing left to wait for.
    pub(super) fn over(&self, now: Moment) -> bool {
        self.acts.over(now)
    }

    /// A few words for the line that is written over.
    pub(super) fn standing(&self) -> String {
        format!("{} of {} cameras at home", self.tally.at_home(), CAMERAS.len())
    }

    /// Switches the cameras off, and says what came of it all.
    pub(super) async fn end(mut self, api: &impl Api) -> Result<IngestFigures, Failure> {
        self.control.end().await;
        self.fleet.end().await;
        while let Ok(seen) = self.seen.try_recv() {
            self.tally.take(seen);
        }
        self.looking.abort();
        let books = api.verify(&set()?).await.ok();
        let query = ClientQuery { limit: Some(CAMERAS.len()), ..ClientQuery::default() };
        if let Ok(page) = api.clients(&set()?, &query).await {
            let epochs =
                page.clients.iter().filter_map(|one| Some((index(&one.client.0.to_string())?, one.owner_epoch)));
            self.tally.compare(&epochs.collect());
        }
        let took = |act| self.acts.of(act).map(|done| millis(done.took));
        let kill = self.acts.of(Act::Kill);
        Ok(IngestFigures {
            cameras: CAMERAS.len(),
            sessions: self.tally.sessions,
            homecoming_ms: took(Act::Homecoming),
            moved_clients: kill.map(|done| done.cameras),
            moved_ms: took(Act::Kill),
            moved_others: kill.map(|done| done.others_moved),
            returned_ms: took(Act::Return),
            drained_ms: took(Act::Drain),
            highest_fill: self.highest_fill.load(Ordering::Relaxed) as f64 / 1_000.0,
            double_homes: self.tally.double_homes,
            books_faults: books.map(|books| books.faults.len()),
            unfinished: self.acts.unfinished.clone(),
            interruptions: self.tally.reasons.clone(),
        })
    }
}

/// Looks how full the recorders are, and keeps the highest, in thousandths of a capacity.
async fn look(api: Remote, set: SetName, highest: Arc<AtomicU64>) {
    loop {
        if let Ok(found) = api.instances(&set).await {
            for one in found.instances {
                // Rounded up: a little above is above.
                let part = (one.charged.as_milli() * 1_000).div_ceil(one.capacity.as_milli().max(1));
                highest.fetch_max(if one.charged.as_milli() == 0 { 0 } else { part }, Ordering::Relaxed);
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn set() -> Result<SetName, Failure> {
    RECORDER_SET.parse().map_err(Failure::usage)
}
