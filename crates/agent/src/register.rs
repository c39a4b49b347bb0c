//! Getting into the books: the set's settings, and the instance's name, taken only from those proven or believed dead.

use std::time::Duration;

use steadfast_core::placement::Tick;
use steadfast_core::settings::{Presence, SetSettings};
use steadfast_core::{Incarnation, InstanceId, SetName, Weight};
use steadfast_host::clock;
use steadfast_host::http::{Call, Client, Target};
use steadfast_registry::{
    Error as RegistryError, InstanceRecord, LedgerState, Mirror, ProbeAnswer, Registration, Registry, SetStanding,
    StoreError,
};

use crate::api::Api;
use crate::life::Life;
use crate::{AgentConfig, Error};

/// How long a store that is away, or that does not know the set, is waited for at the start, before the agent gives up:
/// long enough for a `steadfast run` that starts beside it, short enough for a person who mistyped an address or a name.
const REACH_WITHIN: Duration = Duration::from_secs(10);
/// Between two tries.
const TRY_EVERY: Duration = Duration::from_millis(250);
/// How long the probe of whoever has our name may take to answer.
const PROBE_WITHIN: Duration = Duration::from_secs(1);
/// A former holder of our name whose presence does not change for so long is dead: more than three missed beats.
pub(crate) const PRESENCE_TTL: Duration = Duration::from_secs(10);
/// How often its presence is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What registering taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registered {
    /// The life whose record was replaced.
    pub(crate) replaced: Option<Incarnation>,
    /// It was a life of this machine, proven dead: a lease it holds is ours to take.
    pub(crate) proven_dead: bool,
}

/// How an instance enters the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Of a single set: it takes part at once, and serves nobody before it holds the lease.
    Contender,
    /// Of a sticky set: with room for clients, which it is given only once its application is healthy.
    Member {
        /// What it can carry.
        capacity: Weight,
    },
}

impl Entry {
    /// How the agent of `config` enters a set with these settings.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] where the configuration is not made for such a set.
    pub(crate) fn of(config: &AgentConfig, settings: &SetSettings, api: Option<&Api>) -> Result<Entry, Error> {
        let AgentConfig { set, instance, .. } = config;
        let wrong = |what: &str| Err(Error::Config(format!("agent {instance} of set {set}: {what}")));
        let SetSettings::Sticky(sticky) = settings else { return Ok(Entry::Contender) };
        if !config.gates.is_empty() {
            return wrong("the set is sticky, and a gate cannot tell whose home this is: leave the gates out");
        }
        if sticky.presence == Presence::Report && api.is_none() {
            return wrong(
                "the set goes by what applications report, but the path of the API's socket is too long: say --api unix:/PATH",
            );
        }
        match config.capacity {
            Some(capacity) => Ok(Entry::Member { capacity }),
            None => wrong(
                "the set is sticky: say --capacity, what this instance can carry in the unit of its clients' weights",
            ),
        }
    }

    /// Writes it down, in the place of what was `found` there.
    pub(crate) async fn write(
        self,
        registry: &Registry,
        set: &SetName,
        instance: &InstanceId,
        record: &InstanceRecord,
        tick: Tick,
        found: &Registration,
    ) -> Result<(), RegistryError> {
        match self {
            Entry::Contender => registry.register(set, instance, record, Weight::ZERO, found).await,
            Entry::Member { capacity } => registry.register_unready(set, instance, record, capacity, tick, found).await,
        }
    }
}

/// The settings of the set, which is introduced to the store if need be and configured. Where somebody else is to
/// introduce it (`steadfast run`, which starts beside this agent), that is waited for.
pub(crate) async fn settings(registry: &Registry, config: &AgentConfig) -> Result<SetSettings, Error> {
    let AgentConfig { set, introduce, .. } = config;
    let give_up = clock::now() + REACH_WITHIN;
    let mut told = false;
    loop {
        if let Some(stored) = reached(give_up, || registry.set(set)).await? {
            let settings = stored.record.settings(set)?;
            registry.check_lease(set, &settings)?;
            return Ok(settings);
        }
        if let Some(brought) = introduce {
            let standing = reached(give_up, || registry.introduce_set(set, brought)).await?;
            if standing == SetStanding::Created {
                tracing::info!(%set, "introduced the set to the store");
            }
            let settings = standing.settings(brought.clone());
            registry.check_lease(set, &settings)?;
            return Ok(settings);
        }
        if clock::now() >= give_up {
            return Err(Error::NoSet(set.clone()));
        }
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(%set, "the store does not know the set yet; waiting for it for {REACH_WITHIN:?}");
        }
        tokio::time::sleep(TRY_EVERY).await;
    }
}

