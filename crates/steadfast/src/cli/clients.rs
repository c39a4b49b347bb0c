//! The commands about the clients of a sticky set, and about draining their homes.

use clap::Args;
use clap::builder::BoolishValueParser;
use steadfast_core::client::{ClientKey, LabelName};
use steadfast_core::placement::Phase;
use steadfast_core::{InstanceId, SetName, Span, Weight};

use super::{Output, Reach};

/// `clients`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast clients recorder
  steadfast clients recorder --home rec-2 --phase active
  steadfast clients recorder --limit 20 --json | jq -r '.clients[].client'

reserved and active clients are charged; idle ones are remembered, so that they come home again.
A key is written percent-encoded: cam%2F7 is cam/7. With --json each page of many is a line of its own.")]
pub struct Clients {
    /// The set
    pub set: SetName,
    /// Only those at home at this instance
    #[arg(long, value_name = "INSTANCE", env = "STEADFAST_HOME")]
    pub home: Option<InstanceId>,
    /// Only those that are reserved, active or idle
    #[arg(long, value_name = "PHASE", env = "STEADFAST_PHASE")]
    pub phase: Option<Phase>,
    /// At most so many [default: all]
    #[arg(long, value_name = "NUMBER", env = "STEADFAST_LIMIT", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Where to ask.
    #[command(flatten)]
    pub reach: Reach,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// `explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast explain recorder cam-7
  steadfast explain recorder cam-9 --weight 8 --label region=eu

The exit code is 1 where the client would be refused.")]
pub struct Explain {
    /// The set
    pub set: SetName,
    /// The client; one that nobody knows is told where it would go
    pub client: ClientKey,
    /// What it weighs [default: what is known of it, or what the set says]
    #[arg(long, env = "STEADFAST_WEIGHT")]
    pub weight: Option<Weight>,
    /// What it requires or prefers: NAME=VALUE
    #[arg(long = "label", value_name = "NAME=VALUE", env = "STEADFAST_LABEL", value_delimiter = ',', value_parser = label)]
    pub labels: Vec<(LabelName, String)>,
    /// Where to ask.
    #[command(flatten)]
    pub reach: Reach,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// `place`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast place recorder cam-7 --weight 8
  steadfast place recorder cam-7 --weight 8 --on rec-2 --label region=eu

A client that has a home keeps it, so this may be said again. The place is kept for claim_within of the set, or
idle_after where presence = \"request\".")]
pub struct Place {
    /// The set
    pub set: SetName,
    /// The client
    pub client: ClientKey,
    /// What it will weigh [default: what the set says]
    #[arg(long, env = "STEADFAST_WEIGHT")]
    pub weight: Option<Weight>,
    /// Where to [default: by the set's policy]
    #[arg(long, value_name = "INSTANCE", env = "STEADFAST_ON")]
    pub on: Option<InstanceId>,
    /// What it requires or prefers: NAME=VALUE
    #[arg(long = "label", value_name = "NAME=VALUE", env = "STEADFAST_LABEL", value_delimiter = ',', value_parser = label)]
    pub labels: Vec<(LabelName, String)>,
    /// Where to ask.
    #[command(flatten)]
    pub reach: Reach,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// `move`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast move recorder cam-7
  steadfast move recorder cam-7 --to rec-3

One that is connected is moved only where it can be made to leave its home.")]
pub struct Move {
    /// The set
    pub set: SetName,
    /// The client
    pub client: ClientKey,
    /// Where to [default: by the set's policy, away from its home]
    #[arg(long, value_name = "INSTANCE", env = "STEADFAST_TO")]
    pub to: Option<InstanceId>,
    /// Where to ask.
    #[command(flatten)]
    pub reach: Reach,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// `forget`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast forget recorder cam-7
  steadfast clients recorder --phase idle --json | jq -r '.clients[].client' | xargs -n1 steadfast forget recorder

As if it had never been there: when it comes again it is new. The exit code is 1 where nobody knew it.")]
pub struct Forget {
    /// The set
    pub set: SetName,
    /// The client
    pub client: ClientKey,
    /// Where to ask.
    #[command(flatten)]
    pub reach: Reach,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// `drain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast drain web web-1                             a leader hands over, and does not lead again
  steadfast drain recorder rec-1 --wait                 no new clients; wait until the last has left
  steadfast drain recorder rec-1 --move-after 10m --wait
  steadfast drain recorder rec-1 --move-after 0s        move them now

With --wait the exit code is 0 once it is empty, and 4 where those that are left cannot be moved. Ctrl-C ends the
waiting, not the drain.")]
pub struct Drain {
    /// The set
    pub set: SetName,
    /// The instance
    pub instance: InstanceId,
    /// Clients that are still there after so long are moved [default: they stay until they leave]
    #[arg(long, value_name = "SPAN", env = "STEADFAST_MOVE_AFTER")]
    pub move_after: Option<Span>,
    /// Wait until no client is charged there any more
    #[arg(long, env = "STEADFAST_WAIT", value_parser = BoolishValueParser::new())]
    pub wait: bool,
    /// Where to ask.
    #[command(flatten)]
    pub reach: Reach,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// `verify`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  steadfast verify
  steadfast verify recorder --json

Compares what every instance is charged with what its clients weigh, as of one moment of a set that goes on living.
The exit code is 1 where they do not agree.")]
pub struct Verify {
    /// Only this set [default: every sticky set]
    pub set: Option<SetName>,
    /// Where to ask.
    #[command(flatten)]
    pub reach: Reach,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

fn label(text: &str) -> Result<(LabelName, String), String> {
    let (name, value) = text.split_once('=').ok_or("a label is written NAME=VALUE, such as region=eu")?;
    Ok((name.parse().map_err(|error| format!("{error}"))?, value.to_owned()))
}
