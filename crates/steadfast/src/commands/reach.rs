//! Finds whom to ask: the API of a running Steadfast, or the store itself.

use std::path::{Path, PathBuf};

use steadfast_host::state::StateDir;
use steadfast_registry::Registry;

use crate::admin::{Api, Local, Remote, Service};
use crate::cli::{DEFAULT_ADMIN_URL, Reach};
use crate::config::DEFAULT_TOKEN_FILE;
use crate::exit::Failure;
use crate::stores::StoreName;
use crate::token;

/// Whoever is to be asked.
pub(super) fn api(reach: &Reach) -> Result<Box<dyn Api>, Failure> {
    let token_file = reach.token_file.as_deref();
    let named = StoreName::of_flags(reach.store.as_deref(), reach.store_on_command_line, reach.store_file.as_deref())?;
    if let Some(store) = named {
        let store = store.open(token_file, || find_token(None))?;
        let local = Local { operator: operator(), ..Local::default() };
        return Ok(Box::new(Service::new(Registry::new(store), local)));
    }
    let url = reach.admin.as_deref().unwrap_or(DEFAULT_ADMIN_URL);
    let token = find_token(token_file)?;
    let remote = Remote::new(url, token.as_deref()).map_err(Failure::usage)?;
    Ok(Box::new(remote))
}

/// Who orders, for the history: whoever typed the command, as far as this machine knows.
fn operator() -> String {
    let user = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "operator".to_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{user}@{}", host.trim())
}

/// The token in `named`, or else in the first state directory that has one this user may read.
pub(crate) fn find_token(named: Option<&Path>) -> Result<Option<String>, Failure> {
    if let Some(file) = named {
        return token::read(file).map(Some);
    }
    let places: Vec<PathBuf> = StateDir::default_places();
    let texts = places.iter().filter_map(|place| std::fs::read_to_string(place.join(DEFAULT_TOKEN_FILE)).ok());
    Ok(texts.map(|text| text.trim().to_owned()).find(|token| !token.is_empty()))
}
