//! Places clients: many ask at once, one commit answers them.
//!
//! ```text
//! ask → queue (bounded) → attempt: plan with core's decide, one commit → settle: answer, re-plan, or read
//! ```
//! No client's record is read before it is written: one that is not known is believed to be absent, and a commit that
//! finds it shows it. A refusal, and an answer that changes nothing, stand in the batch too, as preconditions on what
//! they were judged by: whatever is answered was true of the store when it was answered.

mod attempt;
mod inputs;
mod known;
mod notes;
mod queue;
mod settle;
mod turn;
mod working_copy;

use std::sync::Arc;
use std::time::Duration;

use steadfast_core::SetName;
use steadfast_core::client::{ClientKey, Labels};
use steadfast_core::placement::{Books, Explanation, Placement, Refusal, Wish};
use steadfast_core::settings::SetSettings;
use steadfast_core::{InstanceId, Weight};
use steadfast_host::clock;
use steadfast_host::http::{Client, ClientLimits};
use tokio::sync::{Semaphore, mpsc};

use crate::leaving::Evictions;
use crate::{Error, Mirror, Registry, Snapshot, Stored};

use inputs::{Inputs, Suspended};
use notes::Notes;
use queue::{Pending, Queue};
use settle::PlacerState;

/// How long an ask without a running placer may take.
const ONCE_WITHIN: Duration = Duration::from_secs(10);

/// Places the clients of one set. Cheap to clone; ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Placer {
    asks: mpsc::UnboundedSender<Pending>,
    places: Arc<Semaphore>,
    suspended: Suspended,
    by: Arc<str>,
    within: Duration,
}

/// How much a placer takes on.
#[derive(Clone, Copy, Debug)]
pub struct PlacerBounds {
    /// Asks that are unanswered at once; further ones are refused as busy.
    pub waiting: usize,
    /// How long an ask may take, waiting included.
    pub within: Duration,
}

/// The answer to an ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// Where the client is at home now; `None`: it is forgotten.
    pub client: Option<Stored<Placement>>,
    /// This ask changed something.
    pub wrote: bool,
}

/// Why an ask has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// As things stand, no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store is away: nothing is accepted that is not committed.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Too many ask at once.
    #[error("too many placements wait already")]
    Busy,
    /// The books cannot be used, or the set is not a sticky one.
    #[error("{0}")]
    Books(String),
}

impl Placer {
    /// Starts to place the clients of `mirror`'s set. `by` stands in the records this placer writes. Must be called
    /// inside a Tokio runtime, on which it then lives.
    pub fn start(registry: &Registry, mirror: Arc<Mirror>, by: &str, bounds: PlacerBounds) -> Placer {
        let set = mirror.snapshot().set.clone();
        let (asks, incoming) = mpsc::unbounded_channel();
        let suspended = Suspended::default();
        let beats = registry.follow_beats(&set);
        let inputs = Inputs::Following { mirror, beats, suspended: suspended.clone() };
        let (mut notes, evictions) = (Notes::start(registry, &set, by), Evictions::start(registry, &set));
        let mut state = PlacerState::new(registry.clone(), set, inputs, by);
        let mut queue = Queue::new(incoming);
        tokio::spawn(async move {
            while let Some(asks) = queue.gather(state.batch()).await {
                queue.give_back(state.carry(asks).await);
                notes.say(std::mem::take(&mut state.events));
                evictions.ask(std::mem::take(&mut state.leavers));
            }
        });
        let places = Arc::new(Semaphore::new(bounds.waiting.min(Semaphore::MAX_PERMITS)));
        Placer { asks, places, suspended, by: by.into(), within: bounds.within }
    }

    /// Has `client`'s record changed as `wish` wants, or says why not. What it answers is committed. An ask that was
    /// not answered may have happened all the same, if its outcome could not be learnt in time. An order (a move from
    /// wherever it is, or to forget it) that may have happened before others changed the client is not done twice: it is
    /// answered with [`PlaceError::Unavailable`], which says so.
    pub async fn ask(&self, client: ClientKey, wish: Wish) -> Result<Placed, PlaceError> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| PlaceError::Busy)?;
        let until = clock::now() + self.within;
        let (pending, answer) = Pending::new(client, wish, self.by.to_string(), until, Some(place));
        let ended = || PlaceError::Unavailable("this process is ending".to_owned());
        self.asks.send(pending).map_err(|_| ended())?;
        match tokio::time::timeout(self.within, answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(ended())),
            Err(_) => Err(PlaceError::Unavailable(format!("no answer within {:?}", self.within))),
        }
    }

    /// An instance could not be reached from here: no new clients there for `span`.
    pub fn suspend(&self, instance: &InstanceId, span: Duration) {
        self.suspended.until(instance, clock::now() + span);
    }
}

impl Registry {
    /// The same for one ask, by those who have no placer running. Reads what it needs first.
    pub async fn place_once(
        &self,
        set: &SetName,
        client: ClientKey,
        wish: Wish,
        by: &str,
    ) -> Result<Placed, PlaceError> {
        let (snapshot, beats) = match self.look(set).await {
            Ok(looked) => looked,
            Err(Error::Store(steadfast_store::Error::Unavailable(why))) => return Err(PlaceError::Unavailable(why)),
            Err(other) => return Err(PlaceError::Books(other.to_string())),
        };
        let inputs = Inputs::Once { snapshot: Arc::new(snapshot), beats: Arc::new(beats) };
        let mut state = PlacerState::new(self.clone(), set.clone(), inputs, by);
        let until = clock::now() + ONCE_WITHIN;
        let (pending, mut answer) = Pending::new(client, wish, by.to_owned(), until, None);
        let mut asks = vec![pending];
        while !asks.is_empty() {
            asks = state.carry(asks).await;
        }
        for event in std::mem::take(&mut state.events) {
            self.note(set, event, by).await;
        }
        for leaver in std::mem::take(&mut state.leavers) {
            self.send_away(set, &Client::new(ClientLimits::default()), &leaver).await;
        }
        answer.try_recv().unwrap_or_else(|_| Err(PlaceError::Unavailable("it was not answered".to_owned())))
    }

    /// Where a client of this key, weight and labels is or would go, and why, as the books say now.
    pub async fn explain(
        &self,
        set: &SetName,
        client: &ClientKey,
        weight: Option<Weight>,
        labels: &Labels,
    ) -> Result<(Option<Stored<Placement>>, Explanation), Error> {
        let (snapshot, beats) = self.look(set).await?;
        let SetSettings::Sticky(settings) = snapshot.settings.as_ref().ok_or_else(|| Error::NoSet(set.clone()))? else {
            return Err(Error::Refused {
                reason: "not-sticky",
                detail: format!("set {set} is single: its requests all go to the leader"),
            });
        };
        let known = self.client(set, client).await?;
        let members = snapshot.members(&beats, clock::now());
        let books = Books { settings, tick: snapshot.tick, members: &members };
        let placement = known.as_ref().map(|stored| &stored.record);
        let explanation = steadfast_core::placement::explain(books, client, placement, weight, labels);
        Ok((known, explanation))
    }

    /// One look at everything but the clients.
    async fn look(&self, set: &SetName) -> Result<(Snapshot, crate::Beats), Error> {
        Ok((Snapshot::read(self, set).await?, self.beats_now(set).await?))
    }
}
