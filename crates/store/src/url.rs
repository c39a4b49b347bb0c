//! A store's URL, taken apart. It knows the grammar, and no engine:
//!
//! ```text
//! scheme:[//[user[:password]@]authority][/path][?option=value[&…]]
//! ```
//!
//! User, password, path and values are percent-encoded. Whatever is wrong is said in a sentence that quotes nothing
//! before the last `@`, and no value but that of an option whose values are no secret.

pub(crate) mod option;

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use steadfast_host::Host;
use steadfast_host::http::percent_decode;
use steadfast_host::net::Address;

use crate::{Access, Error, Secret};
use option::Options;

/// Hosts a URL may name: more are no list that somebody keeps.
const HOSTS: usize = 16;

/// A store's URL, in parts.
#[derive(Debug)]
pub(crate) struct Url<'a> {
    /// What stands before the first colon.
    pub(crate) scheme: &'a str,
    /// The forms that the engine takes, for messages.
    pub(crate) form: &'static str,
    /// `//` follows the scheme.
    has_authority: bool,
    /// Who we are, for the server.
    pub(crate) user: Option<String>,
    password: Option<Secret>,
    /// The hosts, or the account: what stands between user and path, as written.
    authority: &'a str,
    /// What follows: all from its first slash, as written.
    path: &'a str,
    /// What stands after the `?`.
    pub(crate) options: Options,
}

/// One of the servers a URL names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

impl<'a> Url<'a> {
    /// Takes `rest`, which follows `scheme:`, apart.
    pub(crate) fn parse(scheme: &'a str, form: &'static str, rest: &'a str) -> Result<Url<'a>, Error> {
        let (before_path, after) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
            None => ("", rest),
        };
        let (path, options) = after.split_once('?').unwrap_or((after, ""));
        let (user_info, authority) = match before_path.rsplit_once('@') {
            Some((user_info, authority)) => (Some(user_info), authority),
            None => (None, before_path),
        };
        // First of all: what stands before it may be a password, of which another mark was taken for the host's end.
        // A file's path may have any mark; it follows no host.
        let after_a_host = if before_path.is_empty() { options } else { after };
        if after_a_host.contains('@') || user_info.is_some_and(|info| info.contains('@')) {
            return Err(wrong(
                "has an `@` that ends no user: in a user, a password and a value write `@` as %40, `:` as %3A, `/` as \
                 %2F, `?` as %3F and `#` as %23",
            ));
        }
        let (user, password) = read_user(user_info)?;
        let has_authority = rest.starts_with("//");
        let options = Options::parse(scheme, has_authority, options)?;
        Ok(Url { scheme, form, has_authority, user, password, authority, path, options })
    }

    /// The hosts, at least one; each may have a port, and has else this one.
    pub(crate) fn hosts(&self, default_port: u16) -> Result<Vec<Place>, Error> {
        let Url { scheme, authority, .. } = self;
        if authority.is_empty() {
            return Err(wrong(format!("names no host after `{scheme}://`; expected {}", self.form)));
        }
        let parts: Vec<&str> = authority.split(',').collect();
        if parts.len() > HOSTS {
            return Err(wrong(format!("names {} hosts; {HOSTS} are the most that are taken", parts.len())));
        }
        let mut places: Vec<Place> = Vec::with_capacity(parts.len());
        for part in parts {
            let place = Place::parse(part, default_port)
                .ok_or_else(|| wrong(format!("has no host and port in `{}`; expected {}", shown(part), self.form)))?;
            if places.contains(&place) {
                return Err(wrong(format!("names {place} twice")));
            }
            places.push(place);
        }
        Ok(places)
    }

