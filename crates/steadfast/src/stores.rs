//! Opens the store a URL names, and says what is wrong if it cannot be.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use steadfast_host::http::percent_encode;
use steadfast_store::{Access, Error, Secret, Store, TlsFiles, is_of_another_steadfast};

use crate::commands::reach::named_token;
use crate::exit::{Exit, Failure};
use crate::token;

/// How a store was named.
pub(crate) struct StoreName {
    url: String,
    /// Nobody else could read it where it stood.
    may_hold_a_password: bool,
    /// The files of TLS that are given apart from it.
    tls: TlsFiles,
}

impl StoreName {
    /// By a file of ours, or by a variable of the environment: only this user reads them.
    pub(crate) fn kept(url: &str) -> StoreName {
        StoreName { url: url.to_owned(), may_hold_a_password: true, tls: TlsFiles::default() }
    }

    /// By flags: a URL, which may stand on the command line, or a file that holds one.
    pub(crate) fn of_flags(
        url: Option<&str>,
        on_command_line: bool,
        file: Option<&Path>,
    ) -> Result<Option<StoreName>, Failure> {
        let named = url.map(|url| StoreName { may_hold_a_password: !on_command_line, ..StoreName::kept(url) });
        match file {
            Some(file) => Ok(Some(StoreName::kept(&token::read_line(file, "store")?))),
            None => Ok(named),
        }
    }

    /// The same, reached with these files.
    pub(crate) fn with_tls(self, tls: TlsFiles) -> StoreName {
        StoreName { tls, ..self }
    }

    /// The store in the state directory: what is meant where none is named.
    pub(crate) fn default_in(state_dir: &Path) -> StoreName {
        let path = state_dir.join("state.db");
        let parts = path.as_os_str().as_bytes().split(|byte| *byte == b'/');
        let encoded: Vec<String> = parts.map(percent_encode).collect();
        StoreName::kept(&format!("sqlite://{}", encoded.join("/")))
    }

    /// Whether it can be opened, with the secret in `token_file`, as far as that can be told without touching it.
    pub(crate) fn check(&self, token_file: Option<&Path>) -> Result<(), Failure> {
        let access = self.access(token_file, || Ok(None))?;
        steadfast_store::check(&self.url, &access).map_err(|error| Failure::new(exit_of(&error), error))
    }

    /// Opens it, with the secret in `token_file`.
    pub(crate) fn open(
        &self,
        token_file: Option<&Path>,
        default_token: impl FnOnce() -> Result<Option<Secret>, Failure>,
    ) -> Result<Arc<dyn Store>, Failure> {
        let access = self.access(token_file, default_token)?;
        steadfast_store::open(&self.url, &access).map_err(|error| Failure::new(exit_of(&error), error))
    }

    /// What opens it, beside its URL. Where no file is named, a store of another Steadfast is given what
    /// `default_token` finds; to any other it would only tell our own token.
    pub(crate) fn access(
        &self,
        token_file: Option<&Path>,
        default_token: impl FnOnce() -> Result<Option<Secret>, Failure>,
    ) -> Result<Access, Failure> {
        let secret = match token_file {
            Some(file) if is_of_another_steadfast(&self.url) => Some(named_token(file)?),
            Some(file) => Some(Secret::in_file(file).map_err(Failure::usage)?),
            None if is_of_another_steadfast(&self.url) => default_token()?,
            None => None,
        };
        Ok(Access { secret, tls: self.tls.clone(), url_may_hold_a_password: self.may_hold_a_password })
    }
}

/// How a command ends that the store failed.
pub(crate) fn exit_of(error: &Error) -> Exit {
    match error {
        Error::Unavailable(_) | Error::OutcomeUnknown(_) => Exit::Unreachable,
        Error::Denied(_) => Exit::Refused,
        Error::Config(_) | Error::Corrupt(_) => Exit::Usage,
        Error::Conflict(_) | Error::Compacted(..) => Exit::No,
    }
}

#[cfg(test)]
mod tests;
