//! The page at `/`: what people look at. Its files are part of this program; there is no build step and nothing is
//! fetched from elsewhere.
//!
//! It holds nothing secret and can do nothing by itself: whatever it shows or orders it asks of the API, under the
//! API's rules. So everybody who reaches us may load it, also by a link in another page, but nobody may frame it.

use steadfast_host::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};

/// Everything comes from here, nothing is inline, and no other page shows this one inside itself.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! files {
    ($($path:literal => $file:literal, $media_type:expr;)+) => {
        /// Every file: where it is found, what it is, what is in it.
        const FILES: &[(&str, &str, &str)] = &[$(($path, $media_type, include_str!(concat!("../../../page/", $file)))),+];
    };
}

files! {
    "/" => "index.html", HTML;
    "/page/style.css" => "style.css", CSS;
    "/page/icon.svg" => "icon.svg", SVG;
    "/page/main.js" => "main.js", SCRIPT;
    "/page/api.js" => "api.js", SCRIPT;
    "/page/dom.js" => "dom.js", SCRIPT;
    "/page/words.js" => "words.js", SCRIPT;
    "/page/theme.js" => "theme.js", SCRIPT;
    "/page/orders.js" => "orders.js", SCRIPT;
    "/page/sets.js" => "sets.js", SCRIPT;
    "/page/instances.js" => "instances.js", SCRIPT;
    "/page/clients.js" => "clients.js", SCRIPT;
    "/page/search.js" => "search.js", SCRIPT;
    "/page/events.js" => "events.js", SCRIPT;
    "/page/gateway.js" => "gateway.js", SCRIPT;
}

/// The file this request asks for; `None` if it is not the page that is asked for.
pub(super) fn answer(request: &Request) -> Option<Response> {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return None;
    }
    let (_, media_type, text) = FILES.iter().find(|(path, ..)| *path == request.path)?;
    let response = Response::full(StatusCode::OK, media_type, *text);
    let headers: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // Asked for anew each time: after an upgrade the page is that of the program that answers it.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    let with = |response: Response, (name, value)| response.with(name, HeaderValue::from_static(value));
    Some(headers.into_iter().fold(response, with))
}

#[cfg(test)]
mod tests;
