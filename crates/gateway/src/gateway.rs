//! Puts a gateway together: sockets, the control thread, the workers.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use steadfast_core::route::Routes;
use steadfast_core::settings::SingleSettings;
use steadfast_core::{EndpointName, SetName};
use steadfast_host::net::{Sharing, bind_tcp};
use steadfast_host::process::raise_open_files;
use steadfast_host::shutdown::Shutdown;
use steadfast_registry::Registry;
use tokio::sync::{Notify, mpsc};

use crate::config::{FixedSet, GatewayConfig, ListenerConfig, RouteConfig};
use crate::connections::Connections;
use crate::control::{self, Control, Source};
use crate::counters::{Counters, Parking};
use crate::error::Error;
use crate::new_clients::NewClients;
use crate::route::{Route, Routed};
use crate::set::{Known, SetShared};
use crate::shared::Shared;
use crate::status::Status;
use crate::worker::{self, Duty};

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    addresses: Vec<SocketAddr>,
    status: Status,
    threads: Vec<thread::JoinHandle<io::Result<()>>>,
}

/// Runs a gateway until shutdown has begun and what was under way has ended.
///
/// # Errors
///
/// As [`start`], and [`Error::System`] where a thread of it failed.
pub async fn run(config: GatewayConfig, registry: Option<Registry>, shutdown: Shutdown) -> Result<(), Error> {
    start(config, registry, &shutdown)?.ended().await
}

/// Starts a gateway; it accepts connections when this returns. `registry` is where sets without listed instances are
/// followed.
///
/// # Errors
///
/// [`Error`]; nothing is left running.
pub fn start(config: GatewayConfig, registry: Option<Registry>, shutdown: &Shutdown) -> Result<Gateway, Error> {
    let workers = config.workers.or_else(|| thread::available_parallelism().ok()).map_or(1, |count| count.get());
    let bells: Arc<[Notify]> = (0..workers).map(|_| Notify::new()).collect();
    let sets = sets(&config, registry.as_ref(), &bells)?;
    let failed = |source| Error::System { what: "ask how many files may be open", source };
    let connections = Connections::new(&config.bounds, &config.trusted_proxies, raise_open_files().map_err(failed)?)?;
    let shared = Arc::new(Shared {
        sets: sets.iter().map(|(set, _)| set.clone()).collect(),
        new_clients: NewClients::new(config.bounds.sources),
        bounds: config.bounds.clone(),
        trusted_proxies: config.trusted_proxies,
        bells,
        counters: (0..workers).map(|_| Counters::default()).collect(),
        parking: Parking::default(),
        connections,
    });
    let mut duties: Vec<Vec<(TcpListener, Arc<Routed>)>> = (0..workers).map(|_| Vec::new()).collect();
    let mut addresses = Vec::new();
    for listener in &config.listeners {
        let (address, sockets) = bind(listener.listen, workers)?;
        let routed = Arc::new(routed(listener, address, &shared.sets));
        addresses.push(address);
        duties.iter_mut().zip(sockets).for_each(|(duty, socket)| duty.push((socket, routed.clone())));
    }
    // Begun by the first thread that ends, so that a gateway never goes on with a part of itself missing.
    let stopping = shutdown.child();
    let (present, last_one) = mpsc::channel(1);
    let mut threads = Vec::new();
    let control = Control { name: config.name.clone(), workers, bounds: config.bounds, shared: shared.clone() };
    let start_all = || -> Result<(), Error> {
        let ending = Ending(stopping.clone());
        threads.push(spawn("gateway-control".to_owned(), move || {
            let _ending = ending;
            control::run(sets, &control, last_one)
        })?);
        for (index, listeners) in duties.into_iter().enumerate() {
            let duty = Duty { index, shared: shared.clone(), listeners, shutdown: stopping.clone() };
            let (ending, present) = (Ending(stopping.clone()), present.clone());
            threads.push(spawn(format!("gateway-{index}"), move || {
                let _present = present;
                let _ending = ending;
                worker::run(duty)
            })?);
        }
        Ok(())
    };
    start_all().inspect_err(|_| stopping.begin())?;
    Ok(Gateway { addresses, status: Status(shared), threads })
}

impl Gateway {
    /// Where it listens, in the order of the configuration.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What it knows and counts.
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// Returns once shutdown has begun and what was under way has ended.
    ///
    /// # Errors
    ///
    /// [`Error::System`] where a thread failed; the gateway has stopped then, too.
    pub async fn ended(self) -> Result<(), Error> {
        let joining = tokio::task::spawn_blocking(move || self.wait());
        joining.await.map_err(|error| Error::System { what: "wait for the gateway's threads", source: error.into() })?
    }

