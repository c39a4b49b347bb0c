//! One URL names the store.

use std::sync::Arc;

use crate::{Error, Memory, Store};

/// The forms [`open`] takes, for messages and help.
pub const URLS: &str = "`memory:`, `sqlite:///absolute/path.db` or `http://host:port`";

/// Opens the store that `url` names: [`URLS`]. `token` is for `http://`, and never a part of the URL.
///
/// Nothing is asked of a server here: a store that is away is [`Error::Unavailable`] at each call until it is back.
///
/// # Errors
/// [`Error::Config`] names the part of the URL that is wrong and what would be right, and quotes no secret.
pub fn open(url: &str, token: Option<&str>) -> Result<Arc<dyn Store>, Error> {
    let (scheme, rest) = url.split_once(':').ok_or_else(|| wrong("has no scheme"))?;
    if let Some(options) = rest.split_once('?').map(|(_, options)| options) {
        let name = options.split(['=', '&']).next().unwrap_or_default();
        return Err(wrong(&format!("has the option `{}`, and no store takes one", shown(name))));
    }
    match scheme {
        "memory" if rest.is_empty() => Ok(Arc::new(Memory::new())),
        "memory" => Err(wrong("has something after `memory:`, where nothing belongs")),
        "sqlite" => Err(wrong("names a SQLite file, which this build cannot open yet")),
        "http" => http(rest, token),
        "https" => Err(wrong("says `https`, which this build cannot speak yet: use `http` on a private network")),
        _ => Err(wrong(&format!("has the unknown scheme `{}`", shown(scheme)))),
    }
}

fn http(_rest: &str, _token: Option<&str>) -> Result<Arc<dyn Store>, Error> {
    Err(wrong("names a server, which this build cannot reach yet"))
}

fn wrong(what: &str) -> Error {
    Error::Config(format!("the store's URL {what}; expected {URLS}"))
}

/// A part of the URL as a message may show it: short, and printable.
fn shown(part: &str) -> String {
    const SHOWN_CHARACTERS: usize = 24;
    part.chars().take(SHOWN_CHARACTERS).flat_map(char::escape_default).collect()
}
