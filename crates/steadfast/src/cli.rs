//! The command line: one definition, from which help and man pages are made.
//!
//! Every flag can be given as `STEADFAST_<FLAG>` too. Secrets never stand on a command line: they come from files.

mod clients;
mod stores;
mod tls;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use steadfast_agent::{ApiAddress, Restart};
use steadfast_core::settings::Presence;
use steadfast_core::{Host, InstanceId, SetName, Span, Weight};

pub use self::clients::{Clients, Drain, Explain, Forget, Move, Place, Verify};
pub use self::stores::{Copy, Doctor, StoreCommand, StoreFlags, StoreInit};
pub use self::tls::{AdminTlsFlags, TlsFlags};

/// Where a command finds the API where nothing else is said.
pub const DEFAULT_ADMIN_URL: &str = "http://127.0.0.1:7400";
/// The same, where files for TLS are given.
pub const DEFAULT_ADMIN_TLS_URL: &str = "https://127.0.0.1:7400";

/// Steadfast keeps stateful services available that an ordinary load balancer would break.
///
/// Single sets: several copies of an application run and exactly one answers. An agent beside each copy contends for a
/// lease; only its holder's health probe says 200. When it stops, another one takes over: behind any load balancer, or
/// behind Steadfast's own gateway without a failed request.
///
/// Sticky sets: each client has one home among the copies, chosen by the work it brings and the room there is, written
/// down, and kept. The gateway redirects it there, forwards it, or tells it where to go.
#[derive(Debug, Parser)]
#[command(
    name = "steadfast",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Begin here:
  steadfast demo                                  all of it on this machine, with a page; kill something and look
  steadfast init single                           a commented file to start from; or: init sticky
  steadfast agent --set web --kind single -- ./app    one copy of your own application