    /// As [`Gateway::ended`], blocking.
    ///
    /// # Errors
    ///
    /// As [`Gateway::ended`].
    pub fn wait(self) -> Result<(), Error> {
        let mut result = Ok(());
        for thread in self.threads {
            let panicked = |_| Err(io::Error::other("it panicked: this is a bug in Steadfast"));
            if let Err(source) = thread.join().unwrap_or_else(panicked) {
                result = Err(Error::System { what: "go on with a thread of the gateway", source });
            }
        }
        result
    }
}

/// Begins the end of all when the thread that holds it ends, also in a panic.
struct Ending(Shutdown);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.begin();
    }
}

fn spawn(
    name: String,
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<thread::JoinHandle<io::Result<()>>, Error> {
    let spawned = thread::Builder::new().name(name).spawn(work);
    spawned.map_err(|source| Error::System { what: "start a thread of the gateway", source })
}

/// A socket for each worker, all on one address. The kernel spreads connections among them.
fn bind(address: SocketAddr, workers: usize) -> Result<(SocketAddr, Vec<TcpListener>), Error> {
    if address.port() != 0 {
        // Sockets that share an address share it with every process of this user: a second gateway by mistake would
        // silently take half of the connections. Nobody has it if it can be had alone.
        drop(bind_tcp(address, Sharing::Alone)?);
    }
    let first = bind_tcp(address, Sharing::Shared)?;
    let failed = |source| Error::System { what: "tell a listener's address", source };
    let address = first.local_addr().map_err(failed)?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(bind_tcp(address, Sharing::Shared)?);
    }
    Ok((address, sockets))
}

/// Every set that a route leads to, with the endpoints its routes use.
fn sets(
    config: &GatewayConfig,
    registry: Option<&Registry>,
    bells: &Arc<[Notify]>,
) -> Result<Vec<(Arc<SetShared>, Source)>, Error> {
    let mut used: Vec<(SetName, Vec<EndpointName>)> = Vec::new();
    for route in config.listeners.iter().flat_map(|listener| &listener.routes) {
        let place = used.iter().position(|(set, _)| *set == route.set).unwrap_or_else(|| {
            used.push((route.set.clone(), Vec::new()));
            used.len() - 1
        });
        if !used[place].1.contains(&route.endpoint) {
            used[place].1.push(route.endpoint.clone());
        }
    }
    let resolve = |(name, endpoints): (SetName, Vec<EndpointName>)| {
        let fixed = config.fixed.iter().find(|fixed| fixed.name == name);
        let source = match (fixed, registry) {
            (Some(fixed), _) => {
                has_endpoints(fixed, &endpoints)?;
                Source::Fixed(fixed.clone())
            }
            (None, Some(registry)) => Source::Books(registry.clone()),
            (None, None) => return Err(Error::NoStore(name)),
        };
        let park_for = fixed.map_or(SingleSettings::DEFAULT_PARK_FOR, |fixed| fixed.settings.park_for());
        let shared = Arc::new(SetShared::new(name, endpoints, park_for, bells.clone()));
        if fixed.is_some() {
            shared.set_known(Known::Single);
        }
        Ok((shared, source))
    };
    used.into_iter().map(resolve).collect()
}

fn has_endpoints(fixed: &FixedSet, endpoints: &[EndpointName]) -> Result<(), Error> {
    let all = fixed.instances.iter().flat_map(|instance| &instance.endpoints);
    let known: Vec<&EndpointName> = all.filter(|(_, at)| at.scheme() == "http").map(|(name, _)| name).collect();
    match endpoints.iter().find(|name| !known.contains(name)) {
        Some(missing) => Err(Error::NoEndpoint { set: fixed.name.clone(), endpoint: missing.clone() }),
        None => Ok(()),
    }
}

fn routed(listener: &ListenerConfig, address: SocketAddr, sets: &[Arc<SetShared>]) -> Routed {
    let resolve = |route: &RouteConfig| {
        let set = sets.iter().position(|set| set.name == route.set)?;
        let slot = sets[set].endpoints.iter().position(|name| *name == route.endpoint)?;
        let (client, weight) = (route.client.clone(), route.weight.clone());
        Some((route.host.clone(), route.path.clone(), Route { set, slot, answer: route.answer, client, weight }))
    };
    Routed {
        address,
        ready_path: listener.ready_path.clone(),
        linger: listener.linger,
        routes: Routes::new(listener.routes.iter().filter_map(resolve).collect()),
    }
}