    /// What stands between user and path, as written: for engines that have no hosts.
    pub(crate) fn authority(&self) -> &'a str {
        self.authority
    }

    /// Whether `//` follows the scheme.
    pub(crate) fn has_authority(&self) -> bool {
        self.has_authority
    }

    /// The path as written, from its first slash on; empty where there is none.
    pub(crate) fn raw_path(&self) -> &'a str {
        self.path
    }

    /// The parts of the path, decoded; none is empty. A slash at the end says nothing.
    pub(crate) fn segments(&self) -> Result<Vec<String>, Error> {
        let path = self.path.strip_prefix('/').unwrap_or(self.path);
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.is_empty() {
            return Ok(Vec::new());
        }
        let decode = |part: &str| decoded(part).filter(|text| !text.is_empty() && !part.contains('#'));
        path.split('/').map(|part| decode(part).ok_or_else(|| self.bad_path())).collect()
    }

    fn bad_path(&self) -> Error {
        wrong(format!("has a path that is none, `{}`; expected {}", shown(self.path), self.form))
    }

    /// Refuses a path, for an engine that takes none.
    pub(crate) fn no_path(&self) -> Result<(), Error> {
        match self.path {
            "" | "/" => Ok(()),
            path => {
                Err(wrong(format!("has the path `{}`, and this store has none; expected {}", shown(path), self.form)))
            }
        }
    }

    /// Whether a password stands in it.
    pub(crate) fn holds_a_password(&self) -> bool {
        self.password.is_some()
    }

    /// Refuses a user, for an engine that knows none.
    pub(crate) fn no_user(&self) -> Result<(), Error> {
        if self.user.is_some() || self.password.is_some() {
            return Err(wrong("has an `@`: a token is given apart, by --token-file, never in the URL"));
        }
        Ok(())
    }

    /// The store's secret: that of the URL, or the one given apart.
    pub(crate) fn secret(&self, access: &Access) -> Result<Option<Secret>, Error> {
        match (&self.password, &access.secret) {
            (Some(_), Some(_)) => Err(wrong("holds a password, and --token-file gives another: give one of them")),
            (Some(password), None) => Ok(Some(password.clone())),
            (None, given) => Ok(given.clone()),
        }
    }

    /// The same, for an engine where a user has a password.
    pub(crate) fn secret_of_user(&self, access: &Access) -> Result<Option<Secret>, Error> {
        let secret = self.secret(access)?;
        match &self.user {
            // Who it is is not said: some write the password alone before the `@`.
            Some(_) if secret.is_none() => Err(wrong(
                "names a user and no password: give it with --token-file (store_token_file in the configuration)",
            )),
            _ => Ok(secret),
        }
    }

    /// The URL as it may be shown: scheme, hosts and path.
    pub(crate) fn place(&self) -> String {
        let slashes = if self.has_authority { "//" } else { "" };
        format!("{}:{slashes}{}{}", self.scheme, self.authority, self.path.strip_suffix('/').unwrap_or(self.path))
    }

    /// Refuses what nobody took of the options.
    pub(crate) fn finish(&self) -> Result<(), Error> {
        self.options.finish()
    }
}

impl Place {
    /// `host` or `host:port`.
    fn parse(text: &str, default_port: u16) -> Option<Place> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
                (host, digits.then(|| port.parse().ok()).flatten().filter(|port| *port != 0)?)
            }
            _ => (text, default_port),
        };
        Some(Place { host: host.parse().ok()?, port })
    }

    /// Where to dial.
    pub(crate) fn address(&self) -> Address {
        Address::Tcp { host: self.host.clone(), port: self.port }
    }

    /// Whether it is on this machine, as far as its name says.
    pub(crate) fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Ip(ip) => ip.is_loopback(),
            Host::Name(name) => name == "localhost",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

fn read_user(info: Option<&str>) -> Result<(Option<String>, Option<Secret>), Error> {
    let Some(info) = info else { return Ok((None, None)) };
    let (user, password) = match info.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (info, None),
    };
    let part = |text: &str| {
        decoded(text).ok_or_else(|| wrong("has a `%` before its `@` that begins no character's code: write `%25`"))
    };
    let user = Some(part(user)?).filter(|user| !user.is_empty());
    let password = password.map(part).transpose()?.filter(|password| !password.is_empty());
    Ok((user, password.map(|password| Secret::given(&password))))
}

/// What percent-encoded text stands for, if that is text of which a line could be made.
fn decoded(text: &str) -> Option<String> {
    let text = String::from_utf8(percent_decode(text)?).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

/// The path of a file in a URL's path.
pub(crate) fn decoded_path(text: &str) -> Option<PathBuf> {
    let bytes = percent_decode(text).filter(|bytes| !bytes.contains(&0))?;
    Some(PathBuf::from(OsString::from_vec(bytes)))
}

/// What is wrong with the URL, as an error.
pub(crate) fn wrong(what: impl fmt::Display) -> Error {
    Error::Config(format!("the store's URL {what}"))
}

/// A part of the URL as a message may show it: short, printable, and nothing of what may be a user's.
pub(crate) fn shown(part: &str) -> String {
    const SHOWN_CHARACTERS: usize = 24;
    let part = part.rsplit_once('@').map_or(part, |(_, after)| after);
    part.chars().take(SHOWN_CHARACTERS).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests;
