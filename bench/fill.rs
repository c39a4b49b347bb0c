//! Places clients in a sticky set through the registry, as many callers at once as a busy gateway has, and says how
//! fast that went: into empty books, then without a pause up to `--clients`, and then a burst beside those. For
//! `cargo xtask bench`, which measures gateways on the books that this leaves.
//!
//! ```text
//! fill --store sqlite:///path --set recorder --instances 4 --clients 1000000 --measure 100000 --callers 2048
//! ```
//! It waits until so many instances of the set take clients. Client `n` is called `cam-` and, in hexadecimal, a number
//! that goes all over the place as `n` counts up; `bench/clients.lua` knows the same names.

mod cpu;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use steadfast_core::SetName;
use steadfast_core::client::{ClientKey, Labels};
use steadfast_core::placement::Wish;
use steadfast_host::clock;
use steadfast_registry::{Mirror, Placer, PlacerBounds, Registry};
use tokio::task::JoinSet;

/// How long the instances may take to appear, and one placement to be answered.
const WITHIN: Duration = Duration::from_secs(60);

/// How long the store is left alone before the last clients are placed.
const SETTLE: Duration = Duration::from_secs(20);

struct Options {
    store: String,
    set: SetName,
    instances: usize,
    clients: usize,
    measure: usize,
    callers: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(&options))
}

async fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let registry = Registry::new(steadfast_store::open(&options.store, &steadfast_store::Access::default())?);
    let mirror = Arc::new(Mirror::follow(&registry, &options.set));
    let ready = async {
        let mut snapshots = mirror.subscribe();
        let enough = |snapshot: &Arc<steadfast_registry::Snapshot>| {
            snapshot.settings.is_some()
                && snapshot.instances.values().filter(|instance| instance.is_open()).count() >= options.instances
        };
        snapshots.wait_for(enough).await.map(drop)
    };
    tokio::time::timeout(WITHIN, ready).await.map_err(|_| "the set's instances did not come in time")??;
    let bounds = PlacerBounds { waiting: options.callers, within: WITHIN };
    let placer = Placer::start(&registry, mirror, "bench", bounds);
    let empty = place(&placer, options, 0..options.measure).await?;
    let full = options.clients.max(options.measure);
    let steady = place(&placer, options, options.measure..full).await?;
    // What the store puts off in a burst it makes up for when it is quiet.
    tokio::time::sleep(SETTLE).await;
    let full = place(&placer, options, full..full + options.measure).await?;
    println!("{}", json!({ "callers": options.callers, "empty": empty, "steady": steady, "full": full }));
    Ok(())
}

/// Places the clients of these numbers, and says what it took.
async fn place(placer: &Placer, options: &Options, numbers: std::ops::Range<usize>) -> Result<Value, Box<dyn Error>> {
    let next = Arc::new(AtomicUsize::new(numbers.start));
    let (start, cpu) = (clock::now(), cpu::time()?);
    let mut callers = JoinSet::new();
    for _ in 0..options.callers {
        let (placer, next, end) = (placer.clone(), Arc::clone(&next), numbers.end);
        callers.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= end {
                    return Ok(());
                }
                let wish = Wish::Arrive { weight: None, labels: Labels::default(), present: false };
                let key = ClientKey::new(name(n).as_bytes()).map_err(|e| e.to_string())?;
                placer.ask(key, wish).await.map_err(|e| e.to_string())?;
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended?.map_err(|why: String| format!("a client was not placed: {why}"))?;
    }
    let (took, cost) = (clock::now().since(start), cpu::time()? - cpu);
    let clients = numbers.len() as f64;
    Ok(json!({
        "present": numbers.start,
        "placed": numbers.len(),
        "per_second": clients / took.as_secs_f64(),
        "cpu_us_per_client": cost.as_secs_f64() * 1e6 / clients,
    }))
}

/// The name of client `n`: every number below 2^32 once, in no order a table would like.
fn name(n: usize) -> String {
    format!("cam-{:08x}", (n as u64 * 10_368_889) % (1 << 32))
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        store: String::new(),
        set: "recorder".parse()?,
        instances: 4,
        clients: 1_000_000,
        measure: 100_000,
        callers: 2048,
    };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--store" => options.store = value,
            "--set" => options.set = value.parse()?,
            "--instances" => options.instances = value.parse()?,
            "--clients" => options.clients = value.parse()?,
            "--measure" => options.measure = value.parse()?,
            "--callers" => options.callers = value.parse()?,
            _ => return Err(format!("`{name}` is no option; they stand at the top of bench/fill.rs").into()),
        }
    }
    Ok(options)
}
