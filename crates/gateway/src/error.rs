//! Why a gateway does not start.

use std::io;

use steadfast_core::{EndpointName, SetName};
use steadfast_host::net::BindError;

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A listener's address cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A route leads to a set with instances of its own that have no such endpoint.
    #[error("no instance of set {set} has an endpoint {endpoint:?} of scheme http, which a route leads to")]
    NoEndpoint {
        /// The set.
        set: SetName,
        /// The endpoint.
        endpoint: EndpointName,
    },
    /// A route leads to a set that is neither listed with instances nor, for want of a store, known.
    #[error("a route leads to set {0}, which has no instances here, and there is no store to ask for them")]
    NoStore(SetName),
    /// The configuration asks for more connections than this process may have.
    #[error(
        "connections = {wanted} in [limits] needs {needs} open files, and this process may have {files}: allow it more \
         (ulimit -n, LimitNOFILE= of the systemd unit), or take at most {had}"
    )]
    TooFewFiles {
        /// The connections.
        wanted: usize,
        /// Files that takes.
        needs: u64,
        /// Files there may be.
        files: u64,
        /// Connections for which that is enough.
        had: u64,
    },
    /// A thread could not be started, or a socket not be used.
    #[error("cannot {what}: {source}")]
    System {
        /// What was to be done.
        what: &'static str,
        /// Why it could not.
        source: io::Error,
    },
}

impl Error {
    /// The exit code of a process that cannot go on without its gateway: 2 where the configuration must change,
    /// 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::NoEndpoint { .. } | Error::NoStore(_) | Error::TooFewFiles { .. } => 2,
            Error::Bind(_) | Error::System { .. } => 1,
        }
    }
}
