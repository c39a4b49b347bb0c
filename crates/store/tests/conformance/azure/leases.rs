//! Leases that Azure holds, beside somebody who is not Steadfast.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use steadfast_host::clock;
use steadfast_host::http::{Call, Client, HeaderName, HeaderValue, Method, Target};
use steadfast_store::conformance::servers::{Kind, Mode, Place, shared};
use steadfast_store::{Error, Expect, Hold, Key, Revision, Store, Write};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Batch, Change, Duration, PATIENCE, WITHIN, brisk, web};

/// A place where Azure holds the set's lease, for longer than this machine may stand still.
fn native() -> Place {
    brisk(shared(Kind::Azurite).fresh_place()).with("lease=native").with("lease_blob=leader").with("lease_lasts=60s")
}

async fn hold(store: &Arc<dyn Store>, before: Option<Revision>, hold: Hold, text: &str) -> Result<Revision, Error> {
    let expect = before.map_or(Expect::Absent, Expect::Version);
    let write = Write::Put(format!("{{\"v\":1,\"holder\":\"{text}\"}}").into(), Some(hold));
    let changes = vec![Change { name: b"lease/web".to_vec(), expect, write }];
    store.commit(Batch { space: web(), changes }, WITHIN).await.map(|cursor| cursor.revision)
}

async fn version(store: &Arc<dyn Store>) -> Option<Revision> {
    let lease = store.read(&Key::new(web(), "lease/web"), WITHIN).await.expect("a look");
    lease.map(|record| record.version)
}

/// Takes the lease as it stands.
async fn take(store: &Arc<dyn Store>, who: &str) -> Result<Revision, Error> {
    let before = version(store).await;
    hold(store, before, Hold::Take, who).await
}

#[tokio::test]
async fn one_of_fifty_candidates_holds_it() {
    let place = native();
    let stores: Vec<_> = (0..5).map(|_| place.open()).collect();
    let mut before = None;
    for round in 0..3 {
        let mut candidates = JoinSet::new();
        for candidate in 0..50 {
            let store = Arc::clone(&stores[candidate % stores.len()]);
            candidates.spawn(async move {
                let taken = hold(&store, before, Hold::Take, &candidate.to_string()).await;
                taken.map(|version| (version, candidate))
            });
        }
        let (mut won, mut lost) = (Vec::new(), 0);
        for ended in candidates.join_all().await {
            match ended {
                Ok(winner) => won.push(winner),
                Err(Error::Conflict(_) | Error::Unavailable(_)) => lost += 1,
                Err(other) => panic!("stand for a lease: {other}"),
            }
        }
        let [(version, winner)] = won[..] else { panic!("round {round}: not one winner: {won:?}") };
        assert_eq!(lost, 49);
        let holder = &stores[winner % stores.len()];
        let renewed = hold(holder, Some(version), Hold::Renew, "again").await.expect("it holds it");
        let stranger = &stores[(winner + 1) % stores.len()];
        let others = hold(stranger, Some(renewed), Hold::Renew, "not mine").await;
        assert!(matches!(others, Err(Error::Unavailable(_))), "{others:?}");
        before = Some(hold(holder, Some(renewed), Hold::Release, "none").await.expect("it holds it"));
    }
}

/// The `BlobLeaseManager` of Microsoft's sample: it makes a page blob of size 0, leases it, and writes nothing.
struct Sample {
    client: Client,
    target: Target,
    path: String,
    key: hmac::Key,
}

