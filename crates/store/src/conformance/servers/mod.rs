//! The servers of other engines, for tests: started on free ports, killed, frozen, saved, rolled back, and gone with
//! the program that started them, however it ends.
//!
//! A server that [`shared`] gives is there once a test program; each test has a place of its own in it
//! ([`Server::fresh_url`]). Who kills, freezes, trims or restores a server starts one of their own. A server that
//! cannot be started is a panic that shows its log: nothing is skipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use steadfast_host::clock;

mod azurite;
mod etcd;
mod place;
mod ports;
mod postgres;
mod process;
mod proxy;
mod redis;

pub use place::Place;
pub use ports::free_port;
pub use process::wait_until;
pub use proxy::{Mode, Proxy};

use process::{Signal, User};

/// How long a server may take to start, with all tries, or to end, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long one try may take: a server that hangs while it starts is killed, and started anew.
const START_WITHIN: Duration = Duration::from_secs(100);
/// How often a first start is tried, each time on other ports.
const TRIES: usize = 5;
/// How much of a server's log a failure shows.
const LOG_TAIL_BYTES: usize = 4_000;

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// etcd, one member.
    Etcd,
    /// Redis, or what speaks like it, written to disk at every command.
    Redis,
    /// Redis as the one who watches over others.
    Sentinel,
    /// PostgreSQL.
    Postgres,
    /// PgBouncer in front of PostgreSQL, with a server connection for each transaction.
    PgBouncer,
    /// Azurite, which stands for Azure Storage. Clients use its first port for blobs, its second for tables.
    Azurite,
}

/// What a server is asked for beyond the usual.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Appended to its command line: `--quota-backend-bytes=16777216`, or `-c` and `log_statement=all`.
    pub arguments: Vec<String>,
    /// Speaks TLS, and nothing else, with these.
    pub tls: Option<TlsFiles>,
}

/// The files a server needs for TLS.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Its certificate, and those between it and the authority.
    pub cert: PathBuf,
    /// The key that belongs to it.
    pub key: PathBuf,
    /// Who signs the certificates that clients have to show; `None`: they need none.
    pub client_ca: Option<PathBuf>,
}

/// A running server. Dropped, it is killed and its directory removed.
pub struct Server {
    recipe: Recipe,
    ground: Ground,
    child: Child,
    /// Where in the log this start began.
    log_from: usize,
    /// Removes the directory once this program is gone.
    sweeper: Child,
    places: AtomicUsize,
}

/// All that a server had on disk at some time.
#[derive(Debug)]
pub struct Snapshot(PathBuf);

type UrlOf = Arc<dyn Fn(&str, &[u16]) -> String + Send + Sync>;

/// How a program is made ready, started and talked to.
struct Recipe {
    kind: Kind,
    ports: usize,
    /// How many of the ports, from the first, are for clients.
    client_ports: usize,
    /// What it logs once it serves.
    ready: &'static str,
    /// What makes it end in good order.
    stop: Signal,
    /// It refuses to run as root.
    unprivileged: bool,
    /// Done once, in an empty directory.
    prepare: Box<dyn Fn(&Ground) + Send + Sync>,
    command: Box<dyn Fn(&Ground) -> Command + Send + Sync>,
    /// The URL of a place at these ports.
    url: UrlOf,
    secret: Option<String>,
}

/// Where a server lives.
struct Ground {
    directory: PathBuf,
    ports: Vec<u16>,
    /// Whom it runs as, if not as ourselves.
    user: Option<User>,
}

/// The server of this kind that all tests of this program share.
///
/// # Panics
/// If it cannot be started, or the kind is one that is never shared.
pub fn shared(kind: Kind) -> &'static Server {
    static SHARED: [OnceLock<Server>; 5] = [const { OnceLock::new() }; 5];
    let none = Options::default;
    match kind {
        Kind::Etcd => SHARED[0].get_or_init(|| Server::etcd(&none())),
        Kind::Redis => SHARED[1].get_or_init(|| Server::redis(&none())),
        Kind::Postgres => SHARED[2].get_or_init(|| Server::postgres(&none())),
        Kind::PgBouncer => SHARED[3].get_or_init(|| Server::pgbouncer(shared(Kind::Postgres))),
        Kind::Azurite => SHARED[4].get_or_init(|| Server::azurite(&none())),
        Kind::Sentinel => panic!("a Sentinel watches over servers of its own: start one"),
    }
}

