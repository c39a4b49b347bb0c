//! What a store's URL does not say: the secret that opens it, and the files of TLS.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use steadfast_host::reread::{Reread, RereadError};
pub use steadfast_host::tls::ClientFiles as TlsFiles;

use crate::Error;

/// What opens a store, beside its URL.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The store's secret: a token, a password, an account's key.
    pub secret: Option<Secret>,
    /// The files of TLS, where the URL names none.
    pub tls: TlsFiles,
    /// Whether a password may stand in the URL: not where others could read it, as on a command line.
    pub url_may_hold_a_password: bool,
}

/// A secret. It is shown nowhere.
#[derive(Clone)]
pub struct Secret(Source);

#[derive(Clone)]
enum Source {
    Given(Arc<str>),
    File(Reread<Arc<str>>),
}

/// A longer file holds no secret of a store.
const SECRET_BYTES: u64 = 16 << 10;

impl Access {
    /// With this secret, as text, and nothing else.
    pub fn with_secret(text: &str) -> Access {
        Access { secret: Some(Secret::given(text)), ..Access::default() }
    }
}

impl Secret {
    /// This text.
    pub fn given(text: &str) -> Secret {
        Secret(Source::Given(text.into()))
    }

    /// What stands in the file at `path`, without white space around it; as it is now, and when it changes, as it is
    /// then.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no secret in it; it is quoted in no message.
    pub fn in_file(path: &Path) -> Result<Secret, Error> {
        let named = path.display().to_string();
        let read = move |contents: &[Vec<u8>]| {
            let bytes = contents.first().map(Vec::as_slice).unwrap_or_default();
            parse(bytes).map_err(|why| format!("the secret's file {named} {why}"))
        };
        let file = Reread::open(vec![path.to_owned()], SECRET_BYTES, read);
        file.map(|file| Secret(Source::File(file))).map_err(|error| {
            Error::Config(match error {
                RereadError::Wrong(why) => why,
                other => format!("the secret's file: {other}"),
            })
        })
    }

    /// The secret as it is, or was a moment ago. A file that has become useless is told in the log, and what it held
    /// before counts on.
    pub fn text(&self) -> Arc<str> {
        match &self.0 {
            Source::Given(text) => Arc::clone(text),
            Source::File(file) => Arc::clone(&file.current()),
        }
    }

    /// The same, looking now: for who was told that what it gave is not right.
    pub fn text_now(&self) -> Arc<str> {
        match &self.0 {
            Source::Given(text) => Arc::clone(text),
            Source::File(file) => Arc::clone(&file.look_now()),
        }
    }

    /// How often it has changed: what was opened under another number was opened with another secret.
    pub fn generation(&self) -> u64 {
        match &self.0 {
            Source::Given(_) => 0,
            Source::File(file) => file.generation(),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Arc<str>, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8: is it the right file?")?.trim();
    if text.is_empty() {
        return Err("is empty");
    }
    if text.chars().any(char::is_control) {
        return Err("has several lines, or what is no text, and a secret is one line: is it the right file?");
    }
    Ok(text.into())
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests;
