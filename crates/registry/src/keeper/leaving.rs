//! Those who were to be asked to leave when whoever moved them was killed, or when too many waited: they are asked now.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Parts;
use crate::Error;
use crate::leaving::{Asking, Leaver};

/// How often it is looked who is left behind.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long to wait with a store that does not answer.
const PAUSE: Duration = Duration::from_secs(1);
/// Of so many it is remembered from one look to the next that they are there: of more, the first are asked for first.
const REMEMBERED: usize = 16_384;

pub(super) async fn run(parts: &Parts) {
    while parts.mirror.complete(PAUSE).await.is_none() {}
    let mut asking = Asking::new(&parts.registry, &parts.set);
    // Who begins to keep knows that nobody else does. Later, whoever is there for the first time is being asked for.
    let mut before = None;
    loop {
        let pause = match ask(parts, &mut asking, before.as_ref()).await {
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
async fn ask(parts: &Parts, asking: &mut Asking, before: Option<&BTreeSet<String>>) -> Result<BTreeSet<String>, Error> {
    let Some(settings) = parts.settings() else { return Ok(BTreeSet::new()) };
    let url: Option<Arc<str>> = settings.evict.as_deref().map(Into::into);
    let mut there = BTreeSet::new();
    for (name, client) in parts.registry.leavers(&parts.set).await? {
        if there.len() < REMEMBERED {
            there.insert(name.clone());
        }
        if before.is_none_or(|before| before.contains(&name)) {
            // Where the set does not say any more how to ask, it is only forgotten.
            asking.ask(Leaver { url: url.clone(), client, name }).await;
        }
    }
    asking.finish().await;
    Ok(there)
}
