//! Why an agent does not start, or stops; sorted by what the caller does next.

use std::path::PathBuf;

use steadfast_core::{InstanceId, SetName};
use steadfast_registry as registry;

/// An agent's end that is nobody's wish. Its text says everything there is to say, the cause included: it has no
/// `source()`, so that nobody prints a cause twice.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something in the configuration cannot be done: says what, and what would be right.
    #[error("{0}")]
    Config(String),
    /// The store does not know the set, and the configuration does not introduce it.
    #[error(
        "the store does not know the set {0}: start the agent with --kind single or --kind sticky, or write a file's sets to it with `steadfast apply FILE`"
    )]
    NoSet(SetName),
    /// An address cannot be listened on.
    #[error("{what}: {cause}")]
    Listen {
        /// What should have listened there: `the probe`, `the gate of http`.
        what: String,
        /// Why not, and what would be right.
        cause: steadfast_host::net::BindError,
    },
    /// The state directory cannot be used.
    #[error("{0}")]
    State(steadfast_host::state::StateError),
    /// A file in the state directory is not what it should be.
    #[error("{}: {problem}", path.display())]
    StateFile {
        /// Which.
        path: PathBuf,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Another agent of this instance lives.
    #[error(
        "instance {instance} of set {set} already runs {place}: stop that agent, or give this one another --instance"
    )]
    AlreadyRuns {
        /// The set.
        set: SetName,
        /// The instance.
        instance: InstanceId,
        /// Where: a process of this machine, or the address of its probe.
        place: String,
    },
    /// Another agent took this instance's name while we ran.
    #[error("another agent of instance {instance} of set {set} registered itself {place}: this one stops")]
    Replaced {
        /// The set.
        set: SetName,
        /// The instance.
        instance: InstanceId,
        /// Where it is, as it says.
        place: String,
    },
    /// The command cannot be started.
    #[error("{0}")]
    Command(steadfast_host::process::SpawnError),
    /// What a former life of this instance started still runs, and cannot be ended.
    #[error("{0}")]
    Stale(steadfast_host::process::StaleError),
    /// The books cannot be used.
    #[error("{0}")]
    Registry(registry::Error),
    /// The machine gave us no thread, descriptor or runtime.
    #[error("{what}: {cause}")]
    Machine {
        /// What was attempted, in the present tense.
        what: &'static str,
        /// The kernel's answer.
        cause: std::io::Error,
    },
}

/// What the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Look at the log: something broke.
    Failed,
    /// Mend the configuration.
    Configuration,
    /// Try again when the store is there.
    Unreachable,
    /// Settle it with whoever refused.
    Refused,
}

impl Class {
    /// The process' exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Class::Failed => 1,
            Class::Configuration => 2,
            Class::Unreachable => 3,
            Class::Refused => 4,
        }
    }
}

macro_rules! from {
    ($($cause:ty => $variant:ident),*) => {$(
        impl From<$cause> for Error {
            fn from(cause: $cause) -> Error {
                Error::$variant(cause)
            }
        }
    )*};
}

from!(
    steadfast_host::state::StateError => State,
    steadfast_host::process::SpawnError => Command,
    steadfast_host::process::StaleError => Stale,
    registry::Error => Registry
);

impl Error {
    /// What the caller does next.
    pub fn class(&self) -> Class {
        use steadfast_registry::StoreError as Store;
        match self {
            Error::Config(_)
            | Error::NoSet(_)
            | Error::Listen { .. }
            | Error::State(_)
            | Error::StateFile { .. }
            | Error::Command(_) => Class::Configuration,
            Error::AlreadyRuns { .. } | Error::Replaced { .. } => Class::Refused,
            Error::Machine { .. } | Error::Stale(_) => Class::Failed,
            Error::Registry(error) => match error {
                registry::Error::Store(Store::Unavailable(_) | Store::OutcomeUnknown(_)) => Class::Unreachable,
                registry::Error::Store(Store::Denied(_)) | registry::Error::Refused { .. } => Class::Refused,
                registry::Error::Store(Store::Config(_))
                | registry::Error::NoSet(_)
                | registry::Error::NoInstance(..)
                | registry::Error::Newer { .. } => Class::Configuration,
                _ => Class::Failed,
            },
        }
    }
}
