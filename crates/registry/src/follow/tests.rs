use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use steadfast_core::settings::{SetSettings, SingleSettings, StickySettings, Value};
use steadfast_core::{SetName, Span};
use steadfast_store::{Batch, Description, Key, Limits, Memory, Page, PageToken, Watch};

use super::*;
use crate::{Mirror, Registry};

/// A store that can prove contact only so often, and may fall silent. It keeps what it was asked for.
#[derive(Debug)]
struct Far {
    inner: Memory,
    pace: Duration,
    silent: Arc<AtomicBool>,
    watches: Mutex<Vec<(Space, Cursor, Duration)>>,
}

/// A watch of it.
struct FarWatch {
    inner: Box<dyn Watch>,
    silent: Arc<AtomicBool>,
}

impl Far {
    fn new(pace: Duration) -> Arc<Far> {
        let (silent, watches) = (Arc::default(), Mutex::default());
        Arc::new(Far { inner: Memory::new(), pace, silent, watches })
    }

    /// The intervals of progress asked for in `space`, in order.
    fn asked(&self, space: &Space) -> Vec<Duration> {
        let watches = self.watches.lock().unwrap();
        watches.iter().filter(|(of, ..)| of == space).map(|(.., every)| *every).collect()
    }

    /// The interval asked for last, when it is this one.
    async fn comes_to_ask(&self, space: &Space, every: Duration) {
        let come = async {
            while self.asked(space).last() != Some(&every) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let come = tokio::time::timeout(Duration::from_secs(60), come).await;
        come.unwrap_or_else(|_| panic!("{every:?} was not asked for: {:?}", self.asked(space)));
    }
}

#[async_trait]
impl Store for Far {
    async fn read(&self, key: &Key, within: Duration) -> Result<Option<Record>, Error> {
        self.inner.read(key, within).await
    }
    async fn commit(&self, batch: Batch, within: Duration) -> Result<Cursor, Error> {
        self.inner.commit(batch, within).await
    }
    async fn scan(
        &self,
        space: &Space,
        prefix: &[u8],
        page: Option<PageToken>,
        limit: usize,
        within: Duration,
    ) -> Result<Page, Error> {
        self.inner.scan(space, prefix, page, limit, within).await
    }
    async fn watch(
        &self,
        space: &Space,
        prefixes: &[&[u8]],
        from: Cursor,
        every: Duration,
    ) -> Result<Box<dyn Watch>, Error> {
        self.watches.lock().unwrap().push((space.clone(), from.clone(), every));
        let inner = self.inner.watch(space, prefixes, from, every).await?;
        Ok(Box::new(FarWatch { inner, silent: self.silent.clone() }))
    }
    fn limits(&self) -> Limits {
        self.inner.limits()
    }
    fn describe(&self) -> Description {
        let pace_ms = u64::try_from(self.pace.as_millis()).unwrap();
        Description { pace_ms, ..self.inner.describe() }
    }
}

#[async_trait]
impl Watch for FarWatch {
    async fn next(&mut self) -> Result<Notice, Error> {
        let notice = self.inner.next().await;
        if self.silent.load(Ordering::SeqCst) { pending().await } else { notice }
    }
}

fn web() -> (SetName, Space) {
    ("web".parse().unwrap(), Space::new("web").unwrap())
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Follows all of the space `web`.
fn follow(store: &Arc<Far>, wanted: Wanted) -> mpsc::Receiver<Fact> {
    let (facts, incoming) = mpsc::channel(16);
    let (store, prefixes) = (store.clone(), vec![Vec::new()]);
    tokio::spawn(Follow { store, space: web().1, prefixes, reading: Reading::Records, wanted }.run(facts));
    incoming
}

async fn next(facts: &mut mpsc::Receiver<Fact>) -> News {
    tokio::time::timeout(Duration::from_secs(600), facts.recv()).await.expect("news").expect("a follower").news
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_life_is_asked_for_as_often_as_wanted_or_as_the_store_can() {
    for (pace, wanted, asked) in [(0, 250, 250), (100, 250, 250), (500, 250, 500), (86_400_000, 250, 60_000)] {
        let store = Far::new(ms(pace));
        let mut facts = follow(&store, Wanted::always(ms(wanted)));
        assert!(matches!(next(&mut facts).await, News::All { .. }));
        for _ in 0..3 {
            assert!(matches!(next(&mut facts).await, News::Contact));
        }
        assert_eq!(store.asked(&web().1), [ms(asked)], "at a pace of {pace} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_counts_as_hung_by_the_pace_it_can_keep() {
    for (pace, silence) in [(0, 1_700), (1_000, 3_200), (10_000, 21_200)] {
        let store = Far::new(ms(pace));
        let mut facts = follow(&store, Wanted::always(ms(250)));
        assert!(matches!(next(&mut facts).await, News::All { .. }));
        assert!(matches!(next(&mut facts).await, News::Contact));
        let heard = tokio::time::Instant::now();
        store.silent.store(true, Ordering::SeqCst);
        let News::Trouble(why) = next(&mut facts).await else { panic!("no trouble") };
        assert!(why.contains("silent"), "{why}");
        let silent = heard.elapsed();
        assert!((ms(silence)..ms(silence + 100)).contains(&silent), "{silent:?} at a pace of {pace} ms");
        store.silent.store(false, Ordering::SeqCst);
        assert!(matches!(next(&mut facts).await, News::Contact));
    }
}

#[tokio::test(start_paused = true)]
async fn who_wants_signs_of_life_more_often_goes_on_where_it_stood() {
    let store = Far::new(ms(100));
    let (say, wanted) = Wanted::said(ms(1_000));
    let mut facts = follow(&store, wanted);
    assert!(matches!(next(&mut facts).await, News::All { .. }));
    let key = Key::new(web().1, "order/1");
    let batch = Batch::one(key, steadfast_store::Expect::Absent, steadfast_store::Write::Put("x".into(), None));
    let cursor = store.inner.commit(batch, ms(1_000)).await.unwrap();
    while !matches!(next(&mut facts).await, News::Changed { .. }) {}
    say.send_replace(ms(250));
    // As often as the store can is what it was asked for the second time: the third is no change.
    for (wanted, asked) in [(ms(250), ms(250)), (ms(50), ms(100)), (ms(20), ms(100))] {
        say.send_replace(wanted);
        store.comes_to_ask(&web().1, asked).await;
    }
    // The first of the new watch is the commit that was the last of the old one, and nothing was amiss.
    assert!(matches!(next(&mut facts).await, News::Changed { revision, .. } if revision == cursor.revision));
    drop(say);
    for _ in 0..8 {
        assert!(!matches!(next(&mut facts).await, News::Trouble(_) | News::All { .. }));
    }
    let watches = store.watches.lock().unwrap();
    assert_eq!(watches.iter().map(|(.., every)| *every).collect::<Vec<_>>(), [ms(1_000), ms(250), ms(100)]);
    assert!(watches[1..].iter().all(|(_, from, _)| *from == cursor), "{watches:?}");
}

fn single(ttl: u64) -> SetSettings {
    SetSettings::Single(SingleSettings::new(Span::from_millis(ttl), 10, Span::ZERO, Span::ZERO).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_mirror_wants_signs_of_life_as_its_set_needs_them() {
    let store = Far::new(ms(5));
    let registry = Registry::new(store.clone());
    let (set, space) = web();
    let mirror = Mirror::follow(&registry, &set);
    store.comes_to_ask(&space, ms(250)).await;
    for (ttl, every) in [(600, ms(50)), (3_000, ms(250)), (60_000, ms(5_000))] {
        registry.introduce_set(&set, &single(ttl)).await.unwrap();
        registry.change_set(&set, &single(ttl), "operator").await.unwrap();
        store.comes_to_ask(&space, every).await;
    }
    let cameras: SetName = "cameras".parse().unwrap();
    let sticky = StickySettings::read(|key| (key == "client").then(|| Value::Text("query:camera".into()))).unwrap();
    registry.introduce_set(&cameras, &SetSettings::Sticky(Box::new(sticky))).await.unwrap();
    let other = Mirror::follow(&registry, &cameras);
    store.comes_to_ask(&Space::new("cameras").unwrap(), UNHURRIED).await;
    assert!(store.asked(&crate::keys::catalog()).iter().all(|every| *every == UNHURRIED));
    assert!(mirror.snapshot().trouble.is_none() && other.snapshot().trouble.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_candidate_of_a_short_lease_hears_of_its_store_before_a_renewal_is_due() {
    let registry = Registry::new(Far::new(ms(1)));
    let SetSettings::Single(settings) = single(400) else { unreachable!("a single set") };
    registry.introduce_set(&web().0, &single(400)).await.unwrap();
    let mirror = Mirror::follow(&registry, &web().0);
    let mut snapshots = mirror.subscribe();
    snapshots.wait_for(|s| s.settings.is_some() && s.complete).await.unwrap();
    tokio::time::sleep(ms(1_000)).await;
    let mut last = tokio::time::Instant::now();
    let mut contact = snapshots.borrow_and_update().contact;
    for _ in 0..20 {
        contact = snapshots.wait_for(|s| s.contact > contact).await.unwrap().contact;
        let now = tokio::time::Instant::now();
        assert!(now - last <= settings.timing().renew_every(), "{:?}", now - last);
        last = now;
    }
}
