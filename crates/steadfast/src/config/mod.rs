//! The configuration file: read once, checked whole, then trusted.
//!
//! `docs/config.toml` shows every key with its default; a test compares it with this module.

mod agents;
mod fit;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod gateway;
mod limits;
mod problem;
mod reader;
mod sets;
mod sticky;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use steadfast_agent::AgentConfig;
use steadfast_core::SetName;
use steadfast_gateway::{Bounds, ListenerConfig};
use steadfast_host::tls::ServerFiles;
use steadfast_store::TlsFiles;

pub use self::agents::agent_from_flags;
use self::problem::Problem;
pub use self::problem::Problems;
pub(crate) use self::problem::{listed, nearest};
use self::reader::{At, Environment, Source, Table};
pub use self::sets::{Set, default_settings};
pub(crate) use self::sets::{changed_lines, lines};

/// The largest file that is read, in bytes: a configuration is written by hand.
const LONGEST_FILE_BYTES: u64 = 4 << 20;
/// Where the API listens where nothing else is said, and where the commands look for it.
pub const DEFAULT_ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7400);
/// The admin's token, in the state directory where the path is relative.
pub const DEFAULT_TOKEN_FILE: &str = "admin.token";

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The store's URL; `None`: the default one, in the state directory.
    pub store: Option<String>,
    /// The file with the token for a store of `http://`; `None`: the one in the state directory, if there is one.
    pub store_token_file: Option<PathBuf>,
    /// How the store proves who it is, and we to it.
    pub store_tls: TlsFiles,
    /// Where this process keeps its files; `None`: the default place.
    pub state_dir: Option<PathBuf>,
    /// Threads that carry traffic; `None`: one a core.
    pub workers: Option<NonZeroUsize>,
    /// Whose `Forwarded` and `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How much of everything the gateway takes, and how long it waits.
    pub limits: Bounds,
    /// The API.
    pub admin: Admin,
    /// The sets, by name.
    pub sets: BTreeMap<SetName, Set>,
    /// Where the gateway listens.
    pub listeners: Vec<ListenerConfig>,
    /// The agents in this process. Their state directory is this configuration's, which is not filled in here.
    pub agents: Vec<AgentConfig>,
    /// What is allowed and may not be meant.
    pub warnings: Problems,
}

/// `[admin]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Where its token is; relative to the state directory.
    pub token_file: PathBuf,
    /// Its certificate, where it is served over TLS.
    pub tls: Option<ServerFiles>,
}

impl Default for Admin {
    fn default() -> Admin {
        Admin { listen: DEFAULT_ADMIN, token_file: DEFAULT_TOKEN_FILE.into(), tls: None }
    }
}

impl Config {
    /// Reads and checks `file`.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with line and column.
    pub fn load(file: &Path) -> Result<Config, Problems> {
        let name = file.display().to_string();
        let whole = |what: String| Problems(vec![Problem::whole(&name, what)]);
        let unreadable = |error: std::io::Error| {
            let advice = match error.kind() {
                ErrorKind::NotFound => "; `steadfast init single` writes one to start from",
                _ => "",
            };
            whole(format!("cannot be read: {error}{advice}"))
        };
        let size = fs::metadata(file).map_err(unreadable)?.len();
        if size > LONGEST_FILE_BYTES {
            return Err(whole(format!("is {size} bytes long; a configuration has at most {LONGEST_FILE_BYTES}")));
        }
        let bytes = fs::read(file).map_err(unreadable)?;
        let text = String::from_utf8(bytes).map_err(|error| whole(format!("is not UTF-8 text: {error}")))?;
        Config::parse(&name, &text, &|variable| std::env::var(variable).ok())
    }

    /// Checks the text of a file of this name.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(name: &str, text: &str, environment: Environment<'_>) -> Result<Config, Problems> {
        let source = Source::new(name, text, environment);
        let document = source.parse()?;
        let root = Table::root(&source, &document);
        let mut config = read(&root);
        root.finish();
        config.warnings = source.warnings();
        source.finish(Some(config))
    }
}

