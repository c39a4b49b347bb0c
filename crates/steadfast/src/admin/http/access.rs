//! Who may ask. The API must not be usable by a web page that a browser beside it happens to show, nor by whoever can
//! merely reach it.
//!
//! - `Host` is a name of our own, so that a page whose name was made to point here (DNS rebinding) is not served.
//! - What a browser says comes from another site is refused.
//! - Changes and the store need the token, always; reading needs it unless only this machine can reach us.
//!   `/metrics`, `/healthz` and `/readyz` are open, off loopback also by names that we cannot know.
//! - Changes are JSON: a form of a page cannot send that.

use std::net::{IpAddr, SocketAddr};

use steadfast_host::http::{Method, Request, StatusCode, check_site, header, host_name};
use steadfast_host::problem::Problem;

use super::token::OwnToken;

/// Open to everybody who reaches us.
const OPEN: [&str; 3] = ["/metrics", "/healthz", "/readyz"];

/// The rules of one API.
pub(super) struct Access {
    token: OwnToken,
    /// Only this machine reaches us.
    local: bool,
    /// This machine's name.
    hostname: String,
}

impl Access {
    pub(super) fn new(listen: SocketAddr, token: OwnToken) -> Access {
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Access { token, local: listen.ip().is_loopback(), hostname: hostname.trim().to_ascii_lowercase() }
    }

    /// Looks whether the token has changed.
    pub(super) fn look_at_token(&self) {
        self.token.look();
    }

    /// Whether this request may be answered.
    pub(super) fn admit(&self, request: &Request) -> Result<(), Problem> {
        let known = self.knows_token(request);
        let changes = !matches!(request.method, Method::GET | Method::HEAD);
        let open = OPEN.contains(&request.path.as_str()) && !changes;
        // Off loopback, names of ours that we cannot know are in use: by who has the token, who is no rebound page, and
        // by those who scrape and look whether we are well, who read what anybody may.
        if self.local || !(known || open) {
            self.check_host(request)?;
        }
        check_site(request)?;
        let store = request.path == "/store" || request.path.starts_with("/store/");
        if !known && !open && (changes || store || !self.local) {
            return Err(unauthorized(request));
        }
        if changes && !store {
            check_content_type(request)?;
        }
        Ok(())
    }

    /// Whether the page may be loaded: by everybody who finds us by a name that could be ours. On loopback no other name
    /// has a use for it, for the API would refuse all that it asks; off loopback we do not know our names.
    pub(super) fn admit_to_page(&self, request: &Request) -> bool {
        !self.local || self.check_host(request).is_ok()
    }

    /// Whether the one `Authorization` there is has the token. Nowhere else is it looked for: an address with a token in
    /// it is in histories and logs.
    fn knows_token(&self, request: &Request) -> bool {
        let mut said = request.headers.get_all(header::AUTHORIZATION).iter();
        let (Some(said), None) = (said.next(), said.next()) else { return false };
        let Some(space) = said.as_bytes().iter().position(|b| *b == b' ') else { return false };
        let (scheme, token) = said.as_bytes().split_at(space);
        scheme.eq_ignore_ascii_case(b"bearer") && self.token.is(token.trim_ascii())
    }

    fn check_host(&self, request: &Request) -> Result<(), Problem> {
        if self.is_ours(&host_name(request)) {
            return Ok(());
        }
        let host = request.header("host").unwrap_or_default();
        let detail = format!("the Host {host:?} is no name of this API: use an address, or localhost on this machine");
        Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "foreign-host", detail))
    }

    /// An address, `localhost`, or this machine's own name. No name that somebody else gives out.
    fn is_ours(&self, name: &str) -> bool {
        if let Some(ip) = address(name) {
            return !self.local || ip.is_loopback();
        }
        name == "localhost"
            || name.ends_with(".localhost")
            || (!self.local && !name.is_empty() && name == self.hostname)
    }
}

fn address(name: &str) -> Option<IpAddr> {
    name.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(name).parse().ok()
}

fn unauthorized(request: &Request) -> Problem {
    let detail = format!("{} {} needs the token, as Authorization: Bearer …", request.method, request.path);
    Problem::new(StatusCode::UNAUTHORIZED, "token-needed", detail)
}

fn check_content_type(request: &Request) -> Result<(), Problem> {
    let media_type = request.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = format!("a change is sent with Content-Type: application/json, not {media_type:?}");
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", detail))
}

#[cfg(test)]
mod tests;
