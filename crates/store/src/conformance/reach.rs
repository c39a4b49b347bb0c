//! What a store says while the way to its server is bad: never more than it knows, never less than happened.
//!
//! For engines whose server lies elsewhere. Each clause is given a place of its own, and puts a proxy before it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use steadfast_host::{clock, random};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::servers::{Mode, Place};
use super::{Caller, Trim, in_time, put, space, value};
use crate::{Batch, Cursor, Error, Expect, Key, Notice, Record, Revision, Store};

/// The time-out of calls that must get through.
const WITHIN: Duration = Duration::from_secs(30);
/// The time-out of calls that meet with silence: long enough to send a request on a machine that has much else to do.
const SILENCE: Duration = Duration::from_secs(3);

/// A caller of a handle of its own.
pub(super) fn caller(place: &Place) -> Caller {
    Caller { store: place.open(), within: WITHIN, space: space("web") }
}

/// One try to write what is not there yet.
pub(super) async fn once(store: &Arc<dyn Store>, name: &str, within: Duration) -> Result<Cursor, Error> {
    let key = Key::new(space("web"), name);
    store.commit(Batch::one(key, Expect::Absent, value(name.as_bytes())), within).await
}

/// Without an answer, a commit that was sent is in doubt and a look is unavailable; the next good connection heals it.
pub async fn silence_is_doubt(place: Place) {
    let direct = caller(&place);
    let (through, proxy) = place.through_a_proxy();
    let caller = caller(&through);
    let looked = async |name: &str| {
        let ended = caller.store.read(&Key::new(space("web"), name), SILENCE).await;
        assert!(matches!(ended, Err(Error::Unavailable(_))), "a look without an answer: {ended:?}");
    };
    for mode in [Mode::Swallow, Mode::Mute] {
        // Over a connection that is well used: nothing is left to be asked before a commit is sent.
        for n in 0..3u8 {
            caller.put(b"client/warm", &[n]).await;
        }
        proxy.set(mode.clone());
        let lost = format!("client/{mode:?}");
        let ended = once(&caller.store, &lost, SILENCE).await;
        assert!(matches!(ended, Err(Error::OutcomeUnknown(_))), "{mode:?}: a commit without an answer: {ended:?}");
        // Over a new connection it may not even come to be sent.
        let ended = once(&caller.store, "client/later", SILENCE).await;
        assert!(matches!(ended, Err(Error::OutcomeUnknown(_) | Error::Unavailable(_))), "{mode:?}: {ended:?}");
        looked("client/warm").await;
        if mode == Mode::Swallow {
            assert_eq!(direct.read(lost.as_bytes()).await, None, "it never arrived");
        } else {
            // It did arrive, and is done by now or soon.
            while direct.read(lost.as_bytes()).await.is_none() {
                sleep(Duration::from_millis(10)).await;
            }
        }
        proxy.set(Mode::Pass);
        let version = caller.put(lost.as_bytes(), b"healed").await;
        assert_eq!(direct.read(lost.as_bytes()).await.expect("it was written").version, version);
    }
}

/// Where nobody answers the door, nothing happened; and that is known at once, not when time is up.
pub async fn a_closed_door_is_certain(place: Place) {
    let direct = caller(&place);
    let (through, proxy) = place.through_a_proxy();
    let late = through.open();
    let caller = caller(&through);
    caller.put(b"client/warm", b"1").await;
    proxy.set(Mode::Refuse);
    // One that was connected and one that never was. With a time-out longer than any test waits.
    for (n, store) in [&caller.store, &late].into_iter().enumerate() {
        let name = format!("client/{n}");
        let mut ended = in_time(once(store, &name, 10 * super::PATIENCE)).await;
        if matches!(ended, Err(Error::OutcomeUnknown(_))) {
            // Sent over a connection whose end was not noticed yet; there is no second like it.
            ended = in_time(once(store, &name, 10 * super::PATIENCE)).await;
        }
        assert!(matches!(ended, Err(Error::Unavailable(_))), "{ended:?}");
        let looked = in_time(store.read(&Key::new(space("web"), name.as_str()), 10 * super::PATIENCE)).await;
        assert!(matches!(looked, Err(Error::Unavailable(_))), "{looked:?}");
        assert_eq!(direct.read(name.as_bytes()).await, None, "nothing happened");
    }
    proxy.set(Mode::Pass);
    for n in 0..20u8 {
        caller.put(b"client/again", &[n]).await;
        proxy.cut();
    }
    assert_eq!(direct.read(b"client/again").await.expect("it was written").value, &[19][..]);
}

