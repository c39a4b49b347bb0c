use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use steadfast_host::clock;
use steadfast_host::net::Address;

use super::events::Teller;
use super::failure::{self, Asked};
use super::grpc::{Missed, Status};
use super::keys::Keys;
use super::members::{Cluster, Members};
use super::proto::{
    Event, KeyValue, PUT, RangeRequest, RangeResponse, Request, Response, ResponseHeader, ResponseOp, TargetUnion,
    TxnRequest, TxnResponse, WatchResponse,
};
use super::{Core, Settings, transaction};
use crate::conformance::servers::{Options, Server};
use crate::feed::Tail;
use crate::{Batch, Change, Cursor, Error, Expect, Memory, Revision, Space, Store, Write};

const WITHIN: Duration = Duration::from_secs(5);
const NAMES: [&[u8]; 9] =
    [b"a", b"beat/", b"beat/1", b"beau", b"client/", b"client/\xff", b"client/b", b"clients", b"lease/web"];

fn space() -> Space {
    Space::new("web").unwrap()
}

fn keys() -> Keys {
    Keys::new(b"steadfast")
}

/// What etcd does with a transaction, in a few lines.
#[derive(Default)]
struct Model {
    revision: i64,
    keys: BTreeMap<Vec<u8>, KeyValue>,
}

impl Model {
    fn transact(&mut self, request: TxnRequest) -> TxnResponse {
        let holds = request.compare.iter().all(|compare| {
            let current = self.keys.get(&compare.key[..]).map_or(0, |kv| kv.mod_revision);
            compare.target_union == Some(TargetUnion::ModRevision(current))
        });
        let operations = if holds { request.success } else { request.failure };
        let writes = operations.iter().any(|op| !matches!(op.request, Some(Request::Range(_))));
        self.revision += i64::from(writes);
        let responses = operations.into_iter().map(|op| self.operate(op.request.unwrap())).collect();
        TxnResponse { header: self.header(), succeeded: holds, responses }
    }

    fn operate(&mut self, request: Request) -> ResponseOp {
        let response = match request {
            Request::Range(range) => Response::Range(self.range(&range)),
            Request::Put(put) => {
                let create_revision = self.keys.get(&put.key[..]).map_or(self.revision, |kv| kv.create_revision);
                let mod_revision = self.revision;
                let kv = KeyValue { key: put.key.clone(), create_revision, mod_revision, value: put.value };
                self.keys.insert(put.key.to_vec(), kv);
                Response::Put(super::proto::Done {})
            }
            Request::Delete(delete) => {
                self.keys.remove(&delete.key[..]);
                Response::Delete(super::proto::Done {})
            }
        };
        ResponseOp { response: Some(response) }
    }

    fn range(&self, range: &RangeRequest) -> RangeResponse {
        let within = |key: &[u8]| match range.range_end.is_empty() {
            true => key == range.key,
            false => key >= &range.key[..] && key < &range.range_end[..],
        };
        let mut kvs: Vec<KeyValue> = self.keys.values().filter(|kv| within(&kv.key)).cloned().collect();
        let more = range.limit > 0 && kvs.len() > range.limit as usize;
        if more {
            kvs.truncate(range.limit as usize);
        }
        RangeResponse { header: self.header(), kvs, more }
    }

    fn header(&self) -> Option<ResponseHeader> {
        Some(ResponseHeader { revision: self.revision, ..ResponseHeader::default() })
    }

    fn commit(&mut self, batch: &Batch) -> Result<Cursor, Error> {
        let mark = self.revision.to_be_bytes();
        let answer = self.transact(transaction::request(&keys(), batch, &mark));
        transaction::outcome(batch, &mark, answer)
    }
}

/// A batch of some of [`NAMES`], whose expectations hold now and then.
fn some_batch(dice: &mut impl FnMut(u64) -> u64, versions: &BTreeMap<Vec<u8>, Revision>) -> Batch {
    let mut changes = Vec::new();
    let all = dice(3) == 0;
    for name in NAMES {
        if !all && dice(3) > 0 {
            continue;
        }
        let expect = match versions.get(name) {
            Some(version) if dice(8) > 0 => Expect::Version(*version),
            None if dice(8) > 0 => Expect::Absent,
            _ if dice(2) == 0 => Expect::Absent,
            _ => Expect::Version(Revision(dice(20))),
        };
        let write = match dice(4) {
            0 => Write::Nothing,
            1 if expect != Expect::Absent => Write::Delete,
            _ => Write::Put(Bytes::from(dice(1000).to_string()), None),
        };
        changes.push(Change { name: name.to_vec(), expect, write });
    }
    let alone = |change: &Change| change.name.starts_with(b"lease/") || change.name.starts_with(b"beat/");
    if changes.len() > 1 && dice(4) > 0 {
        changes.retain(|change| !alone(change));
    } else if changes.len() > 1 {
        changes.truncate(1);
    }
    Batch { space: space(), changes }
}