impl Server {
    /// What it is.
    pub fn kind(&self) -> Kind {
        self.recipe.kind
    }

    /// Where clients reach it, on 127.0.0.1.
    pub fn ports(&self) -> &[u16] {
        &self.ground.ports[..self.recipe.client_ports]
    }

    /// A place nobody has been to, as it reads in a URL: a prefix, a schema, a container and a table.
    pub fn fresh_place(&self) -> Place {
        // Several servers may stand before one database.
        let name = format!("{:?}{}", self.kind(), self.places.fetch_add(1, Ordering::Relaxed)).to_lowercase();
        Place::new(Arc::clone(&self.recipe.url), name, self.ports(), self.secret())
    }

    /// The URL of a place nobody has been to. It holds no secret.
    pub fn fresh_url(&self) -> String {
        self.fresh_place().url()
    }

    /// The password or key that goes with the URL, if it needs one.
    pub fn secret(&self) -> Option<&str> {
        self.recipe.secret.as_deref()
    }

    /// What it has logged, since it was first started.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.ground.log()).unwrap_or_default()).into_owned()
    }

    /// Its process, that has started all its others.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it keeps what it knows.
    pub fn directory(&self) -> &Path {
        &self.ground.directory
    }

    /// Kills it and all it has started, at once.
    pub fn kill9(&mut self) {
        let all = process::with_descendants(self.child.id());
        process::signal(Signal::Kill, &all);
        self.collect();
        wait_until("what a killed server had started is gone", || !all.iter().any(|&pid| process::runs(pid)));
    }

    /// Asks it to end, and waits for it.
    ///
    /// # Panics
    /// If it does not end.
    pub fn stop(&mut self) {
        process::signal(self.recipe.stop, &[self.child.id()]);
        self.collect();
    }

    /// Starts it where it was, with what it has on disk, and waits until it serves.
    ///
    /// # Panics
    /// If it does not.
    pub fn start_again(&mut self) {
        let mut started = false;
        wait_until("a server to start again", || {
            self.log_from = self.log().len();
            self.child = process::spawn((self.recipe.command)(&self.ground), &self.ground);
            // It ends at once when the one before it is not quite gone: its port, its shared memory.
            started = self.serves();
            started
        });
    }

    /// Stops all its processes where they are.
    pub fn freeze(&self) {
        process::signal(Signal::Stop, &process::with_descendants(self.child.id()));
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        process::signal(Signal::Continue, &process::with_descendants(self.child.id()));
    }

    /// Keeps a copy of all that it knows now; it is stopped for that, and started again.
    pub fn save(&mut self) -> Snapshot {
        let number = self.places.fetch_add(1, Ordering::Relaxed);
        let saved = self.ground.directory.join(format!("saved{number}"));
        self.stop();
        process::copy(&self.ground.data(), &saved);
        self.start_again();
        Snapshot(saved)
    }

    /// Rolls it back to what it knew then, as an operator does who restores a backup.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.kill9();
        process::remove(&self.ground.data());
        process::copy(&snapshot.0, &self.ground.data());
        self.start_again();
    }

    /// Launches and waits until it serves; on other ports, if somebody took one between choosing and binding.
    fn start(recipe: impl Fn() -> Recipe) -> Server {
        Server::start_all(1, |_| {
            let recipe = recipe();
            let ports = (0..recipe.ports).map(|_| free_port()).collect();
            vec![(recipe, ports)]
        })
        .remove(0)
    }

    /// Likewise for several that know of each other: all of what `recipes` says, until all serve.
    fn start_all(count: usize, recipes: impl Fn(usize) -> Vec<(Recipe, Vec<u16>)>) -> Vec<Server> {
        for attempt in 1.. {
            let launch = |(recipe, ports)| Server::launch(recipe, ports);
            let mut servers: Vec<Server> = recipes(count).into_iter().map(launch).collect();
            let Some(failed) = servers.iter_mut().position(|server| !server.serves()) else { return servers };
            assert!(attempt < TRIES, "a server does not start: {}", servers[failed].last_words());
        }
        Vec::new()
    }

    fn launch(recipe: Recipe, ports: Vec<u16>) -> Server {
        let (directory, sweeper) = process::directory(&format!("{:?}", recipe.kind).to_lowercase());
        let user = if recipe.unprivileged { User::unprivileged() } else { None };
        let ground = Ground { directory, ports, user };
        ground.own(&ground.directory);
        (recipe.prepare)(&ground);
        let child = process::spawn((recipe.command)(&ground), &ground);
        Server { recipe, ground, child, log_from: 0, sweeper, places: AtomicUsize::new(0) }
    }

    /// Waits until it serves; false if it ended instead, or hung and was killed.
    fn serves(&mut self) -> bool {
        let (mut serves, mut hangs, began) = (false, false, clock::now());
        wait_until(&format!("{:?} to serve", self.recipe.kind), || {
            // Looked at in this order: what it said before it ended counts for nothing.
            let ended = self.child.try_wait().expect("ask for its status").is_some();
            let log = self.log();
            serves = !ended && log.get(self.log_from..).unwrap_or_default().contains(self.recipe.ready);
            hangs = !ended && !serves && clock::now().since(began) >= START_WITHIN;
            serves || ended || hangs
        });
        if hangs {
            self.kill9();
        }
        serves
    }

    /// Waits for its end.
    fn collect(&mut self) {
        let (child, kind) = (&mut self.child, self.recipe.kind);
        wait_until(&format!("{kind:?} to end"), || child.try_wait().expect("ask for its status").is_some());
    }

    /// The end of its log.
    fn last_words(&self) -> String {
        let log = self.log();
        let from = log.len().saturating_sub(LOG_TAIL_BYTES);
        let tail = (from..log.len()).find_map(|at| log.get(at..)).unwrap_or_default();
        format!("the log of {:?} on {:?} ends:\n{tail}", self.recipe.kind, self.ground.ports)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let all = process::with_descendants(self.child.id());
        // One that has ended, and was waited for, has a number that may be another's by now.
        if matches!(self.child.try_wait(), Ok(None)) {
            process::signal(Signal::Kill, &all);
            self.child.wait().ok();
        }
        if std::thread::panicking() {
            eprintln!("--- {}", self.last_words());
        }
        drop(self.sweeper.stdin.take());
        self.sweeper.wait().ok();
    }
}

