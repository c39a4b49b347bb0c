//! The books over a store that keeps leases apart: their versions count for themselves, and a watch tells of them late,
//! only the latest, at the cursor of a commit that has nothing to do with them.
#![allow(clippy::unwrap_used, reason = "what the tests share is test code too")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use steadfast_core::lease::{Attempt, Expect, Hold, LeaseRecord, Outcome, Version};
use steadfast_core::settings::{SetSettings, SingleSettings};
use steadfast_core::{Epoch, Incarnation, Nonce, SetName, Span};
use steadfast_registry::{CopyRules, Error, Leases, Mirror, Registry, Snapshot};
use steadfast_store::faulty::{Control, Faulty};
use steadfast_store::{
    self as store, Batch, Change, Committed, Cursor, Description, Key, LEASE, Limits, Memory, Named, Notice, Page,
    PageToken, Record, Revision, Space, Store, Watch, Write,
};
use tokio::sync::watch;

/// For how long that store holds a lease.
const LASTS: Span = Span::from_millis(60_000);

const SOON: Duration = Duration::from_secs(60);

/// Leases by name, each with the version it has, or had when it was deleted.
type Shelf = BTreeMap<Vec<u8>, (Revision, Option<Record>)>;

/// A store of one space with its leases apart.
#[derive(Debug)]
struct Apart {
    inner: Memory,
    leases: Arc<Mutex<Shelf>>,
    /// The version before a lease's first.
    first: u64,
    /// Leases are looked at when this changes.
    looks: watch::Sender<u64>,
    /// How often a watch told of leases.
    told: Arc<watch::Sender<u64>>,
}

/// A watch of it: that of the history, and now and then a look at the leases.
struct ApartWatch {
    inner: Box<dyn Watch>,
    leases: Arc<Mutex<Shelf>>,
    looks: watch::Receiver<u64>,
    /// Where the history stands, once it was proved.
    at: Option<Cursor>,
    known: BTreeMap<Vec<u8>, Revision>,
    told: Arc<watch::Sender<u64>>,
}

impl Apart {
    fn new(first: u64) -> Arc<Apart> {
        let (inner, leases, looks) = (Memory::new(), Arc::default(), watch::Sender::new(0));
        Arc::new(Apart { inner, leases, first, looks, told: Arc::new(watch::Sender::new(0)) })
    }

    /// Watches tell what became of the leases.
    fn look(&self) {
        self.looks.send_modify(|looks| *looks += 1);
    }

    fn lease(&self, name: &[u8]) -> Option<Record> {
        self.leases.lock().unwrap().get(name).and_then(|(_, record)| record.clone())
    }

    fn write(&self, change: Change) -> Result<Revision, store::Error> {
        let mut leases = self.leases.lock().unwrap();
        let (last, current) = leases.get(&change.name).cloned().unwrap_or((Revision(self.first), None));
        if !change.expect.holds(current.as_ref().map(|record| record.version)) {
            return Err(store::Error::Conflict(vec![(change.name, current)]));
        }
        let version = last.next();
        let record = match change.write {
            Write::Put(value, _) => Some(Record { version, value }),
            Write::Delete => None,
            Write::Nothing => return Ok(last),
        };
        leases.insert(change.name, (version, record));
        Ok(version)
    }
}

#[async_trait]
impl Store for Apart {
    async fn read(&self, key: &Key, within: Duration) -> Result<Option<Record>, store::Error> {
        if key.name.starts_with(LEASE) { Ok(self.lease(&key.name)) } else { self.inner.read(key, within).await }
    }
    async fn commit(&self, mut batch: Batch, within: Duration) -> Result<Cursor, store::Error> {
        batch.check(self.limits())?;
        if !batch.changes[0].name.starts_with(LEASE) {
            return self.inner.commit(batch, within).await;
        }
        let revision = self.write(batch.changes.remove(0))?;
        Ok(Cursor { revision, mark: Vec::new() })
    }
    async fn scan(
        &self,
        space: &Space,
        prefix: &[u8],
        page: Option<PageToken>,
        limit: usize,
        within: Duration,
    ) -> Result<Page, store::Error> {
        let page = self.inner.scan(space, prefix, page, limit, within).await?;
        if !prefix.starts_with(LEASE) {
            return Ok(page);
        }
        let leases = self.leases.lock().unwrap();
        let under = leases.iter().filter(|(name, _)| name.starts_with(prefix));
        let records = under.filter_map(|(name, (_, record))| Some((name.clone(), record.clone()?))).collect();
        Ok(Page { records, ..page })
    }
    async fn watch(
        &self,
        space: &Space,
        prefixes: &[&[u8]],
        from: Cursor,
        every: Duration,
    ) -> Result<Box<dyn Watch>, store::Error> {
        let inner = self.inner.watch(space, prefixes, from, every).await?;
        let (leases, mut looks) = (self.leases.clone(), self.looks.subscribe());
        looks.mark_changed();
        let (known, told) = (BTreeMap::new(), self.told.clone());
        Ok(Box::new(ApartWatch { inner, leases, looks, at: None, known, told }))
    }
    fn limits(&self) -> Limits {
        self.inner.limits()
    }
    fn describe(&self) -> Description {
        Description { leases_apart: true, lease_lasts_ms: Some(LASTS.as_millis()), ..self.inner.describe() }
    }
}

