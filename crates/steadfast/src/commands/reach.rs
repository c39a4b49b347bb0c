//! Finds whom to ask: the API of a running Steadfast, or the store itself.

use std::path::{Path, PathBuf};

use steadfast_host::state::StateDir;
use steadfast_registry::Registry;
use steadfast_store::Secret;

use crate::admin::{Api, Local, Remote, Service};
use crate::cli::{DEFAULT_ADMIN_TLS_URL, DEFAULT_ADMIN_URL, Reach};
use crate::config::DEFAULT_TOKEN_FILE;
use crate::exit::Failure;
use crate::stores::StoreName;
use crate::token;

/// Whoever is to be asked.
pub(super) fn api(reach: &Reach) -> Result<Box<dyn Api>, Failure> {
    let token_file = reach.token_file.as_deref();
    let named = StoreName::of_flags(reach.store.as_deref(), reach.store_on_command_line, reach.store_file.as_deref())?;
    if let Some(store) = named {
        let store = store.with_tls(reach.tls.files()).open(token_file, || Ok(default_token()))?;
        let local = Local { operator: operator(), ..Local::default() };
        return Ok(Box::new(Service::new(Registry::new(store), local)));
    }
    let default = if reach.tls.is_given() { DEFAULT_ADMIN_TLS_URL } else { DEFAULT_ADMIN_URL };
    let token = match token_file {
        Some(file) => Some(named_token(file)?),
        None => default_token(),
    };
    let remote = Remote::over(reach.admin.as_deref().unwrap_or(default), token, reach.tls.files());
    Ok(Box::new(remote.map_err(Failure::usage)?))
}

/// Who orders, for the history: whoever typed the command, as far as this machine knows.
fn operator() -> String {
    let user = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "operator".to_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{user}@{}", host.trim())
}

/// The token in `file`.
pub(crate) fn named_token(file: &Path) -> Result<Secret, Failure> {
    // Read once: it may be a pipe.
    let secret = Secret::in_file(file).map_err(Failure::usage)?;
    token::check(file, &secret.text())?;
    Ok(secret)
}

/// The token in the first state directory that has one this user may read.
pub(crate) fn default_token() -> Option<Secret> {
    let places: Vec<PathBuf> = StateDir::default_places();
    places.iter().find_map(|place| Secret::in_file(&place.join(DEFAULT_TOKEN_FILE)).ok())
}
