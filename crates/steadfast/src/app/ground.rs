//! What every long-lived command stands on: a state directory and a store.

use std::path::{Path, PathBuf};

use steadfast_host::state::StateDir;
use steadfast_registry::Registry;

use crate::commands::reach::find_token;
use crate::config::DEFAULT_TOKEN_FILE;
use crate::exit::{Exit, Failure};
use crate::stores;

/// The state directory and the books.
pub(super) struct Ground {
    pub(super) state: StateDir,
    pub(super) registry: Registry,
}

impl Ground {
    /// Opens `state_dir` (or the default one) and the store at `url` (or the one in the state directory).
    pub(super) fn open(state_dir: Option<PathBuf>, url: Option<&str>, token: Option<&Path>) -> Result<Ground, Failure> {
        let state = state_dir.map_or_else(StateDir::open_default, StateDir::open);
        let state = state.map_err(|error| Failure::new(Exit::Usage, error))?;
        let url = url.map_or_else(|| stores::default_url(state.path()), str::to_owned);
        let token = if url.starts_with("http") { store_token(token, &state)? } else { None };
        let store = stores::open(&url, token.as_deref())?;
        Ok(Ground { state, registry: Registry::new(store) })
    }
}

/// The token for a store of another Steadfast: in the file that is named, in this state directory, or in the default
/// one.
fn store_token(named: Option<&Path>, state: &StateDir) -> Result<Option<String>, Failure> {
    let own = state.file(DEFAULT_TOKEN_FILE);
    if named.is_none() && own.exists() {
        return find_token(Some(&own));
    }
    find_token(named)
}
