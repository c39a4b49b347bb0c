//! Asking an application to send a client away.

use std::time::Duration;

use http::Method;
use steadfast_core::Endpoint;
use steadfast_core::client::ClientKey;
use steadfast_host::http::{Call, Client, Target};

/// How long an application may take to send a client away.
const WITHIN: Duration = Duration::from_secs(5);

/// Calls a set's `evict` (a POST, with `{client}` replaced by the key) and says whether the application did it: any
/// answer below 300. The error says what came instead.
pub async fn evict(http: &Client, url: &str, client: &ClientKey) -> Result<(), String> {
    let url = url.replace("{client}", &client.to_string());
    let (target, path) = parse(&url).ok_or_else(|| format!("{url} is not an http:// URL"))?;
    let reply = http.call(&target, Call::new(Method::POST, path), WITHIN).await;
    match reply {
        Ok(reply) if reply.status.as_u16() < 300 => Ok(()),
        Ok(reply) => Err(format!("{url} answered {}", reply.status)),
        Err(error) => Err(error.to_string()),
    }
}

fn parse(url: &str) -> Option<(Target, String)> {
    let rest = url.strip_prefix("http://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
    let endpoint: Endpoint = format!("http://{authority}").parse().ok()?;
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Some((Target::from(&endpoint), path))
}

#[cfg(test)]
mod tests;
