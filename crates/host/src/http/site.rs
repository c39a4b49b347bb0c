//! What a browser gives away about a request: by which name the server was found, and from which page it comes. A
//! server that only this machine reaches is reached by every page that a browser on this machine shows.

use super::{Request, StatusCode, header};
use crate::problem::Problem;

/// The host's name in `Host`, without its port and its final dot, in lower case; empty where nothing readable is there.
pub fn host_name(request: &Request) -> String {
    let host = request.header("host").unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Refuses what a browser says comes from a page of another site, or of none (`null`).
///
/// # Errors
///
/// 403 `cross-site`.
pub fn check_site(request: &Request) -> Result<(), Problem> {
    let foreign = |what: &str, value: &[u8]| {
        let detail =
            format!("a page of another site ({what}: {}) may not use this API", String::from_utf8_lossy(value));
        Err(Problem::new(StatusCode::FORBIDDEN, "cross-site", detail))
    };
    for site in request.headers.get_all("sec-fetch-site") {
        if !matches!(site.as_bytes(), b"same-origin" | b"none") {
            return foreign("Sec-Fetch-Site", site.as_bytes());
        }
    }
    let host = request.header("host").unwrap_or_default();
    for origin in request.headers.get_all(header::ORIGIN) {
        let ours = |scheme: &str| origin.as_bytes().eq_ignore_ascii_case(format!("{scheme}://{host}").as_bytes());
        if !ours("http") && !ours("https") {
            return foreign("Origin", origin.as_bytes());
        }
    }
    Ok(())
}