/// However often its connection is cut, and whatever the engine forgets meanwhile: a watch tells every commit, or says
/// that it cannot, and what is read then and told after that is all there is. `trim` has the engine forget all history
/// up to now ([`outgrow`], where its log has a bound); `None`: nothing is forgotten.
pub async fn a_watch_misses_nothing_across_cuts(place: Place, trim: Option<Trim>) {
    const WRITERS: usize = 4;
    const ROUNDS: usize = 40;
    const CUTS: usize = 8;
    let (through, proxy) = place.through_a_proxy();
    let (direct, reached) = (caller(&place), caller(&through));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let caller = if writer % 2 == 0 { direct.clone() } else { reached.clone() };
        writers.spawn(async move {
            let name = format!("client/{writer}").into_bytes();
            let mut versions: Vec<Revision> = Vec::new();
            for round in 0..ROUNDS {
                let change = put(&name, versions.last().copied(), &round.to_be_bytes());
                versions.push(caller.commit(vec![change]).await.expect("nobody else writes here"));
                sleep(Duration::from_millis(10)).await;
            }
            versions
        });
    }
    let mut following = JoinSet::new();
    following.spawn(Followed::from_the_start().follow(reached.clone(), END));
    for cut in 0..CUTS {
        sleep(Duration::from_millis(20 + random::u64() % 80)).await;
        proxy.cut();
        if let (Some(trim), 2 | 5) = (&trim, cut) {
            trim().await;
        }
    }
    let mut written: BTreeSet<Revision> = writers.join_all().await.into_iter().flatten().collect();
    written.insert(direct.put(END, b"x").await);
    let mut followed = in_time(following.join_next()).await.expect("a follower").expect("it followed to the end");
    followed.knows_all_of(&direct).await;
    if followed.scans == 0 {
        let told: BTreeSet<Revision> = followed.told.iter().copied().collect();
        assert_eq!(told, written, "a watch left something out, or made it up");
    }
    assert!(proxy.connections() > 2, "nothing was cut");

    let Some(trim) = trim else { return };
    // What is forgotten while nobody watches is missed by whoever comes back.
    let scans = followed.scans;
    direct.put(b"client/0", b"forgotten").await;
    trim().await;
    direct.put(LATER, b"x").await;
    followed = in_time(followed.follow(reached, LATER)).await;
    assert!(followed.scans > scans, "what was forgotten was skipped");
    followed.knows_all_of(&direct).await;
}

/// Has an engine forget whose log has a bound: by so many commits.
pub fn outgrow(place: &Place, commits: usize) -> Trim {
    let caller = caller(place);
    Box::new(move || {
        let caller = caller.clone();
        Box::pin(async move {
            let mut version = caller.read(OUTGROWN).await.map(|record| record.version);
            for n in 0..commits {
                let put = put(OUTGROWN, version, &n.to_be_bytes());
                version = Some(caller.commit(vec![put]).await.expect("nobody else writes there"));
            }
        })
    })
}

/// The last record that is written; the last one of all; and that of [`outgrow`], which no watch is asked for.
const END: &[u8] = b"client/~end";
const LATER: &[u8] = b"client/~later";
const OUTGROWN: &[u8] = b"order/outgrown";

/// What somebody knows who watches, and reads anew when told to.
struct Followed {
    at: Cursor,
    state: BTreeMap<Vec<u8>, Record>,
    told: Vec<Revision>,
    scans: usize,
}

impl Followed {
    fn from_the_start() -> Followed {
        Followed { at: Cursor::START, state: BTreeMap::new(), told: Vec::new(), scans: 0 }
    }