impl Ground {
    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Gives a file or directory to whom the server runs as.
    fn own(&self, path: &Path) {
        if let Some(user) = &self.user {
            user.own(path);
        }
    }

    /// A command of the server's user, dying with this program.
    fn command(&self, program: &str) -> Command {
        process::command(program, self.user.as_ref())
    }

    /// Runs a command to its end.
    fn run(&self, mut command: Command) -> String {
        let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("start {command:?}: {e}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {}\n{text}{errors}", output.status);
        text
    }
}

impl Options {
    /// These arguments, and nothing else.
    pub fn with(arguments: &[&str]) -> Options {
        Options { arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(), tls: None }
    }
}

impl Recipe {
    /// One port for clients, started as ourselves, ended by SIGTERM, without a secret.
    fn new(
        kind: Kind,
        ready: &'static str,
        command: impl Fn(&Ground) -> Command + Send + Sync + 'static,
        url: impl Fn(&str, &[u16]) -> String + Send + Sync + 'static,
    ) -> Recipe {
        Recipe {
            kind,
            ports: 1,
            client_ports: 1,
            ready,
            stop: Signal::Terminate,
            unprivileged: false,
            prepare: Box::new(|_| {}),
            command: Box::new(command),
            url: Arc::new(url),
            secret: None,
        }
    }
}
