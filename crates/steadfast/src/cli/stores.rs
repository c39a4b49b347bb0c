//! The commands about the store itself.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand};
use steadfast_core::{SetName, Span};

use super::{Output, TlsFlags, the_one};

/// Which store, of commands that go to one themselves.
#[derive(Clone, Debug, Args)]
pub struct StoreFlags {
    /// The store: sqlite:///path (one machine), http://host:7400 [default: the one in the state directory]
    #[arg(id = "store", long = "store", value_name = "URL", env = "STEADFAST_STORE")]
    pub url: Option<String>,
    /// The same, with the URL in a file, where it may hold a password
    #[arg(id = "store_file", long = "store-file", value_name = "FILE", env = "STEADFAST_STORE_FILE")]
    pub file: Option<PathBuf>,
    /// The URL was said where every user of this machine can read it.
    #[arg(skip)]
    pub on_command_line: bool,
    /// The file with the store's token or password [default for http://: admin.token in the state directory]
    #[arg(long, value_name = "FILE", env = "STEADFAST_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// How the store proves who it is.
    #[command(flatten)]
    pub tls: TlsFlags,
}

impl StoreFlags {
    /// Leaves one name of the store. `said` tells of a flag whether it stood on the command line.
    pub(super) fn settle(&mut self, said: impl Fn(&str) -> bool) -> Result<(), clap::Error> {
        let given = [("store", self.url.is_some()), ("store_file", self.file.is_some())];
        let Some(counts) = the_one(&given, &said)? else { return Ok(()) };
        self.url.take_if(|_| counts != "store");
        self.file.take_if(|_| counts != "store_file");
        self.on_command_line = said("store");
        Ok(())
    }
}

/// `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast doctor
  steadfast doctor --config steadfast.toml
  steadfast doctor --store http://10.0.0.4:7400 --for 30s --json
  steadfast doctor --ttl 2500ms

Run it where the agents run, while the store has its usual work to do. It writes one record of its own and deletes it
again. Exit codes: 0 all is well, 1 something is not, 3 the store does not answer, 4 it refuses.")]
pub struct Doctor {
    /// The store.
    #[command(flatten)]
    pub store: StoreFlags,
    /// The configuration file that names the store, and maybe sets that the store does not know yet
    #[arg(long, value_name = "FILE", env = "STEADFAST_CONFIG")]
    pub config: Option<PathBuf>,
    /// How long to measure
    #[arg(long = "for", value_name = "SPAN", env = "STEADFAST_FOR", default_value = "5s")]
    pub span: Span,
    /// Judge only this set's lease
    #[arg(long, value_name = "SET", env = "STEADFAST_SET")]
    pub set: Option<SetName>,
    /// Judge a lease of this TTL, whatever the sets say
    #[arg(long, value_name = "SPAN", env = "STEADFAST_TTL", conflicts_with = "set")]
    pub ttl: Option<Span>,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// `copy`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast copy sqlite:///var/lib/steadfast/state.db http://10.0.0.4:7400 --to-token-file token
  steadfast copy sqlite:///var/lib/steadfast/state.db http://10.0.0.4:7400 --update
  steadfast copy 'https://a.internal:7400?ca=/etc/steadfast/ca.pem' redis://db1/steadfast --from-token-file a.token

The files of TLS stand in the URLs, for FROM and TO may need others. Stop every Steadfast that uses either store first: both are watched for a while, and whoever is still there is named.
Everything is copied but signs of life, and compared afterwards. Exit codes: 0 both hold the same, 1 they do not,
3 a store does not answer, 4 it refuses.")]
pub struct Copy {
    /// The store to read
    #[arg(value_name = "FROM")]
    pub from: String,
    /// The store to write
    #[arg(value_name = "TO")]
    pub to: String,
    /// The file with FROM's secret
    #[arg(long, value_name = "FILE", env = "STEADFAST_FROM_TOKEN_FILE")]
    pub from_token_file: Option<PathBuf>,
    /// The file with TO's secret
    #[arg(long, value_name = "FILE", env = "STEADFAST_TO_TOKEN_FILE")]
    pub to_token_file: Option<PathBuf>,
    /// TO may have records: make it equal to FROM, deleting what FROM has not
    #[arg(long, env = "STEADFAST_UPDATE", value_parser = BoolishValueParser::new())]
    pub update: bool,
    /// Write nothing, and say what would be written
    #[arg(long, env = "STEADFAST_DRY_RUN", value_parser = BoolishValueParser::new())]
    pub dry_run: bool,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// `store`.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  steadfast store init postgres://owner@db1/steadfast --token-file owner.password --role app
  steadfast store init azure://account/container --token-file account.key")]
pub enum StoreCommand {
    /// Make what a store needs before it is used, as far as it is not there; may be done again
    Init(StoreInit),
}

/// `store init`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast store init postgres://owner@db1/steadfast --token-file owner.password --role app
  steadfast store init postgres://app@db1/steadfast --print-sql --role app > steadfast.sql
  steadfast store init azure://account/container --token-file account.key

PostgreSQL: the schema with its tables and functions, in one transaction. Azure: the container and the table. Where
Steadfast itself may make them this is not needed: the first process that uses the store does. Exit codes: 0 it is
there, 2 something is wrong with the URL or with what is there, 3 the store does not answer, 4 it refuses.")]
pub struct StoreInit {
    /// The store
    #[arg(value_name = "URL")]
    pub url: String,
    /// Print the SQL for whoever runs the database, and do nothing; needs no server and no secret
    #[arg(long, env = "STEADFAST_PRINT_SQL", value_parser = BoolishValueParser::new())]
    pub print_sql: bool,
    /// Give this role of the database what Steadfast needs when it runs as that
    #[arg(long, value_name = "NAME", env = "STEADFAST_ROLE")]
    pub role: Option<String>,
    /// The file with the store's secret
    #[arg(long, value_name = "FILE", env = "STEADFAST_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// How the store proves who it is.
    #[command(flatten)]
    pub tls: TlsFlags,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}