impl ApartWatch {
    /// What became of the leases since they were told last.
    fn news(&mut self) -> Vec<Named> {
        let leases = self.leases.lock().unwrap();
        let new = leases.iter().filter(|(name, (version, _))| self.known.get(*name) != Some(version));
        let new: Vec<_> = new.map(|(name, (version, record))| (name.clone(), *version, record.clone())).collect();
        self.known.extend(new.iter().map(|(name, version, _)| (name.clone(), *version)));
        new.into_iter().map(|(name, _, record)| (name, record)).collect()
    }
}

#[async_trait]
impl Watch for ApartWatch {
    async fn next(&mut self) -> Result<Notice, store::Error> {
        loop {
            tokio::select! {
                biased;
                looked = self.looks.changed(), if self.at.is_some() => {
                    looked.map_err(|_| store::Error::Unavailable("the store is gone".to_owned()))?;
                    let (cursor, changes) = (self.at.clone().unwrap(), self.news());
                    if !changes.is_empty() {
                        self.told.send_modify(|told| *told += 1);
                        return Ok(Notice::Committed(Committed { cursor, changes }));
                    }
                }
                notice = self.inner.next() => {
                    let notice = notice?;
                    let (Notice::Progress(at) | Notice::Committed(Committed { cursor: at, .. })) = &notice;
                    self.at = Some(at.clone());
                    return Ok(notice);
                }
            }
        }
    }
}

fn web() -> SetName {
    "web".parse().unwrap()
}

/// A registry over it, and what cuts its watches.
fn registry(apart: &Arc<Apart>) -> (Registry, Control) {
    let faulty = Faulty::new(apart.clone());
    let control = faulty.control();
    (Registry::new(Arc::new(faulty)), control)
}

