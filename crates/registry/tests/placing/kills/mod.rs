//! kill -9, silence and refusals at every step: each change of the books is made once for every call to the store that
//! it needs and everything that can become of that call. Then others go on, and nothing is lost, doubled or stuck.
//!
//! Whoever is killed here is a part of this process with a store of its own ([`Fault::Die`]): from the fatal moment on
//! the store hears nothing more of it, and its tasks are dropped. What a real kill can do beyond that, to files and
//! sockets, is tried on real processes in `crates/steadfast/tests/kills.rs`.

mod clients;
mod instances;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use steadfast_core::SetName;
use steadfast_registry::{Mirror, Placer, PlacerBounds, Registry};
use steadfast_store::Memory;
use steadfast_store::faulty::{Call, Control, Fault, Faulty};

use crate::support::{Ground, ground_with};

/// How late a commit is made that nobody waits for any more.
const LATE: Duration = Duration::from_secs(1);
/// Everything that can become of one call. What is not a commit changes nothing: whoever is killed there might as well
/// have been killed before its next commit.
const FAULTS: [(Option<Call>, Fault); 6] = [
    (None, Fault::Refuse),
    (None, Fault::Hang),
    (Some(Call::Commit), Fault::LoseReply),
    (Some(Call::Commit), Fault::HangLate(LATE)),
    (Some(Call::Commit), Fault::Die),
    (Some(Call::Commit), Fault::DieDone),
];
/// How often whoever is not answered asks again: one call of one ask fails, so the second succeeds.
const TRIES: u32 = 2;
/// No operation has as many calls: the visiting of its steps has lost its way.
const MOST_STEPS: u64 = 500;
/// Longer than a late commit is late after a time-out. This is tokio's time, which stands still while there is something
/// to do and jumps when there is not: hundreds of cases take a second or two.
const SETTLED: Duration = Duration::from_secs(10);
/// Longer than anybody may take to answer, in the same time.
const ENDS: Duration = Duration::from_secs(300);
/// How long whoever asks a placer waits, in the same time.
const BOUNDS: PlacerBounds = PlacerBounds { waiting: 1_000, within: Duration::from_secs(30) };

/// A process that works on the books: it has a store of its own, over the same records as all others.
pub(crate) struct Process {
    pub(crate) registry: Registry,
    control: Control,
    placer: OnceLock<(Arc<Mirror>, Placer)>,
    ground: Ground,
}

impl Process {
    fn start(ground: &Ground) -> Process {
        let faulty = Faulty::new(ground.truth.store().clone());
        let control = faulty.control();
        Process { registry: Registry::new(Arc::new(faulty)), control, placer: OnceLock::new(), ground: ground.clone() }
    }

    pub(crate) fn set(&self) -> &SetName {
        &self.ground.set
    }

    /// The books without any fault.
    pub(crate) fn ground(&self) -> &Ground {
        &self.ground
    }

    /// Its placer, started when it is first needed.
    pub(crate) fn placer(&self) -> Placer {
        self.started().1.clone()
    }

    /// Has it read the books, so that its steps are those of its next work.
    pub(crate) async fn read_books(&self) {
        self.started().0.complete(ENDS).await.unwrap();
    }

    fn started(&self) -> &(Arc<Mirror>, Placer) {
        self.placer.get_or_init(|| {
            let mirror = Arc::new(Mirror::follow(&self.registry, &self.ground.set));
            let placer = Placer::start(&self.registry, mirror.clone(), "a process", BOUNDS);
            (mirror, placer)
        })
    }
}

/// What is done, and what must be true of it.
pub(crate) trait Deed {
    /// What an acknowledgement says.
    type Told: PartialEq + std::fmt::Debug;

    /// For people.
    fn name(&self) -> String;

    /// The books before.
    async fn ground(&self) -> Ground;

    /// What a process does before its steps are counted.
    async fn prepare(&self, _process: &Process) {}

    /// Does it. An error: it was not acknowledged, and may be tried again. Panics where it is refused for good.
    async fn act(&self, process: &Process) -> Result<Self::Told, String>;

    /// What the books say of what was done. Panics where that is neither before nor after.
    async fn found(&self, ground: &Ground) -> Self::Told;

    /// Whether the books say that it was done.
    fn is_done(&self, found: &Self::Told) -> bool;
}

/// Visits every step of `deed` with every fault. Says how many cases that were.
pub(crate) async fn at_every_step(deed: &impl Deed) -> u64 {
    let mut cases = 0;
    for (call, fault) in FAULTS {
        let mut step = 0;
        while case(deed, call, step, fault).await {
            (step, cases) = (step + 1, cases + 1);
            assert!(step < MOST_STEPS, "{}: where does it end?", deed.name());
        }
    }
    assert!(cases > 1, "{}: nothing was visited", deed.name());
    cases
}

/// One case; whether there was such a step.
async fn case(deed: &impl Deed, call: Option<Call>, step: u64, fault: Fault) -> bool {
    let kind = call.map_or("call".to_owned(), |call| format!("{call:?}"));
    let at = format!("{}, {fault:?} at {kind} {step}", deed.name());
    let ground = deed.ground().await;
    let actor = Process::start(&ground);
    deed.prepare(&actor).await;
    actor.control.at(call, step, fault);
    let first = tokio::select! {
        told = deed.act(&actor) => Some(told),
        () = actor.control.died() => None,
    };
    if let Some(Ok(told)) = &first {
        assert_eq!(*told, deed.found(&ground).await, "{at}: acknowledged, and not so");
    }
    if first.is_some() {
        // If it lives, who was not answered asks it again, and it is none the worse for what happened. What it does
        // after its answer are steps as well.
        tokio::select! {
            told = insist(deed, &actor, &at) => {
                assert_eq!(told, deed.found(&ground).await, "{at}: acknowledged later, and not so");
            }
            () = actor.control.died() => {}
        }
    }
    let visited = !actor.control.waits();
    drop(actor);
    let acknowledged = first.and_then(Result::ok);
    if let Some(told) = &acknowledged {
        assert_eq!(*told, deed.found(&ground).await, "{at}: acknowledged, and undone");
    }
    // Two that know nothing of all this go on, before and after what is late has happened.
    let told = insist(deed, &Process::start(&ground), &at).await;
    tokio::time::sleep(SETTLED).await;
    assert_eq!(told, deed.found(&ground).await, "{at}: what was late undid it");
    assert_eq!(told, insist(deed, &Process::start(&ground), &at).await, "{at}: two say different things");
    assert!(deed.is_done(&told), "{at}: {told:?}");
    if let Some(acknowledged) = acknowledged {
        assert_eq!(acknowledged, told, "{at}: acknowledged, and done once more");
    }
    let faults = ground.truth.verify(&ground.set).await.map(|verified| verified.faults);
    assert_eq!(faults, Ok(Vec::new()), "{at}");
    visited
}

async fn insist<D: Deed>(deed: &D, process: &Process, at: &str) -> D::Told {
    let mut last = String::new();
    for _ in 0..TRIES {
        match tokio::time::timeout(ENDS, deed.act(process)).await {
            Ok(Ok(told)) => return told,
            Ok(Err(error)) => last = error,
            Err(_) => panic!("{at}: it does not end"),
        }
    }
    panic!("{at}: it does not succeed: {last}")
}

/// A set over a new store, whose clients are where `change` says.
pub(crate) async fn sticky(change: impl FnOnce(&mut steadfast_core::settings::Sticky)) -> Ground {
    ground_with(Arc::new(Memory::new()), &[("rec-1", "100"), ("rec-2", "100"), ("rec-3", "10")], change).await
}
