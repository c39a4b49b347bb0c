//! What an agent is told before it starts: checked types, every default documented.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use steadfast_core::client::Labels;
use steadfast_core::health::CheckPolicy;
use steadfast_core::settings::SetSettings;
use steadfast_core::{Endpoint, EndpointName, Host, InstanceId, SetName, Span, Weight};

use crate::Error;

/// Everything about one agent. [`AgentConfig::new`] has the defaults; the fields are set freely, and
/// [`AgentConfig::check`] says whether they fit together.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// The set the instance belongs to.
    pub set: SetName,
    /// The instance's identity.
    pub instance: InstanceId,
    /// Where the agent keeps what must survive it. Several agents of one machine may share it.
    pub state_dir: PathBuf,
    /// The application's direct addresses, by name. Default: none.
    pub endpoints: BTreeMap<EndpointName, EndpointSource>,
    /// The ports `auto` endpoints are taken from. Default: 20000 to 29999, which no outgoing connection uses on a
    /// Linux with the default `net.ipv4.ip_local_port_range`.
    pub ports: RangeInclusive<u16>,
    /// The host others reach this machine by, for the probe, gates and `auto` endpoints. Default: the address they
    /// listen on, or where that is a wildcard, the host of the first endpoint that names one.
    pub advertise: Option<Host>,
    /// What the instance can carry, in the unit of its clients' weights. A sticky set's instance must say it; a single
    /// set's has no use for it. Default: none.
    pub capacity: Option<Weight>,
    /// What the instance offers to clients that require or prefer it (sticky sets). Default: none.
    pub labels: Labels,
    /// How to find out whether the application can serve. Default: a TCP connection to the first endpoint; without
    /// endpoints the application is healthy while it runs.
    pub check: Option<Check>,
    /// How often, and how many results change the verdict. Default: every 1s, timeout 1s, rise 1, fall 2.
    pub check_policy: CheckPolicy,
    /// Where the probe answers load balancers. Default: a free port of 127.0.0.1.
    pub probe: SocketAddr,
    /// Listeners in front of the application, by endpoint: each passes traffic to that endpoint only while the lease
    /// is valid, and stands in the books in its place. Default: none.
    pub gates: BTreeMap<EndpointName, SocketAddr>,
    /// Where the application finds the agent's own API; it is told by `STEADFAST_API`. Default: the Unix socket
    /// `api.sock` in the instance's directory below [`AgentConfig::state_dir`]; where that path is too long for a
    /// socket there is no API, and a warning.
    pub api: Option<ApiAddress>,
    /// The application: program and arguments, with `{NAME.port}` replaced by the port of that endpoint.
    /// Default: none, it is run by somebody else.
    pub command: Option<Vec<String>>,
    /// What to do when the application ends. Default: on-failure.
    pub restart: Restart,
    /// From SIGTERM to SIGKILL when the application is stopped. Default: 10s.
    pub stop_within: Span,
    /// The settings to introduce the set with, where the store does not know it. Default: none, that is an error.
    pub introduce: Option<SetSettings>,
}

/// Where an endpoint's address comes from. Text form: `auto`, `env:NAME`, `exec:COMMAND`, or a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointSource {
    /// This address.
    Fixed(Endpoint),
    /// A free port of [`AgentConfig::ports`], which the application is told.
    Auto,
    /// The value of this environment variable: a URL, `host:port`, or a port.
    Env(String),
    /// What this command (given to `sh -c`) prints: a URL, `host:port`, or a port.
    Exec(String),
}

/// A check of the application. Text form: `http://host:port/path`, `tcp://host:port` or `exec:COMMAND`, with
/// `{NAME.port}` replaced by the port of that endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check(Template);

/// A check once its placeholders are filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckTarget {
    /// GET this path there; 200 to 299 passes, every other answer fails.
    Http {
        /// Where.
        endpoint: Endpoint,
        /// Path and query.
        path: String,
    },
    /// Connect there; a connection passes.
    Tcp(Endpoint),
    /// Give this to `sh -c`; exit code 0 passes.
    Command(String),
}

