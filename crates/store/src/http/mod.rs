//! The store over HTTP: [`serve`] puts any store on a server, [`Http`] is a store that lies behind one.
//!
//! `POST /store/v1/{read,commit,scan,watch,examine}` and `GET /store/v1/describe`; JSON, with names and values in base64.
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
use steadfast_host::tls::Alpn;

use crate::url::option::TlsOption;
use crate::url::{Place, Url, shown, wrong};
use crate::{Access, Error, Store, TlsFiles};

pub use client::Http;
pub(crate) use client::Missed;
pub use server::{BODY_BYTES, Service, serve};

/// The paths served all begin so.
pub const PATH: &str = "/store/v1/";

/// The protocol's number, in the answer to `describe`.
const PROTOCOL: u32 = 1;

/// The store behind the server that `url` names.
pub(crate) fn open(mut url: Url<'_>, access: &Access) -> Result<Arc<dyn Store>, Error> {
    let (Place { host, port }, tls) = place_of(&mut url, access)?;
    let target = match tls.client(Alpn::Http1)? {
        None => Target::Tcp { host, port },
        Some(tls) => Target::Tls { host, port, tls },
    };
    Ok(Arc::new(Http::connect(target, url.secret(access)?)?))
}

/// The server of `http://host:port` or `https://host:port`, and whether it is reached over TLS.
pub(crate) fn place_of(url: &mut Url<'_>, access: &Access) -> Result<(Place, TlsOption), Error> {
    let form = url.form;
    url.no_user()?;
    let tls = tls_of(url, access)?;
    url.finish()?;
    if !url.has_authority() {
        return Err(wrong(format!("has no `//` after `{}:`; expected {form}", url.scheme)));
    }
    url.no_path()?;
    let places = url.hosts(NO_PORT)?;
    let [place] = &places[..] else {
        return Err(wrong(format!("names several hosts, and a server's store has one; expected {form}")));
    };
    if place.port == NO_PORT {
        let address = shown(url.authority());
        return Err(wrong(format!("names no port after `{address}`: Steadfast's own is 7400; expected {form}")));
    }
    Ok((place.clone(), tls))
}

/// The scheme decides. Whoever names files for TLS means TLS: with them, `http` is taken for a mistake.
fn tls_of(url: &mut Url<'_>, access: &Access) -> Result<TlsOption, Error> {
    if url.scheme == "https" {
        let tls = url.options.take_tls(true, access)?;
        return if tls.on { Ok(tls) } else { Err(wrong("says `https` and `tls=off`: leave one of them out")) };
    }
    if access.tls != TlsFiles::default() {
        return Err(wrong("begins with `http:`, and files for TLS are given: write `https:`, or leave them out"));
    }
    Ok(TlsOption { on: false, files: TlsFiles::default() })
}

/// Stands for a port that is not written: no URL can name it.
const NO_PORT: u16 = 0;
