//! The URL `azure://account/container?…`, taken apart.

use std::sync::Arc;
use std::time::Duration;

use steadfast_host::clock::Moment;
use steadfast_host::tls;

use super::account::{Account, PUBLIC, sites, sites_at};
use super::credential::{Credential, Given, Identity, Kind};
use super::lease::native::Native;
use super::lease::{Leases, Mode};
use super::rest::{OPEN, Rest};
use super::sign::Sas;
use super::transaction::Keep;
use super::{Azure, Plan};
use crate::url::{Url, shown, wrong};
use crate::{Access, Error, Secret, Store};

/// Commits that the log keeps, and the bounds of what the URL may say.
const KEEP: Keep = 16_384;
const KEEP_RANGE: std::ops::RangeInclusive<u64> = 256..=1_000_000;

/// How often what is followed is looked at, and the bounds of what the URL may say.
const POLL: Duration = Duration::from_secs(1);
const POLL_RANGE: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);

/// How long Azure lets a lease last.
const LASTS: Duration = Duration::from_secs(60);
const LASTS_RANGE: std::ops::RangeInclusive<Duration> = Duration::from_secs(15)..=Duration::from_secs(60);

/// The blob of a native lease, unless the URL names another.
const LEASE_BLOB: &str = "{set}/leader";

/// How the URL says who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Identity(Kind),
    Key,
    Sas,
}

/// The words for it. A certificate is not among them: `azure_identity` needs OpenSSL for that.
const CREDENTIALS: &[(&str, Named)] = &[
    ("auto", Named::Identity(Kind::Auto)),
    ("managed", Named::Identity(Kind::Managed)),
    ("workload", Named::Identity(Kind::Workload)),
    ("cli", Named::Identity(Kind::Cli)),
    ("developer-cli", Named::Identity(Kind::DeveloperCli)),
    ("client-secret", Named::Identity(Kind::ClientSecret)),
    ("pipelines", Named::Identity(Kind::Pipelines)),
    ("key", Named::Key),
    ("sas", Named::Sas),
];

/// The store that `url` names. Nothing is asked of Azure yet.
pub(crate) fn open(url: Url<'_>, access: &Access) -> Result<Arc<dyn Store>, Error> {
    Ok(Arc::new(read(url, access)?))
}

/// Makes container and table, and says what of them was not there.
pub(crate) async fn prepare(url: Url<'_>, access: &Access, deadline: Moment) -> Result<Vec<String>, Error> {
    read(url, access)?.rest.prepare(deadline).await
}

/// Azure is not prepared by SQL: says by what else.
pub(crate) fn preparation(url: Url<'_>, _access: &Access, _role: Option<&str>) -> Result<String, Error> {
    Err(Error::Config(format!(
        "{} is not made by SQL: without --print-sql container and table are made, or `az storage container create` and \
         `az storage table create` make them",
        url.place()
    )))
}

pub(super) fn read(mut url: Url<'_>, access: &Access) -> Result<Azure, Error> {
    url.no_user()?;
    let secret = url.secret(access)?;
    let options = &mut url.options;
    let table = options.take("table")?;
    let mode = options.take_word("lease", &[("etag", Mode::Etag), ("native", Mode::Native)])?;
    let blob = options.take("lease_blob")?;
    let lasts = options.take_span("lease_lasts", LASTS_RANGE)?;
    let named = options.take_word("credential", CREDENTIALS)?.unwrap_or(Named::Identity(Kind::Auto));
    let (client_id, tenant) = (options.take("client_id")?, options.take("tenant")?);
    let poll = options.take_span("poll", POLL_RANGE)?.unwrap_or(POLL);
    let keep = options.take_whole("keep", "a number of commits", KEEP_RANGE)?.unwrap_or(KEEP);
    let endpoint = options.take("endpoint")?;
    let suffix = options.take("suffix")?;
    let ca = options.take_file("ca")?;
    url.finish()?;

    let ca = ca.or_else(|| access.tls.ca.clone());
    let account = account(&url, table, endpoint.as_deref(), suffix.as_deref(), ca)?;
    let native = native(mode.unwrap_or(Mode::Etag), blob, lasts)?;
    let credential = credential(named, client_id, tenant, secret)?;
    if account.is_open() && !matches!(&credential, Credential::Given(given) if given.is_key()) {
        return Err(wrong(format!("is not safe: {OPEN}")));
    }
    let plan = Plan { poll, keep };
    Ok(Azure::new(Rest::new(account, credential), Leases::new(native), plan))
}

