//! Opens the store a URL names, and says what is wrong if it cannot be.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use steadfast_host::http::percent_encode;
use steadfast_store::{Error, Store};

use crate::exit::{Exit, Failure};

/// The store in the state directory: what is meant where none is named.
pub(crate) fn default_url(state_dir: &Path) -> String {
    let path = state_dir.join("state.db");
    let encoded: Vec<String> = path.as_os_str().as_bytes().split(|byte| *byte == b'/').map(percent_encode).collect();
    format!("sqlite://{}", encoded.join("/"))
}

/// Opens the store at `url`, with `token` for one of `http://`.
pub(crate) fn open(url: &str, token: Option<&str>) -> Result<Arc<dyn Store>, Failure> {
    steadfast_store::open(url, token).map_err(|error| {
        let exit = match error {
            Error::Unavailable(_) | Error::OutcomeUnknown(_) => Exit::Unreachable,
            Error::Denied(_) => Exit::Refused,
            Error::Config(_) | Error::Corrupt(_) => Exit::Usage,
            Error::Conflict(_) | Error::Compacted(..) => Exit::No,
        };
        Failure::new(exit, error)
    })
}
