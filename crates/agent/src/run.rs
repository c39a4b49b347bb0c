//! From a configuration to a running agent, and in order back to nothing.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use steadfast_core::settings::SetSettings;
use steadfast_core::{Endpoint, EndpointName};
use steadfast_host::http::Tally;
use steadfast_host::process;
use steadfast_host::shutdown::Shutdown;
use steadfast_registry::{InstanceRecord, Mirror, Registry, Text};
use tokio::task::JoinSet;

use crate::api::{Api, Served};
use crate::application::Application;
use crate::books::Books;
use crate::check::Checks;
use crate::contender::Contender;
use crate::driver::{Agent, Driver, Part, Participation, Supervised};
use crate::endpoints::{Endpoints, advertised};
use crate::gate::{Bound, Gates};
use crate::gateways::Gateways;
use crate::life::Life;
use crate::load::Load;
use crate::member::Member;
use crate::notes::Notes;
use crate::own_thread::OwnThread;
use crate::probe::{self, Probe};
use crate::register::{self, Entry, Registered};
use crate::standing::{Cell, Speaker};
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
    let ready = tokio::select! {
        biased;
        () = leave.requested() => return Ok(Exit::Left),
        () = at_once.requested() => return Ok(Exit::Left),
        ready = ready(config, registry, controls) => ready?,
    };
    let Ready { agent, registered, settings, front, api } = ready;
    match settings {
        SetSettings::Single(single) => {
            let Front { gates, gateways, threads } = front;
            let part = Contender::new(&agent, single.timing(), registered, gates, gateways);
            drive(agent, part, api.map(|api| api.serve(None)), threads).await
        }
        SetSettings::Sticky(_) => {
            let part = Member::new(&agent);
            let api = api.map(|api| api.serve(Some(part.clients())));
            drive(agent, part, api, front.threads).await
        }
    }
}

/// From the first step of the loop to the end of everything that was begun.
async fn drive<P: Part>(agent: Agent, part: P, api: Option<Served>, threads: Vec<OwnThread>) -> Result<Exit, Error> {
    let (end, agent, part) = Driver::new(agent, part).run().await;
    tokio::join!(agent.notes.finish(FINISH_WITHIN), part.finish(FINISH_WITHIN));
    if let Some(api) = api {
        api.end().await;
    }
    for thread in threads {
        thread.end().await;
    }
    if let Ok(exit) = &end {
        tracing::info!(instance = %agent.config.instance, code = exit.code(), "left");
    }
    end
}

/// An agent that is registered, and all that answers on its behalf.
struct Ready {
    agent: Agent,
    registered: Registered,
    settings: SetSettings,
    front: Front,
    api: Option<Api>,
}

/// What stands in front of the application.
struct Front {
    gates: Gates,
    gateways: Gateways,
    threads: Vec<OwnThread>,
}

/// Everything up to the first step of the loop. What can be found out on this machine comes first, then the store.
async fn ready(config: AgentConfig, registry: Registry, controls: Controls) -> Result<Ready, Error> {
    let life = Arc::new(begin_life(&config).await?);
    if let Some(stale) = life.stale()
        && process::end_stale(stale, STALE_WITHIN).await?
    {
        tracing::warn!(instance = %config.instance, group = stale.group(), "ended what a former agent's application left");
    }
    let endpoints = Endpoints::resolve(&config).await?;
    let target = check_target(&config, &endpoints)?;
    let (cell, load) = (Cell::new(), Load::default());
    let speaker = Speaker {
        set: config.set.clone(),
        instance: config.instance.clone(),
        incarnation: life.incarnation(),
        cell: cell.clone(),
    };
    let probe_tally = Arc::new(Tally::default());
    let api = Api::bind(&config, &life, speaker.clone(), load.clone(), Arc::clone(&probe_tally))?;
    let api_url = api.as_ref().map(Api::url);
    let supervisor = Supervisor::new(&config, &endpoints, &life, api_url, controls.at_once.clone())?;
    let (listener, probe_address) = probe::bind(config.probe)?;
    let bound = Bound::all(&config)?;
    let record = describe(&config, &life, &endpoints, &bound, probe_address)?;
    let probe = Probe { speaker, gateways: Gateways::default(), tally: probe_tally };
    let front = Front::open(&config, probe, listener, bound, &endpoints)?;

    let settings = register::settings(&registry, &config).await?;
    let entry = Entry::of(&config, &settings, api.as_ref())?;
    // Followed from before we register: whoever comes after us is seen to.
    let mirror = Arc::new(Mirror::follow(&registry, &config.set));
    let registered = register::register(&registry, &config, &life, &record, entry, &mirror).await?;
    tracing::info!(
        set = %config.set, instance = %config.instance, incarnation = %life.incarnation(), probe = %record.probe.0,
        "registered"
    );
    controls.notify.ready();
    let agent = Agent {
        books: Books::new(config.instance.clone(), life.incarnation(), registered.replaced),
        mirror,
        checks: Checks::new(target, config.check_policy),
        supervised: supervisor
            .map(|supervisor| Supervised { application: Application::new(config.restart), supervisor }),
        notes: Notes::start(registry.clone(), config.set.clone(), config.instance.clone()),
        config,
        registry,
        life,
        record,
        entry,
        endpoints,
        cell,
        load,
        controls,
        effects: JoinSet::new(),
        participation: Participation::default(),
        leaving: None,
    };
    Ok(Ready { agent, registered, settings, front, api })
}

impl Front {
    fn open(
        config: &AgentConfig,
        probe: Probe,
        listener: TcpListener,
        bound: Vec<Bound>,
        endpoints: &Endpoints,
    ) -> Result<Front, Error> {
        let gateways = probe.gateways.clone();
        let cover_all = !config.gates.is_empty() && config.gates.len() == config.endpoints.len();
        let gates = Gates::new(probe.speaker.cell.clone(), cover_all);
        let mut threads = vec![probe.start(listener)?];
        threads.extend(gates.open(bound, &endpoints.direct)?);
        Ok(Front { gates, gateways, threads })
    }
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
    let mut record = InstanceRecord::new(life.incarnation(), public, probe, !bound.is_empty(), host);
    record.labels = config.labels.iter().map(|(name, value)| (Text(name.clone()), value.clone())).collect();
    Ok(record)
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
