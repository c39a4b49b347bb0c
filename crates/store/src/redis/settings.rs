//! What a URL says:
//!
//! ```text
//! redis://[user@]host[:port][/prefix]
//! redis+sentinel://[user@]sentinel[:port],…/master[/prefix]          valkey for redis, and rediss, valkeys over TLS
//! ```

use std::time::Duration;

use steadfast_host::net::Address;
use steadfast_host::tls::{self, Alpn};

use super::scripts::Keep;
use super::sentinel::Sentinels;
use crate::url::{Place, Url, shown, wrong};
use crate::{Access, Error, KEPT_AT_LEAST, LogBound, Secret, TlsFiles};

/// What a URL says.
#[derive(Debug)]
pub(super) struct Settings {
    /// The URL as it may be shown.
    pub(super) place: String,
    pub(super) way: Way,
    pub(super) user: Option<String>,
    pub(super) secret: Option<Secret>,
    pub(super) tls: Option<tls::Client>,
    /// What the names of all keys begin with.
    pub(super) prefix: String,
    pub(super) db: u64,
    /// Replicas that must have a commit before it is acknowledged, and how long they are waited for.
    pub(super) wait: u64,
    pub(super) wait_for: Duration,
    pub(super) keep: Keep,
    /// The shortest interval at which the server is asked where a space stands.
    pub(super) pace: Duration,
}

/// Where the master is.
#[derive(Debug)]
pub(super) enum Way {
    At(Address),
    Asked(Sentinels),
}

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
const PREFIX: &str = "steadfast";
const PREFIX_BYTES: usize = 64;
const PACE: Duration = Duration::from_millis(250);
const PACE_RANGE: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(10)];
const WAIT_FOR: Duration = Duration::from_millis(100);
const WAIT_FOR_RANGE: [Duration; 2] = [Duration::from_millis(1), Duration::from_secs(10)];
const REPLICAS: u64 = 10;
const DATABASES: u64 = 16_383;

/// Bytes kept of each of a space's two streams. A commit has a MiB at most, and an eighth of this is to hold it.
const KEEP_BYTES: u64 = 64 << 20;
const KEEP_BYTES_RANGE: [u64; 2] = [8 << 20, 16 << 30];
const KEEP_COMMITS: u64 = 1 << 24;

impl Settings {
    /// Reads `url`; of TLS the files too, and nothing else.
    pub(super) fn of(mut url: Url<'_>, access: &Access) -> Result<Settings, Error> {
        let behind_sentinels = url.scheme.ends_with("+sentinel");
        let over_tls = matches!(url.scheme, "rediss" | "valkeys" | "rediss+sentinel");
        let place = url.place();
        let secret = url.secret_of_user(access)?;
        let tls = url.options.take_tls(over_tls, access)?;
        if over_tls && !tls.on {
            return Err(wrong(format!("gives `tls=off`, and its scheme `{}` says otherwise", url.scheme)));
        }
        let options = &mut url.options;
        let db = options.take_whole("db", "a database's number", 0..=DATABASES)?.unwrap_or_default();
        let wait = options.take_whole("wait", "a number of replicas", 0..=REPLICAS)?.unwrap_or_default();
        let [least, most] = WAIT_FOR_RANGE;
        let wait_for = options.take_span("wait_for", least..=most)?.unwrap_or(WAIT_FOR);
        let least = KEPT_AT_LEAST as u64;
        let commits = options.take_whole("keep", "a number of commits", least..=KEEP_COMMITS)?;
        let [few, many] = KEEP_BYTES_RANGE;
        let bytes = options.take_whole("keep_bytes", "a number of bytes", few..=many)?;
        let [least, most] = PACE_RANGE;
        let pace = options.take_span("pace", least..=most)?.unwrap_or(PACE);
        let keep =
            Keep { commits: commits.unwrap_or(LogBound::default().commits as u64), bytes: bytes.unwrap_or(KEEP_BYTES) };
        let user = url.user.clone();
        let (way, prefix) = if behind_sentinels { asked(&mut url)? } else { at(&url)? };
        url.finish()?;
        let TlsFiles { ca, cert, key, name } = tls.files;
        let client = tls.on.then(|| tls::Client::new(tls::ClientFiles { ca, cert, key, name }, Alpn::None));
        let tls = client.transpose().map_err(|e| Error::Config(format!("the store's TLS: {e}")))?;
        Ok(Settings { place, way, user, secret, tls, prefix, db, wait, wait_for, keep, pace })
    }
}

/// The one server, and the prefix.
fn at(url: &Url<'_>) -> Result<(Way, String), Error> {
    let [host] = &url.hosts(PORT)?[..] else {
        return Err(wrong(format!(
            "names several hosts: name the one master, or its Sentinels as in {}",
            "redis+sentinel://s1,s2,s3/master"
        )));
    };
    let prefix = match &url.segments()?[..] {
        [] => PREFIX.to_owned(),
        [prefix] => checked(prefix)?,
        _ => return Err(wrong(format!("has a path of several parts; expected {}", url.form))),
    };
    Ok((Way::At(address(host)), prefix))
}

/// The Sentinels, and the prefix.
fn asked(url: &mut Url<'_>) -> Result<(Way, String), Error> {
    let addresses = url.hosts(SENTINEL_PORT)?.iter().map(address).collect();
    let (master, prefix) = match &url.segments()?[..] {
        [master] => (master.clone(), PREFIX.to_owned()),
        [master, prefix] => (master.clone(), checked(prefix)?),
        _ => {
            let instead = format!("{}://s1,s2,s3/master", url.scheme);
            return Err(wrong(format!("names no master after its Sentinels: as in {instead}")));
        }
    };
    let user = url.options.take("sentinel_user")?;
    let file = url.options.take_file("sentinel_password_file")?;
    let secret = file.map(|file| Secret::in_file(&file)).transpose()?;
    if user.is_some() && secret.is_none() {
        return Err(wrong("gives `sentinel_user` without `sentinel_password_file`: both, or neither"));
    }
    Ok((Way::Asked(Sentinels { addresses, master, user, secret }), prefix))
}

fn address(place: &Place) -> Address {
    Address::Tcp { host: place.host.clone(), port: place.port }
}

/// A prefix: short, and without what has a meaning in a key or in `redis-cli`.
fn checked(prefix: &str) -> Result<String, Error> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if prefix.len() <= PREFIX_BYTES && prefix.bytes().all(fine) {
        return Ok(prefix.to_owned());
    }
    Err(wrong(format!(
        "has the prefix `{}`; expected at most {PREFIX_BYTES} letters, digits, `.`, `_` and `-`",
        shown(prefix)
    )))
}

#[cfg(test)]
mod tests;
