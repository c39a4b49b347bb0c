//! From a configuration to a running agent, and in order back to nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use steadfast_core::lease::{Machine, Timing};
use steadfast_core::{Endpoint, EndpointName};
use steadfast_host::shutdown::Shutdown;
use steadfast_host::{process, random};
use steadfast_registry::{InstanceRecord, Leases, Mirror, Registry};

use crate::application::Application;
use crate::books::Books;
use crate::check::Checks;
use crate::driver::{Driver, Supervised};
use crate::endpoints::{Endpoints, advertised};
use crate::epoch_file::EpochFile;
use crate::gate::{Bound, Gates};
use crate::gateways::Gateways;
use crate::lane::Lane;
use crate::life::Life;
use crate::notes::Notes;
use crate::probe::{self, Probe};
use crate::register::{self, Registered};
use crate::standing::Cell;
use crate::supervise::Supervisor;
use crate::{AgentConfig, CheckTarget, Controls, Error, Exit};

/// How long the remains of a former life's application may take to die.
const STALE_WITHIN: Duration = Duration::from_secs(5);
/// How long the last notes may take to be written, and the epoch file to be emptied.
const FINISH_WITHIN: Duration = Duration::from_secs(1);

/// Runs an agent until it is asked to leave, its application ends for good, or something no waiting mends.
///
/// # Errors
///
/// [`Error`]; [`Error::class`] sorts it by what the caller does next.
pub async fn run(config: AgentConfig, registry: Registry, controls: impl Into<Controls>) -> Result<Exit, Error> {
    config.check()?;
    let controls = controls.into();
    let _reaper = Reaper::start();
    let (leave, at_once) = (controls.leave.clone(), controls.at_once.clone());
    let instance = config.instance.clone();
    let (driver, lanes) = tokio::select! {
        biased;
        () = leave.requested() => return Ok(Exit::Left),
        () = at_once.requested() => return Ok(Exit::Left),
        ready = ready(config, registry, controls) => ready?,
    };
    let (end, unfinished) = driver.run().await;
    unfinished.finish(FINISH_WITHIN).await;
    for lane in lanes {
        lane.end().await;
    }
    if let Ok(exit) = &end {
        tracing::info!(%instance, code = exit.code(), "left");
    }
    end
}

/// Everything up to the first step of the loop. What can be found out on this machine comes first, then the store.
async fn ready(config: AgentConfig, registry: Registry, controls: Controls) -> Result<(Driver, Vec<Lane>), Error> {
    let life = Arc::new(begin_life(&config).await?);
    if let Some(stale) = life.stale()
        && process::end_stale(stale, STALE_WITHIN).await?
    {
        tracing::warn!(instance = %config.instance, group = stale.group(), "ended what a former agent's application left");
    }
    let endpoints = Endpoints::resolve(&config).await?;
    let target = check_target(&config, &endpoints)?;
    let supervisor = Supervisor::new(&config, &endpoints, &life, controls.at_once.clone())?;
    let (listener, probe_address) = probe::bind(config.probe)?;
    let bound = Bound::all(&config)?;
    let record = describe(&config, &life, &endpoints, &bound, probe_address)?;

    let (cell, gateways) = (Cell::new(), Gateways::default());
    let gates = Gates::new(cell.clone(), !config.gates.is_empty() && config.gates.len() == config.endpoints.len());
    let probe = Probe {
        set: config.set.clone(),
        instance: config.instance.clone(),
        incarnation: life.incarnation(),
        cell: cell.clone(),
        gateways: gateways.clone(),
    };
    let mut lanes = vec![probe.start(listener)?];
    lanes.extend(gates.open(bound, &endpoints.direct)?);

    let timing = register::settings(&registry, &config).await?;
    let registered = register::register(&registry, &config, &life, &record).await?;
    tracing::info!(
        set = %config.set, instance = %config.instance, incarnation = %life.incarnation(), probe = %record.probe.0,
        "registered"
    );
    controls.notify.ready();
    let driver = Driver {
        machine: machine(&config, &life, timing, registered),
        books: Books::new(config.instance.clone(), life.incarnation(), registered.replaced, timing),
        mirror: Mirror::follow(&registry, &config.set),
        leases: Arc::new(Leases::new(registry.clone(), config.set.clone())),
        checks: Checks::new(target, config.check_policy),
        supervised: supervisor
            .map(|supervisor| Supervised { application: Application::new(config.restart), supervisor }),
        epoch_file: EpochFile::start(Arc::clone(&life)),
        notes: Notes::start(registry.clone(), config.set.clone(), config.instance.clone()),
        config,
        registry,
        life,
        record,
        timing,
        endpoints,
        gates,
        gateways,
        cell,
        controls,
    };
    Ok((driver, lanes))
}

/// Begins this life, with an empty epoch file. Blocks on the disk, so not here.
async fn begin_life(config: &AgentConfig) -> Result<Life, Error> {
    let (root, set, instance) = (config.state_dir.clone(), config.set.clone(), config.instance.clone());
    let begun = tokio::task::spawn_blocking(move || {
        let life = Life::begin(&root, &set, &instance)?;
        life.tell_epoch(None)?;
        Ok(life)
    });
    begun.await.unwrap_or_else(|error| {
        Err(Error::Machine { what: "read the state directory", cause: std::io::Error::other(error) })
    })
}

fn check_target(config: &AgentConfig, endpoints: &Endpoints) -> Result<Option<CheckTarget>, Error> {
    match &config.check {
        Some(check) => check.target(|name| endpoints.port_of(name)).map(Some),
        None => Ok(endpoints.direct.values().next().cloned().map(CheckTarget::Tcp)),
    }
}

/// What the books shall say of this instance: the way to it leads through its gates.
fn describe(
    config: &AgentConfig,
    life: &Life,
    endpoints: &Endpoints,
    bound: &[Bound],
    probe_address: SocketAddr,
) -> Result<InstanceRecord, Error> {
    let endpoint = |scheme: &str, address: SocketAddr| {
        let host = advertised(config, address.ip())?;
        Endpoint::new(scheme, host, address.port()).map_err(|error| Error::Config(error.to_string()))
    };
    let mut public: BTreeMap<EndpointName, Endpoint> = endpoints.direct.clone();
    for gate in bound {
        if let Some(direct) = endpoints.direct.get(gate.name()) {
            public.insert(gate.name().clone(), endpoint(direct.scheme(), gate.address())?);
        }
    }
    let probe = endpoint("http", probe_address)?;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    Ok(InstanceRecord::new(life.incarnation(), public, probe, !bound.is_empty(), host))
}

fn machine(config: &AgentConfig, life: &Life, timing: Timing, registered: Registered) -> Machine {
    let mut machine = Machine::new(config.instance.clone(), life.incarnation(), timing, life.memory(), random::u64());
    if let Some(previous) = registered.replaced.filter(|_| registered.proven_dead) {
        machine.succeed(previous);
    }
    machine
}

/// Reaps orphans where this process is a container's PID 1.
struct Reaper(Shutdown);

impl Reaper {
    fn start() -> Option<Reaper> {
        if std::process::id() != 1 {
            return None;
        }
        let shutdown = Shutdown::new();
        let until = shutdown.clone();
        tokio::spawn(async move {
            if let Err(error) = process::reap_orphans(until).await {
                tracing::warn!(%error, "orphans are not reaped");
            }
        });
        Some(Reaper(shutdown))
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.0.begin();
    }
}