/// Registers this life under its instance's name.
pub(crate) async fn register(
    registry: &Registry,
    config: &AgentConfig,
    life: &Life,
    record: &InstanceRecord,
    entry: Entry,
    mirror: &Mirror,
) -> Result<Registered, Error> {
    let AgentConfig { set, instance, .. } = config;
    loop {
        let give_up = clock::now() + REACH_WITHIN;
        let found = reached(give_up, || registry.instance(set, instance)).await?;
        let registered = admit(registry, config, life, &found).await?;
        let tick = mirror.complete(REACH_WITHIN).await.ok_or_else(|| unread(set))?.tick;
        match reached(give_up, || entry.write(registry, set, instance, record, tick, &found)).await {
            Ok(()) => return Ok(registered),
            Err(Error::Registry(RegistryError::Store(StoreError::Conflict(_)))) => {
                tracing::debug!(%set, %instance, "the name was registered meanwhile; looking again");
            }
            Err(other) => return Err(other),
        }
    }
}

fn unread(set: &SetName) -> Error {
    let why = format!("the books of set {set} could not be read within {REACH_WITHIN:?}");
    Error::Registry(StoreError::Unavailable(why).into())
}

/// Whether whoever has the name may be replaced: refused while it lives.
async fn admit(
    registry: &Registry,
    config: &AgentConfig,
    life: &Life,
    found: &Registration,
) -> Result<Registered, Error> {
    let Some(description) = found.description.as_ref().map(|stored| &stored.record) else {
        return Ok(Registered { replaced: None, proven_dead: false });
    };
    let replaced = Registered { replaced: Some(description.incarnation), proven_dead: false };
    if life.outlived(description.incarnation) {
        return Ok(Registered { proven_dead: true, ..replaced });
    }
    if found.ledger.as_ref().is_some_and(|ledger| ledger.record.state == LedgerState::Gone) {
        return Ok(replaced);
    }
    let runs = || Error::AlreadyRuns {
        set: config.set.clone(),
        instance: config.instance.clone(),
        place: format!("on {} (its probe is {})", description.host, description.probe.0),
    };
    if answers(&config.set, &config.instance, description).await {
        return Err(runs());
    }
    tracing::info!(
        set = %config.set, instance = %config.instance, host = %description.host, probe = %description.probe.0,
        "the name is registered, but its probe does not answer: watching for {PRESENCE_TTL:?} whether it lives"
    );
    let before = last_beat(registry, config).await?;
    let silent_until = clock::now() + PRESENCE_TTL;
    while clock::now() < silent_until {
        tokio::time::sleep(LOOK_EVERY).await;
        if last_beat(registry, config).await? != before || answers(&config.set, &config.instance, description).await {
            return Err(runs());
        }
    }
    Ok(replaced)
}

async fn last_beat(registry: &Registry, config: &AgentConfig) -> Result<Option<(Incarnation, u64)>, Error> {
    let give_up = clock::now() + REACH_WITHIN;
    let beat = reached(give_up, || registry.last_beat(&config.set, &config.instance)).await?;
    Ok(beat.map(|beat| (beat.incarnation, beat.beat)))
}

/// Whether the probe in `description` answers as that very life.
async fn answers(set: &SetName, instance: &InstanceId, description: &InstanceRecord) -> bool {
    let target = Target::from(&description.probe.0);
    let Ok(reply) = Client::default().call(&target, Call::get("/"), PROBE_WITHIN).await else { return false };
    serde_json::from_slice::<ProbeAnswer>(&reply.body)
        .is_ok_and(|answer| answer.is_of(set, instance, description.incarnation))
}

/// Asks the store until it answers, or until `give_up`.
async fn reached<T, F>(give_up: steadfast_core::Moment, ask: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, RegistryError>>,
{
    let mut told = false;
    loop {
        match ask().await {
            Err(RegistryError::Store(StoreError::Unavailable(why) | StoreError::OutcomeUnknown(why)))
                if clock::now() < give_up =>
            {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%why, "the store does not answer; trying again for {REACH_WITHIN:?}");
                }
                tokio::time::sleep(TRY_EVERY).await;
            }
            answered => return Ok(answered?),
        }
    }
}
