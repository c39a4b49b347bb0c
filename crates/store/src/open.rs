//! The table of stores: which URL is which engine's. The only place that names all of them.
//!
//! An engine lands with a line in [`ENGINES`], one `mod` in `lib.rs` behind its feature, and an `open` of its own that
//! takes the URL apart ([`Url`], [`Options`](crate::url::option::Options)) and asks no server.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use steadfast_host::clock::{self, Moment};

use crate::url::{Url, shown, wrong};
use crate::{Access, Error, Memory, Store, http, sqlite};

/// One engine: its schemes, how its URLs look, how it is opened.
struct Engine {
    schemes: &'static [&'static str],
    /// For messages and help.
    form: &'static str,
    /// The cargo feature it is part of; empty: always there.
    feature: &'static str,
    /// `None`: this build has no code for it.
    open: Option<Open>,
    /// `None`: it makes what it needs as it goes, or this build has no code for it.
    prepare: Option<Preparation>,
}

type Open = fn(Url<'_>, &Access) -> Result<Arc<dyn Store>, Error>;

/// How what an engine needs is made before it is used.
struct Preparation {
    /// Makes what is not there, and says what.
    make: for<'a> fn(Url<'a>, &'a Access, Option<&'a str>, Moment) -> Made<'a>,
    /// The SQL that does it, or what is to be used instead.
    sql: fn(Url<'_>, &Access, Option<&str>) -> Result<String, Error>,
    /// Another role than ours can be given what it needs.
    has_roles: bool,
}

type Made<'a> = Pin<Box<dyn Future<Output = Result<Vec<String>, Error>> + Send + 'a>>;

/// The engines, in the order in which messages name them. One that is compiled out stays in it, with `open: None`, so
/// that whoever wants it is told what to build:
///
/// ```text
/// Engine {
///     schemes: &["etcd", "etcds"],
///     form: "`etcd(s)://host:port,…/prefix`",
///     feature: "etcd",
///     #[cfg(feature = "etcd")]
///     open: Some(crate::etcd::open),
///     #[cfg(not(feature = "etcd"))]
///     open: None,
///     prepare: None,
/// },
/// ```
const ENGINES: &[Engine] = &[
    Engine { schemes: &["memory"], form: "`memory:`", feature: "", open: Some(memory), prepare: None },
    Engine {
        schemes: &["sqlite"],
        form: "`sqlite:///absolute/path.db`",
        feature: "",
        open: Some(sqlite::open),
        prepare: None,
    },
    Engine {
        schemes: &["http", "https"],
        form: "`http(s)://host:port`",
        feature: "",
        open: Some(http::open),
        prepare: None,
    },
    Engine {
        schemes: &["etcd", "etcds"],
        form: "`etcd(s)://host:port,…/prefix`",
        feature: "etcd",
        #[cfg(feature = "etcd")]
        open: Some(crate::etcd::open),
        #[cfg(not(feature = "etcd"))]
        open: None,
        prepare: None,
    },
    Engine {
        schemes: &["redis", "rediss", "valkey", "valkeys"],
        form: "`redis(s)://host:port/prefix`",
        feature: "redis",
        #[cfg(feature = "redis")]
        open: Some(crate::redis::open),
        #[cfg(not(feature = "redis"))]
        open: None,
        prepare: None,
    },
    Engine {
        schemes: &["redis+sentinel", "rediss+sentinel"],
        form: "`redis+sentinel://sentinel:port,…/master/prefix`",
        feature: "redis",
        #[cfg(feature = "redis")]
        open: Some(crate::redis::open),
        #[cfg(not(feature = "redis"))]
        open: None,
        prepare: None,
    },
    Engine {
        schemes: &["postgres", "postgresql"],
        form: "`postgres://host:port/database` (`user@` before the host)",
        feature: "postgres",
        #[cfg(feature = "postgres")]
        open: Some(crate::postgres::open),
        #[cfg(not(feature = "postgres"))]
        open: None,
        #[cfg(feature = "postgres")]
        prepare: Some(POSTGRES),
        #[cfg(not(feature = "postgres"))]
        prepare: None,
    },
    Engine {
        schemes: &["azure"],
        form: "`azure://account/container`",
        feature: "azure",
        #[cfg(feature = "azure")]
        open: Some(crate::azure::open),
        #[cfg(not(feature = "azure"))]
        open: None,
        #[cfg(feature = "azure")]
        prepare: Some(AZURE),
        #[cfg(not(feature = "azure"))]
        prepare: None,
    },
];

/// PostgreSQL's schema, and the rights of the role that uses it.
#[cfg(feature = "postgres")]
const POSTGRES: Preparation = Preparation {
    make: |url, access, role, deadline| Box::pin(crate::postgres::prepare(url, access, role, deadline)),
    sql: crate::postgres::preparation,
    has_roles: true,
};

/// Azure's container and table.
#[cfg(feature = "azure")]
const AZURE: Preparation = Preparation {
    make: |url, access, _role, deadline| Box::pin(crate::azure::prepare(url, access, deadline)),
    sql: crate::azure::preparation,
    has_roles: false,
};

/// What people write who mean one of our engines: how the URL begins, and what to write instead.
const MISTAKEN: &[(&str, &str)] = &[
    ("redis+cluster:", "asks for a cluster of Redis: name a single master, or its Sentinels"),
    (
        "DefaultEndpointsProtocol=",
        "is a connection string of Azure: name the account, and give its key with --token-file",
    ),
];

/// Opens the store that `url` names, with what it does not say in `access`.
///
/// Nothing is asked of a server here: a store that is away is [`Error::Unavailable`] at each call until it is back.
///
/// # Errors
/// [`Error::Config`] names the part of the URL that is wrong and what would be right, and quotes no secret;
/// for `sqlite:` also those of [`Sqlite::open`](crate::Sqlite::open).
pub fn open(url: &str, access: &Access) -> Result<Arc<dyn Store>, Error> {
    let (engine, url) = openable(url, access)?;
    let Some(open) = engine.open else { return Err(compiled_out(engine, url.scheme)) };
    open(url, access)
}

/// What was done to prepare a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Whose it is: `postgres`.
    pub engine: &'static str,
    /// What was made, nothing where all was there; `None`: such a store needs no preparation.
    pub made: Option<Vec<String>>,
}

