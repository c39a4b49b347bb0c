//! What every long-lived command stands on: a state directory and a store.

use std::path::{Path, PathBuf};

use steadfast_host::state::StateDir;
use steadfast_registry::Registry;
use steadfast_store::{Secret, TlsFiles};

use crate::commands::reach::{default_token, named_token};
use crate::config::DEFAULT_TOKEN_FILE;
use crate::exit::{Exit, Failure};
use crate::stores::StoreName;

/// The state directory and the books.
pub(super) struct Ground {
    pub(super) state: StateDir,
    pub(super) registry: Registry,
}

impl Ground {
    /// Opens `state_dir` (or the default one) and the store (or the one in the state directory), to which `token` and
    /// `tls` belong.
    pub(super) fn open(
        state_dir: Option<PathBuf>,
        store: Option<StoreName>,
        token: Option<&Path>,
        tls: TlsFiles,
    ) -> Result<Ground, Failure> {
        let state = state_dir.map_or_else(StateDir::open_default, StateDir::open);
        let state = state.map_err(|error| Failure::new(Exit::Usage, error))?;
        let store = store.unwrap_or_else(|| StoreName::default_in(state.path()));
        let store = store.with_tls(tls).open(token, || own_token(&state))?;
        Ok(Ground { state, registry: Registry::new(store) })
    }
}

/// The token in this state directory, or in the default one: of a store of another Steadfast, it may be a copy.
fn own_token(state: &StateDir) -> Result<Option<Secret>, Failure> {
    let own = state.file(DEFAULT_TOKEN_FILE);
    if own.exists() { named_token(&own).map(Some) } else { Ok(default_token()) }
}