/// Where the agent's API for the application is served. Text form: `unix:/path`, or a loopback address and a port
/// (`127.0.0.1:7402`; port 0 is any free one). Whoever can reach it can report clients and load: the socket is for this
/// user alone (mode 0600), a loopback port for every user of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiAddress {
    /// A Unix socket.
    Unix(PathBuf),
    /// A port of this machine alone.
    Loopback(SocketAddr),
}

/// What to do when the application ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Restart {
    /// Start it again unless it ended with code 0; then the agent leaves too.
    #[default]
    OnFailure,
    /// The agent hands over and ends with the application's code.
    Never,
}

/// A text with `{NAME.port}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(String);

impl AgentConfig {
    /// An agent of `instance` in `set`, everything else by default.
    pub fn new(set: SetName, instance: InstanceId, state_dir: PathBuf) -> AgentConfig {
        AgentConfig {
            set,
            instance,
            state_dir,
            endpoints: BTreeMap::new(),
            ports: 20_000..=29_999,
            advertise: None,
            capacity: None,
            labels: Labels::new(),
            check: None,
            check_policy: CheckPolicy::default(),
            probe: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            gates: BTreeMap::new(),
            api: None,
            command: None,
            restart: Restart::default(),
            stop_within: Span::from_millis(10_000),
            introduce: None,
        }
    }

    /// Whether the parts fit together.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], for the first that do not.
    pub fn check(&self) -> Result<(), Error> {
        let wrong =
            |problem: String| Err(Error::Config(format!("agent {} of set {}: {problem}", self.instance, self.set)));
        if let Some(name) = self.gates.keys().find(|name| !self.endpoints.contains_key(*name)) {
            return wrong(format!("there is a gate for {name}, but no endpoint of that name: add --endpoint {name}=…"));
        }
        let auto = self.endpoints.iter().find(|(_, source)| **source == EndpointSource::Auto);
        if let (Some((name, _)), None) = (auto, &self.command) {
            return wrong(format!(
                "endpoint {name} is auto, but there is no command to be given the port: add one after --, or give {name} an address"
            ));
        }
        if self.command.as_ref().is_some_and(|words| words.first().is_none_or(String::is_empty)) {
            return wrong("the command is empty: give a program and its arguments".to_owned());
        }
        let named = |name: &str| self.endpoints.keys().any(|known| known.as_str() == name).then_some(1);
        let words = self.command.iter().flatten().cloned().map(Template);
        for template in words.chain(self.check.iter().map(|check| check.0.clone())) {
            template.fill(named)?;
        }
        Ok(())
    }
}

impl Template {
    /// A template of this text.
    pub fn new(text: impl Into<String>) -> Template {
        Template(text.into())
    }

