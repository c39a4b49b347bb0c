//! Losses: an instance whose beats stand still while the store is heard, and whose probe is silent or says that it
//! cannot serve, is written down as lost. Its own agent's next word makes it open again.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast_core::placement::Tick;
use steadfast_core::{Endpoint, Incarnation, InstanceId};
use steadfast_host::clock;
use steadfast_host::http::{Call, Client, ClientLimits, Target};
use tokio::task::JoinSet;

use super::Parts;
use crate::presence::{Beats, POLL_EVERY};
use crate::registry::Decision;
use crate::{Error, EventKind, LedgerRecord, ProbeAnswer, Role, Snapshot, keys};

/// So long a presence may stand still.
const PRESENCE_TTL: Duration = Duration::from_secs(10);
/// How long a probe may take to answer.
const PROBE_WITHIN: Duration = Duration::from_secs(2);

/// How long somebody was silent, counted only while the store was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Silence {
    life: Incarnation,
    beat: Option<u64>,
    lasted: Duration,
}

/// Somebody who is taken for lost unless the probe says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Suspect {
    id: InstanceId,
    life: Incarnation,
    beat: Option<u64>,
    probe: Endpoint,
}

pub(super) async fn run(parts: &Parts) {
    let http = Client::new(ClientLimits::default());
    let mut beats = parts.registry.follow_beats(&parts.set);
    let mut silences = BTreeMap::new();
    let mut heard = clock::now();
    // Only a poll that was answered is a change.
    while beats.changed().await.is_ok() {
        let now = clock::now();
        let since = now.since(heard).min(2 * POLL_EVERY);
        heard = now;
        let snapshot = parts.mirror.snapshot();
        if !snapshot.complete || snapshot.trouble.is_some() {
            continue;
        }
        let suspects = listen(&mut silences, &snapshot, &beats.borrow_and_update().clone(), since);
        let mut probes = JoinSet::new();
        for suspect in suspects {
            let (http, set) = (http.clone(), parts.set.clone());
            probes.spawn(async move { (serves(&http, &set, &suspect).await, suspect) });
        }
        while let Some(ended) = probes.join_next().await {
            let Ok((false, suspect)) = ended else { continue };
            if let Err(error) = declare(parts, &suspect, snapshot.tick).await {
                tracing::warn!(set = %parts.set, instance = %suspect.id, %error, "a loss could not be written down");
            }
        }
    }
}

/// Counts who was silent for how long, and says who was for too long.
fn listen(
    silences: &mut BTreeMap<InstanceId, Silence>,
    snapshot: &Snapshot,
    beats: &Beats,
    since: Duration,
) -> Vec<Suspect> {
    silences.retain(|id, _| snapshot.instances.contains_key(id));
    let mut suspects = Vec::new();
    for (id, seen) in &snapshot.instances {
        let (Some(ledger), Some(description)) = (&seen.ledger, &seen.description) else { continue };
        let life = ledger.incarnation;
        if ledger.state.is_lost() || description.incarnation != life {
            silences.remove(id);
            continue;
        }
        let beat = beats.get(id).filter(|beating| beating.incarnation == life).map(|beating| beating.beat);
        let new = Silence { life, beat, lasted: Duration::ZERO };
        let silence = silences.entry(id.clone()).or_insert(new);
        if (silence.life, silence.beat) == (life, beat) {
            silence.lasted += since;
        } else {
            *silence = new;
        }
        if silence.lasted >= PRESENCE_TTL {
            suspects.push(Suspect { id: id.clone(), life, beat, probe: description.probe.0.clone() });
        }
    }
    suspects
}

/// Whether that life of the instance answers that it can serve.
async fn serves(http: &Client, set: &steadfast_core::SetName, suspect: &Suspect) -> bool {
    let reply = http.call(&Target::from(&suspect.probe), Call::get("/"), PROBE_WITHIN).await;
    let answer = reply.ok().and_then(|reply| serde_json::from_slice::<ProbeAnswer>(&reply.body).ok());
    answer.is_some_and(|answer| answer.is_of(set, &suspect.id, suspect.life) && answer.role != Role::Standby)
}

/// Writes a loss down, unless the instance was heard of meanwhile.
pub(super) async fn declare(parts: &Parts, suspect: &Suspect, tick: Tick) -> Result<(), Error> {
    let Parts { registry, set, by, .. } = parts;
    let last = registry.last_beat(set, &suspect.id).await?.filter(|beat| beat.incarnation == suspect.life);
    if last.map(|beat| beat.beat) != suspect.beat {
        return Ok(());
    }
    let lost = registry
        .update(&keys::ledger(set, &suspect.id), |old: Option<&LedgerRecord>| {
            // A new life, or its own agent's word, came first.
            let Some(old) = old.filter(|old| old.incarnation == suspect.life && !old.state.is_lost()) else {
                return Ok(Decision::Leave(None));
            };
            let new = LedgerRecord { nonce: None, ..old.standing(crate::LedgerState::Lost, tick, by) };
            Ok(Decision::Write(new, Some(old.clients)))
        })
        .await?;
    if let Some(clients) = lost {
        registry.note(set, EventKind::InstanceLost { instance: suspect.id.clone().into(), clients }, by).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