/// Makes as many commits that have nothing to do with leases.
async fn other_commits(apart: &Apart, many: u64) {
    let key = Key::new(Space::new("web").unwrap(), "order/1");
    let mut version = apart.read(&key, SOON).await.unwrap().map(|record| record.version);
    for n in 0..many {
        let expect = version.map_or(store::Expect::Absent, store::Expect::Version);
        let batch = Batch::one(key.clone(), expect, Write::Put(format!(r#"{{"v":1,"n":{n}}}"#).into(), None));
        version = Some(apart.commit(batch, SOON).await.unwrap().revision);
    }
}

/// Takes the lease at the first epoch, or renews it with this nonce.
async fn renew(leases: &Leases, expect: Expect, nonce: u64) -> Version {
    let record = LeaseRecord {
        epoch: Epoch(1),
        holder: "web-1".parse().unwrap(),
        incarnation: Incarnation(1),
        ttl: Span::from_millis(3_000),
        nonce: Nonce(nonce),
        released: false,
    };
    let hold = if expect == Expect::Absent { Hold::Take } else { Hold::Renew };
    match leases.send(&Attempt { hold, expect, record, within: SOON }).await {
        Ok(Outcome::Committed(version)) => version,
        other => panic!("{other:?}"),
    }
}

async fn until(mirror: &Mirror, what: &str, holds: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let mut snapshots = mirror.subscribe();
    let found = tokio::time::timeout(SOON, snapshots.wait_for(|snapshot| holds(snapshot))).await;
    found.unwrap_or_else(|_| panic!("never saw {what}: {:#?}", mirror.snapshot())).unwrap().clone()
}

fn nonce(snapshot: &Snapshot) -> Option<u64> {
    snapshot.lease.as_ref().map(|lease| lease.observed.record.nonce.0)
}

/// The story, where the first lease has a version below those of the other records, or far above.
async fn a_mirror_shows_the_latest_of(first: u64) {
    let apart = Apart::new(first);
    let (registry, control) = registry(&apart);
    other_commits(&apart, 50).await;
    let leases = Leases::new(registry.clone(), web());
    let mut version = renew(&leases, Expect::Absent, 1).await;
    assert_eq!(version, Version(first + 1));
    let mirror = Mirror::follow(&registry, &web());
    until(&mirror, "the lease, read", |s| s.complete && nonce(s) == Some(1)).await;

    // Renewed twice between two looks, at the same place in history: the later is told.
    for nonce_of in [2, 3] {
        version = renew(&leases, Expect::Version(version), nonce_of).await;
    }
    apart.look();
    let seen = until(&mirror, "the last renewal", |s| nonce(s) == Some(3)).await;
    assert_eq!(seen.lease.as_ref().unwrap().observed.version, version);

    // A watch that begins anew tells it again, which is no news.
    let mut told = apart.told.subscribe();
    control.cut_watches();
    tokio::time::timeout(SOON, told.changed()).await.expect("it is told again").unwrap();
    let now = steadfast_host::clock::now();
    let after = until(&mirror, "what came after", |s| s.contact > Some(now)).await;
    assert_eq!(after.lease, seen.lease, "the receipt of an unchanged lease is not renewed");
    // And what was missed is news, though the history stood still.
    version = renew(&leases, Expect::Version(version), 4).await;
    control.cut_watches();
    until(&mirror, "a renewal that came while nobody watched", |s| nonce(s) == Some(4)).await;

    let name = b"lease/web".to_vec();
    let gone = Change { name, expect: store::Expect::Version(Revision(version.0)), write: Write::Delete };
    apart.write(gone).unwrap();
    apart.look();
    until(&mirror, "that the lease is gone", |s| s.lease.is_none()).await;
    let again = renew(&leases, Expect::Absent, 5).await;
    assert!(again > version, "versions are never used again");
    apart.look();
    let last = until(&mirror, "the lease anew", |s| nonce(s) == Some(5)).await;
    assert_eq!(last.history, seen.history, "one history all the time");
}

#[tokio::test]
async fn a_lease_with_lower_versions_than_the_history_is_followed() {
    a_mirror_shows_the_latest_of(0).await;
}

#[tokio::test]
async fn a_lease_with_higher_versions_than_the_history_is_followed() {
    a_mirror_shows_the_latest_of(1_000_000).await;
}

#[tokio::test]
async fn a_lease_that_went_back_is_another_history() {
    let apart = Apart::new(10);
    let (registry, control) = registry(&apart);
    let leases = Leases::new(registry.clone(), web());
    let old = renew(&leases, Expect::Absent, 1).await;
    let restored = apart.lease(b"lease/web").unwrap();
    renew(&leases, Expect::Version(old), 2).await;
    let mirror = Mirror::follow(&registry, &web());
    let before = until(&mirror, "the lease, read", |s| s.complete && nonce(s) == Some(2)).await;
    // The leases are restored from a copy, and the history that has nothing to do with them goes on.
    apart.leases.lock().unwrap().insert(b"lease/web".to_vec(), (restored.version, Some(restored)));
    control.cut_watches();
    let after = until(&mirror, "the lease as it was", |s| nonce(s) == Some(1)).await;
    assert!(after.history > before.history, "what was known is worth nothing");
}

#[tokio::test]
async fn a_lease_longer_than_the_store_holds_it_is_refused_with_both_numbers() {
    let (registry, _control) = registry(&Apart::new(0));
    let single = |ttl: u64| {
        let settings = SingleSettings::new(Span::from_millis(ttl), 100, Span::ZERO, Span::ZERO);
        SetSettings::Single(settings.unwrap())
    };
    let refused = |ended: Option<Error>| match ended {
        Some(Error::Refused { reason: "lease-too-long", detail }) => {
            let numbers = [Span::from_millis(61_000), LASTS].map(|span| span.to_string());
            assert!(numbers.iter().all(|number| detail.contains(number)), "{detail}");
        }
        other => panic!("not refused: {other:?}"),
    };
    refused(registry.introduce_set(&web(), &single(61_000)).await.err());
    assert!(registry.set(&web()).await.unwrap().is_none());
    registry.introduce_set(&web(), &single(60_000)).await.unwrap();
    refused(registry.change_set(&web(), &single(61_000), "me").await.err());
    refused(registry.check_lease(&web(), &single(61_000)).err());
    assert_eq!(registry.check_lease(&web(), &single(15_000)), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_leader_is_seen_by_who_would_copy_its_books() {
    let apart = Apart::new(0);
    let (from, _) = registry(&apart);
    let ttl = Span::from_millis(20_000);
    let settings = SingleSettings::new(ttl, 100, Span::ZERO, Span::from_millis(2_000)).unwrap();
    from.introduce_set(&web(), &SetSettings::Single(settings)).await.unwrap();
    let leases = Leases::new(from.clone(), web());
    let taken = renew(&leases, Expect::Absent, 1).await;
    let to = Registry::new(Arc::new(Memory::new()));
    // It renews a quarter of the TTL later, and writes nothing else.
    let renewing = async {
        tokio::time::sleep(Duration::from_millis(5_500)).await;
        renew(&leases, Expect::Version(taken), 2).await
    };
    let (copied, _) = tokio::join!(from.copy_to(&to, CopyRules::default(), |_| ()), renewing);
    let told = copied.unwrap_err().to_string();
    assert!(told.starts_with("FROM is in use (`lease/web` of `"), "{told}");
    assert!(to.sets().await.unwrap().is_empty(), "nothing was written");
}