impl Sample {
    fn of(place: &Place) -> Sample {
        let url = place.url();
        let container =
            url.strip_prefix("azure://steadfast/").and_then(|rest| rest.split('?').next()).expect("a container");
        let secret = place.access.secret.as_ref().expect("a key").text();
        Sample {
            client: Client::default(),
            target: Target::Tcp { host: "127.0.0.1".parse().expect("a host"), port: place.ports()[0] },
            path: format!("/steadfast/{container}/leader"),
            key: hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(&*secret).expect("base64")),
        }
    }

    /// A PUT of the blob with these headers; the answer's status and lease id.
    async fn put(&self, query: &str, headers: &[(&'static str, &str)]) -> (u16, String) {
        self.send(Method::PUT, query, headers).await
    }

    async fn send(&self, method: Method, query: &str, headers: &[(&'static str, &str)]) -> (u16, String) {
        let date = http_date();
        let mut headers = headers.to_vec();
        headers.extend([("x-ms-date", date.as_str()), ("x-ms-version", "2021-12-02")]);
        headers.sort_unstable();
        let ours: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let query_text = if query.is_empty() { String::new() } else { format!("\n{}", query.replace('=', ":")) };
        let text = format!("{method}\n\n\n\n\n\n\n\n\n\n\n\n{ours}/steadfast{}{query_text}", self.path);
        let signature = STANDARD.encode(hmac::sign(&self.key, text.as_bytes()));
        let path = if query.is_empty() { self.path.clone() } else { format!("{}?{query}", self.path) };
        let mut call = Call::new(method, path);
        let authorization = format!("SharedKey steadfast:{signature}");
        headers.extend([("authorization", authorization.as_str()), ("content-length", "0")]);
        for (name, value) in headers {
            call = call.with(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header"));
        }
        let reply = self.client.call(&self.target, call, WITHIN).await.expect("an answer");
        let id = reply.headers.get("x-ms-lease-id").map(|id| id.to_str().expect("text").to_owned());
        (reply.status.as_u16(), id.unwrap_or_default())
    }

    /// The id of its lease; `None`: somebody else has one.
    async fn acquire(&self) -> Option<String> {
        loop {
            let acquire = [("x-ms-lease-action", "acquire"), ("x-ms-lease-duration", "60")];
            match self.put("comp=lease", &acquire).await {
                (201, id) => return Some(id),
                (404, _) => {
                    let made = self.put("", &[("x-ms-blob-content-length", "0"), ("x-ms-blob-type", "PageBlob")]).await;
                    assert!(matches!(made.0, 201 | 409 | 412), "{made:?}");
                }
                (409, _) => return None,
                other => panic!("acquire: {other:?}"),
            }
        }
    }

    async fn act(&self, action: &str, id: &str) -> u16 {
        self.put("comp=lease", &[("x-ms-lease-action", action), ("x-ms-lease-id", id)]).await.0
    }

    /// Ends whoever's lease there is.
    async fn break_it(&self) {
        let (status, _) =
            self.put("comp=lease", &[("x-ms-lease-action", "break"), ("x-ms-lease-break-period", "0")]).await;
        assert_eq!(status, 202);
    }
}

/// Now, as HTTP writes it.
fn http_date() -> String {
    let text = clock::wall().to_string();
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month: usize = text[5..7].parse().expect("a month");
    let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let day = usize::try_from(clock::wall().unix_millis().div_euclid(86_400_000) % 7).expect("a day");
    format!("{}, {} {} {} {} GMT", days[day], &text[8..10], months[month - 1], &text[..4], &text[11..19])
}

#[tokio::test]
async fn the_published_sample_and_we_never_hold_it_together() {
    const TURNS: usize = 4;
    let place = native();
    let store = place.open();
    // The container is there once somebody of ours was.
    assert_eq!(version(&store).await, None);
    let (inside, ours, theirs) =
        (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let enter = |inside: &AtomicBool| assert!(!inside.swap(true, Ordering::SeqCst), "both hold it");
    let leave = |inside: &AtomicBool| inside.store(false, Ordering::SeqCst);
    let (done_ours, done_theirs) = (Arc::clone(&ours), Arc::clone(&theirs));
    let is_done = move || [&done_ours, &done_theirs].iter().all(|turns| turns.load(Ordering::SeqCst) >= TURNS);
    let sample = tokio::spawn({
        let (sample, inside, theirs, is_done) =
            (Sample::of(&place), Arc::clone(&inside), Arc::clone(&theirs), is_done.clone());
        async move {
            while !is_done() {
                if let Some(id) = sample.acquire().await {
                    enter(&inside);
                    assert_eq!(sample.act("renew", &id).await, 200);
                    leave(&inside);
                    assert_eq!(sample.act("release", &id).await, 200);
                    theirs.fetch_add(1, Ordering::SeqCst);
                }
                sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let candidates: Vec<_> = (0..2)
        .map(|n| {
            let (store, inside, ours, is_done) =
                (place.open(), Arc::clone(&inside), Arc::clone(&ours), is_done.clone());
            tokio::spawn(async move {
                while !is_done() {
                    match take(&store, &n.to_string()).await {
                        Ok(taken) => {
                            enter(&inside);
                            let renewed = hold(&store, Some(taken), Hold::Renew, "renewed").await.expect("ours");
                            leave(&inside);
                            hold(&store, Some(renewed), Hold::Release, "none").await.expect("ours");
                            ours.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(Error::Unavailable(_) | Error::Conflict(_)) => {}
                        Err(other) => panic!("take: {other}"),
                    }
                    sleep(Duration::from_millis(5)).await;
                }
            })
        })
        .collect();
    for task in candidates.into_iter().chain([sample]) {
        timeout(2 * PATIENCE, task).await.expect("everybody has turns").expect("a contender");
    }
}

#[tokio::test]
async fn a_lease_that_was_taken_away_is_not_renewed() {
    let place = native();
    let (store, sample) = (place.open(), Sample::of(&place));
    let taken = take(&store, "us").await.expect("nobody has it");
    assert_eq!(sample.acquire().await, None, "we hold it");
    sample.break_it().await;
    let id = sample.acquire().await.expect("nobody has it");
    // Whoever led is to stop now, and not when its time is over: it hears that there is no lease.
    let renewed = hold(&store, Some(taken), Hold::Renew, "us").await;
    assert!(matches!(&renewed, Err(Error::Conflict(records)) if records[0].1.is_none()), "{renewed:?}");
    let again = hold(&store, Some(taken), Hold::Take, "us").await;
    assert!(matches!(again, Err(Error::Unavailable(_))), "{again:?}");
    assert_eq!(version(&store).await, Some(taken), "the sample writes nothing");
    assert_eq!(sample.act("release", &id).await, 200);
    assert!(hold(&store, Some(taken), Hold::Take, "us").await.expect("nobody has it") > taken);
}

#[tokio::test]
async fn each_waits_for_the_other_whoever_was_first() {
    let place = native();
    let (store, sample) = (place.open(), Sample::of(&place));
    assert_eq!(version(&store).await, None);
    let id = sample.acquire().await.expect("nobody has it");
    let refused = take(&store, "us").await;
    assert!(matches!(&refused, Err(Error::Unavailable(why)) if why.contains("somebody else")), "{refused:?}");
    assert_eq!(version(&store).await, None, "nothing of ours is written under another's lease");
    assert_eq!(sample.act("release", &id).await, 200);
    let taken = take(&store, "us").await.expect("nobody has it");
    assert_eq!(sample.acquire().await, None, "we hold it");
    let released = hold(&store, Some(taken), Hold::Release, "none").await.expect("ours");
    let id = sample.acquire().await.expect("nobody has it");
    let refused = take(&store, "us").await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert_eq!(version(&store).await, Some(released));
    assert_eq!(sample.act("release", &id).await, 200);
}

#[tokio::test]
async fn a_blob_that_was_deleted_gives_no_version_again() {
    let place = native();
    let (store, sample) = (place.open(), Sample::of(&place));
    let taken = take(&store, "us").await.expect("nobody has it");
    let renewed = hold(&store, Some(taken), Hold::Renew, "us").await.expect("ours");
    sample.break_it().await;
    assert_eq!(sample.send(Method::DELETE, "", &[]).await.0, 202);
    let lost = hold(&store, Some(renewed), Hold::Renew, "us").await;
    assert!(matches!(&lost, Err(Error::Conflict(records)) if records[0].1.is_none()), "{lost:?}");
    assert!(take(&store, "us").await.expect("nobody has it") > renewed);
}

#[tokio::test]
async fn after_an_acquire_without_an_answer_none_is_sent_until_it_must_be_over() {
    let place = brisk(shared(Kind::Azurite).fresh_place()).with("lease=native").with("lease_blob=leader");
    let place = place.with("lease_lasts=30s");
    let before = take(&place.open(), "former").await.expect("nobody has it");
    Sample::of(&place).break_it().await;
    let (place, proxy) = place.through_a_proxy();
    let store = place.open();
    // The first request of the next attempt is the acquire: all else was done by one that came to nothing.
    let late = hold(&store, None, Hold::Take, "late").await;
    assert!(matches!(late, Err(Error::Conflict(_))), "{late:?}");
    proxy.set(Mode::Mute);
    let attempt = |within| {
        let write = Write::Put("{\"v\":1}".into(), Some(Hold::Take));
        let changes = vec![Change { name: b"lease/web".to_vec(), expect: Expect::Version(before), write }];
        store.commit(Batch { space: web(), changes }, within)
    };
    let unanswered = attempt(Duration::from_secs(5)).await;
    assert!(matches!(unanswered, Err(Error::Unavailable(_) | Error::OutcomeUnknown(_))), "{unanswered:?}");
    proxy.set(Mode::Pass);
    let Err(Error::Unavailable(why)) = attempt(WITHIN).await else { panic!("it may have taken it just now") };
    assert!(why.contains("must have run out"), "{why}");
    // Once it is over, it is taken.
    timeout(PATIENCE, async {
        while attempt(WITHIN).await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("a lease of 30 s is over");
}

#[tokio::test]
async fn both_ways_of_holding_it_do_not_mix() {
    let place = brisk(shared(Kind::Azurite).fresh_place());
    let by_etag = place.open();
    let by_azure = place.clone().with("lease=native").open();
    let taken = hold(&by_etag, None, Hold::Take, "etag").await.expect("nobody has it");
    let refused = hold(&by_azure, None, Hold::Take, "native").await;
    assert!(matches!(&refused, Err(Error::Config(why)) if why.contains("lease")), "{refused:?}");
    assert_eq!(version(&by_etag).await, Some(taken));

    let place = brisk(shared(Kind::Azurite).fresh_place());
    let by_etag = place.open();
    let by_azure = place.clone().with("lease=native").open();
    hold(&by_azure, None, Hold::Take, "native").await.expect("nobody has it");
    let refused = hold(&by_etag, None, Hold::Take, "etag").await;
    assert!(matches!(&refused, Err(Error::Config(why)) if why.contains("native")), "{refused:?}");
    // The keeper's lease is shorter than Azure's may be, and everybody's alike.
    let keeper = |store: Arc<dyn Store>, expect| async move {
        let write = Write::Put("{}".into(), Some(Hold::Take));
        let changes = vec![Change { name: b"lease/keeper".to_vec(), expect, write }];
        store.commit(Batch { space: web(), changes }, WITHIN).await
    };
    let kept = keeper(by_azure, Expect::Absent).await.expect("nobody has it");
    keeper(by_etag, Expect::Version(kept.revision)).await.expect("the version last written");
}