    /// The text with each `{NAME.port}` replaced by what `port_of` says. Braces around anything else stay.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a name `port_of` does not know.
    pub fn fill(&self, port_of: impl Fn(&str) -> Option<u16>) -> Result<String, Error> {
        let mut filled = String::with_capacity(self.0.len());
        let mut rest = self.0.as_str();
        while let Some(open) = rest.find('{') {
            let (before, from) = rest.split_at(open);
            filled.push_str(before);
            let name = from[1..].split_once('}').and_then(|(inside, _)| inside.strip_suffix(".port"));
            match name.filter(|name| name.parse::<EndpointName>().is_ok()) {
                Some(name) => {
                    let port = port_of(name).ok_or_else(|| self.unknown(name))?;
                    filled.push_str(&port.to_string());
                    rest = &from[name.len() + "{.port}".len()..];
                }
                None => {
                    filled.push('{');
                    rest = &from[1..];
                }
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn unknown(&self, name: &str) -> Error {
        Error::Config(format!(
            "{:?} asks for the port of {name}, but there is no such endpoint: add --endpoint {name}=…",
            self.0
        ))
    }
}

impl Check {
    /// The check with its placeholders filled in.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for an endpoint `port_of` does not know.
    pub fn target(&self, port_of: impl Fn(&str) -> Option<u16>) -> Result<CheckTarget, Error> {
        self.0.fill(port_of)?.parse()
    }
}

impl FromStr for Check {
    type Err = Error;

    fn from_str(text: &str) -> Result<Check, Error> {
        let template = Template::new(text);
        // Whatever the ports will be: it is a check with each that is one with the shortest and with the longest.
        for port in [1, u16::MAX] {
            template.fill(|_| Some(port))?.parse::<CheckTarget>()?;
        }
        Ok(Check(template))
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.0)
    }
}

impl FromStr for CheckTarget {
    type Err = Error;

    fn from_str(text: &str) -> Result<CheckTarget, Error> {
        let bad = |why: &str| {
            Error::Config(format!(
                "{text:?} is not a check{why}: expected http://host:port/path, tcp://host:port or exec:COMMAND"
            ))
        };
        if let Some(command) = text.strip_prefix("exec:") {
            let command = command.trim();
            return if command.is_empty() { Err(bad("")) } else { Ok(CheckTarget::Command(command.to_owned())) };
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| bad(""))?;
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let endpoint: Endpoint = format!("{scheme}://{authority}").parse().map_err(|_| bad(""))?;
        match (scheme, path) {
            ("http", path) if path.starts_with('/') => Ok(CheckTarget::Http { endpoint, path: path.to_owned() }),
            ("http", path) => Ok(CheckTarget::Http { endpoint, path: format!("/{path}") }),
            ("tcp", "" | "/") => Ok(CheckTarget::Tcp(endpoint)),
            ("https", _) => Err(bad(" (https is not spoken here; use exec:curl … or tcp://)")),
            _ => Err(bad("")),
        }
    }
}

impl fmt::Display for CheckTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckTarget::Http { endpoint, path } => write!(f, "{endpoint}{path}"),
            CheckTarget::Tcp(endpoint) => write!(f, "{endpoint}"),
            CheckTarget::Command(command) => write!(f, "exec:{command}"),
        }
    }
}

impl FromStr for EndpointSource {
    type Err = Error;

    fn from_str(text: &str) -> Result<EndpointSource, Error> {
        if text == "auto" {
            return Ok(EndpointSource::Auto);
        }
        let expected = || {
            Error::Config(format!(
                "{text:?} is not an endpoint: expected scheme://host:port, auto, env:NAME or exec:COMMAND"
            ))
        };
        let after = |prefix: &str| text.strip_prefix(prefix).map(str::trim);
        match (after("env:"), after("exec:")) {
            (Some(""), _) | (_, Some("")) => Err(expected()),
            (Some(name), _) => Ok(EndpointSource::Env(name.to_owned())),
            (_, Some(command)) => Ok(EndpointSource::Exec(command.to_owned())),
            _ => text.parse().map(EndpointSource::Fixed).map_err(|_| expected()),
        }
    }
}

impl fmt::Display for EndpointSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndpointSource::Fixed(endpoint) => write!(f, "{endpoint}"),
            EndpointSource::Auto => f.write_str("auto"),
            EndpointSource::Env(name) => write!(f, "env:{name}"),
            EndpointSource::Exec(command) => write!(f, "exec:{command}"),
        }
    }
}

impl FromStr for ApiAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<ApiAddress, Error> {
        let address = match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Some(ApiAddress::Unix(PathBuf::from(path))),
            Some(_) => None,
            None => text.parse().ok().filter(|at: &SocketAddr| at.ip().is_loopback()).map(ApiAddress::Loopback),
        };
        address.ok_or_else(|| {
            Error::Config(format!(
                "{text:?} is no place for the agent's API: expected unix:/path, or a loopback address such as 127.0.0.1:7402"
            ))
        })
    }
}

impl fmt::Display for ApiAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApiAddress::Unix(path) => write!(f, "unix:{}", path.display()),
            ApiAddress::Loopback(address) => write!(f, "{address}"),
        }
    }
}

impl FromStr for Restart {
    type Err = Error;

    fn from_str(text: &str) -> Result<Restart, Error> {
        match text {
            "on-failure" => Ok(Restart::OnFailure),
            "never" => Ok(Restart::Never),
            _ => Err(Error::Config(format!("{text:?} is not a restart policy: expected on-failure or never"))),
        }
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Restart::OnFailure => "on-failure",
            Restart::Never => "never",
        })
    }
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;