/// A transaction does what the reference back end does with the same batch, and says so: thousands of them.
#[tokio::test]
async fn a_transaction_is_its_batch() {
    let (memory, mut etcd) = (Memory::new(), Model::default());
    let mut seed = 1u64;
    let mut dice = move |sides: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % sides
    };
    let mut seen = [0; 3];
    for _ in 0..5_000 {
        let page = memory.scan(&space(), b"", None, 100, WITHIN).await.unwrap();
        let versions = page.records.iter().map(|(name, record)| (name.clone(), record.version)).collect();
        let batch = some_batch(&mut dice, &versions);
        if batch.check(crate::rules::LIMITS).is_err() {
            continue;
        }
        let expected = memory.commit(batch.clone(), WITHIN).await.map(|cursor| cursor.revision);
        let looked = batch.changes.iter().all(|change| change.write == Write::Nothing);
        let answer = etcd.commit(&batch);
        match (&expected, &answer) {
            // Where a batch only looks, it is told where the last commit that a watch shows stands.
            (Ok(_), Ok(cursor)) if looked => assert!(cursor.revision <= Revision(etcd.revision as u64)),
            (Ok(revision), Ok(cursor)) => assert_eq!(cursor.revision, *revision, "{batch:?}"),
            _ => assert_eq!(answer.clone().map(|cursor| cursor.revision), expected, "{batch:?}"),
        }
        seen[if looked { 2 } else { usize::from(expected.is_err()) }] += 1;
    }
    assert!(seen.iter().all(|count| *count > 200), "commits, conflicts and looks, of each a good part: {seen:?}");
}

/// The ranges of a scan hold each name once, in order, and no other key.
#[test]
fn ranges_are_the_names_of_a_prefix_in_order() {
    let (keys, space, mut etcd) = (keys(), space(), Model::default());
    for name in NAMES {
        let changes = vec![Change { name: name.to_vec(), expect: Expect::Absent, write: Write::Put("x".into(), None) }];
        etcd.commit(&Batch { space: space.clone(), changes: changes.clone() }).unwrap();
        for other in ["we", "web2", "webb"] {
            etcd.commit(&Batch { space: Space::new(other).unwrap(), changes: changes.clone() }).unwrap();
        }
    }
    let prefixes: [&[u8]; 12] =
        [b"", b"a", b"b", b"be", b"beat/", b"beat/1", b"beau", b"c", b"client/", b"client/\xff", b"lease/web", b"\xff"];
    for prefix in prefixes {
        for after in NAMES.iter().copied().map(Some).chain([None]) {
            let ranges = keys.ranges(&space, prefix, after);
            let found = ranges.iter().flat_map(|range| etcd.range(range).kvs);
            let found: Vec<Vec<u8>> = found.map(|kv| keys.name(&space, &kv.key).expect("a record").to_vec()).collect();
            let mut expected: Vec<Vec<u8>> = NAMES.iter().map(|name| name.to_vec()).collect();
            expected.retain(|name| name.starts_with(prefix) && after.is_none_or(|after| name.as_slice() > after));
            expected.sort();
            assert_eq!(found, expected, "under {} after {after:?}", prefix.escape_ascii());
        }
    }
    assert_eq!(keys.name(&space, &keys.head(&space)), None);
    assert_eq!(keys.name(&space, b"steadfast/web/k/client/a"), None, "a name of another class");
}

#[test]
fn a_watch_of_the_space_sees_its_head_and_its_clients_only_where_it_wants_them() {
    let (keys, space) = (keys(), space());
    let watched = |bulk: bool, name: &[u8]| {
        let (from, to) = keys.history(&space, bulk);
        let key = keys.record(&space, name);
        from <= key && key < to
    };
    let seen = |bulk| NAMES.map(|name| watched(bulk, name));
    assert_eq!(seen(true), [true, false, false, true, true, true, true, true, true]);
    assert_eq!(seen(false), [true, false, false, true, false, false, false, true, true]);
    for bulk in [true, false] {
        let ((from, to), head) = (keys.history(&space, bulk), keys.head(&space));
        assert!(from <= head && head < to);
    }
}

fn event(kind: i32, key: Bytes, at: i64, value: &str) -> Event {
    Event { kind, kv: Some(KeyValue { key, mod_revision: at, value: value.to_owned().into(), create_revision: 0 }) }
}

