//! The composition root: wires configuration, store, gateway, agents and API together, and ends them in order.
//! It decides nothing.

mod agent;
mod api;
mod ground;
mod keeper;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

use steadfast_core::SetName;
use steadfast_core::settings::SetSettings;
use steadfast_gateway::{FixedSet, GatewayConfig};
use steadfast_host::http::Handler;
use steadfast_host::notify::Notify;
use steadfast_host::shutdown::{self, Asked, Shutdown};
use steadfast_registry::{Registry, SetStanding};

pub(crate) use self::agent::agent;
use self::api::ApiServer;
use self::ground::Ground;
use self::keeper::Keeper;
use self::tasks::{Tasks, fatal, retry_later};
use crate::admin::{Local, Service, difference};
use crate::cli;
use crate::config::{Config, Set};
use crate::demo::Passage;
use crate::exit::{Exit, Failure, Outcome};
use crate::stores::StoreName;

/// How long the store may keep the start waiting.
const INTRODUCE_WITHIN: Duration = Duration::from_secs(2);

/// `steadfast run`.
pub(crate) async fn run(flags: &cli::Run) -> Outcome {
    let config = Config::load(&flags.config).map_err(Failure::usage)?;
    for warning in config.warnings.lines() {
        tracing::warn!("{warning}");
    }
    let store = config.store.as_deref().map(StoreName::kept);
    let tls = config.store_tls.clone();
    let ground = Ground::open(config.state_dir.clone(), store, config.store_token_file.as_deref(), tls)?;
    let mut signals = shutdown::signals()?;
    let (leave, at_once) = (Shutdown::new(), Shutdown::new());
    let api = ApiServer::bind(&config.admin, &ground.state)?;

    let mut tasks = Tasks::new(leave.clone());
    let file = config.sets.iter().filter(|(_, set)| set.instances.is_empty());
    let file: Vec<(SetName, SetSettings)> = file.map(|(name, set)| (name.clone(), set.settings.clone())).collect();
    // What no waiting mends is told before anything has begun; a store that is away is waited for meanwhile.
    match tokio::time::timeout(INTRODUCE_WITHIN, introduce(ground.registry.clone(), file.clone())).await {
        Ok(introduced) => introduced.map(drop)?,
        Err(_) => tasks.spawn("the sets of the file", introduce(ground.registry.clone(), file.clone())),
    }
    let gateway = start_gateway(&config, &ground.registry, &leave, &mut tasks)?;
    // A gateway of fixed instances alone shares no books that would have to be kept.
    let shares = config.store.is_some() || !file.is_empty() || !config.agents.is_empty() || config.listeners.is_empty();
    let keeper = shares.then(|| Keeper::start(&ground.registry));
    let local = Local { gateway, file: file.iter().cloned().collect(), operator: "the API".to_owned() };
    let service = Arc::new(Service::new(ground.registry.clone(), local));
    service.follow(file.iter().map(|(name, _)| name));
    if config.listeners.is_empty() && config.agents.is_empty() {
        // The API, and the store for peers, are all there is to run: until somebody ends it.
        let asked = leave.clone();
        tasks.spawn("the API", async move {
            asked.requested().await;
            Ok(Exit::Yes)
        });
    }
    for mut agent in config.agents {
        agent.state_dir = ground.state.path().to_path_buf();
        tasks.agent(agent, &ground.registry, &at_once);
    }
    let demo = flags.demo_control.clone().map(|socket| Arc::new(Passage::to(socket)) as Arc<dyn Handler>);
    let api = api.start(service, &ground.registry, demo);

    let notify = Notify::from_env();
    notify.ready();
    api.set_ready(true);
    tracing::info!(store = %ground.registry.store().describe().place, admin = %api.address(), "running");
    let alive = tasks::keep_alive(notify.clone());
    let outcome = loop {
        tokio::select! {
            outcome = tasks.ended() => break outcome,
            asked = signals.next() => match asked {
                Asked::End => tracing::info!("stopping in good order; a second signal stops at once"),
                Asked::EndAtOnce => {
                    tracing::warn!("stopping at once");
                    at_once.begin();
                    tasks.hurry();
                }
                Asked::Reload => {
                    tracing::warn!("the configuration is read at the start only: SIGHUP changes nothing");
                    continue;
                }
            },
        }
        notify.stopping();
        api.set_ready(false);
        leave.begin();
    };
    alive.abort();
    if let Some(keeper) = keeper {
        keeper.end().await;
    }
    // Last, since what ends before may need the store that is served here.
    api.end().await;
    outcome
}

/// Starts the gateway, if there is something for it to listen on, and gives a look at it.
fn start_gateway(
    config: &Config,
    registry: &Registry,
    leave: &Shutdown,
    tasks: &mut Tasks,
) -> Result<Option<api::GatewayLook>, Failure> {
    if config.listeners.is_empty() {
        return Ok(None);
    }
    let settings = GatewayConfig {
        listeners: config.listeners.clone(),
        fixed: config.sets.iter().filter_map(|(name, set)| fixed(name, set)).collect(),
        trusted_proxies: config.trusted_proxies.clone(),
        workers: config.workers,
        bounds: config.limits.clone(),
        ..GatewayConfig::default()
    };
    let gateway = steadfast_gateway::start(settings, Some(registry.clone()), leave).map_err(|error| {
        // An address that cannot be had is mended in the file, whoever wants it.
        let usage = matches!(error, steadfast_gateway::Error::Bind(_)) || error.exit_code() == Exit::Usage.code();
        Failure::new(if usage { Exit::Usage } else { Exit::No }, error)
    })?;
    for address in gateway.addresses() {
        tracing::info!(%address, "the gateway listens");
    }
    let look = api::look(&gateway);
    tasks.spawn("the gateway", async move {
        gateway.ended().await.map(|()| Exit::Yes).map_err(|error| Failure::new(Exit::No, error))
    });
    Ok(Some(look))
}

fn fixed(name: &SetName, set: &Set) -> Option<FixedSet> {
    let SetSettings::Single(settings) = &set.settings else { return None };
    let instances = set.instances.clone();
    (!instances.is_empty()).then(|| FixedSet { name: name.clone(), settings: *settings, instances })
}

/// Makes the file's sets known to the store, as soon as it can be reached.
async fn introduce(registry: Registry, sets: Vec<(SetName, SetSettings)>) -> Outcome {
    for (name, settings) in sets {
        loop {
            match registry.introduce_set(&name, &settings).await {
                Ok(SetStanding::Created) => tracing::info!(set = %name, "the store did not know the set; it does now"),
                Ok(SetStanding::Same) => {}
                Ok(SetStanding::Differs(store)) => {
                    let differs = difference(&store, &settings);
                    tracing::warn!(set = %name, "the settings differ, and the store's count: {differs}; `steadfast apply FILE` writes the file's over them");
                }
                Err(error) if retry_later(&error) => {
                    tracing::warn!(set = %name, %error, "the set cannot be made known yet");
                    tokio::time::sleep(tasks::RETRY_EVERY).await;
                    continue;
                }
                Err(error) => return Err(fatal(error)),
            }
            break;
        }
    }
    // This task has done its work; the others go on.
    Ok(Exit::Yes)
}
