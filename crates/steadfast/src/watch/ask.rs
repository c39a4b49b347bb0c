//! Asks one URL, and says who answered.

use std::time::Duration;

use steadfast_core::Endpoint;
use steadfast_host::http::{Call, Client, ClientLimits, Reply, Target};
use steadfast_registry::EPOCH_HEADER;

/// The header in which a gateway names the instance that answered.
pub(crate) const INSTANCE_HEADER: &str = "steadfast-instance";
/// Of an answer without that header, so much of the first line of its body stands for who it was.
const NAME_CHARS: usize = 60;
/// More of an answer is not read.
const BODY_BYTES: usize = 16 << 20;

/// Who answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The instance, or else the first line of what was answered.
    pub(crate) who: String,
    /// The epoch, where it is told.
    pub(crate) epoch: Option<u64>,
}

/// Asks one URL.
#[derive(Debug)]
pub(crate) struct Asker {
    client: Client,
    target: Target,
    path: String,
    within: Duration,
}

impl Asker {
    /// Asks `url`, over one connection or, if `fresh`, over a new one each time.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub(crate) fn new(url: &str, fresh: bool, within: Duration) -> Result<Asker, String> {
        let bad = |why: &str| format!("{url:?} cannot be asked: {why}expected http://host:port/path");
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad(""))?;
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let endpoint: Endpoint = format!("{scheme}://{authority}").parse().map_err(|_| bad(""))?;
        if endpoint.scheme() != "http" {
            return Err(bad(&format!("{scheme} is not spoken here; ")));
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let kept = usize::from(!fresh);
        let limits = ClientLimits { idle_per_target: kept, body_bytes: BODY_BYTES, ..ClientLimits::default() };
        Ok(Asker { client: Client::new(limits), target: Target::from(&endpoint), path, within })
    }

    /// Asks once. An answer of 500 and above is a failure, with its reason.
    pub(crate) async fn ask(&self) -> Result<Answer, String> {
        let reply = self.client.call(&self.target, Call::get(self.path.as_str()), self.within).await;
        let reply = reply.map_err(|error| error.to_string())?;
        if reply.status.is_server_error() {
            let why = reply.problem().map(|problem| format!("{} ({})", problem.detail, problem.reason));
            return Err(format!("status {}: {}", reply.status.as_u16(), why.unwrap_or_default()));
        }
        Ok(Answer { who: who(&reply), epoch: header(&reply, EPOCH_HEADER).and_then(|epoch| epoch.parse().ok()) })
    }
}

fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    reply.headers.get(name)?.to_str().ok()
}

fn who(reply: &Reply) -> String {
    if let Some(instance) = header(reply, INSTANCE_HEADER) {
        return instance.to_owned();
    }
    let text = String::from_utf8_lossy(&reply.body);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("somebody");
    // What a server sends is not for the terminal to obey.
    line.chars().take(NAME_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests;
