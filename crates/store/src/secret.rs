//! What a store's URL does not say: the secret that opens it, and the files of TLS.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use steadfast_host::Host;

use crate::Error;
use crate::history::locked;

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

/// The files that a connection over TLS needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authorities that are believed; else those of the system.
    pub ca: Option<PathBuf>,
    /// Our own certificate, if the server wants one.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// The name that is expected in the server's certificate, if it is not that of its host.
    pub name: Option<Host>,
}

/// A secret. It is shown nowhere.
#[derive(Clone)]
pub struct Secret(Source);

#[derive(Clone)]
enum Source {
    Given(Arc<str>),
    File(Arc<SecretFile>),
}

struct SecretFile {
    path: PathBuf,
    /// What it last held that could be a secret.
    text: Mutex<Arc<str>>,
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
        let wrong = |why| Error::Config(format!("the secret's file {}: {why}", path.display()));
        let text = Mutex::new(read(path).map_err(wrong)?);
        Ok(Secret(Source::File(Arc::new(SecretFile { path: path.to_owned(), text }))))
    }

    /// The secret as it is now. A file that has become useless is told in the log, and what it held before counts on.
    pub fn text(&self) -> Arc<str> {
        match &self.0 {
            Source::Given(text) => Arc::clone(text),
            Source::File(file) => file.text(),
        }
    }
}

impl SecretFile {
    fn text(&self) -> Arc<str> {
        let mut text = locked(&self.text);
        match read(&self.path) {
            Ok(now) => *text = now,
            Err(why) => {
                tracing::warn!("the secret's file {}: {why}; what it held before is used on", self.path.display());
            }
        }
        Arc::clone(&text)
    }
}

fn read(path: &Path) -> Result<Arc<str>, String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(SECRET_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > SECRET_BYTES {
        return Err(format!("more than {SECRET_BYTES} bytes are no secret of a store: is it the right file?"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8: is it the right file?".to_owned())?;
    let text = text.trim();
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("a secret is one line of text: is it the right file?".to_owned());
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
