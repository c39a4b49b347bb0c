//! Books of which anybody may have written anything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use steadfast_core::SetName;
use steadfast_core::placement::Tick;
use steadfast_store::{Batch, Expect, Key, Memory, Store, Write};

use crate::mirror::Snapshot;
use crate::records::{ClientRecord, ClockRecord, StoredLease, decode};
use crate::{
    BeatRecord, EventKind, InstanceRecord, Leases, LedgerRecord, LedgerState, Note, OrderRecord, Registry, SetRecord,
    keys,
};

/// So many pages of clients are turned.
const PAGES: usize = 8;
const WITHIN: Duration = Duration::from_secs(1);

/// A record a line, its name and its bytes: everything that reads the books gets along with them, and nothing that
/// writes them overwrites what it could not read.
pub fn books(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let written = fill(store.as_ref(), data).await;
        let registry = Registry::new(store.clone());
        let set: SetName = "web".parse().expect("a name");
        let snapshot = read(&registry, &set).await;
        let _ = registry.try_note(&set, &mut Note::new(EventKind::Settings, "fuzz")).await;
        // Whoever changes something notes it, and waits a while for a log that takes nothing.
        let has_log = written.keys().any(|key| key.name.starts_with(b"event"));
        let instances = snapshot.iter().flat_map(|snapshot| snapshot.instances.keys());
        for id in instances.filter(|_| !has_log) {
            // Refusals are answers here.
            let _ = registry.drain(&set, id, Some(Tick(3)), "fuzz").await;
            let _ = registry.undrain(&set, id, "fuzz").await;
            let _ = registry.declare_lost(&set, id, Tick(4), "fuzz").await;
            let _ = registry.set_state(&set, id, None, LedgerState::Open, "fuzz").await;
            let _ = registry.order_switchover(&set, Some(id), "fuzz").await;
        }
        for (key, value) in written {
            if !is_readable(&key, &value) {
                let now = store.read(&key, WITHIN).await.expect("a store in memory");
                assert_eq!(now.map(|record| record.value.to_vec()), Some(value), "{key:?} could not be read");
            }
        }
    });
}

async fn fill(store: &dyn Store, data: &[u8]) -> BTreeMap<Key, Vec<u8>> {
    let mut written = BTreeMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let Some(space) = line.iter().position(|byte| *byte == b' ') else { continue };
        let (name, value) = (line[..space].to_vec(), line[space + 1..].to_vec());
        let place =
            if name.starts_with(keys::SETS) { keys::catalog() } else { keys::space(&"web".parse().expect("a name")) };
        let key = Key::new(place, name);
        let batch = Batch::one(key.clone(), Expect::Absent, Write::Put(value.clone().into(), None));
        if store.commit(batch, WITHIN).await.is_ok() {
            written.insert(key, value);
        }
    }
    written
}

/// Everything that can be asked. What it answers need not be true, only be an answer.
async fn read(registry: &Registry, set: &SetName) -> Option<Snapshot> {
    let _ = registry.sets().await;
    if let Ok(Some(found)) = registry.set(set).await {
        let _ = found.record.settings(set);
    }
    let _ = registry.instances(set).await;
    let _ = registry.events(set, 0).await;
    let _ = Leases::new(registry.clone(), set.clone()).read(WITHIN).await;
    let mut after = None;
    for _ in 0..PAGES {
        let Ok(page) = registry.clients(set, after.as_ref(), 2).await else { break };
        assert!(page.next.is_none() || page.next > after, "a page goes on");
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let snapshot = Snapshot::read(registry, set).await.ok()?;
    if let Ok(beats) = registry.beats_now(set).await {
        let members = snapshot.members(&beats, steadfast_host::clock::now());
        assert!(members.len() <= snapshot.instances.len());
    }
    Some(snapshot)
}

/// Whether the reader of records of this name takes it.
fn is_readable(key: &Key, value: &[u8]) -> bool {
    let name = String::from_utf8_lossy(&key.name).into_owned();
    match name.split_once('/').map_or(name.as_str(), |(kind, _)| kind) {
        "set" => decode::<SetRecord>(&name, value).is_ok(),
        "lease" => decode::<StoredLease>(&name, value).is_ok(),
        "instance" => decode::<InstanceRecord>(&name, value).is_ok(),
        "ledger" => decode::<LedgerRecord>(&name, value).is_ok(),
        "beat" => decode::<BeatRecord>(&name, value).is_ok(),
        "order" => decode::<OrderRecord>(&name, value).is_ok(),
        "client" => ClientRecord::decode(key, value).is_ok(),
        "clock" => decode::<ClockRecord>(&name, value).is_ok(),
        // The log of events is a ring: what leaves it is deleted, whatever it was.
        _ => true,
    }
}
