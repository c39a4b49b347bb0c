//! New clients a second on each store, beside what a plain client of the same server reaches that waits for every
//! round trip; and what an idle agent asks of it.
//!
//! ```text
//! cargo run --release -p steadfast-registry --example stores -- [--seconds 5] [--json] [sqlite etcd redis …]
//! cargo run --release -p steadfast-registry --example stores -- --serve etcd
//! ```
//! The servers are started as for the conformance suite (every commit synced to the disk) and stopped again; callers,
//! placers and server share the machine. A second gateway is a second placer with a handle of its own on the store.
//! With `--serve` one server runs for `cargo xtask bench stores`: a line says where, and each line of standard input is
//! answered with what was asked of it so far by way of `counted`, until that input ends.

mod cpu;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use steadfast_core::client::{ClientKey, Labels, Source, Sources};
use steadfast_core::placement::Wish;
use steadfast_core::settings::{SetSettings, Sticky, StickySettings};
use steadfast_core::{Endpoint, Incarnation, InstanceId, SetName};
use steadfast_host::clock;
use steadfast_registry::{InstanceRecord, Mirror, Placer, PlacerBounds, Registration, Registry};
use steadfast_store::conformance::servers::{Options as ServerOptions, Place, Server};
use steadfast_store::{
    Batch, Cursor, Description, Error as StoreError, Expect, Key, Limits, Page, PageToken, Record, Space, Sqlite,
    Store, Watch, Write,
};
use tokio::task::JoinSet;

/// How long the instances may take to appear, and one placement to be answered.
const WITHIN: Duration = Duration::from_secs(60);
/// Callers at once, over all gateways.
const CALLERS: [usize; 2] = [64, 1024];
/// Instances among which the clients are spread.
const INSTANCES: usize = 4;
/// What a plain client writes: about as much as a placement.
const PLAIN_BYTES: usize = 250;
/// How long the first commits of a placer may take before anything counts.
const WARM_UP: Duration = Duration::from_millis(500);

struct Options {
    seconds: u64,
    json: bool,
    engines: Vec<String>,
    serve: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    if let Some(engine) = &options.serve {
        return serve(engine);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut all = Vec::new();
    for engine in &options.engines {
        let ground = Ground::start(engine)?;
        let measured = runtime.block_on(measure(engine, &ground, Duration::from_secs(options.seconds)))?;
        if options.json {
            all.push(measured);
        } else {
            print(&measured);
        }
    }
    if options.json {
        println!("{}", json!({ "stores": all }));
    }
    Ok(())
}

/// A running store.
enum Ground {
    Sqlite(tempfile::TempDir),
    Server(Box<Server>),
}

impl Ground {
    fn start(engine: &str) -> Result<Ground, Box<dyn Error>> {
        let none = ServerOptions::default();
        Ok(match engine {
            "sqlite" => Ground::Sqlite(tempfile::tempdir()?),
            "etcd" => Ground::Server(Box::new(Server::etcd(&none))),
            "redis" => Ground::Server(Box::new(Server::redis(&none))),
            // An agent has a connection of its own, and a hundred agents come.
            "postgres" => {
                let options = ServerOptions::with(&["-c", "max_connections=300"]);
                Ground::Server(Box::new(Server::postgres(&options)))
            }
            "azure" => Ground::Server(Box::new(Server::azurite(&none))),
            other => return Err(format!("`{other}` is no store: sqlite, etcd, redis, postgres, azure").into()),
        })
    }

