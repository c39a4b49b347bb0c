//! Sentinels: who is asked where the master is, each time it is connected to.

use steadfast_host::clock::{Moment, timeout_at};
use steadfast_host::net::{Address, dial};
use steadfast_host::{random, tls};

use super::connection::Wire;
use super::failure;
use super::link::{login, unheard};
use super::resp::{Commands, Reply};
use crate::{Error, Secret};

/// Those who watch one master.
#[derive(Debug)]
pub(super) struct Sentinels {
    pub(super) addresses: Vec<Address>,
    /// What they call it.
    pub(super) master: String,
    pub(super) user: Option<String>,
    pub(super) secret: Option<Secret>,
}

impl Sentinels {
    /// All of them, beginning with any, so that one that hangs does not hold everybody up.
    pub(super) fn in_some_order(&self) -> impl Iterator<Item = &Address> {
        let count = self.addresses.len();
        let first = usize::try_from(random::u64() % count.max(1) as u64).unwrap_or_default();
        (0..count).map(move |n| &self.addresses[(first + n) % count])
    }

    /// Where `sentinel` says that the master is; `None`: it knows of none of this name.
    pub(super) async fn ask(
        &self,
        sentinel: &Address,
        tls: Option<&tls::Client>,
        deadline: Moment,
    ) -> Result<Option<Address>, Error> {
        // Half of what is left: there are others, and the master is to be connected to as well.
        let now = steadfast_host::clock::now();
        let deadline = now + deadline.since(now) / 2;
        let unavailable = |why: String| Error::Unavailable(format!("the Sentinel {sentinel}: {why}"));
        let stream = dial(sentinel, tls, deadline).await.map_err(|e| unavailable(e.to_string()))?;
        let mut wire = Wire::new(stream);
        let mut question = Commands::default();
        if let Some(secret) = &self.secret {
            question = login(question, self.user.as_deref(), &secret.text_now());
        }
        let question = question.and(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &self.master]);
        let answered = timeout_at(deadline, wire.ask(&question)).await;
        let replies = answered.ok_or_else(|| unavailable("it did not answer in time".to_owned()))?;
        let replies = replies.map_err(|e| unheard(sentinel, &e))?;
        for reply in &replies {
            if let Reply::Error(said) = reply {
                let place = format!("the Sentinel {sentinel}");
                return Err(failure::of_look(failure::refusal(&place, said).error));
            }
        }
        match replies.last() {
            Some(Reply::Nil) => Ok(None),
            Some(reply) => {
                let master = address(reply).ok_or_else(|| unavailable("it names no address".to_owned()))?;
                Ok(Some(master))
            }
            None => Err(unavailable("it said nothing".to_owned())),
        }
    }
}

/// What is wrong where a Sentinel knows of no master of this name.
pub(super) fn unknown_master(sentinel: &Address, sentinels: &Sentinels) -> Error {
    Error::Config(format!("the Sentinel {sentinel} knows of no master named `{}`", sentinels.master))
}

/// A host and a port.
fn address(reply: &Reply) -> Option<Address> {
    let Reply::Array(parts) = reply else { return None };
    let [Reply::String(host), Reply::String(port)] = &parts[..] else { return None };
    let host = std::str::from_utf8(host).ok()?;
    let host = if host.contains(':') { format!("[{host}]").parse().ok()? } else { host.parse().ok()? };
    let port = std::str::from_utf8(port).ok()?.parse().ok().filter(|port| *port != 0)?;
    Some(Address::Tcp { host, port })
}

#[cfg(test)]
mod tests;
