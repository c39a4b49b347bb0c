//! One URL names the store.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use steadfast_host::http::{Target, percent_decode};

use crate::{Error, Http, Memory, Sqlite, Store};

/// The forms [`open`] takes, for messages and help.
pub const URLS: &str = "`memory:`, `sqlite:///absolute/path.db` or `http://host:port`";

/// Opens the store that `url` names: [`URLS`]. `token` is for `http://`, and never a part of the URL.
///
/// Nothing is asked of a server here: a store that is away is [`Error::Unavailable`] at each call until it is back.
///
/// # Errors
/// [`Error::Config`] names the part of the URL that is wrong and what would be right, and quotes no secret;
/// for `sqlite:` also those of [`Sqlite::open`].
pub fn open(url: &str, token: Option<&str>) -> Result<Arc<dyn Store>, Error> {
    Ok(match parse(url)? {
        Named::Memory => Arc::new(Memory::new()),
        Named::Sqlite(file) => Arc::new(Sqlite::open(file)?),
        Named::Http(server) => Arc::new(Http::connect(server, token)?),
    })
}

/// What a URL names.
#[derive(Debug, PartialEq, Eq)]
enum Named {
    Memory,
    Sqlite(PathBuf),
    Http(Target),
}

fn parse(url: &str) -> Result<Named, Error> {
    let (scheme, rest) = url.split_once(':').ok_or_else(|| wrong("has no scheme"))?;
    // First of all, for what stands before it may be a password, wherever else it has a mark that means something.
    if scheme != "sqlite" && rest.contains('@') {
        return Err(wrong("has an `@`: a token is given apart, by --token-file, never in the URL"));
    }
    if let Some((_, options)) = rest.split_once('?') {
        let name = options.split(['=', '&']).next().unwrap_or_default();
        return Err(wrong(&format!("has the option `{}`, and no store takes one", shown(name))));
    }
    match scheme {
        "memory" if rest.is_empty() => Ok(Named::Memory),
        "memory" => Err(wrong("has something after `memory:`, where nothing belongs")),
        "sqlite" => file(rest).map(Named::Sqlite),
        "http" => server(rest).map(Named::Http),
        "https" => Err(wrong("has the scheme `https`, which this build does not speak yet")),
        _ => Err(wrong(&format!("has the unknown scheme `{}`", shown(scheme)))),
    }
}

/// The path of `sqlite:///path`.
fn file(rest: &str) -> Result<PathBuf, Error> {
    let path = rest.strip_prefix("//").filter(|path| path.starts_with('/'));
    let path = path.ok_or_else(|| wrong("names no absolute path: three slashes follow `sqlite:`"))?;
    let bytes = percent_decode(path).filter(|bytes| !bytes.contains(&0));
    let bytes = bytes.ok_or_else(|| wrong("has a `%` in its path that begins no character's code: write `%25`"))?;
    Ok(PathBuf::from(OsString::from_vec(bytes)))
}

/// The server of `http://host:port`.
fn server(rest: &str) -> Result<Target, Error> {
    let server = rest.strip_prefix("//").ok_or_else(|| wrong("has no `//` after `http:`"))?;
    let address = server.strip_suffix('/').unwrap_or(server);
    if let Some((_, path)) = address.split_once('/') {
        return Err(wrong(&format!("has the path `/{}`, and a server's store has none", shown(path))));
    }
    let port = address.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
    if port.is_none() {
        return Err(wrong(&format!("names no port after `{}`: Steadfast's own is 7400", shown(address))));
    }
    // Read as the endpoint it is; its own complaint would quote the URL.
    let endpoint = format!("http://{address}").parse();
    let endpoint = endpoint.map_err(|_| wrong(&format!("has no host and port in `{}`", shown(address))))?;
    Ok(Target::from(&endpoint))
}

fn wrong(what: &str) -> Error {
    Error::Config(format!("the store's URL {what}; expected {URLS}"))
}

/// A part of the URL as a message may show it: short, and printable.
fn shown(part: &str) -> String {
    const SHOWN_CHARACTERS: usize = 24;
    part.chars().take(SHOWN_CHARACTERS).flat_map(char::escape_default).collect()
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;