    /// Books of their own, and a way to more handles on them.
    fn books(&self, name: &str) -> Result<Books, Box<dyn Error>> {
        Ok(match self {
            Ground::Sqlite(directory) => Books::One(Arc::new(Sqlite::open(directory.path().join(name))?)),
            Ground::Server(server) => Books::Many(Box::new(server.fresh_place())),
        })
    }
}

/// Where handles come from: a file has one a process.
enum Books {
    One(Arc<dyn Store>),
    Many(Box<Place>),
}

impl Books {
    fn open(&self) -> Arc<Counted> {
        let store = match self {
            Books::One(store) => store.clone(),
            Books::Many(place) => place.open(),
        };
        Arc::new(Counted { store, calls: AtomicU64::new(0), micros: AtomicU64::new(0) })
    }
}

/// Runs one server until standard input ends.
fn serve(engine: &str) -> Result<(), Box<dyn Error>> {
    let Ground::Server(server) = Ground::start(engine)? else { return Err("a file needs no server".into()) };
    let place = server.fresh_place();
    let (counted, proxy) = place.through_a_proxy();
    let (url, counted, secret) = (place.url(), counted.url(), server.secret());
    println!("{}", json!({ "url": url, "counted": counted, "secret": secret, "pid": server.pid() }));
    for line in std::io::stdin().lines() {
        line?;
        let (up, down) = proxy.bytes();
        println!("{}", json!({ "requests": proxy.requests(), "bytes": up + down, "connections": proxy.connections() }));
    }
    Ok(())
}

async fn measure(engine: &str, ground: &Ground, time: Duration) -> Result<Value, Box<dyn Error>> {
    let plain = plain(&*ground.books("plain")?.open(), time).await?;
    let plain_per_second = plain["per_second"].as_f64().unwrap_or(f64::NAN);
    let mut rows = Vec::new();
    for gateways in [1, 2] {
        for callers in CALLERS {
            let books = ground.books(&format!("books-{gateways}-{callers}"))?;
            let mut row = place(&books, gateways, callers, time).await?;
            let per_second = row["per_second"].as_f64().unwrap_or(f64::NAN);
            row["against_plain"] = json!(per_second / plain_per_second);
            rows.push(row);
        }
    }
    Ok(json!({ "store": engine, "plain": plain, "placements": rows }))
}

/// One conditional write after the other.
async fn plain(store: &dyn Store, time: Duration) -> Result<Value, Box<dyn Error>> {
    let space = Space::new("plain").ok_or("no space")?;
    let mut times = Vec::new();
    let mut expect = Expect::Absent;
    let begin = clock::now();
    while clock::now().since(begin) < time {
        let write = Write::Put(vec![b'x'; PLAIN_BYTES].into(), None);
        let sent = clock::now();
        let cursor = store.commit(Batch::one(Key::new(space.clone(), "one"), expect, write), WITHIN).await?;
        times.push(clock::now().since(sent));
        expect = Expect::Version(cursor.revision);
    }
    let took = clock::now().since(begin).as_secs_f64();
    Ok(
        json!({ "per_second": times.len() as f64 / took, "p50_ms": quantile(&mut times, 0.5), "p99_ms": quantile(&mut times, 0.99) }),
    )
}

/// New clients from so many callers, shared by so many gateways.
async fn place(books: &Books, gateways: usize, callers: usize, time: Duration) -> Result<Value, Box<dyn Error>> {
    let set: SetName = "recorder".parse()?;
    prepare(&Registry::new(books.open()), &set).await?;
    let mut handles = Vec::new();
    let mut placers = Vec::new();
    for number in 0..gateways {
        let handle = books.open();
        let registry = Registry::new(handle.clone());
        let mirror = Arc::new(Mirror::follow(&registry, &set));
        let mut snapshots = mirror.subscribe();
        let open = |snapshot: &Arc<steadfast_registry::Snapshot>| {
            snapshot.instances.values().filter(|instance| instance.is_open()).count() == INSTANCES
        };
        tokio::time::timeout(WITHIN, snapshots.wait_for(open)).await.map_err(|_| "the instances do not appear")??;
        let bounds = PlacerBounds { waiting: callers, within: WITHIN };
        placers.push(Placer::start(&registry, mirror, &format!("gateway-{number}"), bounds));
        handles.push(handle);
    }
    let next = Arc::new(AtomicUsize::new(0));
    run(&placers, callers, WARM_UP, &next).await?;
    let sum = |of: fn(&Counted) -> &AtomicU64| handles.iter().map(|it| of(it).load(Ordering::Relaxed)).sum::<u64>();
    let calls = || (sum(|handle| &handle.calls), sum(|handle| &handle.micros));
    let (before, cpu, begin) = (calls(), cpu::time()?, clock::now());
    let mut times = run(&placers, callers, time, &next).await?;
    let (took, cost, after) = (clock::now().since(begin), cpu::time()? - cpu, calls());
    let (trips, micros) = (after.0 - before.0, after.1 - before.1);
    let placed = times.len() as f64;
    Ok(json!({
        "gateways": gateways,
        "callers": callers,
        "per_second": placed / took.as_secs_f64(),
        "p50_ms": quantile(&mut times, 0.5),
        "p99_ms": quantile(&mut times, 0.99),
        "round_trips_per_second": trips as f64 / took.as_secs_f64(),
        "round_trip_ms": micros as f64 / 1e3 / trips.max(1) as f64,
        "placements_per_round_trip": placed / trips.max(1) as f64,
        "cpu_us_per_placement": cost.as_secs_f64() * 1e6 / placed,
    }))
}

/// A sticky set of open instances with room for everybody.
async fn prepare(registry: &Registry, set: &SetName) -> Result<(), Box<dyn Error>> {
    let sticky = Sticky { client: Sources(vec![Source::Query("camera".into())]), ..Sticky::default() };
    let settings = SetSettings::Sticky(Box::new(StickySettings::new(sticky).map_err(|e| e.to_string())?));
    registry.introduce_set(set, &settings).await?;
    for number in 0..INSTANCES {
        let id: InstanceId = format!("rec-{number}").parse()?;
        let endpoint: Endpoint = "http://127.0.0.1:9".parse()?;
        let endpoints = [("http".parse()?, endpoint.clone())].into();
        let record = InstanceRecord::new(Incarnation(1), endpoints, endpoint, false, "here".into());
        registry.register(set, &id, &record, "100000000".parse()?, &Registration::default()).await?;
    }
    Ok(())
}

/// Asks for clients that nobody has asked for, for so long. How long each took.
async fn run(
    placers: &[Placer],
    callers: usize,
    time: Duration,
    next: &Arc<AtomicUsize>,
) -> Result<Vec<Duration>, Box<dyn Error>> {
    let until = clock::now() + time;
    let mut asking = JoinSet::new();
    for caller in 0..callers {
        let (placer, next) = (placers[caller % placers.len()].clone(), Arc::clone(next));
        asking.spawn(async move {
            let mut times = Vec::new();
            while clock::now() < until {
                let number = next.fetch_add(1, Ordering::Relaxed) as u64;
                let name = format!("cam-{:08x}", (number * 10_368_889) % (1 << 32));
                let key = ClientKey::new(name.as_bytes()).map_err(|e| e.to_string())?;
                let wish = Wish::Arrive { weight: None, labels: Labels::default(), present: false };
                let sent = clock::now();
                placer.ask(key, wish).await.map_err(|e| e.to_string())?;
                times.push(clock::now().since(sent));
            }
            Ok::<_, String>(times)
        });
    }
    let mut all = Vec::new();
    while let Some(ended) = asking.join_next().await {
        all.extend(ended?.map_err(|why| format!("a client was not placed: {why}"))?);
    }
    Ok(all)
}

/// In milliseconds, the smallest time that this share of all do not exceed.
fn quantile(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let rank = (share * times.len() as f64).ceil() as usize;
    times.get(rank.clamp(1, times.len().max(1)) - 1).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

fn print(measured: &Value) {
    let of = |value: &Value, name: &str| value[name].as_f64().unwrap_or(f64::NAN);
    let plain = &measured["plain"];
    println!("{}", measured["store"].as_str().unwrap_or_default());
    println!(
        "  one write after the other: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms",
        of(plain, "per_second"),
        of(plain, "p50_ms"),
        of(plain, "p99_ms")
    );
    println!("  gateways  callers  placements/s  p50 ms  p99 ms  trips/s  of ms  a trip  x plain  CPU µs");
    for row in measured["placements"].as_array().into_iter().flatten() {
        println!(
            "  {:8}  {:7}  {:12.0}  {:6.1}  {:6.1}  {:7.0}  {:5.1}  {:6.1}  {:7.1}  {:6.1}",
            row["gateways"],
            row["callers"],
            of(row, "per_second"),
            of(row, "p50_ms"),
            of(row, "p99_ms"),
            of(row, "round_trips_per_second"),
            of(row, "round_trip_ms"),
            of(row, "placements_per_round_trip"),
            of(row, "against_plain"),
            of(row, "cpu_us_per_placement"),
        );
    }
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options { seconds: 5, json: false, engines: Vec::new(), serve: None };
    let mut args = std::env::args().skip(1);
    while let Some(argument) = args.next() {
        match argument.as_str() {
            "--seconds" => options.seconds = args.next().ok_or("--seconds needs a number")?.parse()?,
            "--json" => options.json = true,
            "--serve" => options.serve = Some(args.next().ok_or("--serve needs a store")?),
            engine => options.engines.push(engine.to_owned()),
        }
    }
    if options.engines.is_empty() {
        options.engines = ["sqlite", "etcd", "redis", "postgres", "azure"].map(str::to_owned).to_vec();
    }
    Ok(options)
}

/// A store that counts what its user asks of it; what a watch asks by itself is not counted.
#[derive(Debug)]
struct Counted {
    store: Arc<dyn Store>,
    calls: AtomicU64,
    /// How long they took together.
    micros: AtomicU64,
}

impl Counted {
    async fn count<T>(&self, call: impl Future<Output = T>) -> T {
        let begin = clock::now();
        let answer = call.await;
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(clock::now().since(begin).as_micros() as u64, Ordering::Relaxed);
        answer
    }
}

#[async_trait]
impl Store for Counted {
    async fn read(&self, key: &Key, within: Duration) -> Result<Option<Record>, StoreError> {
        self.count(self.store.read(key, within)).await
    }
    async fn commit(&self, batch: Batch, within: Duration) -> Result<Cursor, StoreError> {
        self.count(self.store.commit(batch, within)).await
    }
    async fn scan(
        &self,
        space: &Space,
        prefix: &[u8],
        page: Option<PageToken>,
        limit: usize,
        within: Duration,
    ) -> Result<Page, StoreError> {
        self.count(self.store.scan(space, prefix, page, limit, within)).await
    }
    async fn watch(
        &self,
        space: &Space,
        prefixes: &[&[u8]],
        from: Cursor,
        every: Duration,
    ) -> Result<Box<dyn Watch>, StoreError> {
        self.store.watch(space, prefixes, from, every).await
    }
    fn limits(&self) -> Limits {
        self.store.limits()
    }
    fn describe(&self) -> Description {
        self.store.describe()
    }
}
