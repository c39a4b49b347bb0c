//! A whole installation under random faults. What was promised is checked after each of them, and so is that no process
//! grows. `cargo xtask soak` runs it for longer, and a seed of a failed run again.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Installation, Load, Pace, Report, SOON, Signal, get, wait_until};

/// How long it runs unless `STEADFAST_SOAK_SECONDS` says otherwise.
const USUALLY: Duration = Duration::from_secs(35);
const CAMERAS: usize = 300;
const CAMERA_THREADS: usize = 4;
/// The longest a fault lasts: longer than a lease.
const LONGEST_FAULT: Duration = Duration::from_secs(6);

/// Memory is looked at so often.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);
/// By so much the median of the last third of a process' samples may be above that of the middle third: a process that
/// grows by 8 MiB in the time of a run and of a half fails. The first third is its warm-up.
const GROWTH_KIB: u64 = 4 * 1024;
/// Processes with fewer samples were started again too lately to be judged.
const SAMPLES_TO_JUDGE: usize = 30;
/// They are never ended, so that there is somebody to be watched for growing all the time.
const LASTING: [&str; 3] = ["gateway-1", "web-3", "rec-3"];

/// What is done to the installation.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// A process dies, with all it has started.
    Killed,
    /// It stands still, with all it has started.
    Stopped,
    /// It is asked to end.
    Ended,
    /// The application dies.
    Crashed,
    SwitchedOver,
    Drained,
    Moved,
    /// What is no request, at every port.
    Rubbish,
    /// Connections on which nothing is said, at every port.
    Crowd,
}

const FAULTS: [Fault; 9] = [
    Fault::Killed,
    Fault::Stopped,
    Fault::Ended,
    Fault::Crashed,
    Fault::SwitchedOver,
    Fault::Drained,
    Fault::Moved,
    Fault::Rubbish,
    Fault::Crowd,
];

/// The same numbers for the same seed (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).expect("31 bits") % end
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    fn span(&mut self, longest: Duration) -> Duration {
        longest * u32::try_from(self.below(1000)).expect("small") / 1000
    }
}

#[test]
fn an_installation_under_random_faults_keeps_its_promises() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("STEADFAST_SOAK_SEED").unwrap_or_else(|| u64::from(std::process::id()) * 7919 + 1);
    let length = number("STEADFAST_SOAK_SECONDS").map_or(USUALLY, Duration::from_secs);
    println!("again: cargo xtask soak --seed {seed} --for {}s", length.as_secs());
    let mut soak = Soak::begin(seed);
    let began = Instant::now();
    while began.elapsed() < length {
        soak.round(began);
    }
    let report = soak.end(began);
    if let Some(file) = std::env::var_os("STEADFAST_SOAK_REPORT") {
        std::fs::write(file, report.to_string()).expect("write the report");
    }
    println!("{report:#}");
}

struct Soak {
    seed: u64,
    random: Random,
    all: Installation,
    cameras: Cameras,
    memory: BTreeMap<(String, u32), Vec<u64>>,
    sampled: Instant,
    rounds: u64,
    faults: BTreeMap<String, u64>,
    asked: u64,
}

impl Soak {
    fn begin(seed: u64) -> Soak {
        let all = Installation::start("soak");
        let doors: Vec<u16> = all.gateways().map(|gateway| gateway.port).collect();
        let cameras = Cameras::start(&doors);
        let enough = || cameras.known() == CAMERAS;
        wait_until("every camera to have a home", SOON, enough);
        let (memory, faults) = (BTreeMap::new(), BTreeMap::new());
        let random = Random(seed.max(1));
        Soak { seed, random, all, cameras, memory, sampled: Instant::now(), rounds: 0, faults, asked: 0 }
    }