fn head(at: i64, mark: &str) -> Event {
    event(PUT, keys().head(&space()), at, mark)
}

fn put(name: &[u8], at: i64) -> Event {
    event(PUT, keys().record(&space(), name), at, "x")
}

fn delete(name: &[u8], at: i64) -> Event {
    event(1, keys().record(&space(), name), at, "")
}

fn cursor(revision: u64, mark: &str) -> Cursor {
    Cursor { revision: Revision(revision), mark: mark.into() }
}

/// What a watch from `from` makes of answers, as text: `4.m: a +, b -`.
fn told(from: Cursor, answers: Vec<(bool, Vec<Event>)>) -> Result<Vec<String>, Error> {
    let (keys, space) = (keys(), space());
    let mut teller = match from == Cursor::START {
        true => Teller::after(&keys, &space, from),
        false => Teller::with(&keys, &space, from),
    };
    let mut told = Vec::new();
    for (fragment, events) in answers {
        for commit in teller.tell(WatchResponse { fragment, events, ..WatchResponse::default() })? {
            let sign = |there: bool| if there { '+' } else { '-' };
            let changes = commit.changes.iter();
            let changes: Vec<String> =
                changes.map(|(name, record)| format!("{} {}", name.escape_ascii(), sign(record.is_some()))).collect();
            let mark = String::from_utf8(commit.cursor.mark).unwrap();
            told.push(format!("{}.{mark}: {}", commit.cursor.revision, changes.join(", ")));
        }
    }
    Ok(told)
}

#[test]
fn events_of_one_revision_are_one_commit_in_whatever_pieces() {
    let events = vec![
        head(4, "m"),
        put(b"a", 4),
        delete(b"b", 4),
        head(7, "n"),
        put(b"client/1", 7),
        put(b"by-hand", 8),
        head(9, "o"),
    ];
    let expected = ["4.m: a +, b -", "7.n: client/1 +", "8.n: by-hand +", "9.o: "];
    assert_eq!(told(cursor(4, "m"), vec![(false, events.clone())]).unwrap(), expected);
    for size in 1..events.len() {
        let mut pieces: Vec<(bool, Vec<Event>)> = events.chunks(size).map(|piece| (true, piece.to_vec())).collect();
        pieces.last_mut().unwrap().0 = false;
        assert_eq!(told(cursor(4, "m"), pieces).unwrap(), expected, "in pieces of {size}");
    }
    let begun = told(cursor(4, "m"), vec![(true, events)]).unwrap();
    assert_eq!(begun, expected[..3], "the next piece may go on with the last commit of this one");
}

#[test]
fn another_history_is_told_from_a_watch_that_goes_wrong() {
    let compacted = |answers| assert!(matches!(told(cursor(4, "m"), answers), Err(Error::Compacted(..))));
    compacted(vec![(false, vec![head(4, "other")])]);
    // The commit that it was to begin with is not there.
    compacted(vec![(false, vec![head(5, "n")])]);
    compacted(vec![(false, vec![head(4, "m"), head(5, "n")]), (false, vec![event(1, keys().head(&space()), 6, "")])]);
    let begin = || (false, vec![head(4, "m"), head(5, "n")]);
    let back = told(cursor(4, "m"), vec![begin(), (false, vec![head(5, "n")])]);
    assert!(matches!(back, Err(Error::Unavailable(_))), "{back:?}");
    let stranger = event(PUT, "steadfast/web/k/".into(), 6, "");
    let strange = told(cursor(4, "m"), vec![begin(), (false, vec![head(6, "o"), stranger])]);
    assert!(matches!(strange, Err(Error::Corrupt(_))), "{strange:?}");
}