    /// Watches on, until the record `end` is there.
    async fn follow(mut self, caller: Caller, end: &[u8]) -> Followed {
        while !self.state.contains_key(end) {
            let ended = match caller.watch(&[b"client/"], &self.at).await {
                Err(error) => error,
                Ok(mut watch) => loop {
                    match in_time(watch.next()).await {
                        Ok(notice) => self.hear(notice),
                        Err(error) => break error,
                    }
                    if self.state.contains_key(end) {
                        return self;
                    }
                },
            };
            match ended {
                Error::Unavailable(_) => {}
                Error::Compacted(..) => {
                    let (cursor, records) = caller.all(b"client/", 1000).await;
                    (self.at, self.state) = (cursor, records.into_iter().collect());
                    self.scans += 1;
                }
                other => panic!("a watch ended: {other}"),
            }
        }
        self
    }

    fn hear(&mut self, notice: Notice) {
        match notice {
            Notice::Progress(now) => self.at = now,
            Notice::Committed(commit) => {
                // Begun anew, it tells the last one again.
                if commit.cursor.revision > self.at.revision {
                    self.told.push(commit.cursor.revision);
                }
                self.at = commit.cursor;
                for (name, record) in commit.changes {
                    match record {
                        Some(record) => self.state.insert(name, record),
                        None => self.state.remove(&name),
                    };
                }
            }
        }
    }

    async fn knows_all_of(&self, caller: &Caller) {
        let (_, there) = caller.all(b"client/", 1000).await;
        assert_eq!(self.state.iter().map(|(name, record)| (name.clone(), record.clone())).collect::<Vec<_>>(), there);
        assert!(self.told.is_sorted_by(|a, b| a < b), "a commit was told twice: {:?}", self.told);
    }
}

/// Watches where nothing happens; anew where a loaded machine's server did not answer in time.
async fn stay(store: Arc<dyn Store>, head: Cursor, every: Duration) {
    loop {
        let watch = store.watch(&space("web"), &[b"order/"], head.clone(), every).await;
        let ended = match watch {
            Ok(mut watch) => loop {
                match watch.next().await {
                    Ok(Notice::Progress(_)) => {}
                    ended => break ended.map(drop),
                }
            },
            Err(error) => Err(error),
        };
        assert!(matches!(ended, Err(Error::Unavailable(_))), "nobody writes after {head}: {ended:?}");
        super::pause().await;
    }
}

/// Who only watches asks the server no more often than every `pace`, with so many watches of one space in a process:
/// several, where they share what they ask.
pub async fn idle_watches_cost_little(place: Place, watches_each: usize) {
    const HANDLES: usize = 20;
    const EVERY: Duration = Duration::from_secs(1);
    const IDLE: Duration = Duration::from_secs(5);
    /// Packets a look may take: the question, and what the protocol says besides.
    const PACKETS: u64 = 3;
    let (through, proxy) = place.through_a_proxy();
    let mut watches = JoinSet::new();
    let mut pace = EVERY;
    let stores: Vec<_> = (0..HANDLES).map(|_| through.open()).collect();
    for store in &stores {
        let head = Caller { store: Arc::clone(store), within: WITHIN, space: space("web") }.head().await;
        pace = pace.max(store.describe().pace());
        for _ in 0..watches_each {
            watches.spawn(stay(Arc::clone(store), head.clone(), EVERY));
        }
    }
    sleep(IDLE).await;
    // Everything has begun; from here on it is idle.
    let ((before, (_, told)), began) = ((proxy.requests(), proxy.bytes()), clock::now());
    sleep(IDLE).await;
    let asked = proxy.requests() - before;
    let looks = clock::now().since(began).div_duration_f64(pace).ceil() as u64 + 2;
    assert!(
        asked <= HANDLES as u64 * looks * PACKETS,
        "{asked} packets of {HANDLES} handles in {looks} times {pace:?}"
    );
    assert!(proxy.bytes().1 > told, "nobody is sure that the store is there");
    assert!(watches.try_join_next().is_none(), "a watch ended");
}
