//! The store over HTTP: [`serve`] puts any store on a server, [`Http`] is a store that lies behind one.
//!
//! `POST /store/v1/{read,commit,scan,watch}` and `GET /store/v1/describe`; JSON, with names and values in base64.
//! A watch is answered with a stream of lines of JSON. Errors are problem documents (RFC 9457) whose `reason` is
//! that of [`Error`](crate::Error), so that a conflict keeps its records and "did not happen" stays apart from
//! "may have happened". Who may call is the business of whoever mounts it.

mod client;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod server;
mod wire;

use std::sync::Arc;

use steadfast_host::http::Target;

use crate::url::{Place, Url, shown, wrong};
use crate::{Access, Error, Store};

pub use client::Http;
pub(crate) use client::Missed;
pub use server::{BODY_BYTES, Service, serve};

/// The paths served all begin so.
pub const PATH: &str = "/store/v1/";

/// The protocol's number, in the answer to `describe`.
const PROTOCOL: u32 = 1;

/// The store behind the server that `url` names.
pub(crate) fn open(url: Url<'_>, access: &Access) -> Result<Arc<dyn Store>, Error> {
    let target = target_of(&url)?;
    let token = url.secret(access)?.map(|secret| secret.text());
    Ok(Arc::new(Http::connect(target, token.as_deref())?))
}

/// The server of `http://host:port`.
pub(crate) fn target_of(url: &Url<'_>) -> Result<Target, Error> {
    let form = url.form;
    url.no_user()?;
    url.finish()?;
    if !url.has_authority() {
        return Err(wrong(format!("has no `//` after `http:`; expected {form}")));
    }
    url.no_path()?;
    let [Place { host, port }] = &url.hosts(NO_PORT)?[..] else {
        return Err(wrong(format!("names several hosts, and a server's store has one; expected {form}")));
    };
    if *port == NO_PORT {
        let address = shown(url.authority());
        return Err(wrong(format!("names no port after `{address}`: Steadfast's own is 7400; expected {form}")));
    }
    Ok(Target::Tcp { host: host.clone(), port: *port })
}

/// Stands for a port that is not written: no URL can name it.
const NO_PORT: u16 = 0;