    /// One or two faults at once, their end, and a look at everything.
    fn round(&mut self, began: Instant) {
        self.rounds += 1;
        let probes: Vec<Load> = self.all.of_single_set().map(|(_, role)| ask_often(&role.look_url())).collect();
        let through: Vec<Load> = self.all.gateways().map(|gateway| ask_often(&gateway.url())).collect();
        let mut told = String::new();
        for _ in 0..=self.random.below(2) {
            let what = self.fault();
            write!(told, "{}{what}", if told.is_empty() { "" } else { ", then " }).expect("to a string");
        }
        let healing = Instant::now();
        let mut ailment = None;
        while healing.elapsed() < SOON {
            self.sample();
            ailment = self.all.ailment();
            if ailment.is_none() {
                break;
            }
            sleep(Duration::from_millis(50));
        }
        let (seed, round) = (self.seed, self.rounds);
        println!("{:>6.1} s  round {round}: {told}; well after {:?}", began.elapsed().as_secs_f64(), healing.elapsed());
        assert_eq!(ailment, None, "seed {seed}, round {round} ({told}): it does not heal");
        Report::merge(probes.into_iter().map(Load::stop)).assert_one_active();
        self.asked += through.into_iter().map(|load| load.stop().samples.len() as u64).sum::<u64>();
        self.check_homes(&told);
    }

    /// Brings one fault about, and ends it.
    fn fault(&mut self) -> String {
        let names: Vec<String> = self.all.roles.keys().cloned().collect();
        let mortal: Vec<String> = names.iter().filter(|name| !LASTING.contains(&name.as_str())).cloned().collect();
        let agents: Vec<String> = names.iter().filter(|name| !name.starts_with("gateway")).cloned().collect();
        let fault = *self.random.of(&FAULTS);
        let lasts = self.random.span(LONGEST_FAULT);
        let whom = match fault {
            Fault::Killed | Fault::Ended => self.random.of(&mortal).clone(),
            Fault::Crashed => self.random.of(&agents).clone(),
            _ => self.random.of(&names).clone(),
        };
        *self.faults.entry(format!("{fault:?}")).or_default() += 1;
        match fault {
            Fault::Killed => {
                self.all.kill(&whom);
                self.wait(lasts / 4);
                self.all.restart(&whom);
            }
            Fault::Stopped => {
                self.all.roles[&whom].signal_all(Signal::Stop);
                self.wait(lasts);
                self.all.roles[&whom].signal_all(Signal::Cont);
            }
            Fault::Ended => {
                let process = &mut self.all.role_mut(&whom).process;
                process.signal(Signal::Term);
                process.wait(SOON);
                self.wait(lasts / 4);
                self.all.restart(&whom);
            }
            Fault::Crashed => {
                let started = self.all.roles[&whom].process.descendants();
                for pid in started {
                    Signal::Kill.send(pid);
                }
            }
            Fault::SwitchedOver => self.order(&["switchover", "web", "--wait"]),
            Fault::Drained => {
                let whom = format!("rec-{}", 1 + self.random.below(3));
                self.order(&["drain", "recorder", &whom, "--move-after", "0s"]);
                self.wait(lasts);
                self.order(&["undrain", "recorder", &whom]);
                return format!("{whom} drained for {lasts:?}");
            }
            Fault::Moved => {
                let camera = format!("cam-{}", self.random.below(CAMERAS));
                let to = format!("rec-{}", 1 + self.random.below(3));
                self.order(&["move", "recorder", &camera, "--to", &to]);
                return format!("{camera} moved to {to}");
            }
            Fault::Rubbish => self.rubbish(),
            Fault::Crowd => {
                let crowd = self.crowd();
                self.wait(lasts / 2);
                drop(crowd);
            }
        }
        match fault {
            Fault::Killed | Fault::Stopped | Fault::Ended | Fault::Crashed => format!("{whom} {fault:?} ({lasts:?})"),
            _ => format!("{fault:?}"),
        }
    }

    /// Lets time pass, and looks at memory.
    fn wait(&mut self, time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {
            self.sample();
            sleep(Duration::from_millis(20));
        }
    }

    /// An operator's order. It may be refused in the middle of other faults.
    fn order(&self, args: &[&str]) {
        let gateway = self.all.roles.get("gateway-1").expect("it is never ended");
        let mut command = self.all.sandbox.steadfast(args);
        command.args(["--admin", gateway.look_url().trim_end_matches('/')]);
        command.arg("--token-file").arg(self.all.sandbox.path("state-gateway-1/admin.token"));
        let ended = self.all.sandbox.run(&mut command);
        assert_ne!(ended.code(), 2, "{args:?}: {ended:?}");
    }

