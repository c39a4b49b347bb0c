//! Stores on the servers of other engines, under a whole system.

use super::sandbox::Sandbox;

/// Where a sandbox says which store its processes share, if it is not a file of its own.
const URL: &str = "store.url";
/// What opens that store beside its URL.
const SECRET: &str = "store.secret";
/// Settings of the set of a sandbox, where they are not the usual ones.
const SETTINGS: &str = "set.settings";

/// A sandbox whose processes all share the store of this URL.
pub fn sandbox_on(name: &str, url: &str, secret: Option<&str>) -> Sandbox {
    let sandbox = Sandbox::new(name);
    sandbox.write(URL, url);
    if let Some(secret) = secret {
        sandbox.write(SECRET, secret);
    }
    sandbox
}

/// The settings this sandbox was given for its set, or else the usual ones, as lines of a configuration.
pub(super) fn settings(sandbox: &Sandbox, usual: &str) -> String {
    std::fs::read_to_string(sandbox.path(SETTINGS)).unwrap_or_else(|_| usual.to_owned())
}

impl Sandbox {
    /// The set of this sandbox gets these settings, lines of a configuration, in place of the usual ones.
    pub fn settle(&self, settings: &str) {
        self.write(SETTINGS, settings);
    }
}

/// The URL this sandbox was given.
pub(super) fn url(sandbox: &Sandbox) -> Option<String> {
    std::fs::read_to_string(sandbox.path(URL)).ok()
}

/// The flags that lead an agent or a command there.
pub(super) fn flags(sandbox: &Sandbox, url: String) -> Vec<String> {
    let mut flags = vec!["--store".to_owned(), url];
    let secret = sandbox.path(SECRET);
    if secret.exists() {
        flags.extend(["--token-file".to_owned(), secret.display().to_string()]);
    }
    flags
}

/// The lines of a configuration that lead there.
pub(super) fn lines(sandbox: &Sandbox, url: &str) -> String {
    let secret = sandbox.path(SECRET);
    let secret = if secret.exists() { format!("store_token_file = \"{}\"\n", secret.display()) } else { String::new() };
    format!("store = \"{url}\"\n{secret}")
}