Exit codes: 0 yes, 1 no or failed, 2 usage or configuration, 3 unreachable, 4 refused with a reason."
)]
pub struct Cli {
    /// How this process tells what it does.
    #[command(flatten)]
    pub log: Log,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the command line and the environment; ends the process where clap does.
    pub fn read() -> Cli {
        Cli::read_from(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// Reads these arguments, the program's name first, and the environment.
    ///
    /// # Errors
    /// As clap says it, or that both an API and a store were named.
    pub fn read_from(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
        let matches = without_values(Cli::command()).try_get_matches_from(arguments)?;
        let mut cli = Cli::from_arg_matches(&matches)?;
        let Some((_, below)) = matches.subcommand() else { return Ok(cli) };
        let said = |flag: &str| below.value_source(flag) == Some(ValueSource::CommandLine);
        match &mut cli.command {
            Command::Agent(agent) => agent.store.settle(said)?,
            Command::Doctor(doctor) => doctor.store.settle(said)?,
            other => other.reach().map_or(Ok(()), |reach| reach.settle(said))?,
        }
        Ok(cli)
    }
}

/// The same, whose help names the variables of the environment and not what they are set to: that may be a secret.
fn without_values(command: clap::Command) -> clap::Command {
    command.mut_args(|argument| argument.hide_env_values(true)).mut_subcommands(without_values)
}

impl Command {
    fn reach(&mut self) -> Option<&mut Reach> {
        match self {
            Command::Status(flags) => Some(&mut flags.reach),
            Command::Instances(flags) | Command::Leader(flags) => Some(&mut flags.reach),
            Command::Events(flags) => Some(&mut flags.reach),
            Command::Clients(flags) => Some(&mut flags.reach),
            Command::Explain(flags) => Some(&mut flags.reach),
            Command::Place(flags) => Some(&mut flags.reach),
            Command::Move(flags) => Some(&mut flags.reach),
            Command::Forget(flags) => Some(&mut flags.reach),
            Command::Drain(flags) => Some(&mut flags.reach),
            Command::Undrain(flags) => Some(&mut flags.reach),
            Command::Verify(flags) => Some(&mut flags.reach),
            Command::Switchover(flags) => Some(&mut flags.reach),
            Command::Apply(flags) => Some(&mut flags.reach),
            _ => None,
        }
    }
}

impl Reach {
    /// Leaves one place to ask.
    fn settle(&mut self, said: impl Fn(&str) -> bool) -> Result<(), clap::Error> {
        let given = [
            ("admin", self.admin.is_some()),
            ("store", self.store.is_some()),
            ("store_file", self.store_file.is_some()),
        ];
        let Some(counts) = the_one(&given, &said)? else { return Ok(()) };
        self.admin.take_if(|_| counts != "admin");
        self.store.take_if(|_| counts != "store");
        self.store_file.take_if(|_| counts != "store_file");
        self.store_on_command_line = said("store");
        Ok(())
    }
}

/// Of flags of which one may be given: the one that counts, if there is one. What was said on the command line counts,
/// whatever the environment says of the others.
fn the_one(flags: &[(&'static str, bool)], said: impl Fn(&str) -> bool) -> Result<Option<&'static str>, clap::Error> {
    let given: Vec<&str> = flags.iter().filter(|(_, given)| *given).map(|(flag, _)| *flag).collect();
    let on_command_line: Vec<&str> = given.iter().copied().filter(|flag| said(flag)).collect();
    let names = |flags: &[&str], name: &dyn Fn(&str) -> String| {
        flags.iter().map(|flag| name(flag)).collect::<Vec<_>>().join(" and ")
    };
    let several = match (&on_command_line[..], &given[..]) {
        ([one], _) | ([], [one]) => return Ok(Some(one)),
        ([], []) => return Ok(None),
        ([], given) => names(given, &|flag| format!("STEADFAST_{}", flag.to_uppercase())),
        (said, _) => names(said, &|flag| format!("--{}", flag.replace('_', "-"))),
    };
    let text = format!("{several} name two places to ask: give one of them");
    Err(Cli::command().error(ErrorKind::ArgumentConflict, text))
}

/// How a process tells what it does, on standard error.
#[derive(Clone, Debug, Args)]
pub struct Log {
    /// What to log: error, warn, info, debug, trace, or a filter such as info,steadfast_agent=debug [default: info for
    /// run and agent, warn for the rest]
    #[arg(long, value_name = "FILTER", env = "STEADFAST_LOG", global = true, help_heading = "Logging")]
    pub log: Option<String>,
    /// How a line looks
    #[arg(
        long,
        value_name = "FORMAT",
        env = "STEADFAST_LOG_FORMAT",
        global = true,
        default_value = "text",
        help_heading = "Logging"
    )]
    pub log_format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run what a configuration file says: gateway, agents, API.
    Run(Run),
    /// Stand beside one copy of an application: check it, contend for its set's lease, answer the probe.
    Agent(Box<Agent>),
    /// Show what this is about, on this machine: three copies of which one answers, four recorders that share cameras.
    Demo(Demo),
    /// Ask a URL again and again, and tell who answers, each change and each gap.
    Watch(Watch),
    /// Write a commented configuration file to start from.
    Init(Init),
    /// One screen: every set, who leads it or how full it is, how its instances are, and what is wrong.
    Status(Status),
    /// The instances of a set.
    Instances(OfSet),
    /// The leader of a single set; exit code 1 if it has none.
    Leader(OfSet),
    /// The clients of a sticky set: who is or was there, where, why, since when.
    Clients(Clients),
    /// Why a client is where it is, and where it would go now.
    Explain(Explain),
    /// What happened: leaders, losses, drains, clients moved by hand.
    Events(Events),
    /// Give a client a home before it comes.
    Place(Place),
    /// Move a client to another home.
    Move(Move),
    /// Forget a client.
    Forget(Forget),
    /// Take an instance out: no new clients; a leader hands over and does not lead again until `undrain`.
    Drain(Drain),
    /// Let a drained instance take part again.
    Undrain(OfInstance),
    /// Hand the lease of a set over, to whom you name or to whoever is ready.
    Switchover(Switchover),
    /// Check that the books of sticky sets agree: what instances are charged, and what their clients weigh.
    Verify(Verify),
    /// Look at the store from this machine: how quick it is, what it may lose, and whether leases are safe on it.
    Doctor(Doctor),
    /// Copy everything from one store to another, and compare.
    Copy(Copy),
    /// Make a store ready: the schema in a database, the container in an account.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Write the settings of a file's sets over the store's, showing the difference.
    Apply(Apply),
    /// Check a configuration file and say what is wrong with it.
    Check(Check),
    /// Print what lets a shell complete commands and flags.
    Completions(Completions),
    /// Print the manual page steadfast(1), or write the pages of all commands into a directory.
    Man(Man),
    /// The application of the demo.
    #[command(hide = true)]
    DemoApp(DemoApp),
    /// A recorder of the demo.
    #[command(hide = true)]
    DemoRecorder(DemoRecorder),
}

/// Where the books are: asked over the API of a running Steadfast, or in this process over the store.
#[derive(Clone, Debug, Args)]
pub struct Reach {
    /// The API of a running Steadfast [default: http://127.0.0.1:7400]
    #[arg(long, value_name = "URL", env = "STEADFAST_ADMIN", help_heading = "Where to ask")]
    pub admin: Option<String>,
    /// Go to this store directly, without a running Steadfast: sqlite:///path, http://host:7400
    #[arg(long, value_name = "URL", env = "STEADFAST_STORE", help_heading = "Where to ask")]
    pub store: Option<String>,
    /// The same, with the URL in a file, where it may hold a password
    #[arg(long, value_name = "FILE", env = "STEADFAST_STORE_FILE", help_heading = "Where to ask")]
    pub store_file: Option<PathBuf>,
    /// `store` was said where every user of this machine can read it.
    #[arg(skip)]
    pub store_on_command_line: bool,
    /// The file with the token of the API, or with the store's password [default: admin.token in the state directory]
    #[arg(long, value_name = "FILE", env = "STEADFAST_TOKEN_FILE", help_heading = "Where to ask")]
    pub token_file: Option<PathBuf>,
    /// How whoever is asked proves who it is.
    #[command(flatten)]
    pub tls: TlsFlags,
}

/// How to print.
#[derive(Clone, Copy, Debug, Args)]
pub struct Output {
    /// Print JSON
    #[arg(long, env = "STEADFAST_JSON", value_parser = BoolishValueParser::new())]
    pub json: bool,
}

/// `run`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast run --config /etc/steadfast.toml
  STEADFAST_LOG=debug steadfast run --config web.toml
  steadfast check web.toml && steadfast run --config web.toml")]
pub struct Run {
    /// The configuration; `steadfast init single` writes one to start from
    #[arg(long, value_name = "FILE", env = "STEADFAST_CONFIG", default_value = "/etc/steadfast/steadfast.toml")]
    pub config: PathBuf,
    /// The socket of the demo this is a part of
    #[arg(long, value_name = "SOCKET", env = "STEADFAST_DEMO_CONTROL", hide = true)]
    pub demo_control: Option<PathBuf>,
}

/// `agent`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast agent --set web --kind single --instance web-1 --endpoint http=http://127.0.0.1:8081 \\
      --check http://127.0.0.1:8081/ --probe 127.0.0.1:7401 -- python3 -m http.server 8081
  steadfast agent --store http://10.0.0.9:7400 --token-file token --set web --endpoint http=auto --ports 20000-20099 \\
      --check 'http://127.0.0.1:{http.port}/healthz' --probe 0.0.0.0:7401 -- ./app --port '{http.port}'
  steadfast agent --set recorder --kind sticky --client query:camera --weight query:mbps --capacity 100 \\
      --endpoint http=http://10.0.0.4:8081 --label region=eu -- ./recorder --port 8081
  steadfast agent --set db --endpoint http=exec:/usr/local/bin/public-address --check tcp://127.0.0.1:5432

The application is told STEADFAST_SET, STEADFAST_INSTANCE, STEADFAST_PORT_HTTP, STEADFAST_EPOCH_FILE and STEADFAST_API.
Without a command the application is somebody else's: it is checked, never started or stopped.")]
pub struct Agent {
    /// The set this copy belongs to
    #[arg(long, env = "STEADFAST_SET")]
    pub set: SetName,
    /// Make the set known to the store, with default settings, if it is not yet; a sticky one needs --client
    #[arg(long, value_name = "KIND", env = "STEADFAST_KIND")]
    pub kind: Option<Kind>,
    /// With --kind sticky: where a request says who its client is: query:NAME, header:NAME, cookie:NAME, path:{NAME},
    /// source-ip; of several the first that is there
    #[arg(long, value_name = "PLACE", env = "STEADFAST_CLIENT", value_delimiter = ',')]
    pub client: Vec<String>,
    /// With --kind sticky: what a client weighs, a number or where a request says it: query:NAME [default: 1]
    #[arg(long, value_name = "PLACE", env = "STEADFAST_WEIGHT", value_delimiter = ',')]
    pub weight: Vec<String>,
    /// With --kind sticky: how the set knows that a client is there: request, connection or report [default: request]
    #[arg(long, value_name = "HOW", env = "STEADFAST_PRESENCE")]
    pub presence: Option<Presence>,
    /// The identity of this copy, which follows its data [default: the host's name]
    #[arg(long, env = "STEADFAST_INSTANCE")]
    pub instance: Option<InstanceId>,
    /// The store.
    #[command(flatten)]
    pub store: StoreFlags,
    /// Where this agent keeps its files [default: $STATE_DIRECTORY, /var/lib/steadfast, $XDG_STATE_HOME/steadfast]
    #[arg(long, value_name = "DIR", env = "STEADFAST_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// Serve the API here as well
    // Not STEADFAST_ADMIN: that is where commands *find* an API, and must not make an agent listen.
    #[arg(long, value_name = "ADDRESS", env = "STEADFAST_ADMIN_LISTEN")]
    pub admin: Option<String>,
    /// With --admin: under what that API is served.
    #[command(flatten)]
    pub admin_tls: AdminTlsFlags,
    /// What is said about the copy itself.
    #[command(flatten)]
    pub copy: CopyFlags,
    /// Start, supervise and stop this; `{http.port}` is replaced by the port of the endpoint http
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// One copy of an application, as flags.
#[derive(Debug, Default, Args)]
pub struct CopyFlags {
    /// A direct address: NAME=URL, NAME=auto (a free one of --ports), NAME=env:VARIABLE, NAME=exec:COMMAND
    #[arg(long, value_name = "NAME=URL", env = "STEADFAST_ENDPOINT", value_delimiter = ',')]
    pub endpoint: Vec<String>,
    /// What this copy can carry, in the unit of its clients' weights (sticky sets)
    #[arg(long, value_name = "WEIGHT", env = "STEADFAST_CAPACITY")]
    pub capacity: Option<Weight>,
    /// What it offers to clients that require or prefer it (sticky sets): NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE", env = "STEADFAST_LABEL", value_delimiter = ',')]
    pub label: Vec<String>,
    /// Where the application finds this agent's own API: unix:/path or a loopback address [default: a socket in the
    /// state directory]
    // Not STEADFAST_API: that is where an application *finds* its agent, and must not make another agent listen.
    #[arg(long, value_name = "ADDRESS", env = "STEADFAST_API_LISTEN")]
    pub api: Option<ApiAddress>,
    /// The ports that `auto` may take
    #[arg(long, value_name = "FIRST-LAST", env = "STEADFAST_PORTS")]
    pub ports: Option<String>,
    /// What to ask the application: http://…, tcp://host:port, exec:COMMAND
    #[arg(long, value_name = "URL", env = "STEADFAST_CHECK")]
    pub check: Option<String>,
    /// From one check to the next
    #[arg(long, value_name = "SPAN", env = "STEADFAST_CHECK_EVERY")]
    pub check_every: Option<Span>,
    /// How long one check may take
    #[arg(long, value_name = "SPAN", env = "STEADFAST_CHECK_TIMEOUT")]
    pub check_timeout: Option<Span>,
    /// So many passes in a row make it healthy
    #[arg(long, value_name = "NUMBER", env = "STEADFAST_CHECK_RISE", value_parser = clap::value_parser!(u32).range(1..))]
    pub check_rise: Option<u32>,
    /// So many failures in a row make it unhealthy
    #[arg(long, value_name = "NUMBER", env = "STEADFAST_CHECK_FALL", value_parser = clap::value_parser!(u32).range(1..))]
    pub check_fall: Option<u32>,
    /// Where the load balancer's probe is answered: 200 for the leader, 503 for the others
    #[arg(long, value_name = "ADDRESS", env = "STEADFAST_PROBE")]
    pub probe: Option<String>,
    /// Listen in front of an endpoint and pass traffic only while leading: NAME=ADDRESS
    #[arg(long, value_name = "NAME=ADDRESS", env = "STEADFAST_GATE", value_delimiter = ',')]
    pub gate: Vec<String>,
    /// The host others reach this machine by [default: as the addresses say]
    #[arg(long, value_name = "HOST", env = "STEADFAST_ADVERTISE")]
    pub advertise: Option<Host>,
    /// When the command is started again: on-failure or never
    #[arg(long, value_name = "WHEN", env = "STEADFAST_RESTART")]
    pub restart: Option<Restart>,
    /// How long the command is given to stop before it is killed
    #[arg(long, value_name = "SPAN", env = "STEADFAST_STOP_WITHIN")]
    pub stop_within: Option<Span>,
}

/// What a set can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Exactly one instance answers.
    Single,
    /// Each client has one home.
    Sticky,
}

/// `demo`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast demo                        stays until Ctrl-C: open its page, kill what it shows, and look
  steadfast demo --for 60s              kills, drains and hands over by itself
  steadfast demo --for 20s --json       the same in short, ending with one line of figures")]
pub struct Demo {
    /// Run unattended for about so long, with a crash, a host's death and a switchover inside
    #[arg(long = "for", value_name = "SPAN", env = "STEADFAST_FOR")]
    pub for_: Option<Span>,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// `watch`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast watch http://127.0.0.1:8080/
  steadfast watch http://web.example/ --every 10ms --fresh --for 30s --strict
  steadfast watch http://127.0.0.1:8080/ --json | jq .gap_ms")]
pub struct Watch {
    /// What to ask: http://host:port/path
    pub url: String,
    /// From one request to the next
    #[arg(long, value_name = "SPAN", env = "STEADFAST_EVERY", default_value = "50ms")]
    pub every: Span,
    /// How long to wait for an answer
    #[arg(long, value_name = "SPAN", env = "STEADFAST_WITHIN", default_value = "5s")]
    pub within: Span,
    /// A new connection for every request, instead of keeping one
    #[arg(long, env = "STEADFAST_FRESH", value_parser = BoolishValueParser::new())]
    pub fresh: bool,
    /// Stop after so long
    #[arg(long = "for", value_name = "SPAN", env = "STEADFAST_FOR")]
    pub for_: Option<Span>,
    /// End with exit code 1 if any request failed
    #[arg(long, env = "STEADFAST_STRICT", value_parser = BoolishValueParser::new())]
    pub strict: bool,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// `init`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast init single
  steadfast init sticky
  steadfast init single --file /etc/steadfast/steadfast.toml")]
pub struct Init {
    /// Which pattern
    pub kind: Kind,
    /// The file to write; one that is there is left alone
    #[arg(long, value_name = "FILE", env = "STEADFAST_FILE", default_value = "steadfast.toml")]
    pub file: PathBuf,
}

/// `status`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast status
  steadfast status --admin http://10.0.0.9:7400 --token-file token
  steadfast status --store sqlite:///var/lib/steadfast/state.db --json")]
pub struct Status {
    /// Only this set
    pub set: Option<SetName>,
    /// Where to ask.
    #[command(flatten)]
    pub reach: Reach,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// A command about a set.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast instances recorder
  steadfast leader web --json
  [ \"$(steadfast leader web)\" = web-1 ] && echo web-1 leads")]
pub struct OfSet {
    /// The set
    pub set: SetName,
    /// Where to ask.
    #[command(flatten)]
    pub reach: Reach,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// `events`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast events
  steadfast events web --follow
  steadfast events web --since 120 --json")]
pub struct Events {
    /// Only this set
    pub set: Option<SetName>,
    /// Go on with what happens from now on
    #[arg(long, short, env = "STEADFAST_FOLLOW", value_parser = BoolishValueParser::new())]
    pub follow: bool,
    /// From this event on: a number, or what an earlier answer called `next`
    #[arg(long, value_name = "EVENT", env = "STEADFAST_SINCE")]
    pub since: Option<String>,
    /// Where to ask.
    #[command(flatten)]
    pub reach: Reach,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// A command about an instance.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast undrain web web-1
  steadfast undrain recorder rec-1 --json")]
pub struct OfInstance {
    /// The set
    pub set: SetName,
    /// The instance
    pub instance: InstanceId,
    /// Where to ask.
    #[command(flatten)]
    pub reach: Reach,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// `switchover`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast switchover web
  steadfast switchover web --to web-2 --wait")]
pub struct Switchover {
    /// The set
    pub set: SetName,
    /// The successor [default: whoever is ready first]
    #[arg(long, value_name = "INSTANCE", env = "STEADFAST_TO")]
    pub to: Option<InstanceId>,
    /// Wait until another one leads, and say how long it took; exit code 1 if none does
    #[arg(long, env = "STEADFAST_WAIT", value_parser = BoolishValueParser::new())]
    pub wait: bool,
    /// Where to ask.
    #[command(flatten)]
    pub reach: Reach,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// `apply`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast apply steadfast.toml
  steadfast apply steadfast.toml --store http://10.0.0.9:7400")]
pub struct Apply {
    /// The configuration whose [sets.…] count
    pub file: PathBuf,
    /// Where to ask.
    #[command(flatten)]
    pub reach: Reach,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// `check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast check steadfast.toml
  steadfast check /etc/steadfast/steadfast.toml && systemctl restart steadfast")]
pub struct Check {
    /// The configuration
    pub file: PathBuf,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// `completions`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  source <(steadfast completions bash)
  steadfast completions bash > /etc/bash_completion.d/steadfast
  steadfast completions fish > ~/.config/fish/completions/steadfast.fish
  steadfast completions zsh > /usr/local/share/zsh/site-functions/_steadfast")]
pub struct Completions {
    /// Which shell
    pub shell: clap_complete::Shell,
}

/// `man`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast man | man -l -
  steadfast man /usr/local/share/man/man1 && man steadfast-agent")]
pub struct Man {
    /// Where to write steadfast.1, steadfast-agent.1 and so on; the directory is made if it is not there
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

/// The demo's application.
#[derive(Debug, Args)]
pub struct DemoApp {
    /// Where to listen
    #[arg(long, env = "STEADFAST_LISTEN")]
    pub listen: std::net::SocketAddr,
}

/// A recorder of the demo.
#[derive(Debug, Args)]
pub struct DemoRecorder {
    /// Where cameras stream to
    #[arg(long, env = "STEADFAST_LISTEN")]
    pub listen: std::net::SocketAddr,
    /// Where they are turned from
    #[arg(long, env = "STEADFAST_CONTROL")]
    pub control: std::net::SocketAddr,
}

#[cfg(test)]
mod tests;