    /// What is no request, at every port; most of it is hung up on in the middle.
    fn rubbish(&mut self) {
        let ports: Vec<u16> = self.all.roles.values().flat_map(|role| [role.port, role.look_port]).collect();
        for port in ports {
            for _ in 0..5 {
                let length = 1 + self.random.below(3000);
                let mut bytes: Vec<u8> =
                    (0..length).map(|_| u8::try_from(self.random.below(256)).expect("a byte")).collect();
                if self.random.below(2) == 0 {
                    bytes.splice(0..0, *b"GET /ingest/?camera=x&mbps=NaN HTTP/1.1\r\nhost: x\r\n");
                }
                if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
                    drop(stream.write_all(&bytes));
                }
            }
        }
    }

    fn crowd(&self) -> Vec<TcpStream> {
        let ports = self.all.roles.values().flat_map(|role| [role.port, role.look_port]);
        let connect = |port: u16| (0..20).filter_map(move |_| TcpStream::connect(("127.0.0.1", port)).ok());
        ports.flat_map(connect).collect()
    }

    /// One home each, the same at both gateways, and nobody who had one was forgotten: the books agree.
    fn check_homes(&mut self, told: &str) {
        let at = format!("seed {}, round {} ({told})", self.seed, self.rounds);
        self.cameras.pause();
        let doors: Vec<&support::Role> = self.all.gateways().collect();
        let acknowledged = self.cameras.homes().clone();
        for (camera, seen) in &acknowledged {
            // After a move a gateway may name the former home until it has heard of it.
            wait_until(&format!("{at}: {camera} to have one home"), SOON, || {
                let told: Vec<Option<String>> = doors.iter().map(|door| home(door.port, camera)).collect();
                told[0].is_some() && told.iter().all(|home| *home == told[0])
            });
            let Some(record) = doors[0].api(&format!("/api/v1/sets/recorder/clients/{camera}")) else {
                panic!("{at}: {camera} was told {seen:?}, and nobody knows it");
            };
            let now = Seen::of(&record);
            assert!(now.follows(seen), "{at}: {camera} was forgotten: {seen:?}, now {record}");
            self.cameras.homes().insert(camera.clone(), now);
        }
        let gateway = &self.all.roles["gateway-1"];
        let mut verify = self.all.sandbox.steadfast(["verify", "recorder", "--json", "--admin"]);
        verify.arg(gateway.look_url().trim_end_matches('/'));
        let ended = self.all.sandbox.run(&mut verify);
        assert_eq!(ended.code(), 0, "{at}: the books do not agree: {ended:?}");
        let strange = std::mem::take(&mut *locked(&self.cameras.shared.strange));
        assert!(strange.is_empty(), "{at}: {strange:#?}");
        self.cameras.go_on();
    }

    fn sample(&mut self) {
        if self.sampled.elapsed() < SAMPLE_EVERY {
            return;
        }
        self.sampled = Instant::now();
        for (name, role) in &self.all.roles {
            if let Some(kib) = role.rss_kib() {
                self.memory.entry((name.clone(), role.process.pid())).or_default().push(kib);
            }
        }
    }

    /// Nobody grew. What there is to tell.
    fn end(mut self, began: Instant) -> Value {
        self.cameras.end();
        let mut memory = BTreeMap::new();
        for ((name, pid), samples) in &self.memory {
            if samples.len() < SAMPLES_TO_JUDGE {
                continue;
            }
            let third = samples.len() / 3;
            let (middle, last) = (median(&samples[third..2 * third]), median(&samples[2 * third..]));
            memory.insert(format!("{name} ({pid})"), json!([middle, last]));
            let seed = self.seed;
            assert!(last <= middle + GROWTH_KIB, "seed {seed}: {name} grew from {middle} to {last} KiB: {samples:?}");
        }
        assert!(!memory.is_empty() || began.elapsed() < SAMPLE_EVERY * 60, "nobody's memory was looked at");
        json!({
            "seed": self.seed,
            "seconds": began.elapsed().as_secs(),
            "rounds": self.rounds,
            "faults": self.faults,
            "requests_of_the_single_set": self.asked,
            "requests_of_cameras": self.cameras.shared.asked.load(Ordering::Relaxed),
            "memory_kib_middle_and_last_third": memory,
        })
    }
}

fn ask_often(url: &str) -> Load {
    Load::at_pace(url, Pace { pause: Duration::from_millis(10), limit: Duration::from_millis(1500), keep_alive: false })
}

