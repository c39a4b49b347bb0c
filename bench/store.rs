//! What placements cost in the embedded store alone: batches as the placer makes them, one after the other, first into
//! an empty file and then beside many clients.
//!
//! ```text
//! cargo run --release -p steadfast-store --example store -- [--present 1000000] [--batches 100] [--batch 1000]
//! ```
//! Each batch puts new clients under random keys and rewrites the ledgers of four instances. Printed are the clients
//! a second and the processor time of the whole process for one; the batches are made before the clock runs.

mod cpu;

use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use steadfast_host::{clock, random};
use steadfast_store::{Batch, Change, Expect, Key, Revision, Space, Sqlite, Store, Write};

/// The instances whose ledgers each batch rewrites.
const LEDGERS: usize = 4;

/// How long a call may take.
const WITHIN: Duration = Duration::from_secs(60);

/// What to measure.
struct Options {
    present: usize,
    batches: usize,
    batch: usize,
    dir: PathBuf,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let place = tempfile::tempdir_in(&options.dir)?;
    let store = Sqlite::open(place.path().join("state.db"))?;
    let mut bench = Bench { store, space: Space::new("recorder").ok_or("no space")?, ledgers: None, known: Vec::new() };
    println!(
        "{:>9}  {:>10}  {:>13}  {:>13}  {:>10}",
        "present", "clients/s", "CPU µs/client", "CPU µs/read", "median ms"
    );
    runtime.block_on(async {
        bench.measure(&options).await?;
        while bench.known.len() < options.present {
            let size = options.batch.min(options.present - bench.known.len());
            let batch = bench.batch(size);
            bench.commit(batch).await?;
        }
        bench.measure(&options).await
    })
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options { present: 1_000_000, batches: 100, batch: 1000, dir: std::env::temp_dir() };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--present" => options.present = value.parse()?,
            "--batches" => options.batches = value.parse()?,
            "--batch" => options.batch = value.parse()?,
            "--dir" => options.dir = value.into(),
            _ => return Err(format!("{name}: --present, --batches, --batch and --dir are known").into()),
        }
    }
    Ok(options)
}

struct Bench {
    store: Sqlite,
    space: Space,
    /// The version the ledgers have, all of them the same.
    ledgers: Option<Revision>,
    known: Vec<Vec<u8>>,
}

impl Bench {
    async fn measure(&mut self, options: &Options) -> Result<(), Box<dyn Error>> {
        let present = self.known.len();
        let batches: Vec<Batch> = (0..options.batches).map(|_| self.batch(options.batch)).collect();
        let (mut times, start, cpu) = (Vec::new(), clock::now(), cpu::time()?);
        for batch in batches {
            let begun = clock::now();
            self.commit(batch).await?;
            times.push(clock::now().since(begun).as_secs_f64() * 1e3);
        }
        let clients = (options.batches * options.batch) as f64;
        let (took, cost) = (clock::now().since(start), cpu::time()? - cpu);
        let reads = 20_000.min(self.known.len());
        let cpu = cpu::time()?;
        for _ in 0..reads {
            let name = &self.known[usize::try_from(random::u64() >> 1)? % self.known.len()];
            let found = self.store.read(&Key::new(self.space.clone(), name.clone()), WITHIN).await?;
            found.ok_or("a client that was written is not there")?;
        }
        let read = cpu::time()? - cpu;
        times.sort_by(f64::total_cmp);
        println!(
            "{present:>9}  {:>10.0}  {:>13.2}  {:>13.2}  {:>10.2}",
            clients / took.as_secs_f64(),
            cost.as_secs_f64() * 1e6 / clients,
            read.as_secs_f64() * 1e6 / reads as f64,
            times[times.len() / 2],
        );
        Ok(())
    }

    /// New clients, and the ledgers they are charged to; the ledgers' versions are put in when it is committed.
    fn batch(&mut self, clients: usize) -> Batch {
        let mut changes = Vec::with_capacity(clients + LEDGERS);
        for _ in 0..clients {
            let name = format!("client/cam-{:016x}", random::u64()).into_bytes();
            let home = random::u64() % LEDGERS as u64;
            let value = format!(
                r#"{{"v":1,"home":"rec-{home}","owner_epoch":1,"weight":"4","declared":"4","phase":"active","until":17293,"reason":"placed","since":"2026-01-01T00:00:00Z","by":"gateway gw-1"}}"#
            );
            self.known.push(name.clone());
            changes.push(Change { name, expect: Expect::Absent, write: Write::Put(value.into(), None) });
        }
        for n in 0..LEDGERS {
            let mut value = format!(r#"{{"v":1,"incarnation":"{n:016x}","state":"open","capacity":"100000","#);
            let _ =
                write!(value, r#""charged_milli":4000,"clients":{},"nonce":"{:x}"}}"#, self.known.len(), random::u64());
            let name = format!("ledger/rec-{n}").into_bytes();
            changes.push(Change { name, expect: Expect::Absent, write: Write::Put(value.into(), None) });
        }
        Batch { space: self.space.clone(), changes }
    }

    async fn commit(&mut self, mut batch: Batch) -> Result<(), Box<dyn Error>> {
        if let Some(version) = self.ledgers {
            batch.changes.iter_mut().rev().take(LEDGERS).for_each(|ledger| ledger.expect = Expect::Version(version));
        }
        self.ledgers = Some(self.store.commit(batch, WITHIN).await?.revision);
        Ok(())
    }
}
