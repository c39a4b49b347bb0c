//! Those who were to be asked to leave when whoever moved them was killed, or when too many waited: they are asked now.

use std::collections::BTreeSet;
use std::time::Duration;

use steadfast_host::http::{Client, ClientLimits};
use tokio::task::JoinSet;

use super::Parts;
use crate::leaving::Leaver;
use crate::{Error, keys};

/// How often it is looked who is left behind.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long to wait with a store that does not answer.
const PAUSE: Duration = Duration::from_secs(1);
/// Clients that an application is asked about at once.
const AT_ONCE: usize = 16;
/// Of so many it is remembered from one look to the next that they are there: of more, the first are asked for first.
const REMEMBERED: usize = 16_384;

pub(super) async fn run(parts: &Parts) {
    while parts.mirror.complete(PAUSE).await.is_none() {}
    let http = Client::new(ClientLimits::default());
    // Who begins to keep knows that nobody else does. Later, whoever is there for the first time is being asked for.
    let mut before = None;
    loop {
        let pause = match ask(parts, &http, before.as_ref()).await {
            Ok(there) => {
                before = Some(there);
                LOOK_EVERY
            }
            Err(error) => {
                tracing::debug!(set = %parts.set, %error, "the keeper cannot read who is to leave");
                PAUSE
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Asks for those who were there `before` already (`None`: for all), and says who is there.
async fn ask(parts: &Parts, http: &Client, before: Option<&BTreeSet<String>>) -> Result<BTreeSet<String>, Error> {
    let Some(settings) = parts.settings() else { return Ok(BTreeSet::new()) };
    let mut there = BTreeSet::new();
    let mut asked = JoinSet::new();
    for (name, client) in parts.registry.leavers(&parts.set).await? {
        if there.len() < REMEMBERED {
            there.insert(name.clone());
        }
        if before.is_some_and(|before| !before.contains(&name)) {
            continue;
        }
        let (registry, set, http) = (parts.registry.clone(), parts.set.clone(), http.clone());
        let url = settings.evict.as_deref().map(Into::into);
        if asked.len() >= AT_ONCE {
            asked.join_next().await;
        }
        asked.spawn(async move {
            match url {
                Some(url) => registry.send_away(&set, &http, &Leaver { url, client, name }).await,
                // The set does not say any more how to.
                None => registry.forget_leaver(&keys::leaving(&set, &name)).await,
            }
        });
    }
    while asked.join_next().await.is_some() {}
    Ok(there)
}