/// What the caller does next, for each way a call can fail: as a look, and as a commit.
#[test]
fn a_failure_says_what_to_do_next() {
    let refused = |code, message: &str| Missed::Refused(Status { code, message: message.to_owned() });
    let table = [
        (Missed::NotSent("refused".into()), "Unavailable", "Unavailable"),
        (Missed::Unanswered("cut".into()), "Unavailable", "OutcomeUnknown"),
        (Missed::Stranger("no gRPC".into()), "Config", "OutcomeUnknown"),
        (refused(3, "etcdserver: too many operations in txn request"), "Config", "Config"),
        (refused(3, "etcdserver: request is too large"), "Config", "Config"),
        (refused(8, "trying to send message larger than max (3 vs. 2)"), "Config", "Config"),
        (refused(3, "etcdserver: authentication failed, invalid user ID or password"), "Denied", "Denied"),
        (refused(3, "etcdserver: user name is empty"), "Denied", "Denied"),
        (refused(7, "etcdserver: permission denied"), "Denied", "Denied"),
        (refused(16, "etcdserver: invalid auth token"), "Denied", "Denied"),
        (refused(3, "etcdserver: revision of auth store is old"), "Unavailable", "Unavailable"),
        (refused(9, "etcdserver: authentication is not enabled"), "Config", "Config"),
        (refused(8, "etcdserver: mvcc: database space exceeded"), "Unavailable", "OutcomeUnknown"),
        (refused(8, "etcdserver: too many requests"), "Unavailable", "Unavailable"),
        (refused(15, "etcdserver: corrupt cluster"), "Corrupt", "Corrupt"),
        (refused(12, "unknown service etcdserverpb.KV"), "Config", "Config"),
        (refused(14, "etcdserver: request timed out"), "Unavailable", "OutcomeUnknown"),
        (refused(14, "etcdserver: leader changed"), "Unavailable", "OutcomeUnknown"),
        (refused(4, "context deadline exceeded"), "Unavailable", "OutcomeUnknown"),
        (refused(2, "what no list has"), "Unavailable", "OutcomeUnknown"),
        (refused(99, "nor this"), "Unavailable", "OutcomeUnknown"),
    ];
    // One that lost its leader is left; one that refuses is not, nor one that took long, while it answers others.
    assert!(failure::is_of_the_member(&refused(14, "etcdserver: no leader")));
    assert!(!failure::is_of_the_member(&refused(7, "etcdserver: permission denied")));
    assert!(!failure::is_of_the_member(&Missed::Unanswered("no answer in the time given".into())));
    for (missed, look, commit) in table {
        let kind = |asked| format!("{:?}", failure::error("etcd1:2379", asked, missed.clone()));
        let begins = |asked, kind_expected: &str| {
            let kind = kind(asked);
            assert!(kind.starts_with(kind_expected) && kind.contains("etcd1:2379"), "{missed:?} as {asked:?}: {kind}");
        };
        begins(Asked::Look, look);
        begins(Asked::Commit, commit);
    }
}

/// Of those who look whose turn it is, one compacts; another one when that is gone. What came after the look before the
/// last is kept.
#[tokio::test]
async fn one_of_all_compacts_and_another_when_it_is_gone() {
    let server = Server::etcd(&Options::default());
    let core = || {
        let address = Address::Tcp { host: "127.0.0.1".parse().unwrap(), port: server.ports()[0] };
        let cluster = Cluster { addresses: vec![address], tls: None, identity: None };
        let (prefix, place) = ("steadfast".to_owned(), String::new());
        let (max_txn_ops, compact, pace) = (128, Some(Duration::from_secs(600)), Duration::from_millis(250));
        Core::new(Members::new(cluster), Settings { prefix, place, max_txn_ops, compact, pace })
    };
    let (one, other) = (core(), core());
    let deadline = || clock::now() + Duration::from_secs(60);
    let commit = async |name: &[u8]| {
        let change = Change { name: name.to_vec(), expect: Expect::Absent, write: Write::Put("x".into(), None) };
        one.commit(&Batch { space: space(), changes: vec![change] }, Duration::from_secs(60)).await.unwrap()
    };
    let is_kept = async |at: &Cursor| match one.verify(&space(), true, at, Duration::from_secs(60)).await {
        Ok(_) => true,
        Err(Error::Compacted(..)) => false,
        Err(error) => panic!("{error}"),
    };
    let first = commit(b"a").await;
    let second = commit(b"b").await;
    assert_eq!(one.take_turn(deadline()).await, Ok(None), "nothing was seen before");
    assert_eq!(other.take_turn(deadline()).await, Ok(None));
    let third = commit(b"c").await;
    assert_eq!(one.take_turn(deadline()).await, Ok(Some(second.revision.0 as i64)));
    assert_eq!(other.take_turn(deadline()).await, Ok(None), "another one did");
    let kept = [is_kept(&first).await, is_kept(&second).await, is_kept(&third).await, is_kept(&Cursor::START).await];
    assert_eq!(kept, [false, true, true, false]);
    assert!(matches!(one.take_turn(deadline()).await, Ok(Some(at)) if at > second.revision.0 as i64));
    // The other one sees that it was done, then that nobody does it any more.
    assert_eq!(other.take_turn(deadline()).await, Ok(None));
    assert!(matches!(other.take_turn(deadline()).await, Ok(Some(_))));
    assert!(!is_kept(&second).await);
    assert!(other.compact_at(1, deadline()).await.is_ok(), "what is compacted further already is no failure");
}