/// Makes what the store that `url` names needs before it is used, as far as it is not there: a schema and its tables,
/// with what `role` needs to use them; a container. May be done again.
///
/// # Errors
/// Those of [`open`], and of the store's own calls.
pub async fn prepare(url: &str, access: &Access, role: Option<&str>, within: Duration) -> Result<Prepared, Error> {
    let (engine, url) = checked(url, access, role)?;
    let made = match &engine.prepare {
        Some(preparation) => Some((preparation.make)(url, access, role, clock::now() + within).await?),
        None => None,
    };
    Ok(Prepared { engine: engine.schemes[0], made })
}

/// The SQL that does the same as [`prepare`]. Nobody is asked, and no secret is needed.
///
/// # Errors
/// [`Error::Config`]: those of [`open`], and for a store that is prepared by other means than SQL, by which.
pub fn preparation(url: &str, access: &Access, role: Option<&str>) -> Result<String, Error> {
    let (engine, url) = checked(url, access, role)?;
    match &engine.prepare {
        Some(preparation) => (preparation.sql)(url, access, role),
        None => Ok(format!("-- {} needs no preparation\n", engine.schemes[0])),
    }
}

/// A URL that may stand where it stood, of a store that may be asked for what a role needs.
fn checked<'a>(url: &'a str, access: &Access, role: Option<&str>) -> Result<(&'static Engine, Url<'a>), Error> {
    let (engine, url) = openable(url, access)?;
    if role.is_some() && !engine.prepare.as_ref().is_some_and(|preparation| preparation.has_roles) {
        return Err(Error::Config(format!("a role is a database's, and {} has none", engine.schemes[0])));
    }
    Ok((engine, url))
}

/// A URL of an engine that this build has, whose password nobody else could read.
fn openable<'a>(url: &'a str, access: &Access) -> Result<(&'static Engine, Url<'a>), Error> {
    let (engine, url) = read(url)?;
    if engine.open.is_none() {
        return Err(compiled_out(engine, url.scheme));
    }
    if url.holds_a_password() && !access.url_may_hold_a_password {
        return Err(wrong(
            "holds a password on the command line, where every user of this machine can read it: write the URL to a \
             file and give --store-file, or the password alone with --token-file (for copy: --from-token-file and \
             --to-token-file)",
        ));
    }
    Ok((engine, url))
}

/// Whether `url` can be opened so, as far as that can be told without making a file or asking a server.
///
/// # Errors
/// As [`open`].
pub fn check(url: &str, access: &Access) -> Result<(), Error> {
    match read(url)? {
        (_, url) if url.scheme == "sqlite" => sqlite::path_of(&url).map(drop),
        _ => open(url, access).map(drop),
    }
}

/// Whether some engine, which this build has, knows the scheme of `url`.
///
/// # Errors
/// [`Error::Config`], as [`open`] would say it.
pub fn check_scheme(url: &str) -> Result<(), Error> {
    let (engine, scheme, _) = engine_of(url)?;
    if engine.open.is_none() { Err(compiled_out(engine, scheme)) } else { Ok(()) }
}

/// Whether the store of `url` is one of another Steadfast, whose token opens it.
pub fn is_of_another_steadfast(url: &str) -> bool {
    matches!(url.split_once(':'), Some(("http" | "https", _)))
}

/// A URL in its parts, and whose it is.
fn read(url: &str) -> Result<(&'static Engine, Url<'_>), Error> {
    let (engine, scheme, rest) = engine_of(url)?;
    Ok((engine, Url::parse(scheme, engine.form, rest)?))
}

/// The engine of `url`, its scheme, and what follows that.
fn engine_of(url: &str) -> Result<(&'static Engine, &str, &str), Error> {
    if let Some((_, instead)) = MISTAKEN.iter().find(|(begin, _)| url.starts_with(begin)) {
        return Err(wrong(format!("{instead}; expected {}", forms())));
    }
    let split = url.split_once(':');
    let (scheme, rest) = split.ok_or_else(|| wrong(format!("has no scheme; expected {}", forms())))?;
    match ENGINES.iter().find(|engine| engine.schemes.contains(&scheme)) {
        Some(engine) => Ok((engine, scheme, rest)),
        None => Err(wrong(format!("has the unknown scheme `{}`; expected {}", shown(scheme), forms()))),
    }
}

fn compiled_out(engine: &Engine, scheme: &str) -> Error {
    let feature = engine.feature;
    wrong(format!("has the scheme `{scheme}`, which this build has no code for: build with --features {feature}"))
}

/// Every form of URL there is, for a message.
fn forms() -> String {
    let forms: Vec<&str> = ENGINES.iter().map(|engine| engine.form).collect();
    let (last, others) = forms.split_last().expect("there are engines");
    format!("{} or {last}", others.join(", "))
}

fn memory(url: Url<'_>, _access: &Access) -> Result<Arc<dyn Store>, Error> {
    url.finish()?;
    if url.has_authority() || !url.raw_path().is_empty() {
        return Err(wrong("has something after `memory:`, where nothing belongs"));
    }
    Ok(Arc::new(Memory::new()))
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;
