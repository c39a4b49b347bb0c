//! The keeper's lease: core's machine, as for a single set, on `lease/keeper` of the catalog.
//!
//! Nothing is remembered on disk, and nothing fences what the keeper writes, because each of its writes says what it
//! believes. The lease only keeps two from doing the same work.

use std::time::Duration;

use steadfast_core::lease::{Action, Attempt, Event, Machine, Memory, Outcome, Timing};
use steadfast_core::{Incarnation, InstanceId, Moment, Nonce, Span};
use steadfast_host::shutdown::Shutdown;
use steadfast_host::{clock, random};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Task;
use crate::follow::{Fact, Follow, News, Reading, Wanted};
use crate::{Leases, Registry, keys};

/// How long the work may lie still after a keeper died.
const TTL: Span = Span::from_millis(5_000);
/// How long a release may take at the end.
const RELEASE_WITHIN: Duration = Duration::from_secs(2);
/// Never to sleep for longer, whatever the machine says.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// The lease's spans.
pub(super) fn timing() -> Timing {
    Timing::new(TTL, Timing::DEFAULT_DRIFT_MILLI, Span::ZERO).unwrap_or_else(|error| unreachable!("constants: {error}"))
}

/// Contends until `shutdown`, and does `work` while holding.
pub(super) async fn hold<F>(registry: Registry, name: &str, timing: Timing, shutdown: Shutdown, work: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (me, life) = (identity(name), Incarnation(random::u64()));
    let machine = Machine::new(me, life, timing, Memory::default(), random::u64());
    let (facts, incoming) = mpsc::channel(16);
    let key = keys::keeper();
    let follow = Follow {
        store: registry.store.clone(),
        space: key.space,
        prefixes: vec![key.name],
        reading: Reading::Records,
        wanted: Wanted::always(timing.progress_every()),
    };
    let _follower = Task(tokio::spawn(follow.run(facts)));
    let leases = Leases::of_keeper(&registry);
    let mut contender = Contender { machine, leases, incoming, effects: JoinSet::new(), working: None };
    contender.run(shutdown, work).await;
}

struct Contender {
    machine: Machine,
    leases: Leases,
    incoming: mpsc::Receiver<Fact>,
    effects: JoinSet<Vec<Event>>,
    working: Option<Task>,
}

impl Contender {
    async fn run<F>(&mut self, shutdown: Shutdown, work: impl Fn() -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.machine.handle(clock::now(), Event::Fit(true));
        let mut leave_by: Option<Moment> = None;
        loop {
            self.act();
            let standing = self.machine.standing();
            let leads = leave_by.is_none() && clock::now() < standing.serve_until;
            match &self.working {
                None if leads => {
                    tracing::info!(epoch = standing.epoch.0, "this process is the keeper");
                    self.working = Some(Task(tokio::spawn(work())));
                }
                Some(_) if !leads => self.working = None,
                _ => {}
            }
            let over = leave_by.is_some_and(|by| clock::now() >= by);
            if over || (leave_by.is_some() && self.has_left()) {
                return;
            }
            let longest = clock::now() + LONGEST_SLEEP;
            let deadline = self.machine.deadline().unwrap_or(longest).min(leave_by.unwrap_or(longest)).min(longest);
            tokio::select! {
                fact = self.incoming.recv() => match fact {
                    Some(fact) => self.hear(fact),
                    None => return,
                },
                Some(ended) = self.effects.join_next() => {
                    ended.into_iter().flatten().for_each(|event| self.machine.handle(clock::now(), event));
                }
                () = shutdown.requested(), if leave_by.is_none() => {
                    leave_by = Some(clock::now() + RELEASE_WITHIN);
                    self.machine.handle(clock::now(), Event::Fit(false));
                }
                () = clock::sleep_until(deadline) => self.machine.tick(clock::now()),
            }
        }
    }

    /// Does what the machine says.
    fn act(&mut self) {
        while let Some(action) = self.machine.next_action(clock::now()) {
            match action {
                Action::Remember(_) => {}
                Action::Stop(_) => {
                    self.working = None;
                    self.machine.handle(clock::now(), Event::Stopped);
                }
                Action::Attempt(attempt) => {
                    let leases = self.leases.clone();
                    self.effects.spawn(async move { vec![send(&leases, attempt).await] });
                }
                Action::Read { within } => {
                    let leases = self.leases.clone();
                    self.effects.spawn(async move { leases.read(within).await.map(Event::Seen).into_iter().collect() });
                }
            }
        }
    }

    fn hear(&mut self, fact: Fact) {
        let now = clock::now();
        let record = match fact.news {
            News::Contact => return self.machine.handle(now, Event::Contact),
            News::Trouble(_) => return,
            News::All { records, other_history, .. } => {
                if other_history {
                    self.machine.handle(now, Event::StoreReset);
                }
                self.leases.find(records.into_iter().map(|(name, record)| (name, Some(record)))).unwrap_or(Ok(None))
            }
            News::Changed { changes, .. } => match self.leases.find(changes.into_iter()) {
                Some(found) => found,
                None => return self.machine.handle(now, Event::Contact),
            },
        };
        match record {
            Ok(seen) => self.machine.handle(now, Event::Seen(seen)),
            Err(error) => tracing::error!(%error, "the keeper's lease cannot be used"),
        }
    }

    fn has_left(&self) -> bool {
        use steadfast_core::lease::Phase;
        matches!(self.machine.standing().phase, Phase::Idle) && self.effects.is_empty()
    }
}

async fn send(leases: &Leases, attempt: Attempt) -> Event {
    let nonce: Nonce = attempt.record.nonce;
    let outcome = leases.send(&attempt).await.unwrap_or_else(|error| {
        tracing::error!(%error, "the keeper's lease cannot be written");
        Outcome::Unavailable
    });
    Event::Settled { nonce, outcome }
}

/// The name of a process as an identity: whatever an id may not have becomes a dash.
fn identity(name: &str) -> InstanceId {
    let fine = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let text: String = "keeper-".chars().chain(name.chars().map(fine)).take(128).collect();
    text.parse().unwrap_or_else(|e| unreachable!("{text} was made to be an id: {e}"))
}