fn account(
    url: &Url<'_>,
    table: Option<String>,
    endpoint: Option<&str>,
    suffix: Option<&str>,
    ca: Option<std::path::PathBuf>,
) -> Result<Account, Error> {
    let form = url.form;
    let name = url.authority();
    if !(3..=24).contains(&name.len()) || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return Err(wrong(format!(
            "names no account in `{}` (3 to 24 of a-z and 0-9, as in `az storage account list`); expected {form}",
            shown(name)
        )));
    }
    let segments = url.segments()?;
    let [container] = &segments[..] else {
        return Err(wrong(format!("names no container after `azure://{name}`; expected {form}")));
    };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(3..=63).contains(&container.len()) || !container.bytes().all(plain) {
        return Err(wrong(format!("names no container in `{}` (3 to 63 of a-z, 0-9 and -)", shown(container))));
    }
    let is_table = |name: &str| {
        (3..=63).contains(&name.len())
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    // Two containers with one table would be two places for the leases of the same sets.
    let table = match table {
        Some(table) if is_table(&table) => table,
        Some(table) => {
            return Err(wrong(format!(
                "gives `table` the value `{}`; expected 3 to 63 letters and digits",
                shown(&table)
            )));
        }
        None if is_table(container) => container.clone(),
        None => {
            return Err(wrong(format!(
                "names no table, and it cannot have the container's name `{}`: give one of 3 to 63 letters and digits \
                 with `table=`, which no other container shares",
                shown(container)
            )));
        }
    };
    let mut client = match ca {
        Some(ca) => {
            let files = tls::ClientFiles { ca: Some(ca), ..tls::ClientFiles::default() };
            Some(tls::Client::new(files, tls::Alpn::Http1).map_err(|error| wrong(format!("gives `ca`: {error}")))?)
        }
        None => None,
    };
    let (blobs, tables) = match (endpoint, suffix) {
        (Some(_), Some(_)) => return Err(wrong("gives both `endpoint` and `suffix`: leave one of them out")),
        (Some(endpoint), None) => sites_at(name, endpoint, &mut client)?,
        (None, suffix) => sites(name, suffix.unwrap_or(PUBLIC), &mut client)?,
    };
    Ok(Account { name: name.to_owned(), container: container.clone(), table, blobs, tables })
}

fn native(mode: Mode, blob: Option<String>, lasts: Option<Duration>) -> Result<Option<Native>, Error> {
    if mode == Mode::Etag {
        return match (blob, lasts) {
            (None, None) => Ok(None),
            _ => Err(wrong("gives `lease_blob` or `lease_lasts`, which are for `lease=native` alone")),
        };
    }
    let lasts = lasts.unwrap_or(LASTS);
    if lasts.subsec_nanos() != 0 {
        return Err(wrong("gives `lease_lasts` a part of a second; Azure's leases last whole ones, 15s to 60s"));
    }
    let blob = blob.unwrap_or_else(|| LEASE_BLOB.to_owned());
    let named = blob.replace("{set}", "");
    if blob.is_empty() || !named.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"@._-~/".contains(&byte)) {
        return Err(wrong(format!(
            "gives `lease_blob` the value `{}`; expected letters, digits, `._-/` and `{{set}}`",
            shown(&blob)
        )));
    }
    Ok(Some(Native::new(&blob, lasts)))
}

fn credential(
    named: Named,
    client_id: Option<String>,
    tenant: Option<String>,
    secret: Option<Secret>,
) -> Result<Credential, Error> {
    let identity = |kind, secret| Ok(Credential::token(Identity::new(kind, client_id, tenant, secret)));
    let source = |secret: Secret| move || secret.text();
    match (named, secret) {
        (Named::Identity(Kind::ClientSecret), secret) => {
            identity(Kind::ClientSecret, secret.map(|secret| Box::new(source(secret)) as Box<_>))
        }
        (Named::Identity(Kind::Auto) | Named::Key | Named::Sas, Some(secret)) => {
            let is_sas = Sas::is_one(&secret.text());
            match (named, is_sas) {
                (Named::Key, true) => {
                    Err(wrong("asks for credential=key, and the secret is a shared access signature"))
                }
                (Named::Sas, false) => Err(wrong("asks for credential=sas, and the secret has no `sig=`")),
                _ => Ok(Credential::Given(Given::new(source(secret))?)),
            }
        }
        (Named::Key, None) => {
            Err(wrong("asks for credential=key, and there is no key: give the account key with --token-file"))
        }
        (Named::Sas, None) => {
            Err(wrong("asks for credential=sas, and there is no signature: give it with --token-file"))
        }
        (Named::Identity(Kind::Auto), None) => identity(Kind::Auto, None),
        (Named::Identity(_), Some(_)) => {
            Err(wrong("asks for an identity, which needs no secret, and --token-file gives one: leave one of them out"))
        }
        (Named::Identity(kind), None) => identity(kind, None),
    }
}

#[cfg(test)]
mod tests;