fn read(root: &Table<'_>) -> Config {
    let admin = read_admin(root);
    let sets = sets::read(root);
    let mut addresses = Addresses::default();
    match &admin {
        Some(admin) => addresses.take(root, &admin.listen, "[admin]".to_owned()),
        None => addresses.take(
            root,
            &At { value: DEFAULT_ADMIN, span: 0..0 },
            "[admin], where nothing else is said".to_owned(),
        ),
    }
    let listeners = gateway::read(root, &mut addresses, &sets);
    let agents = agents::read(root, &mut addresses, &sets);
    Config {
        store: read_store(root),
        store_token_file: root.text("store_token_file").map(|path| path.value.into()),
        store_tls: tls::of_store(root),
        state_dir: read_state_dir(root),
        workers: root.whole("workers", 1).and_then(|number| NonZeroUsize::new(number.value as usize)),
        trusted_proxies: read_networks(root),
        limits: limits::read(root),
        admin: admin.map_or_else(Admin::default, |read| Admin {
            listen: read.listen.value,
            token_file: read.token_file,
            tls: read.tls,
        }),
        sets: sets.into_iter().filter_map(|(name, set)| Some((name, set.value?))).collect(),
        listeners,
        agents,
        warnings: Problems::default(),
    }
}

struct ReadAdmin {
    listen: At<SocketAddr>,
    token_file: PathBuf,
    tls: Option<ServerFiles>,
}

fn read_admin(root: &Table<'_>) -> Option<ReadAdmin> {
    let table = root.table("admin")?;
    let listen = table.text("listen").and_then(|text| listen_address(&table, "listen", text));
    let token_file = table.text("token_file").map_or_else(|| DEFAULT_TOKEN_FILE.into(), |path| path.value.into());
    let tls = tls::of_admin(&table);
    table.finish();
    let listen = listen.unwrap_or_else(|| At { value: DEFAULT_ADMIN, span: table.span().clone() });
    Some(ReadAdmin { listen, token_file, tls })
}

fn read_store(root: &Table<'_>) -> Option<String> {
    let store = root.text("store")?;
    if let Err(wrong) = steadfast_store::check_scheme(&store.value) {
        root.source().wrong(&store.span, wrong.to_string());
    }
    Some(store.value)
}

fn read_state_dir(root: &Table<'_>) -> Option<PathBuf> {
    let path = root.text("state_dir")?;
    if !Path::new(&path.value).is_absolute() {
        root.source().wrong(
            &path.span,
            "state_dir is to be an absolute path: a service has no directory of its own to start from",
        );
    }
    Some(path.value.into())
}

fn read_networks(root: &Table<'_>) -> Vec<IpNet> {
    let Some(texts) = root.texts("trusted_proxies") else { return Vec::new() };
    let networks = texts.value.into_iter().filter_map(|text| {
        let network = text.value.parse().ok().or_else(|| text.value.parse().ok().map(|ip: std::net::IpAddr| ip.into()));
        if network.is_none() {
            let what =
                format!("{:?} is not a network: expected an address or a prefix, such as 10.0.0.0/8", text.value);
            root.source().wrong(&text.span, what);
        }
        network
    });
    networks.collect()
}

/// The addresses this process will listen on, and who on which: no two may want the same.
#[derive(Default)]
struct Addresses(Vec<(SocketAddr, String)>);

impl Addresses {
    fn take(&mut self, table: &Table<'_>, wanted: &At<SocketAddr>, by: String) {
        let meets = |one: SocketAddr, other: SocketAddr| {
            let any = one.ip().is_unspecified() || other.ip().is_unspecified();
            one.port() == other.port() && one.port() != 0 && (any || one.ip() == other.ip())
        };
        if let Some((address, first)) = self.0.iter().find(|(address, _)| meets(*address, wanted.value)) {
            table
                .source()
                .wrong(&wanted.span, format!("{by} cannot listen on {}: {first} listens on {address}", wanted.value));
        }
        self.0.push((wanted.value, by));
    }
}

/// An address to listen on, with the mistakes people make.
fn listen_address(table: &Table<'_>, key: &str, text: At<String>) -> Option<At<SocketAddr>> {
    match parse_listen(&text.value) {
        Ok(value) => Some(At { value, span: text.span }),
        Err(why) => {
            table.source().wrong(&text.span, format!("{key}: {why}"));
            None
        }
    }
}

/// An address to listen on: an IP address and a port.
///
/// # Errors
/// A sentence that says what would be right.
pub fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let hint = match (host, port.parse::<u16>()) {
        ("" | "*", Ok(port)) => format!("write 0.0.0.0:{port} (or [::]:{port}) for every address of this machine"),
        ("localhost", Ok(port)) => format!("write 127.0.0.1:{port}"),
        _ if text.parse::<std::net::IpAddr>().is_ok() => "the port is missing".to_owned(),
        _ => "expected an address of this machine and a port, such as 127.0.0.1:8080 or 0.0.0.0:8080".to_owned(),
    };
    Err(format!("{text:?} cannot be listened on: {hint}"))
}
