//! What a URL says of a store in etcd: `etcd(s)://[user@]host[:port],…[/prefix]`.

use std::sync::Arc;
use std::time::Duration;

use steadfast_host::tls::Alpn;

use super::members::{Cluster, Identity, Members};
use super::{Etcd, Settings};
use crate::url::{Place, Url, wrong};
use crate::{Access, Error, Store};

/// The port etcd has for clients.
const CLIENT_PORT: u16 = 2379;

/// What all keys begin with, unless the URL says otherwise.
const PREFIX: &str = "steadfast";

/// Bytes of the prefix, at most: it stands before every name, three times in a transaction.
const PREFIX_BYTES: usize = 128;

/// Operations of a transaction that an etcd takes which was not told otherwise.
const MAX_TXN_OPS: u64 = 128;

/// How long history is kept at least, unless the URL says otherwise.
const COMPACT: Duration = Duration::from_secs(600);

/// The shortest interval at which contact is proven, unless the URL says otherwise.
const PACE: Duration = Duration::from_millis(250);

/// The store in etcd that `url` names. Nothing is asked of a server yet.
pub(crate) fn open(mut url: Url<'_>, access: &Access) -> Result<Arc<dyn Store>, Error> {
    let secure = url.scheme == "etcds";
    let addresses = url.hosts(CLIENT_PORT)?.iter().map(Place::address).collect();
    let tls = url.options.take_tls(secure, access)?;
    if secure && !tls.on {
        return Err(wrong("has the scheme `etcds`, which is TLS, and says tls=off: write `etcd`"));
    }
    let max_txn_ops = url.options.take_whole("max_txn_ops", "operations of a transaction", 8..=10_000)?;
    let day = Duration::from_secs(86_400);
    let compact = url.options.take_span_or_never("compact", Duration::from_secs(60)..=day)?;
    let pace = url.options.take_span("pace", Duration::from_millis(10)..=Duration::from_secs(10))?;
    url.finish()?;
    let settings = Settings {
        prefix: prefix(&url)?,
        place: url.place(),
        max_txn_ops: usize::try_from(max_txn_ops.unwrap_or(MAX_TXN_OPS)).unwrap_or(usize::MAX),
        compact: compact.unwrap_or(Some(COMPACT)),
        pace: pace.unwrap_or(PACE),
    };
    let password = url.secret_of_user(access)?;
    let identity = match (url.user.clone(), password) {
        (Some(user), Some(password)) => Some(Identity { user, password }),
        (None, Some(_)) => {
            return Err(wrong("names no user, and a password is given: write etcd://user@host"));
        }
        _ => None,
    };
    let cluster = Cluster { addresses, tls: tls.client(Alpn::Http2)?, identity };
    Ok(Arc::new(Etcd::new(Members::new(cluster), settings)))
}

fn prefix(url: &Url<'_>) -> Result<String, Error> {
    let prefix = url.segments()?.join("/");
    match prefix.len() {
        0 => Ok(PREFIX.to_owned()),
        1..=PREFIX_BYTES => Ok(prefix),
        bytes => Err(wrong(format!("has a prefix of {bytes} bytes; {PREFIX_BYTES} are the most"))),
    }
}

#[cfg(test)]
mod tests;