fn median(samples: &[u64]) -> u64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Where a gateway sends a camera, if it does.
fn home(port: u16, camera: &str) -> Option<String> {
    let answer = get(&format!("http://127.0.0.1:{port}/ingest/?camera={camera}&mbps=1")).ok()?;
    let instance = answer.header("steadfast-instance").filter(|_| answer.status == 307)?;
    Some(instance.to_owned())
}

/// What is known of a camera's home.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    instance: String,
    /// What the books said when they were last looked into: the owner epoch and since when it holds.
    record: Option<(u64, String)>,
}

impl Seen {
    fn of(record: &Value) -> Seen {
        let text = |name: &str| record[name].as_str().expect("a text").to_owned();
        let epoch = record["owner_epoch"].as_u64().expect("a number");
        Seen { instance: text("instance"), record: Some((epoch, text("since"))) }
    }

    /// Whether this can have come of `before` by moves alone: who was forgotten begins anew.
    fn follows(&self, before: &Seen) -> bool {
        let epoch = |seen: &Seen| seen.record.as_ref().map_or(0, |(epoch, _)| *epoch);
        match &before.record {
            None => epoch(self) > 1 || self.instance == before.instance,
            Some(_) => epoch(self) > epoch(before) || self == before,
        }
    }
}

/// Cameras that ask for their homes all the time, on threads of their own.
struct Cameras {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    ended: AtomicBool,
    paused: AtomicBool,
    /// Threads that rest because of that.
    resting: AtomicU64,
    asked: AtomicU64,
    homes: Mutex<BTreeMap<String, Seen>>,
    /// Answers that nobody should ever get.
    strange: Mutex<Vec<String>>,
}

impl Cameras {
    fn start(doors: &[u16]) -> Cameras {
        let shared = Arc::new(Shared::default());
        let thread = |part: usize| {
            let (shared, doors) = (Arc::clone(&shared), doors.to_vec());
            std::thread::spawn(move || shared.ask_on(part, &doors))
        };
        let threads = (0..CAMERA_THREADS).map(thread).collect();
        Cameras { shared, threads }
    }

    fn known(&self) -> usize {
        self.homes().len()
    }

    fn homes(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        locked(&self.shared.homes)
    }

    /// Returns once nobody asks any more.
    fn pause(&self) {
        self.shared.paused.store(true, Ordering::SeqCst);
        let rest = || self.shared.resting.load(Ordering::SeqCst) == CAMERA_THREADS as u64;
        wait_until("the cameras to rest", SOON, rest);
    }

    fn go_on(&self) {
        self.shared.paused.store(false, Ordering::SeqCst);
    }

    fn end(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.threads.drain(..).for_each(|thread| thread.join().expect("a thread of cameras ends"));
    }
}

impl Drop for Cameras {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn ask_on(&self, part: usize, doors: &[u16]) {
        let mut turn = part;
        while !self.ended.load(Ordering::SeqCst) {
            if self.paused.load(Ordering::SeqCst) {
                self.resting.fetch_add(1, Ordering::SeqCst);
                while self.paused.load(Ordering::SeqCst) && !self.ended.load(Ordering::SeqCst) {
                    sleep(Duration::from_millis(2));
                }
                self.resting.fetch_sub(1, Ordering::SeqCst);
                continue;
            }
            self.ask(&format!("cam-{}", turn % CAMERAS), doors[turn / CAMERAS % doors.len()]);
            turn += CAMERA_THREADS;
            sleep(Duration::from_millis(10));
        }
    }

    fn ask(&self, camera: &str, door: u16) {
        let answer = get(&format!("http://127.0.0.1:{door}/ingest/?camera={camera}&mbps=1"));
        self.asked.fetch_add(1, Ordering::Relaxed);
        // A gateway that is gone or stands still does not answer.
        let Ok(answer) = answer else { return };
        match (answer.status, answer.header("steadfast-instance")) {
            (307, Some(instance)) => {
                let told = || Seen { instance: instance.to_owned(), record: None };
                locked(&self.homes).entry(camera.to_owned()).or_insert_with(told);
            }
            (429 | 503, _) => {}
            _ => locked(&self.strange).push(format!("{camera}: {answer:?}")),
        }
    }
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
