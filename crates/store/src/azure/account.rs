//! Which account, container and table, and at which addresses.

use std::fmt;

use steadfast_host::Host;
use steadfast_host::http::Target;
use steadfast_host::tls;

use crate::Error;
use crate::url::{shown, wrong};

/// The cloud that is meant unless the URL says otherwise.
pub(super) const PUBLIC: &str = "core.windows.net";

/// An account and what of it is used.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) container: String,
    pub(super) table: String,
    pub(super) blobs: Site,
    pub(super) tables: Site,
}

/// Where one of the account's services is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) target: Target,
    /// What stands before every path: the account, at an emulator's address.
    pub(super) base: String,
    /// The address of it all.
    pub(super) url: String,
}

impl Account {
    /// Whether this is an emulator on this machine, and none of Azure's.
    pub(super) fn is_emulator(&self) -> bool {
        matches!(&self.tables.target, Target::Tcp { host, .. } if is_local(host))
    }

    /// Whether what is sent can be read on the way.
    pub(super) fn is_open(&self) -> bool {
        [&self.blobs, &self.tables]
            .iter()
            .any(|site| matches!(&site.target, Target::Tcp { host, .. } if !is_local(host)))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "azure://{}/{}", self.name, self.container)
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Ip(ip) => ip.is_loopback(),
        Host::Name(name) => name == "localhost",
    }
}

/// The two services of an account, where `suffix` ends their names.
pub(super) fn sites(account: &str, suffix: &str, tls: &mut Option<tls::Client>) -> Result<(Site, Site), Error> {
    let mut site = |service: &str| Site::parse(account, &format!("https://{account}.{service}.{suffix}"), tls);
    Ok((site("blob")?, site("table")?))
}

/// The two services at addresses of their own, `http://127.0.0.1:10000,http://127.0.0.1:10002`.
pub(super) fn sites_at(account: &str, endpoint: &str, tls: &mut Option<tls::Client>) -> Result<(Site, Site), Error> {
    let Some((blobs, tables)) = endpoint.split_once(',') else {
        return Err(wrong(format!(
            "gives `endpoint` the value `{}`; expected two addresses, the container's and the table's, with a comma \
             between them",
            shown(endpoint)
        )));
    };
    Ok((Site::parse(account, blobs, tls)?, Site::parse(account, tables, tls)?))
}

impl Site {
    /// The address `http(s)://host[:port][/base]`. At a bare address, as emulators have it, the account stands before
    /// every path.
    fn parse(account: &str, text: &str, tls: &mut Option<tls::Client>) -> Result<Site, Error> {
        let bad = || {
            wrong(format!(
                "names `{}` as an address of the account; expected `https://host` or `http://host:port`",
                shown(text)
            ))
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(bad)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port.parse().map_err(|_| bad())?)),
            _ => (authority, None),
        };
        let host: Host = host.parse().map_err(|_| bad())?;
        let named = path.trim_end_matches('/');
        if !named.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte)) {
            return Err(bad());
        }
        let base = match (named, &host) {
            ("", Host::Ip(_)) => format!("/{account}"),
            ("", Host::Name(name)) if name == "localhost" => format!("/{account}"),
            ("", Host::Name(_)) => String::new(),
            (named, _) => format!("/{named}"),
        };
        let url = format!("{scheme}://{authority}{base}");
        let target = match scheme {
            "http" => Target::Tcp { host, port: port.unwrap_or(80) },
            "https" => secure(host, port.unwrap_or(443), tls::ClientFiles::default(), tls).map_err(Error::Config)?,
            _ => return Err(bad()),
        };
        Ok(Site { target, base, url })
    }
}

/// A server that proves who it is by a certificate; `tls` is made of `files` when it is needed first.
pub(super) fn secure(
    host: Host,
    port: u16,
    files: tls::ClientFiles,
    tls: &mut Option<tls::Client>,
) -> Result<Target, String> {
    let client = match tls {
        Some(client) => client.clone(),
        None => tls::Client::new(files, tls::Alpn::Http1).map_err(|e| e.to_string())?,
    };
    *tls = Some(client.clone());
    Ok(Target::Tls { host, port, tls: client })
}

#[cfg(test)]
mod tests;
